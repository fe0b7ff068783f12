//! Searches of a DHT of another implementation (the crate `mainline`), on loopback.

use std::cell::Cell;
use std::time::Instant;

use mainline::{Id, Testnet};

use super::*;
use crate::settings::Context;

const WANTED: Infohash = Infohash::from_bytes([0xAB; 20]);

fn dht(nodes: &str) -> Dht {
    let mut context = Context::default();
    context.set("ACADEMICTORRENTS_DHT_BOOTSTRAP", nodes);
    Dht::new(&context.settings().unwrap()).unwrap()
}

/// Searches once; returns the peers and the result.
fn found(dht: &Dht) -> (Vec<SocketAddr>, Result<usize, SourceError>) {
    let begun = Instant::now();
    let mut found = Vec::new();
    let time = || Some(begun.elapsed());
    let result = dht.search(WANTED, &[], None, false, &time, &mut |peers| found.extend(peers));
    (found, result)
}

#[expect(deprecated, reason = "its other interface is asynchronous")]
fn announce(network: &Testnet, node: usize, port: u16) {
    network.nodes[node].announce_peer(Id::from(*WANTED.as_bytes()), Some(port)).unwrap();
}

#[test]
fn a_peer_that_another_implementation_announced_is_found_through_one_node() {
    let network = Testnet::builder(12).build().unwrap();
    announce(&network, 3, 45_555);
    let dht = dht(&network.bootstrap[0]);
    let (peers, result) = found(&dht);
    assert_eq!(peers, [SocketAddr::from(([127, 0, 0, 1], 45_555))]);
    assert!(result.is_ok(), "{result:?}");
    // The next search starts with nodes that this one kept.
    assert!(dht.known.lock().len() >= ENOUGH, "{:?}", dht.known.lock());
}

#[test]
#[expect(deprecated, reason = "its other interface is asynchronous")]
fn what_we_announce_another_implementation_finds() {
    let network = Testnet::builder(12).build().unwrap();
    let dht = dht(&network.bootstrap[0]);
    let begun = Instant::now();
    let told = dht
        .search(WANTED, &[], Some(45_556), false, &|| Some(begun.elapsed()), &mut |_| {})
        .unwrap();
    assert_eq!(told, 8);
    let asks = mainline::Dht::builder()
        .bootstrap(&network.bootstrap)
        .bind_address(Ipv4Addr::LOCALHOST)
        .port(0)
        .build()
        .unwrap();
    let found = || asks.get_peers(Id::from(*WANTED.as_bytes())).flatten().next();
    // The datagrams may still be in flight.
    let found = std::iter::from_fn(|| Some(found())).take(5).flatten().next();
    assert_eq!(found.map(|peer| peer.port()), Some(45_556));
}

#[test]
fn a_network_that_knows_no_peers_is_no_failure_and_one_without_nodes_is() {
    let network = Testnet::builder(3).build().unwrap();
    let (peers, result) = found(&dht(&network.bootstrap.join(" ")));
    assert!(peers.is_empty() && result.is_ok(), "{peers:?} {result:?}");
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent = dht(&nobody.local_addr().unwrap().to_string());
    let (_, result) = found(&silent);
    assert_eq!(result, Err(SourceError::NoNodeAnswered));
    let (_, result) = found(&dht("[::1]:1"));
    let why = result.unwrap_err().to_string();
    assert_eq!(why, "no node could be queried: [::1]:1 has no IPv4 address");
}

#[test]
fn after_a_search_that_found_nothing_the_first_nodes_are_asked_again() {
    let (islands, network) = (Testnet::builder(9).build().unwrap(), Testnet::builder(3).build());
    let network = network.unwrap();
    announce(&network, 1, 45_557);
    let dht = dht(&network.bootstrap[0]);
    // What an earlier search kept: enough nodes, which know neither the network nor the peer.
    let contact = |node: &String| Contact { id: None, address: node.parse().unwrap() };
    *dht.known.lock() = islands.bootstrap.iter().map(contact).collect();
    assert!(dht.known.lock().len() >= ENOUGH);
    let search = |in_vain| {
        let begun = Instant::now();
        let mut found = Vec::new();
        let time = || Some(begun.elapsed());
        let result = dht.search(WANTED, &[], None, in_vain, &time, &mut |it| found.extend(it));
        assert!(result.is_ok(), "{result:?}");
        found
    };
    assert_eq!(search(false), []);
    assert_eq!(search(true), [SocketAddr::from(([127, 0, 0, 1], 45_557))]);
}

#[test]
fn a_search_ends_when_nobody_needs_it_any_more() {
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dht = dht(&nobody.local_addr().unwrap().to_string());
    let looks = Cell::new(0);
    let begun = Instant::now();
    let time = || {
        looks.set(looks.get() + 1);
        (looks.get() < 5).then_some(Duration::ZERO)
    };
    let result = dht.search(WANTED, &[], None, false, &time, &mut |_| {});
    assert_eq!(result, Err(SourceError::Ended));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn of_many_searches_so_many_run_at_a_time() {
    let node = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    node.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let dht = dht(&node.local_addr().unwrap().to_string());
    let begun = Instant::now();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let time = || (!is_over.load(std::sync::atomic::Ordering::Relaxed)).then(|| begun.elapsed());
    std::thread::scope(|scope| {
        for _ in 0..3 * SIDE_BY_SIDE {
            scope.spawn(|| {
                let result = dht.search(WANTED, &[], None, false, &time, &mut |_| {});
                assert!(result.is_err(), "{result:?}");
            });
        }
        // The node is silent, and each search waits two seconds for it.
        let asked = std::iter::from_fn(|| node.recv_from(&mut [0; 2048]).ok()).count();
        assert_eq!(asked, SIDE_BY_SIDE);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(*dht.running.lock(), 0);
}

#[test]
fn the_user_may_want_none() {
    let none = |name: &str, value: &str| {
        let mut context = Context::default();
        context.set(name, value);
        Dht::new(&context.settings().unwrap()).is_none()
    };
    assert!(none("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off"));
    assert!(none("ACADEMICTORRENTS_OFFLINE", "1"));
    assert!(!none("ACADEMICTORRENTS_DHT_BOOTSTRAP", ""));
}
