//! Uploads to our peers during a download.

use std::io::Write as _;
use std::time::Duration;

use crate::peers::{pieces, project};
use crate::support::Project;
use crate::swarm::peer::Fault;
use crate::swarm::server::{Conn, Server};
use crate::swarm::wire::{self, Block, Handshake, Message};
use crate::swarm::{Dataset, Peer, Tracker, eventually};

const PIECE: u64 = 32_768;

/// A leecher with these pieces, slow until its fault is ended, so that there is time to serve it.
fn leecher(dataset: &Dataset, held: std::ops::Range<usize>) -> Peer {
    Peer::seeding(dataset).pieces(held).leeching().with(Fault::Slow { bytes_per_second: 60_000 })
}

/// Builds the project; the peers are slow until `happened` returns true.
fn build_slowly(
    project: &Project,
    dataset: &Dataset,
    peers: &[&Peer],
    what: &str,
    happened: impl Fn() -> bool,
) {
    std::thread::scope(|scope| {
        let build = scope.spawn(|| project.path_of("data"));
        eventually(what, happened);
        peers.iter().for_each(|peer| peer.mend());
        dataset.assert_at(&build.join().unwrap());
    });
}

fn taken(peer: &Peer) -> u64 {
    peer.stats().taken.distinct_bytes()
}

fn received(peer: &Peer, id: u8) -> usize {
    peer.stats().received.get(&id).copied().unwrap_or(0)
}

#[test]
fn a_peer_gets_from_us_what_we_got_from_another_and_trackers_are_told() {
    for (fast, private) in [(false, false), (true, true)] {
        let dataset = pieces(20);
        let dataset = if private { dataset.private() } else { dataset };
        let first = Peer::seeding(&dataset).pieces(0..10);
        let second = leecher(&dataset, 10..20);
        let second = if fast { second.fast() } else { second };
        let tracker = Tracker::start(vec![first.addr(), second.addr()]);
        let dataset = dataset.announce(&tracker.url());
        let project = Project::of(&dataset, "");
        build_slowly(&project, &dataset, &[&second], "the peer downloaded everything", || {
            taken(&second) == 10 * PIECE
        });
        let stats = second.stats();
        assert_eq!((stats.taken.distinct_bytes(), stats.taken.bytes()), (10 * PIECE, 10 * PIECE));
        assert_eq!((stats.wrong_blocks, stats.rejected.len()), (0, 0));
        // `first` is never interested, so it is not unchoked.
        assert_eq!(received(&first, wire::UNCHOKE), 0);
        let uploaded: Vec<_> = tracker.announces().iter().map(|it| it.uploaded.unwrap()).collect();
        assert_eq!((uploaded.first(), uploaded.last()), (Some(&0), Some(&(10 * PIECE))));
    }
}

#[test]
fn what_was_here_before_is_served_from_the_beginning() {
    let dataset = pieces(20);
    for fast in [false, true] {
        let project = {
            let first = Peer::seeding(&dataset).pieces(0..10);
            let project = project(&dataset, &[&first]).env("ACADEMICTORRENTS_TIMEOUT", "1s");
            // Usually one attempt is enough, unless the machine itself stalls for a second.
            while first.stats().coverage.distinct_bytes() < 10 * PIECE {
                project.error();
            }
            project.env("ACADEMICTORRENTS_TIMEOUT", "120s")
        };
        let rest = leecher(&dataset, 10..20);
        let rest = if fast { rest.fast() } else { rest };
        project.declare_data(&format!("peers = [\"{}\"]", rest.addr()));
        // By bitfield or `have`: each piece is hashed before it is announced, maybe after the
        // handshake.
        build_slowly(&project, &dataset, &[&rest], "the peer downloaded everything", || {
            taken(&rest) == 10 * PIECE
        });
    }
}

#[test]
fn where_upload_is_0_nobody_is_served() {
    let dataset = pieces(20);
    let first = Peer::seeding(&dataset).pieces(0..10);
    let second = leecher(&dataset, 10..20).fast().with(Fault::AsksTooEarly);
    let project = project(&dataset, &[&first, &second]).env("ACADEMICTORRENTS_UPLOAD", "0");
    let refused = || received(&second, wire::REJECT) == 40;
    build_slowly(&project, &dataset, &[&second], "all requests were rejected", refused);
    for id in [wire::UNCHOKE, wire::HAVE, wire::BITFIELD, wire::PIECE] {
        assert_eq!(received(&second, id), 0, "message {id}");
    }
    assert_eq!(received(&second, wire::REJECT), 40);
    let said = &second.stats().extended_handshakes[0];
    assert_eq!(said.at("m").and_then(|ids| ids.int_at("ut_metadata")), None);
    assert_eq!(said.int_at("metadata_size"), None);
}

#[test]
fn who_asks_before_it_is_unchoked_is_refused_and_served_later() {
    let dataset = pieces(20);
    let first = Peer::seeding(&dataset).pieces(0..10);
    let second = leecher(&dataset, 10..20).fast().with(Fault::AsksTooEarly);
    let project = project(&dataset, &[&first, &second]);
    build_slowly(&project, &dataset, &[&second], "the peer downloaded everything", || {
        taken(&second) == 10 * PIECE
    });
    assert_eq!(received(&second, wire::REJECT), 40);
    assert_eq!(second.stats().taken.bytes(), 10 * PIECE);
}

