//! Tests of a search against a scripted peer, byte by byte.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use super::*;
use crate::engine::sources::open_peers::OpenState;
use crate::hash::Sha1;
use crate::protocol::socks::Destination;

const INFO: &[u8] = b"d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";

fn message(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[..], body].concat()
}

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// Serves the torrent over one connection, until the other side closes it.
fn serve(mut stream: TcpStream, infohash: Infohash) -> Option<()> {
    stream.read_exact(&mut [0; 68]).ok()?;
    let hello =
        [b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0", &infohash.as_bytes()[..], &[b'a'; 20]];
    stream.write_all(&hello.concat()).ok()?;
    let offer = format!("\x14\0d1:md11:ut_metadatai3ee13:metadata_sizei{}ee", INFO.len());
    stream.write_all(&message(offer.as_bytes())).ok()?;
    let mut theirs = 0;
    loop {
        let body = read_message(&mut stream)?;
        match body.get(..2) {
            Some([20, 0]) => {
                let key = b"11:ut_metadatai";
                let at = body.windows(key.len()).position(|it| it == key)?;
                theirs = body[at + key.len()] - b'0';
            }
            Some([20, 3]) => {
                let head = format!("d8:msg_typei1e5:piecei0e10:total_sizei{}ee", INFO.len());
                stream
                    .write_all(&message(&[&[20, theirs], head.as_bytes(), INFO].concat()))
                    .ok()?;
            }
            _ => {}
        }
    }
}

/// Starts a peer that has the torrent, and returns its address.
fn peer(infohash: Infohash) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0, infohash));
    address
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited for too long");
        std::thread::yield_now();
    }
}

#[test]
fn a_connection_that_is_to_go_on_counts_until_it_does_or_is_let_go() {
    let infohash = Infohash::from_bytes(Sha1::digest(INFO));
    let settings = crate::settings::Context::default().settings().unwrap();
    let client = Client::new(&settings).unwrap();
    let (dials, budget) = (Dials::new(1), MetadataBudget::new(1));
    let free = || std::iter::from_fn(|| budget.permit()).collect::<Vec<_>>().len();
    let all = free();
    let fetched = || {
        let address = peer(infohash);
        let peers = vec![(NamedBy::User, address.to_string())];
        let sources = MetadataSources { peers, ..MetadataSources::default() };
        let (budgets, host) = ((&dials, &budget), LocalPeer::not_listening());
        let found = fetch(&client, budgets, infohash, 1 << 20, &sources, &host).unwrap();
        assert_eq!((found.info.as_slice(), found.peers), (INFO, vec![address.to_string()]));
        (found.open, Destination::Address(address))
    };

    // The connection is reused.
    let (open, target) = fetched();
    let mut connection = None;
    wait_until(|| {
        assert_eq!(free(), all - 1);
        if let OpenState::Here(greeting) = open.take(&target) {
            connection = Some(greeting);
        }
        connection.is_some()
    });
    assert_eq!(free(), all - 1);
    let (link, session) = connection.unwrap().end_dial();
    assert_eq!((free(), session.is_some()), (all, true));
    drop(link);

    // The connection is not taken.
    let (open, _) = fetched();
    assert_eq!(free(), all - 1);
    wait_until(|| {
        open.expire(Duration::ZERO);
        free() == all
    });
}
