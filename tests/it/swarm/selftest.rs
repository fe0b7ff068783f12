//! Tests the swarm with hand-written clients, so that other failing tests point to the crate.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::bencode::B;
use super::dataset::{hex, infohash_of};
use super::wire::{self, Block, Handshake, Message};
use super::{Catalogue, Dataset, Peer, Tracker, UdpTracker, WebSeed, eventually, random_bytes};
use super::{catalogue, peer, tracker, udp_tracker, web_seed};

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Sends a GET request and returns the response's head and body.
fn get(stream: &mut TcpStream, target: &str, headers: &str) -> (String, Vec<u8>) {
    write!(stream, "GET {target} HTTP/1.1\r\nhost: swarm\r\n{headers}\r\n").unwrap();
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

/// The path and query of a URL.
fn target(url: &str) -> String {
    format!("/{}", url.splitn(4, '/').nth(3).unwrap())
}

fn folder() -> Dataset {
    let files = [("a b/one.bin", random_bytes(1, 50_000)), ("two.bin", random_bytes(2, 70_000))];
    Dataset::multi("root", files)
}

#[test]
fn torrents_are_as_another_writer_makes_them() {
    // Infohashes computed independently, in Python with hashlib and another bencoder.
    let single = Dataset::single("data.bin", vec![7; 100_000]).piece_length(16 << 10);
    assert_eq!(single.infohash_hex(), "ffd7cf7b3093e0d69efc169b4587d086f0129acb");
    let bytes = |value: u8, length: usize| vec![value; length];
    let files = [("a/b.txt", bytes(1, 10)), ("c.txt", bytes(2, 40_000)), ("d", bytes(3, 5))];
    let padded = Dataset::multi("root", files).padded().private().comment("not in the infohash");
    assert_eq!(padded.infohash_hex(), "3ba521d7ed07807af3eb283cd1b2b482849b98ed");
    assert_eq!(padded.stream().len(), 65_536 + 32_768 + 5);
    let (read, rest) = B::read(&padded.torrent()).map(|(read, rest)| (read, rest.len())).unwrap();
    assert_eq!(rest, 0);
    assert_eq!(infohash_of(read.at("info").unwrap()), padded.infohash());
    assert_eq!(read.bytes_at("comment"), Some(&b"not in the infohash"[..]));
}

#[test]
fn a_mirror_has_the_torrent_and_its_layout() {
    let (dir, dataset) = (tempfile::tempdir().unwrap(), folder());
    dataset.write_mirror(dir.path());
    let data = dir.path().join(dataset.infohash_hex());
    assert_eq!(std::fs::read(data.with_extension("torrent")).unwrap(), dataset.torrent());
    dataset.assert_at(&data.join("root"));
}

#[test]
fn a_web_seed_serves_ranges_on_one_connection() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let mut client = connect(seed.http().addr());
    let two = target(&seed.url()) + "root/two.bin";
    let (head, body) = get(&mut client, &two, "Range: bytes=100-199\r\n");
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert!(head.contains("content-range: bytes 100-199/70000\r\n"), "{head}");
    assert_eq!(body, dataset.stream()[50_100..50_200]);
    let (head, _) = get(&mut client, &two, "Range: bytes=70000-\r\n");
    assert!(head.starts_with("HTTP/1.1 416 "), "{head}");
    let one = target(&seed.url()) + "root/a%20b/one.bin";
    assert_eq!(get(&mut client, &one, "").1, dataset.files()[0].1);
    assert_eq!(seed.http().server().connections(), 1);
    assert!(seed.coverage().once(0..50_000) && seed.coverage().once(50_100..50_200));
    assert!(!seed.coverage().once(50_000..50_200));
    assert_eq!((seed.bytes_served(), seed.requests().len()), (50_100, 3));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 1000));
    let seed = WebSeed::serving(&dataset);
    let mut client = connect(seed.http().addr());
    let one = |range: &str| {
        format!("GET {} HTTP/1.1\r\nRange: bytes={range}\r\n\r\n", target(&seed.url()))
    };
    client.write_all((one("0-9") + &one("10-19")).as_bytes()).unwrap();
    assert_eq!(answer(&mut client).1, dataset.stream()[..10]);
    assert_eq!(answer(&mut client).1, dataset.stream()[10..20]);
}

