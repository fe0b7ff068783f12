//! Each kind of source alone, and together.

use crate::support::{Project, files_below};
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed, random_bytes};

fn data(length: usize) -> Dataset {
    Dataset::single("data.bin", random_bytes(1, length))
}

/// A project that declares the dataset as `data`, with a vendored torrent and these lines.
fn project(dataset: &Dataset, lines: &str) -> Project {
    let project = Project::new(&format!(
        "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\n{lines}"
    ));
    std::fs::write(project.path("data.torrent"), dataset.torrent()).unwrap();
    project
}

#[test]
fn only_a_directory() {
    let dataset = data(300_000);
    let project = project(&dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&project.path("mirror"));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(
        files_below(&project.store().join("v1/partial")),
        [""; 0].map(std::path::PathBuf::from)
    );
}

#[test]
fn only_a_web_seed() {
    let dataset = data(3_000_000);
    let seed = WebSeed::serving(&dataset);
    let project = project(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), 3_000_000);
}

#[test]
fn only_a_peer() {
    let dataset = data(3_000_000);
    let peer = Peer::seeding(&dataset);
    let project = project(&dataset, &format!("peers = [\"{}\"]", peer.addr()));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(peer.bytes_served(), 3_000_000);
}

#[test]
fn the_catalogue_a_tracker_and_a_peer() {
    let peer_of = data(1_000_000);
    let peer = Peer::seeding(&peer_of);
    let tracker = Tracker::start(vec![peer.addr()]);
    let dataset = data(1_000_000).announce(&tracker.url());
    assert_eq!(dataset.infohash(), peer_of.infohash());
    let catalogue = Catalogue::serving(&[&dataset]);
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    dataset.assert_at(&project.path_of("data"));
    let events: Vec<_> =
        tracker.announces().iter().map(|announce| announce.event.clone()).collect();
    assert_eq!(events, ["started", "completed", "stopped"].map(|event| Some(event.to_owned())));
}
