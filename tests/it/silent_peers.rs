//! Silent or useless peers must not delay the peer that has the data.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::{Project, side_by_side};
use crate::swarm::peer::Fault;
use crate::swarm::{Dataset, Peer, Silent, Tracker, random_bytes};

/// The delay that silent addresses may cause, even on a busy machine.
const MORE: Duration = Duration::from_secs(5);

/// Attempts per case, because the test measures time.
const ATTEMPTS: u32 = 3;

/// More than twice the number of concurrent dials.
const MANY: usize = 300;

/// About twice the number of addresses accepted from one peer: of 300 silent addresses, 155 are
/// tried. Another peer names the seed.
const OF_ONE: usize = 60;

fn data() -> Dataset {
    let dataset = Dataset::single("data.bin", random_bytes(11, 300_000));
    dataset.stream();
    dataset
}

/// The duration of a successful build, with default timeouts.
#[track_caller]
fn time(dataset: &Dataset, project: Project) -> Duration {
    let project = project.env("ACADEMICTORRENTS_TIMEOUT", "");
    let begun = Instant::now();
    dataset.assert_at(&project.path_of("data"));
    begun.elapsed()
}

/// Checks the delay that others, listed before the seed, cause.
#[track_caller]
fn check(
    case: &str,
    dataset: &Dataset,
    others: &[SocketAddr],
    project: impl Fn(Vec<SocketAddr>) -> (Project, Vec<Box<dyn std::any::Any>>),
) {
    let took = |others: &[SocketAddr]| {
        let seed = Peer::seeding(dataset);
        let (project, servers) = project([others, &[seed.addr()]].concat());
        let took = time(dataset, project);
        drop(servers);
        took
    };
    // Other processes may delay a single attempt; a real delay shows in every attempt.
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        let (alone, beside) = (took(&[]), took(others));
        if beside < alone + MORE {
            return;
        }
        seen.push(format!("{alone:?} alone, {beside:?} beside the others"));
    }
    panic!("{case}: {seen:?}");
}

/// Named by the torrent's tracker.
fn by_tracker(dataset: &Dataset, peers: Vec<SocketAddr>) -> (Project, Vec<Box<dyn std::any::Any>>) {
    let tracker = Tracker::start(peers);
    let dataset = dataset.clone().announce(&tracker.url());
    (Project::of(&dataset, ""), vec![Box::new(tracker)])
}

/// Named by PEX (BEP 11) of peers that have almost nothing, with as many addresses as accepted from
/// one peer.
fn by_peers(dataset: &Dataset, peers: Vec<SocketAddr>) -> (Project, Vec<Box<dyn std::any::Any>>) {
    let naming = |part: &[SocketAddr]| Peer::seeding(dataset).pieces(0..1).naming(part);
    let naming: Vec<_> = peers.chunks(OF_ONE).map(naming).collect();
    let (project, mut servers) = by_tracker(dataset, naming.iter().map(Peer::addr).collect());
    servers.push(Box::new(naming));
    (project, servers)
}

/// Named by a magnet link's tracker, so that the torrent comes from the peers, too.
fn by_magnet(dataset: &Dataset, peers: Vec<SocketAddr>) -> (Project, Vec<Box<dyn std::any::Any>>) {
    let tracker = Tracker::start(peers);
    let (infohash, url) = (dataset.infohash_hex(), tracker.url());
    let link = format!("data.magnet = \"magnet:?xt=urn:btih:{infohash}&tr={url}\"");
    (Project::new(&link), vec![Box::new(tracker)])
}

type Named = fn(&Dataset, Vec<SocketAddr>) -> (Project, Vec<Box<dyn std::any::Any>>);

const WAYS: [(&str, Named); 3] =
    [("tracker", by_tracker), ("PEX", by_peers), ("magnet link", by_magnet)];

#[test]
fn addresses_that_take_connections_and_say_nothing_cost_seconds() {
    let dataset = data();
    let silent = Silent::after_connecting(MANY);
    side_by_side(&WAYS, |(way, named)| {
        check(way, &dataset, &silent.addrs(), |peers| named(&dataset, peers));
    });
}

#[test]
#[cfg(target_os = "linux")]
fn addresses_that_take_no_connections_cost_seconds() {
    let dataset = data();
    let silent = Silent::before_connecting(MANY);
    side_by_side(&WAYS, |(way, named)| {
        check(way, &dataset, &silent.addrs(), |peers| named(&dataset, peers));
    });
}

#[test]
fn peers_that_greet_and_serve_nothing_make_room_for_those_that_were_never_tried() {
    let dataset = data();
    let faults = [Fault::NeverUnchoke, Fault::SilentAfterHandshake, Fault::StallAfter(0)];
    side_by_side(&faults, |fault| {
        // A small dataset has slots for twelve peers.
        let others: Vec<_> = (0..20).map(|_| Peer::seeding(&dataset).with(*fault)).collect();
        let addrs: Vec<_> = others.iter().map(Peer::addr).collect();
        let name = format!("{fault:?}");
        check(&name, &dataset, &addrs, |peers| by_tracker(&dataset, peers));
    });
}

#[test]
fn peers_with_nothing_but_a_piece_of_the_torrent_now_and_then_make_room_for_others() {
    // 2,000 hashes, which span three metadata blocks.
    let dataset = Dataset::single("data.bin", random_bytes(3, 1_000_000)).piece_length(512);
    let others: Vec<_> =
        (0..20).map(|_| Peer::seeding(&dataset).with(Fault::TrickleMetadata)).collect();
    let addrs: Vec<_> = others.iter().map(Peer::addr).collect();
    check("trickle", &dataset, &addrs, |peers| by_magnet(&dataset, peers));
}
