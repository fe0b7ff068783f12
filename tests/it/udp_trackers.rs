//! Datasets whose peers only a UDP tracker knows (BEP 15, 41).

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::faults::Alone::{self, Comes, Fails};
use crate::faults::{check_alone, check_comes, dataset};
use crate::fixture::Fixture;
use crate::sources::relay_v6;
use crate::support::{Project, side_by_side};
use crate::swarm::udp_tracker::Fault;
use crate::swarm::{Dataset, Peer, Tracker, UdpTracker, random_bytes};

fn events(tracker: &UdpTracker) -> Vec<String> {
    let events = tracker.announces().into_iter().map(|it| it.event.unwrap_or_default());
    events.collect()
}

/// A crate whose vendored torrent names this tracker.
fn project_of(tracker: &str) -> Project {
    Project::of(&dataset().announce(tracker), "")
}

#[test]
fn cargo_builds_a_dataset_that_a_udp_tracker_alone_knows() {
    let dataset = Dataset::single("data.bin", random_bytes(61, 300_000));
    let peer = Peer::seeding(&dataset);
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let fixture = Fixture::new("fixture-udp", "data = { torrent = \"data.torrent\" }");
    let torrent = dataset.clone().announce(&tracker.url()).torrent();
    std::fs::write(fixture.path("data.torrent"), torrent).unwrap();
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    assert_eq!((peer.bytes_served(), events(&tracker).len()), (300_000, 3));
    fixture.cargo(&["build"]).ok().assert_fresh();
    assert_eq!(events(&tracker).len(), 3);
}

#[test]
fn started_completed_and_stopped_are_told_with_one_connection_id() {
    let peer = Peer::seeding(&dataset());
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let project = project_of(&format!("{}?key=a%20b#part", tracker.url()));
    dataset().assert_at(&project.path_of("data"));
    assert_eq!(events(&tracker), ["started", "completed", "stopped"]);
    assert_eq!((tracker.connects(), tracker.datagrams()), (1, 4));
    assert_eq!(tracker.url_data(), [b"/announce?key=a%20b"; 3]);
    let told = tracker.announces();
    assert!(told.iter().all(|it| it.info_hash == dataset().infohash() && it.port == Some(1)));
    assert!(told.iter().all(|it| it.peer_id == told[0].peer_id && it.uploaded == Some(0)));
    assert_eq!(told[0].left, Some(300_000));
    assert_eq!((told[1].left, told[1].downloaded), (Some(0), Some(300_000)));
    assert_eq!((told[0].numwant, told[2].numwant), (Some(100), Some(0)));
}

#[test]
fn a_connection_id_that_the_tracker_has_forgotten_is_asked_for_anew() {
    let peer = Peer::seeding(&dataset());
    let tracker = UdpTracker::start(vec![peer.addr()]).with(Fault::ForgetsIds);
    dataset().assert_at(&project_of(&tracker.url()).path_of("data"));
    assert_eq!(events(&tracker), ["started", "completed", "stopped"]);
    assert_eq!(tracker.connects(), 3);
}

#[test]
fn over_ipv6_peers_are_of_that_family() {
    if !crate::support::has_ipv6() {
        return;
    }
    let peer = Peer::seeding(&dataset());
    let relay = relay_v6(peer.addr()).unwrap();
    let tracker = UdpTracker::start_v6(vec![relay]);
    dataset().assert_at(&project_of(&tracker.url()).path_of("data"));
    assert_eq!(events(&tracker), ["started", "completed", "stopped"]);
    assert!(tracker.url().starts_with("udp://[::1]:"));
}

#[test]
fn a_host_is_asked_at_all_its_addresses() {
    // If `localhost` is also `::1`, nothing listens there.
    let peer = Peer::seeding(&dataset());
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let url = format!("udp://localhost:{}", tracker.addr().port());
    dataset().assert_at(&project_of(&url).path_of("data"));
    assert_eq!(events(&tracker), ["started", "completed", "stopped"]);
    assert_eq!(tracker.url_data(), [b""; 3]);
}

#[test]
fn the_manifest_names_one_too_and_so_does_a_private_torrent() {
    let peer = Peer::seeding(&dataset());
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let line = format!("trackers = [\"{}\"]", tracker.url().replace("udp", "UDP"));
    dataset().assert_at(&Project::of(&dataset(), &line).path_of("data"));
    assert_eq!(events(&tracker).len(), 3);

    let private = || Dataset::single("private", random_bytes(10, 50_000)).private();
    let peer = Peer::seeding(&private());
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let dataset = private().announce(&tracker.url());
    dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    assert_eq!(events(&tracker).len(), 3);
}

