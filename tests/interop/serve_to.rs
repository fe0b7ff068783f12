//! We seed: each client takes a dataset from our `Seed` alone, which it knows from a tracker.

use academictorrents::{Seed, Seeding};

use crate::clients::{self, Client};
use crate::download_from::folder;
use crate::harness::Trial;
use crate::opentracker::{OPENTRACKER, Opentracker};
use crate::swarm::Dataset;

pub fn trials() -> Vec<Trial> {
    let trials = clients::ALL.iter().flat_map(|client| {
        let trial = |what: &str, run: fn(&Client)| {
            let name = format!("serve_to::{}::{what}", client.tool.name);
            Trial::new(name, &[client.tool, &OPENTRACKER], move || run(client))
        };
        [trial("torrent", by_torrent), trial("magnet", by_magnet)]
    });
    trials.collect()
}

/// A seed of a directory, and the tracker that knows it.
fn seeding(dataset: &Dataset) -> (Seeding, Opentracker, Dataset, tempfile::TempDir) {
    let tracker = Opentracker::tracking(dataset);
    let dataset = dataset.clone().announce(&tracker.http_url());
    let home = tempfile::tempdir().unwrap();
    let (data, torrent) = (home.path().join("data"), home.path().join("data.torrent"));
    dataset.write_to(&data);
    std::fs::write(&torrent, dataset.torrent()).unwrap();
    let seeding = Seed::new([torrent.to_str().unwrap()])
        .env_clear()
        .env("ACADEMICTORRENTS_TIMEOUT", "30s")
        .store(home.path().join("store"))
        .from(&data)
        .start()
        .unwrap();
    tracker.wait_for("our announce", |scrape| scrape.complete == 1);
    (seeding, tracker, dataset, home)
}

fn by_torrent(client: &Client) {
    taken_by(client, false);
}

fn by_magnet(client: &Client) {
    taken_by(client, true);
}

fn taken_by(client: &Client, by_magnet: bool) {
    let dataset = folder();
    let (seeding, tracker, dataset, _home) = seeding(&dataset);
    let magnet =
        format!("magnet:?xt=urn:btih:{}&tr={}", dataset.infohash_hex(), tracker.http_url());
    let taken = tempfile::tempdir().unwrap();
    let leecher = client.leech(&dataset, by_magnet.then_some(&magnet[..]), taken.path());
    drop(leecher);
    dataset.assert_at(&taken.path().join("a folder"));
    let sent = seeding.stop().unwrap();
    // Each byte once, but for what a client may ask for twice in its endgame.
    let length = dataset.stream().len() as u64;
    assert!(sent >= length && sent < length + (2 << 20), "{sent} of {length}");
    // We said goodbye, and the client was killed.
    tracker.wait_for("our end", |scrape| scrape.complete <= 1);
}
