//! We download by magnet link: the info dictionary (BEP 9) and then the data, from one client.

use crate::clients::{self, Client};
use crate::download_from::folder;
use crate::harness::Trial;
use crate::support::Project;
use crate::swarm::bencode::B;
use crate::swarm::{Dataset, random_bytes};
use crate::trackers::{OPENTRACKER, Tracker};

pub fn trials() -> Vec<Trial> {
    let trials = clients::ALL.iter().flat_map(|client| {
        let name = format!("magnet_from::{}", client.tool.name);
        let by_tracker = |how: &str, url: fn(&Tracker) -> String| {
            let name = format!("{name}::found_by_opentracker_{how}");
            Trial::new(name, &[client.tool, &OPENTRACKER], move || found_by_tracker(client, url))
        };
        let named = |what: &str, dataset: fn() -> Dataset| {
            Trial::new(format!("{name}::{what}"), &[client.tool], move || {
                from_a_named_peer(client, &dataset());
            })
        };
        [
            named("folder", folder),
            named("many_blocks", many_blocks),
            by_tracker("http", Tracker::http_url),
            by_tracker("udp", Tracker::udp_url),
        ]
    });
    trials.collect()
}

/// The info dictionary has four blocks, of which the last is shorter. rtorrent accepts no shorter
/// pieces.
fn many_blocks() -> Dataset {
    let dataset = Dataset::single("a file.bin", random_bytes(5, 5_300_001)).piece_length(2 << 10);
    assert_eq!(dataset.info_bytes().len().div_ceil(16 << 10), 4);
    dataset
}

/// A crate that declares only the link.
fn project(dataset: &Dataset, rest: &str) -> Project {
    let link = format!("magnet:?xt=urn:btih:{}{rest}", dataset.infohash_hex());
    // Transmission can take ten seconds to unchoke a peer, and the machine may be busy.
    Project::new(&format!("data.magnet = \"{link}\"")).env("ACADEMICTORRENTS_TIMEOUT", "30s")
}

/// The stored info dictionary is the client's, byte by byte.
fn check(dataset: &Dataset, project: &Project) {
    dataset.assert_at(&project.path_of("data"));
    let name = format!("v1/torrents/{}.torrent", dataset.infohash_hex());
    let kept = std::fs::read(project.store().join(name)).unwrap();
    let (kept, _) = B::read(&kept).unwrap();
    assert_eq!(kept.at("info").unwrap().write(), dataset.info_bytes());
}

fn from_a_named_peer(client: &Client, dataset: &Dataset) {
    let seeder = client.seeding(dataset);
    check(dataset, &project(dataset, &format!("&x.pe={}", seeder.address())));
}

fn found_by_tracker(client: &Client, url: fn(&Tracker) -> String) {
    let dataset = folder();
    let tracker = Tracker::opentracker(&dataset);
    let _seeder = client.seeding(&dataset.clone().announce(&tracker.http_url()));
    tracker.wait_for("the client's announce", |scrape| scrape.complete == 1);
    check(&dataset, &project(&dataset, &format!("&tr={}", url(&tracker))));
    // We announced ourselves for the metainfo and for the data, and have left.
    tracker.wait_for("ours", |scrape| {
        (scrape.complete, scrape.downloaded, scrape.incomplete) == (1, 1 + client.completions(), 0)
    });
}
