//! Stops a seed that is still looking for a torrent which no source provides.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::seed;
use crate::get::{GetFixture, single};
use crate::swarm::catalogue::{Catalogue, Fault};
use crate::swarm::{Peer, eventually, peer};

/// Starts a seed that has to fetch a torrent, and stops it once it has sent a request. All requests
/// must end.
#[track_caller]
fn check(catalogue: &str, peer: Option<SocketAddr>, asks: &dyn Fn() -> usize) {
    let fixture = GetFixture::new();
    let mut seed = seed(&[&single().infohash_hex()], &fixture.path("store")).fetch(true);
    seed = seed
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue)
        // Long enough that the timeout cannot end the search.
        .env("ACADEMICTORRENTS_TIMEOUT", "300s");
    if let Some(peer) = peer {
        seed = seed.env("ACADEMICTORRENTS_PEERS", peer.to_string());
    }
    let seeding = seed.start().unwrap();
    eventually("the request was sent", || asks() > 0);
    let begun = Instant::now();
    seeding.stop().unwrap();
    eventually("the request has ended", || asks() == 0);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_search_of_peers_for_the_metainfo_ends_with_it() {
    let peer = Peer::seeding(&single()).with(peer::Fault::SilentAfterHandshake);
    check("http://127.0.0.1:9", Some(peer.addr()), &|| peer.server().open_connections());
}

#[test]
fn a_catalogue_that_does_not_answer_or_is_busy_is_left_with_it() {
    let faults = [Fault::Stall, Fault::TooMany { retry_after_secs: 100, times: 9 }];
    for fault in faults {
        let catalogue = Catalogue::serving(&[&single()]).with(fault);
        check(&catalogue.url(), None, &|| catalogue.http().server().open_connections());
    }
}
