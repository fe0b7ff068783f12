//! Hand-written peers that connect to a seed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{address, keep, seed, stocked};
use crate::get::{GetFixture, single};
use crate::support::files::PIECE;
use crate::swarm::bencode::B;
use crate::swarm::web_seed::Fault;
use crate::swarm::wire::{self, Block, Handshake, Message};
use crate::swarm::{Dataset, Tracker, WebSeed, eventually};

/// A dataset that is not seeded.
fn stranger() -> Dataset {
    Dataset::single("other", vec![1])
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    // Far longer than any of the seed's deadlines.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Connects and exchanges handshakes.
pub fn visit(to: SocketAddr, ours: &Handshake) -> (TcpStream, Handshake) {
    let mut stream = connect(to);
    stream.write_all(&ours.write()).unwrap();
    let theirs = Handshake::read(&mut stream).unwrap().unwrap();
    (stream, theirs)
}

/// Waits for a message with this id and skips others.
pub fn wait_for(stream: &mut TcpStream, id: u8) -> Message {
    loop {
        let message = Message::read(stream).unwrap();
        if message.id == id {
            return message;
        }
    }
}

/// Whether the seed closes the connection without sending anything.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 1]).is_ok_and(|read| read == 0)
}

#[test]
fn who_comes_for_another_torrent_or_speaks_otherwise_or_not_at_all_is_closed() {
    let dataset = single();
    let fixture = stocked(&dataset);
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    let to = address(&seeding);
    let begun = Instant::now();
    let mut silent = connect(to);
    let mut half = connect(to);
    half.write_all(&Handshake::new(dataset.infohash(), false).write()[..40]).unwrap();
    let mut other = connect(to);
    other.write_all(&Handshake::new(stranger().infohash(), false).write()).unwrap();
    assert!(is_closed(&mut other));
    let mut web = connect(to);
    web.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    // The seed leaves part of the request unread, so the end may be a reset.
    assert!(matches!(web.read(&mut [0; 1]), Ok(0) | Err(_)));
    // The handshake deadline is a third of the timeout: 1 s here.
    assert!(is_closed(&mut silent) && is_closed(&mut half));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
    // The seed must still serve others.
    super::take(&dataset, to).unwrap();
}

#[test]
fn who_has_only_a_magnet_link_is_given_info_and_told_that_we_want_nothing() {
    let dataset = single();
    let fixture = stocked(&dataset);
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    let ours = Handshake::new(dataset.infohash(), true);
    let (mut stream, theirs) = visit(address(&seeding), &ours);
    assert!(theirs.extensions() && theirs.fast() && theirs.infohash == dataset.infohash());
    let said = B::dict([("m", B::dict([("ut_metadata", B::Int(7))]))]).write();
    stream.write_all(&wire::extended(0, &said)).unwrap();
    let hello = wait_for(&mut stream, wire::EXTENDED);
    let (hello, _) = B::read(&hello.payload[1..]).unwrap();
    assert_eq!(hello.int_at("upload_only"), Some(1));
    let info = dataset.info_bytes();
    assert_eq!(hello.int_at("metadata_size"), Some(info.len() as i64));
    let id = hello.at("m").unwrap().int_at("ut_metadata").unwrap();
    let ask = B::dict([("msg_type", B::Int(0)), ("piece", B::Int(0))]).write();
    stream.write_all(&wire::extended(u8::try_from(id).unwrap(), &ask)).unwrap();
    let part = wait_for(&mut stream, wire::EXTENDED);
    assert_eq!(part.payload[0], 7);
    let (_, bytes) = B::read(&part.payload[1..]).unwrap();
    assert_eq!(bytes, info);
}

#[test]
fn a_seed_has_nothing_to_do_with_other_seeds() {
    let dataset = single();
    let fixture = stocked(&dataset);
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    let ours = Handshake::new(dataset.infohash(), false).with_fast();
    let (mut stream, _) = visit(address(&seeding), &ours);
    stream.write_all(&wire::message(wire::HAVE_ALL, &[])).unwrap();
    wait_for(&mut stream, wire::HAVE_ALL);
    assert!(is_closed(&mut stream));
}

