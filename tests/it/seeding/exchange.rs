//! Peer exchange (PEX, BEP 11) of a seed with its peers.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::visitors::{visit, wait_for};
use super::{address, keep, seed, stocked};
use crate::get::{GetFixture, single};
use crate::swarm::bencode::B;
use crate::swarm::wire::{self, Handshake};
use crate::swarm::{Dataset, Tracker, WebSeed, eventually};

/// The message id that the tests' peers assign to `ut_pex`.
const PEX_ID: u8 = 9;

/// Connects a peer that announces its listen port, if any, and offers `ut_pex` if `hears`.
fn visitor(to: SocketAddr, dataset: &Dataset, port: Option<u16>, hears: bool) -> TcpStream {
    let ours = Handshake::new(dataset.infohash(), true).with_fast();
    let (mut stream, _) = visit(to, &ours);
    let pex = B::Int(if hears { PEX_ID.into() } else { 0 });
    let mut hello = B::dict([("m", B::dict([("ut_pex", pex)]))]);
    if let Some(port) = port {
        hello = hello.with("p", B::Int(port.into()));
    }
    let none = wire::message(wire::HAVE_NONE, &[]);
    stream.write_all(&[none, wire::extended(0, &hello.write())].concat()).unwrap();
    stream
}

/// The ports in the next PEX message; all addresses are loopback, without flags.
fn told(stream: &mut TcpStream) -> BTreeSet<u16> {
    loop {
        let message = wait_for(stream, wire::EXTENDED);
        if message.payload[0] != PEX_ID {
            continue;
        }
        let (said, _) = B::read(&message.payload[1..]).unwrap();
        let peers = said.bytes_at("added").unwrap().chunks_exact(6);
        assert!(said.bytes_at("added.f").unwrap() == vec![0; peers.len()]);
        let port = |peer: &[u8]| {
            assert_eq!(peer[..4], [127, 0, 0, 1]);
            u16::from_be_bytes([peer[4], peer[5]])
        };
        return peers.map(port).collect();
    }
}

/// Whether the seed's extension handshake, which is its next extension message, offers `ut_pex`.
fn offers(stream: &mut TcpStream) -> bool {
    let hello = wait_for(stream, wire::EXTENDED);
    let (said, _) = B::read(&hello.payload[1..]).unwrap();
    said.at("m").unwrap().int_at("ut_pex").is_some()
}

/// Reads to the end and counts extension messages other than the handshake.
fn said_of_others(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = stream.read_to_end(&mut bytes); // a reset also ends the stream
    let mut rest = &bytes[..];
    let messages = std::iter::from_fn(|| wire::Message::read(&mut rest).ok());
    messages.filter(|it| it.id == wire::EXTENDED && it.payload[0] != 0).count()
}

#[test]
fn visitors_that_say_where_they_listen_are_told_of_one_another_but_never_of_a_private_torrents() {
    let (dataset, private) = (single(), single().private());
    let fixture = stocked(&dataset);
    let web_seed = WebSeed::serving(&private);
    fixture.ask(&keep(&fixture, &private)).web_seed(web_seed.url()).run().unwrap();
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    let to = address(&seeding);
    let mut secret = [1, 2].map(|port| visitor(to, &private, Some(port), true));
    let mut deaf = visitor(to, &dataset, Some(1004), false);
    let mut first = visitor(to, &dataset, Some(1001), true);
    let mut second = visitor(to, &dataset, Some(1002), true);
    // libtorrent hangs up on peers that send PEX messages without offering `ut_pex`.
    assert!(offers(&mut first) && secret.iter_mut().all(|stream| !offers(stream)));
    // The first message comes within a second or two; changes follow after a minute.
    let (by_first, by_second) = (told(&mut first), told(&mut second));
    assert!(!by_first.is_empty() && by_first.is_subset(&[1002, 1004].into()), "{by_first:?}");
    assert!(!by_second.is_empty() && by_second.is_subset(&[1001, 1004].into()), "{by_second:?}");
    // These peers do not announce a listen port: they receive the others' addresses, but are not
    // listed.
    let late = || told(&mut visitor(to, &dataset, None, true));
    eventually("all other peers are sent", || late() == [1001, 1002, 1004].into());
    drop(first);
    eventually("peers that disconnected are no longer sent", || late() == [1002, 1004].into());
    seeding.stop().unwrap();
    assert_eq!(said_of_others(&mut deaf), 0);
    for stream in &mut secret {
        assert_eq!(said_of_others(stream), 0);
    }
}

#[test]
fn two_that_fetch_and_know_the_seed_alone_find_each_other() {
    let dataset = single();
    let fixture = stocked(&dataset);
    // A full download takes some 20 s, enough time for an exchange between the two.
    let source = seed(&[], &fixture.path("store")).rate(300_000).start().unwrap();
    let tracker = Tracker::start(vec![address(&source)]);
    let announced = dataset.clone().announce(&tracker.url());
    let both = [(); 2].map(|()| {
        let fixture = GetFixture::new();
        let torrent = keep(&fixture, &announced);
        let seeding = seed(&[&torrent], &fixture.path("store")).fetch(true).start().unwrap();
        (seeding, fixture)
    });
    eventually("a seed has downloaded from the other", || {
        both.iter().any(|(seeding, _)| seeding.uploaded() > 0)
    });
    for (seeding, _desk) in both {
        let _ = seeding.stop(); // still running
    }
}
