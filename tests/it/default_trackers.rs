//! The default trackers of a bare infohash: asked when neither mirrors nor the catalog have its
//! .torrent.
//!
//! The built-in trackers are never contacted here, because each test sets its own.

use std::path::Path;

use crate::support::files::remove_tree;
use crate::support::{Project, side_by_side};
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed, catalogue, random_bytes};

fn data() -> Dataset {
    Dataset::single("data.bin", random_bytes(1, 200_000))
}

/// A project that declares an infohash, with this default tracker.
fn bare(dataset: &Dataset, tracker: &Tracker, lines: &str) -> Project {
    let infohash = dataset.infohash_hex();
    Project::new(&format!("data.infohash = \"{infohash}\"\n{lines}"))
        .env("ACADEMICTORRENTS_DEFAULT_TRACKERS", tracker.url())
}

fn events(tracker: &Tracker) -> Vec<String> {
    tracker.announces().into_iter().filter_map(|it| it.event).collect()
}

#[test]
fn where_the_catalog_gives_no_torrent_default_trackers_name_peers() {
    use catalogue::Fault::{Garbage, Status};
    let faults = [None, Some(Status(404)), Some(Status(403)), Some(Status(503)), Some(Garbage)];
    side_by_side(&faults, |fault| {
        let dataset = data();
        let peer = Peer::seeding(&dataset);
        let tracker = Tracker::start(vec![peer.addr()]);
        let catalogue = Catalogue::serving(&[&dataset]);
        let mut project = bare(&dataset, &tracker, "");
        if let Some(fault) = fault {
            catalogue.fault(fault.clone());
            project = project.env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
        }
        dataset.assert_at(&project.path_of("data"));
        assert_eq!(events(&tracker)[0], "started", "{fault:?}");
        assert_eq!(peer.bytes_served(), 200_000, "{fault:?}");
    });
}

#[test]
fn where_anybody_else_has_it_or_is_named_they_are_not_asked() {
    let seed = WebSeed::serving(&data());
    let dataset = data().url_list([seed.url()]);
    let peer = Peer::seeding(&dataset);
    let (tracker, named) = (Tracker::start(vec![peer.addr()]), Tracker::start(vec![peer.addr()]));
    let catalogue = Catalogue::serving(&[&dataset]);
    let with_catalogue =
        |project: Project| project.env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    dataset.assert_at(&with_catalogue(bare(&dataset, &tracker, "")).path_of("data"));
    let mirror = bare(&dataset, &tracker, "")
        .env("ACADEMICTORRENTS_MIRRORS", format!("{}/download", catalogue.url()));
    dataset.assert_at(&mirror.path_of("data"));
    let trackers = format!("data.trackers = [\"{}\"]", named.url());
    dataset.assert_at(&bare(&dataset, &tracker, &trackers).path_of("data"));
    let magnet = Project::new(&format!(
        "data.magnet = \"magnet:?xt=urn:btih:{}&tr={}\"",
        dataset.infohash_hex(),
        named.url()
    ))
    .env("ACADEMICTORRENTS_DEFAULT_TRACKERS", tracker.url());
    dataset.assert_at(&magnet.path_of("data"));
    bare(&dataset, &tracker, "data.sources = [\"catalogue\", \"web-seeds\"]").error();
    bare(&dataset, &tracker, "").env("ACADEMICTORRENTS_SOURCES", "catalogue,mirrors").error();
    bare(&dataset, &tracker, "").env("ACADEMICTORRENTS_OFFLINE", "1").error();
    assert_eq!(tracker.announces(), []);
    assert!(!named.announces().is_empty());
}

#[test]
fn a_torrent_that_came_from_peers_is_fetched_by_default_trackers_in_later_builds_too() {
    let dataset = data();
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    for catalogue in ["", "data.sources = [\"peers\"]"] {
        let project = bare(&dataset, &tracker, catalogue);
        dataset.assert_at(&project.path_of("data"));
        remove_tree(&project.store().join("v1/data"));
        let torrent = format!("v1/torrents/{}.torrent", dataset.infohash_hex());
        assert!(Path::new(&project.store()).join(torrent).exists());
        let before = tracker.announces().len();
        dataset.assert_at(&project.path_of("data"));
        assert!(tracker.announces().len() > before);
    }
    // Once the catalog has the .torrent, the catalog takes precedence.
    let project = bare(&dataset, &tracker, "");
    dataset.assert_at(&project.path_of("data"));
    remove_tree(&project.store().join("v1/data"));
    let seed = WebSeed::serving(&dataset);
    let catalogue = Catalogue::serving(&[&data().url_list([seed.url()])]);
    let project = project.env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let before = tracker.announces().len();
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(tracker.announces().len(), before);
}

#[test]
fn once_the_torrent_is_known_to_be_private_they_are_asked_no_more_and_their_peers_are_dropped() {
    let dataset = data().private();
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    let error = bare(&dataset, &tracker, "").error();
    assert!(error.contains("lists no tracker or web seed"), "{error}");
    assert_eq!(events(&tracker), ["started", "stopped"]);
    assert_eq!(peer.bytes_served(), 0);
    // A peer that the user also names is kept.
    let project = bare(&dataset, &tracker, &format!("data.peers = [\"{}\"]", peer.addr()));
    dataset.assert_at(&project.path_of("data"));
    // The peer may provide the torrent before any tracker is asked.
    let asked = events(&tracker);
    assert!(asked.len() <= 4 && !asked.iter().any(|event| event == "completed"), "{asked:?}");
}

#[test]
fn the_setting_takes_trackers_and_off() {
    let dataset = data();
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    let set =
        |value: &str| bare(&dataset, &tracker, "").env("ACADEMICTORRENTS_DEFAULT_TRACKERS", value);
    set("off").error();
    assert_eq!(tracker.announces(), []);
    dataset.assert_at(&set(&format!("off,{}", tracker.url())).path_of("data"));
    dataset.assert_at(&set(&format!("udp://127.0.0.1:9 {}", tracker.url())).path_of("data"));
    for (odd, part) in
        [("nonsense", "udp://"), ("udp://host/a", "no port"), ("ftp://host/", "udp://")]
    {
        let error = set(odd).error();
        assert!(error.contains("ACADEMICTORRENTS_DEFAULT_TRACKERS"), "{error}");
        assert!(error.contains(part), "{error}");
    }
}