#[test]
fn pieces_that_come_are_told_and_what_is_not_there_is_rejected() {
    let dataset = single();
    // 503 means busy, so the web seed is retried.
    let web_seed = WebSeed::serving(&dataset).with(Fault::Status(503));
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset.clone().url_list([web_seed.url()]));
    let seeding = seed(&[&torrent], &fixture.path("store")).fetch(true).start().unwrap();
    let ours = Handshake::new(dataset.infohash(), true).with_fast();
    let (mut stream, _) = visit(address(&seeding), &ours);
    wait_for(&mut stream, wire::HAVE_NONE);
    let hello = wait_for(&mut stream, wire::EXTENDED);
    assert_eq!(B::read(&hello.payload[1..]).unwrap().0.int_at("upload_only"), None);
    stream.write_all(&wire::message(wire::INTERESTED, &[])).unwrap();
    wait_for(&mut stream, wire::UNCHOKE);
    let request = |piece: u32, begin: u32| {
        let block = wire::block(Block { piece, begin, length: 16 << 10 });
        wire::message(wire::REQUEST, &block)
    };
    for (piece, begin) in [(0, 0), (5, PIECE as u32), (5, u32::MAX), (100, 0), (u32::MAX, 0)] {
        stream.write_all(&request(piece, begin)).unwrap();
        let refused = wait_for(&mut stream, wire::REJECT).block();
        assert_eq!((refused.piece, refused.begin), (piece, begin));
    }
    web_seed.mend();
    let mut told: Vec<_> = (0..dataset.piece_count())
        .map(|_| wait_for(&mut stream, wire::HAVE).payload)
        .map(|piece| u32::from_be_bytes(piece.try_into().unwrap()))
        .collect();
    told.sort_unstable();
    assert!(told.iter().copied().eq(0..100));
    // The dataset is complete: the seed announces `upload_only`.
    let hello = wait_for(&mut stream, wire::EXTENDED);
    assert_eq!(B::read(&hello.payload[1..]).unwrap().0.int_at("upload_only"), Some(1));
    stream.write_all(&request(99, 16 << 10)).unwrap();
    let block = wait_for(&mut stream, wire::PIECE);
    assert_eq!(block.payload[8..], dataset.stream()[99 * PIECE + (16 << 10)..]);
}

#[test]
fn so_many_are_connected_and_no_more() {
    let dataset = single();
    let fixture = stocked(&dataset);
    let seeding = seed(&[], &fixture.path("store")).connections(2).start().unwrap();
    let ours = Handshake::new(dataset.infohash(), false).with_fast();
    let mut first: Vec<_> = (0..2).map(|_| visit(address(&seeding), &ours).0).collect();
    first.iter_mut().for_each(|stream| drop(wait_for(stream, wire::HAVE_ALL)));
    assert!(is_closed(&mut connect(address(&seeding))));
    first.pop();
    // The slot is free once the seed has noticed the closed connection.
    eventually("a third peer can connect", || {
        let mut stream = connect(address(&seeding));
        stream.write_all(&ours.write()).is_ok() && Handshake::read(&mut stream).is_ok()
    });
}

/// The seed's address other than 127.0.0.1: connections to one's own address come from that same
/// address, so the seed sees another host.
fn elsewhere(seeding: &academictorrents::Seeding) -> Option<SocketAddr> {
    let port = seeding.local_addr().port();
    let over_v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
    if seeding.local_addr().is_ipv6() && TcpStream::connect(over_v6).is_ok() {
        return Some(over_v6);
    }
    // Sends nothing; the system only reports which local address it would use.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if let Err(why) = socket.connect("192.0.2.1:9") {
        // Unlike the output of `eprintln!`, this output is not captured.
        let _ =
            writeln!(std::io::stderr(), "not tested, because 127.0.0.1 is the only address: {why}");
        return None;
    }
    Some(SocketAddr::new(socket.local_addr().unwrap().ip(), port))
}