#[test]
fn a_closed_port_and_odd_addresses_are_told_at_once() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let check = |url: &str, said: &str| {
        let begun = Instant::now();
        let project = project_of(url).env("ACADEMICTORRENTS_TIMEOUT", "60s");
        let error = project.error();
        assert!(error.contains("no source could provide the data"), "{error}");
        assert!(error.contains(&format!(": {said}")), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(50), "{url}: {:?}", begun.elapsed());
    };
    side_by_side(
        &[
            (format!("udp://{closed}/announce"), "connection refused"),
            ("udp://127.0.0.1/announce".into(), "it has no port"),
            (format!("udp://127.0.0.1:9/{}", "x".repeat(1_000)), "its path is too long"),
            ("wss://127.0.0.1:9".into(), "only http, https and udp trackers"),
        ],
        |(url, said)| check(url, said),
    );
}

fn faults() -> Vec<(Fault, Alone)> {
    use Fault::*;
    vec![
        (Silent, Fails("no answer after ")),
        (Loses(1), Comes),
        (Loses(2), Comes),
        (Failure("go away".into()), Fails("the tracker says: go away")),
        (WrongTransaction, Fails("the transaction ID does not match")),
        (Truncated, Fails("it is too short")),
        // `stopped` is not waited for longer than a second.
        (SilentAfter(2), Comes),
        (FromElsewhere, Fails("no answer after ")),
        (ForgetsIds, Comes),
    ]
}

#[test]
fn a_faulty_udp_tracker_alone() {
    side_by_side(&faults(), |(fault, alone)| {
        let peer = Peer::seeding(&dataset());
        let tracker = UdpTracker::start(vec![peer.addr()]).with(fault.clone());
        let dataset = dataset().announce(&tracker.url());
        let project = Project::of(&dataset, "");
        check_alone(&format!("{fault:?}"), &dataset, &project, &tracker.url(), *alone);
        assert!(tracker.datagrams() > 0, "{fault:?}");
        if matches!(alone, Fails(_)) {
            assert_eq!(peer.server().connections(), 0, "{fault:?}");
        }
    });
}

#[test]
fn a_faulty_udp_tracker_before_a_good_one() {
    side_by_side(&faults(), |(fault, _)| {
        let peer = Peer::seeding(&dataset());
        let faulty = UdpTracker::start(vec![peer.addr()]).with(fault.clone());
        let (udp, http) = (UdpTracker::start(vec![peer.addr()]), Tracker::start(vec![peer.addr()]));
        for good in [udp.url(), http.url()] {
            let (faulty, good) = (&faulty.url()[..], &good[..]);
            for tiers in [&[&[faulty][..], &[good]][..], &[&[faulty, good]]] {
                let dataset = dataset().announce_list(tiers);
                check_comes(&format!("{fault:?}"), &dataset, &Project::of(&dataset, ""));
            }
        }
    });
}

/// The first attempt takes 15 s here, but nothing waits for it.
#[test]
fn a_silent_tracker_holds_up_neither_another_tier_nor_the_end() {
    let peer = Peer::seeding(&dataset());
    let silent = UdpTracker::start(Vec::new()).with(Fault::Silent);
    let good = UdpTracker::start(vec![peer.addr()]);
    let dataset = dataset().announce_list(&[&[&silent.url()], &[&good.url()]]);
    let project = Project::of(&dataset, "").env("ACADEMICTORRENTS_TIMEOUT", "120s");
    let begun = Instant::now();
    dataset.assert_at(&project.path_of("data"));
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    assert_eq!((silent.datagrams(), events(&good).len()), (1, 3));
}

#[test]
fn no_datagram_is_sent_where_peers_are_left_out_or_nothing_may_be_fetched() {
    let peer = Peer::seeding(&dataset());
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let project = || project_of(&tracker.url());
    for (name, value) in [
        ("ACADEMICTORRENTS_OFFLINE", "1"),
        ("ACADEMICTORRENTS_FETCH", "never"),
        ("ACADEMICTORRENTS_SOURCES", "mirrors,web-seeds"),
    ] {
        project().env(name, value).error();
        assert_eq!(tracker.datagrams(), 0, "{name}");
    }
    // Like peers, UDP trackers bypass an HTTP proxy, which cannot carry their traffic.
    let project = project().env("CARGO_HTTP_PROXY", "http://127.0.0.1:9");
    check_comes("a proxy", &dataset(), &project);
    assert_eq!((events(&tracker).len(), peer.server().connections()), (3, 1));
}