/// Sends these bytes, closes the sending half, which also ends a stalled server's wait, and returns
/// all that the server sends.
fn exchange(addr: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut client = connect(addr);
    client.write_all(sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    received
}

/// Downloads a 100,000-byte file from a web seed with this fault; returns head and body.
fn with_fault(fault: web_seed::Fault, headers: &str) -> (String, Vec<u8>) {
    let dataset = Dataset::single("data.bin", random_bytes(4, 100_000));
    let seed = WebSeed::serving(&dataset).with(fault);
    let request = format!("GET {} HTTP/1.1\r\n{headers}\r\n", target(&seed.url()));
    let received = exchange(seed.http().addr(), request.as_bytes());
    let end = received.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    (String::from_utf8(received[..end].to_vec()).unwrap(), received[end..].to_vec())
}

#[test]
fn web_seed_faults_are_what_they_say() {
    use web_seed::Fault;
    let good = random_bytes(4, 100_000);

    let (_, body) = with_fault(Fault::CorruptPiece(1), "");
    let wrong: Vec<usize> = (0..100_000).filter(|at| body[*at] != good[*at]).collect();
    assert_eq!(wrong, [32 << 10]);

    for fault in [
        Fault::Stall { after_bytes: 70_000 },
        Fault::HalfClose { after_bytes: 70_000 },
        Fault::CloseAfter { after_bytes: 70_000 },
    ] {
        assert_eq!(with_fault(fault, "").1, good[..70_000]);
    }
    let held = with_fault(Fault::OnlyPieces(1..2), "Range: bytes=40000-\r\n");
    assert_eq!(held.1, good[40_000..64 << 10]);
    assert_eq!(with_fault(Fault::OnlyPieces(1..2), ""), (String::new(), Vec::new()));

    let (head, body) = with_fault(Fault::ShortRange, "Range: bytes=10-19\r\n");
    assert!(head.contains("content-range: bytes 10-14/100000\r\n"), "{head}");
    assert_eq!(body, good[10..15]);
    let (head, body) = with_fault(Fault::IgnoreRange, "Range: bytes=10-19\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, good);
    let (head, body) = with_fault(Fault::WrongLength, "Range: bytes=99999-100000\r\n");
    assert!(head.contains("content-range: bytes 99999-100000/100001\r\n"), "{head}");
    assert_eq!(body, [good[99_999], b'\n']);
    let (_, body) = with_fault(Fault::Chunked, "Range: bytes=0-9\r\n");
    assert_eq!(body, [b"a\r\n", &good[..10], b"\r\n0\r\n\r\n"].concat());
    let (head, _) = with_fault(Fault::TooMany { retry_after_secs: 3, times: 1 }, "");
    assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("retry-after: 3\r\n"), "{head}");
    let start = std::time::Instant::now();
    assert_eq!(with_fault(Fault::Slow { bytes_per_second: 500_000 }, "").1, good);
    assert!(start.elapsed() >= Duration::from_millis(190), "{:?}", start.elapsed());
}

#[test]
fn a_server_notices_clients_that_leave() {
    let dataset = Dataset::single("data.bin", random_bytes(5, 1000));
    let seed = WebSeed::serving(&dataset).with(web_seed::Fault::Stall { after_bytes: 0 });
    let client = connect(seed.http().addr());
    eventually("the connection is open", || seed.http().server().open_connections() == 1);
    drop(client);
    eventually("the connection is closed", || seed.http().server().open_connections() == 0);
}

#[test]
fn a_tracker_reads_announces_and_tells_peers() {
    let peers = vec!["127.0.0.1:258".parse().unwrap(), "[::1]:259".parse().unwrap()];
    let tracker = Tracker::start(peers).with(tracker::Fault::Warning("soon".into()));
    let mut client = connect(tracker.http().addr());
    let query = "?info_hash=%00%ffabc&left=12&event=started&port=6881&numwant=50&compact=1";
    let (_, body) = get(&mut client, &(target(&tracker.url()) + query), "");
    let (reply, _) = B::read(&body).unwrap();
    assert_eq!(reply.bytes_at("peers"), Some(&[127, 0, 0, 1, 1, 2][..]));
    assert_eq!(reply.bytes_at("peers6").unwrap()[15..], [1, 1, 3]);
    assert_eq!(reply.bytes_at("warning message"), Some(&b"soon"[..]));
    let announce = &tracker.announces()[0];
    assert_eq!(announce.info_hash, b"\x00\xffabc");
    assert_eq!((announce.left, announce.port, announce.numwant), (Some(12), Some(6881), Some(50)));
    assert_eq!((announce.event.as_deref(), announce.compact), (Some("started"), true));
}

#[test]
fn a_udp_tracker_answers_the_second_try() {
    let peers = vec!["127.0.0.1:258".parse().unwrap()];
    let tracker = UdpTracker::start(peers).with(udp_tracker::Fault::Loses(1));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let addr = tracker.url()["udp://".len()..].replace("/announce", "");
    let mut reply = [0; 100];
    let hello = [&0x0417_2710_1980_u64.to_be_bytes()[..], &[0, 0, 0, 0], b"tran"].concat();
    client.send_to(&hello, &addr).unwrap();
    client.send_to(&hello, &addr).unwrap();
    assert_eq!(client.recv(&mut reply).unwrap(), 16);
    assert_eq!(reply[..8], *b"\0\0\0\0tran");
    let mut announce = [&reply[8..16], &[0, 0, 0, 1], b"next", &[9; 20]].concat();
    announce.resize(98, 0);
    client.send_to(&announce, &addr).unwrap();
    assert_eq!(client.recv(&mut reply).unwrap(), 26);
    assert_eq!(reply[..8], *b"\0\0\0\x01next");
    assert_eq!(reply[20..26], [127, 0, 0, 1, 1, 2]);
    assert_eq!(tracker.announces()[0].info_hash, [9; 20]);
    assert_eq!(tracker.datagrams(), 3);
}

#[test]
fn a_catalogue_injects_web_seeds_at_download() {
    let dataset = folder();
    let catalogue = Catalogue::serving(&[&dataset])
        .inject_url_list([""])
        .with(catalogue::Fault::TooMany { retry_after_secs: 1, times: 1 });
    let mut client = connect(catalogue.http().addr());
    let target = format!("/download/{}.torrent", dataset.infohash_hex());
    assert!(get(&mut client, &target, "").0.starts_with("HTTP/1.1 429 "));
    let (_, body) = get(&mut client, &target, "");
    assert_ne!(body, dataset.torrent());
    let (torrent, _) = B::read(&body).unwrap();
    assert_eq!(torrent.at("url-list"), Some(&B::list([B::bytes("")])));
    assert_eq!(infohash_of(torrent.at("info").unwrap()), dataset.infohash());
    let (head, _) = get(&mut client, &format!("/download/{}.torrent", hex(&[0; 20])), "");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

#[test]
fn what_a_server_never_ends_ends_with_it() {
    let dataset = folder();
    let catalogue = Catalogue::serving(&[&dataset]).with(catalogue::Fault::Endless);
    let tracker = Tracker::start(Vec::new()).with(tracker::Fault::Stall);
    let mut clients = [connect(catalogue.http().addr()), connect(tracker.http().addr())];
    for client in &mut clients {
        client.write_all(b"GET /announce HTTP/1.1\r\n\r\n").unwrap();
    }
    eventually("both were asked", || {
        catalogue.requests().len() == 1 && tracker.announces().len() == 1
    });
    drop((catalogue, tracker));
    for mut client in clients {
        let _ = client.read_to_end(&mut Vec::new()); // the end or a reset, but not a timeout
    }
}

/// Connects to `peer` and returns the stream and the peer's first messages after the handshake.
fn leech(peer: &Peer, dataset: &Dataset, greetings: usize) -> (TcpStream, Vec<Message>) {
    let mut client = connect(peer.addr());
    client.write_all(&Handshake::new(dataset.infohash(), true).write()).unwrap();
    let theirs = Handshake::read(&mut client).unwrap().unwrap();
    assert!(theirs.extensions() && theirs.infohash == dataset.infohash());
    let messages = (0..greetings).map(|_| Message::read(&mut client).unwrap()).collect();
    (client, messages)
}

fn request(piece: u32, begin: u32, length: u32) -> Vec<u8> {
    wire::message(wire::REQUEST, &wire::block(Block { piece, begin, length }))
}

#[test]
fn a_peer_serves_the_blocks_it_has() {
    let dataset = folder();
    let peer = Peer::seeding(&dataset).pieces(1..3).reqq(Some(77));
    let (mut client, greeting) = leech(&peer, &dataset, 2);
    assert_eq!((greeting[0].id, greeting[0].payload[0]), (wire::EXTENDED, 0));
    assert_eq!(B::read(&greeting[0].payload[1..]).unwrap().0.int_at("reqq"), Some(77));
    assert_eq!(greeting[1], Message { id: wire::BITFIELD, payload: vec![0b0110_0000] });

    client.write_all(&wire::message(wire::INTERESTED, &[])).unwrap();
    assert_eq!(Message::read(&mut client).unwrap().id, wire::UNCHOKE);
    client.write_all(&[request(0, 0, 16 << 10), request(2, 16 << 10, 100)].concat()).unwrap();
    let message = Message::read(&mut client).unwrap();
    assert_eq!(
        (message.id, &message.payload[..8]),
        (wire::PIECE, &[0, 0, 0, 2, 0, 0, 0x40, 0][..])
    );
    let start = 2 * (32 << 10) + (16 << 10);
    assert_eq!(message.payload[8..], dataset.stream()[start..start + 100]);

    let stats = peer.stats();
    assert!(stats.coverage.once(start as u64..start as u64 + 100));
    assert_eq!((stats.blocks_sent, stats.bad_requests.len(), stats.most_outstanding), (1, 1, 1));
    assert_eq!((stats.received[&wire::REQUEST], stats.cancels()), (2, 0));
}

#[test]
fn a_peer_chokes_and_unchokes_and_then_closes() {
    let dataset = folder();
    let peer = Peer::seeding(&dataset)
        .with(peer::Fault::ChokeAfter(1))
        .with(peer::Fault::CorruptPiece(1))
        .with(peer::Fault::CloseAfter(2));
    let (mut client, _) = leech(&peer, &dataset, 2);
    client.write_all(&wire::message(wire::INTERESTED, &[])).unwrap();
    let requests = [request(0, 0, 10), request(1, 0, 10)].concat();
    client.write_all(&requests).unwrap();
    let ids: Vec<u8> = (0..4).map(|_| Message::read(&mut client).unwrap().id).collect();
    let expected = [wire::UNCHOKE, wire::PIECE, wire::CHOKE, wire::UNCHOKE];
    assert!(ids == expected, "{ids:?}");
    client.write_all(&request(1, 0, 10)).unwrap();
    let block = Message::read(&mut client).unwrap().payload[8..].to_vec();
    let good = &dataset.stream()[32 << 10..(32 << 10) + 10];
    assert_eq!((block[0], &block[1..]), (good[0] ^ 0xFF, &good[1..]));
    assert!(Message::read(&mut client).is_err(), "closed after two blocks");
}

#[test]
fn a_peer_serves_out_of_order_and_takes_cancels() {
    let dataset = folder();
    let peer = Peer::seeding(&dataset).haves().with(peer::Fault::OutOfOrder);
    let (mut client, greeting) = leech(&peer, &dataset, 1 + dataset.piece_count());
    assert!(greeting[1..].iter().all(|message| message.id == wire::HAVE));
    client.write_all(&wire::message(wire::INTERESTED, &[])).unwrap();
    assert_eq!(Message::read(&mut client).unwrap().id, wire::UNCHOKE);
    let cancelled = Block { piece: 2, begin: 0, length: 10 };
    let cancel = wire::message(wire::CANCEL, &wire::block(cancelled));
    let requests = [request(0, 0, 10), request(1, 0, 10), request(2, 0, 10), cancel];
    client.write_all(&requests.concat()).unwrap();
    let piece = |client: &mut TcpStream| Message::read(client).unwrap().payload[3];
    assert_eq!([piece(&mut client), piece(&mut client)], [1, 0]);
    assert_eq!(peer.stats().cancels(), 1);
}

/// All bytes that a peer with this fault sends to a client that sends a handshake, `interested` and
/// two requests.
fn peer_with_fault(fault: peer::Fault) -> Vec<u8> {
    let dataset = folder();
    let peer = Peer::seeding(&dataset).with(fault);
    let handshake = Handshake::new(dataset.infohash(), false).write();
    let interested = wire::message(wire::INTERESTED, &[]);
    exchange(peer.addr(), &[handshake, interested, request(0, 0, 4), request(0, 4, 4)].concat())
}

#[test]
fn peer_faults_are_what_they_say() {
    use peer::Fault;
    let bytes = folder().stream()[..8].to_vec();
    let handshake = Handshake::new(folder().infohash(), false);
    let reserved = Handshake::new(folder().infohash(), true).reserved;
    let handshake = Handshake { reserved, ..handshake }.write();
    let bitfield = |bits: &[u8]| [&handshake[..], &wire::message(wire::BITFIELD, bits)].concat();
    let unchoke = wire::message(wire::UNCHOKE, &[]);
    let blocks = [wire::piece(0, 0, &bytes[..4]), wire::piece(0, 4, &bytes[4..])];
    let check = |fault: Fault, expected: &[&[u8]]| {
        assert_eq!(peer_with_fault(fault), expected.concat(), "{fault:?}");
    };

    let greeted = [&bitfield(&[0xF0])[..], &unchoke].concat();
    check(Fault::StallAfter(0), &[&greeted]);
    check(Fault::StallAfter(1), &[&greeted, &blocks[0]]);
    check(Fault::CloseAfter(1), &[&greeted, &blocks[0]]);
    check(Fault::HalfCloseAfter(1), &[&greeted, &blocks[0]]);
    check(Fault::Slow { bytes_per_second: 500 }, &[&greeted, &blocks[0], &blocks[1]]);
    let elsewhere = wire::piece(1, 0, &bytes[..4]);
    let elsewhere_too = wire::piece(1, 4, &bytes[4..]);
    let unrequested = [&greeted[..], &elsewhere, &blocks[0], &elsewhere_too, &blocks[1]];
    check(Fault::Unrequested, &unrequested);
    let two = blocks.concat();
    check(Fault::SpareBits, &[&bitfield(&[0xF1]), &unchoke, &two]);
    check(Fault::LongBitfield, &[&bitfield(&[0xF0, 0]), &unchoke, &two]);
    check(Fault::HaveOutOfRange, &[&bitfield(&[0xF0]), &wire::have(9), &unchoke, &two]);
    let oversized = b"\xFF\xFF\xFF\xF0\x07 and so on";
    check(Fault::OversizedMessage, &[&bitfield(&[0xF0]), oversized, &unchoke, &two]);
    check(Fault::SilentAfterHandshake, &[&handshake]);
    assert_eq!(peer_with_fault(Fault::WrongInfohash)[28], handshake[28] ^ 0xFF);
    assert!(peer_with_fault(Fault::GarbageHandshake).starts_with(b"SSH-2.0-"));
}

#[test]
fn a_peer_tells_the_metadata() {
    let files = (0..600).map(|at| (format!("a/file/with/a/long/path/{at}"), vec![1; 10]));
    let files: Vec<(String, Vec<u8>)> = files.collect();
    let dataset =
        Dataset::multi("root", files.iter().map(|(path, bytes)| (&path[..], bytes.clone())));
    let (info, peer) = (dataset.info_bytes(), Peer::seeding(&dataset));
    let (mut client, greeting) = leech(&peer, &dataset, 2);
    let (hello, _) = B::read(&greeting[0].payload[1..]).unwrap();
    assert_eq!(hello.int_at("metadata_size"), Some(i64::try_from(info.len()).unwrap()));
    let ours = B::dict([("m", B::dict([("ut_metadata", B::Int(9))]))]);
    client.write_all(&wire::extended(0, &ours.write())).unwrap();
    let second = B::dict([("msg_type", B::Int(0)), ("piece", B::Int(1))]);
    client.write_all(&wire::extended(3, &second.write())).unwrap();
    let message = Message::read(&mut client).unwrap();
    assert_eq!((message.id, message.payload[0]), (wire::EXTENDED, 9));
    let (head, block) = B::read(&message.payload[1..]).unwrap();
    assert_eq!(head.int_at("msg_type"), Some(1));
    assert_eq!(block, &info[16 << 10..info.len().min(32 << 10)]);
}