#[test]
fn a_peer_that_says_it_only_uploads_takes_no_slot() {
    let dataset = pieces(20);
    let first = Peer::seeding(&dataset).pieces(0..10);
    let second = leecher(&dataset, 10..20).upload_only();
    let project = project(&dataset, &[&first, &second]);
    // Announced by bitfield if verified before the connection, else by `have`.
    let heard = || (0..10).all(|piece| second.stats().announced.contains(&piece));
    build_slowly(&project, &dataset, &[&second], "the peer received `have` for ten pieces", heard);
    assert_eq!(received(&second, wire::INTERESTED), 1);
    assert_eq!(received(&second, wire::UNCHOKE), 0);
}

#[test]
fn four_peers_are_unchoked_at_a_time() {
    let dataset = pieces(40);
    let first = Peer::seeding(&dataset).pieces(0..10);
    let others: Vec<_> = (2..8).map(|n| leecher(&dataset, n * 5..n * 5 + 5)).collect();
    let peers: Vec<_> = std::iter::once(&first).chain(&others).collect();
    let project = project(&dataset, &peers);
    let served = || others.iter().filter(|peer| taken(peer) > 0).count() == 4;
    build_slowly(&project, &dataset, &peers, "four peers were served", served);
    let unchoked: usize = others.iter().map(|peer| received(peer, wire::UNCHOKE)).sum();
    assert_eq!(unchoked, 4);
}

#[test]
fn the_info_dictionary_is_served_to_who_has_only_a_magnet_link() {
    // 1,000 pieces: `info` spans two metadata blocks.
    let dataset = Dataset::single("data.bin", crate::swarm::random_bytes(1, 1_000 * 1_024))
        .piece_length(1_024);
    let peer = leecher(&dataset, 0..1_000);
    let project = project(&dataset, &[&peer]);
    let came = || peer.stats().metadata.len() == 2;
    build_slowly(&project, &dataset, &[&peer], "all parts arrived", came);
    let parts: Vec<u8> = peer.stats().metadata.values().flatten().copied().collect();
    assert_eq!(parts, dataset.info_bytes());
}

#[test]
fn a_rate_that_is_no_size_is_an_error_that_says_what_to_write() {
    let dataset = pieces(1);
    let peer = Peer::seeding(&dataset);
    let error = project(&dataset, &[&peer]).env("ACADEMICTORRENTS_UPLOAD", "fast").error();
    assert!(error.contains("ACADEMICTORRENTS_UPLOAD") && error.contains("`1MiB`"), "{error}");
}

/// A peer that requests 32 MiB at once when unchoked and then reads nothing.
fn greedy(dataset: &Dataset) -> Server {
    let (infohash, count) = (dataset.infohash(), dataset.piece_count());
    Server::start(move |conn| {
        let greet = |conn: &mut Conn| -> std::io::Result<()> {
            Handshake::read(&mut conn.stream)?;
            conn.stream.write_all(&Handshake::new(infohash, false).write())?;
            conn.stream
                .write_all(&wire::message(wire::BITFIELD, &wire::bitfield(&vec![false; count])))?;
            conn.stream.write_all(&wire::message(wire::INTERESTED, &[]))?;
            let mut had = None;
            let mut unchoked = false;
            while had.is_none() || !unchoked {
                let message = Message::read(&mut conn.stream)?;
                match message.id {
                    wire::HAVE => {
                        had = Some(u32::from_be_bytes(message.payload[..].try_into().unwrap()))
                    }
                    wire::UNCHOKE => unchoked = true,
                    _ => {}
                }
            }
            let block = Block { piece: had.unwrap(), begin: 0, length: 128 << 10 };
            let request = wire::message(wire::REQUEST, &wire::block(block));
            conn.stream.write_all(&request.repeat(250))
        };
        if greet(conn).is_ok() {
            // Longer than the test may take; ends with the server.
            conn.pause(Duration::from_secs(60));
        }
    })
}

#[test]
fn a_peer_that_asks_for_much_and_does_not_read_holds_nobody_up() {
    let dataset = Dataset::single("data.bin", crate::swarm::random_bytes(1, 6 << 20));
    let dataset = dataset.piece_length(256 << 10);
    let seed = Peer::seeding(&dataset).with(Fault::Slow { bytes_per_second: 4 << 20 });
    let greedy = greedy(&dataset);
    let lines = format!("peers = [\"{}\", \"{}\"]", greedy.addr(), seed.addr());
    let project = Project::of(&dataset, &lines)
        .env("ACADEMICTORRENTS_UPLOAD", "1GiB")
        .env("ACADEMICTORRENTS_TIMEOUT", "300s");
    let begun = std::time::Instant::now();
    dataset.assert_at(&project.path_of("data"));
    // Far below the silence after which a writer gives up.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(greedy.connections(), 1);
}