#[test]
fn a_host_that_opens_and_holds_all_it_can_leaves_room_for_others() {
    let dataset = single();
    let fixture = stocked(&dataset);
    // A long timeout, so that silent peers stay connected.
    let seed = seed(&[], &fixture.path("store")).env("ACADEMICTORRENTS_TIMEOUT", "300s");
    let seeding = seed.start().unwrap();
    let Some(elsewhere) = elsewhere(&seeding) else { return };
    let held: Vec<_> = (0..200).map(|_| connect(address(&seeding))).collect();
    for stream in &held {
        stream.set_nonblocking(true).unwrap();
    }
    let is_open = |mut stream: &TcpStream| {
        let read = stream.read(&mut [0; 1]).map_err(|why| why.kind());
        read == Err(std::io::ErrorKind::WouldBlock)
    };
    let open = || held.iter().filter(|stream| is_open(stream)).count();
    // A quarter of the seed's 200 connections.
    eventually("excess connections are closed", || open() <= 50);
    super::take(&dataset, elsewhere).unwrap();
    assert_eq!(open(), 50);
}

#[test]
fn who_asks_on_and_on_and_reads_no_answer_is_closed_before_it_costs_much_memory() {
    let dataset = single();
    let fixture = stocked(&dataset);
    // Long enough that the timeout cannot close the connection.
    let seed = seed(&[], &fixture.path("store")).env("ACADEMICTORRENTS_TIMEOUT", "300s");
    let seeding = seed.start().unwrap();
    let ours = Handshake::new(dataset.infohash(), false).with_fast();
    let (mut stream, _) = visit(address(&seeding), &ours);
    stream.set_write_timeout(Some(Duration::from_secs(15))).unwrap();
    // The peer is choked, so each request is rejected with a message of the same length.
    let request = wire::block(Block { piece: 0, begin: 0, length: 16 << 10 });
    let requests = wire::message(wire::REQUEST, &request).repeat(1_000);
    // In addition to the kernel's socket buffers.
    let most = (32 << 20) / requests.len();
    let taken = (0..most).take_while(|_| stream.write_all(&requests).is_ok()).count();
    assert!(taken < most, "{taken} times {} bytes were taken", requests.len());
    super::take(&dataset, address(&seeding)).unwrap();
}

#[test]
fn it_ends_within_a_second_whoever_is_connected() {
    // The tracker accepts the announce and never answers.
    let tracker = Tracker::start(Vec::new());
    let dataset = single().announce(&tracker.url());
    let fixture = stocked(&dataset);
    let known = tracker.announces().len();
    let seed = seed(&[], &fixture.path("store")).env("ACADEMICTORRENTS_TIMEOUT", "300s");
    let seeding = seed.rate(1 << 10).start().unwrap();
    eventually("the seed announces to the tracker", || tracker.announces().len() > known);
    tracker.fault(crate::swarm::tracker::Fault::Stall);
    let ours = Handshake::new(dataset.infohash(), true).with_fast();
    let mut visitors: Vec<_> = (0..5).map(|_| visit(address(&seeding), &ours).0).collect();
    for stream in &mut visitors {
        stream.write_all(&wire::message(wire::INTERESTED, &[])).unwrap();
    }
    wait_for(&mut visitors[0], wire::UNCHOKE);
    let begun = Instant::now();
    seeding.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for stream in &mut visitors {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut rest = Vec::new();
        // The end or a reset, but not a timeout.
        let end = stream.read_to_end(&mut rest).map_err(|why| why.kind());
        assert!(!matches!(end, Err(std::io::ErrorKind::WouldBlock)), "{end:?}");
    }
}
