//! We seed: each client downloads a dataset from our `Seed`, which it finds through a tracker.

use std::path::Path;

use crate::clients::{self, Client};
use crate::download_from::folder;
use crate::harness::Trial;
use crate::program::{Tool, own_address};
use crate::swarm::Dataset;
use crate::trackers::{OPENTRACKER, Tracker};

/// Transmission ignores loopback peers from a tracker.
static ADDRESS: Tool = Tool::address("address beside loopback", "a network interface that is up");

static FEATURE: Tool =
    Tool::feature("feature `seed`", "cargo test --features seed", cfg!(feature = "seed"));

pub fn trials() -> Vec<Trial> {
    let by_torrent = clients::ALL.iter().map(|client| {
        let name = format!("serve_to::{}", client.tool.name);
        let needs = [client.tool, &OPENTRACKER, &ADDRESS, &FEATURE];
        Trial::new(name, &needs, move || by_torrent(client))
    });
    let by_magnet = clients::ALL.iter().map(|client| {
        let name = format!("serve_to::{}::magnet", client.tool.name);
        let needs = [client.tool, &OPENTRACKER, &ADDRESS, &FEATURE];
        Trial::new(name, &needs, move || by_magnet(client))
    });
    let exchange =
        Trial::new("serve_to::exchange", &[clients::LIBTORRENT.tool, &FEATURE], exchange);
    by_torrent.chain(by_magnet).chain([exchange]).collect()
}

struct Seed {
    /// Ends the seed, and returns the bytes that it sent.
    stop: Box<dyn FnOnce() -> u64>,
    tracker: Tracker,
    /// With the tracker's URL.
    dataset: Dataset,
    _home: tempfile::TempDir,
}

/// A seed of a directory, and a tracker that knows it.
fn seed() -> Seed {
    let dataset = folder();
    let tracker = Tracker::opentracker_on(&dataset, "0.0.0.0");
    let dataset = dataset.announce(&tracker.http_url_at(own_address().unwrap()));
    let home = tempfile::tempdir().unwrap();
    let (data, torrent) = (home.path().join("data"), home.path().join("data.torrent"));
    dataset.write_to(&data);
    std::fs::write(&torrent, dataset.torrent()).unwrap();
    let (_, stop) = start(&torrent, &data, &home.path().join("store"), u64::MAX);
    tracker.wait_for("our announce", |scrape| scrape.complete == 1);
    Seed { stop, tracker, dataset, _home: home }
}

/// The port, and a function that ends the seed and returns the bytes that it sent.
type Started = (u16, Box<dyn FnOnce() -> u64>);

#[cfg(feature = "seed")]
fn start(torrent: &Path, data: &Path, store: &Path, rate: u64) -> Started {
    let seeding = academictorrents::Seed::new([torrent.to_str().unwrap()])
        .env_clear()
        .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
        .env("ACADEMICTORRENTS_TIMEOUT", "30s")
        .store(store)
        .from(data)
        .rate(rate)
        .start()
        .unwrap();
    (seeding.local_addr().port(), Box::new(|| seeding.stop().unwrap()))
}

#[cfg(not(feature = "seed"))]
fn start(_: &Path, _: &Path, _: &Path, _: u64) -> Started {
    unreachable!("the trials need the feature")
}

fn by_torrent(client: &Client) {
    let Seed { stop, tracker, dataset, _home } = seed();
    let taken = tempfile::tempdir().unwrap();
    let leecher = client.leech(&dataset, taken.path());
    dataset.assert_at(&taken.path().join("a folder"));
    let sent = stop();
    // Each byte is sent once, except for blocks that a client requests twice in its endgame.
    let length = dataset.stream().len() as u64;
    assert!(sent >= length && sent < length + (2 << 20), "{sent} of {length}");
    // Only the client is left, if it has not left already.
    tracker.wait_for("our goodbye", |scrape| scrape.complete <= 1);
    drop(leecher);
}

fn by_magnet(client: &Client) {
    let Seed { stop, tracker, dataset, _home } = seed();
    let taken = tempfile::tempdir().unwrap();
    let url = tracker.http_url_at(own_address().unwrap());
    let link = format!("magnet:?xt=urn:btih:{}&tr={url}", dataset.infohash_hex());
    let _leecher = client.leech_by_magnet(&dataset, &link, taken.path());
    dataset.assert_at(&taken.path().join("a folder"));
    assert!(stop() >= dataset.stream().len() as u64);
}

/// Two clients know only our slow seed. They learn of each other from it (PEX) and share what it
/// sends.
fn exchange() {
    let dataset = folder();
    let home = tempfile::tempdir().unwrap();
    let (data, torrent) = (home.path().join("data"), home.path().join("data.torrent"));
    dataset.write_to(&data);
    std::fs::write(&torrent, dataset.torrent()).unwrap();
    let length = dataset.stream().len() as u64;
    // One copy takes ten seconds.
    let (port, stop) = start(&torrent, &data, &home.path().join("store"), length / 10);
    let link = format!("magnet:?xt=urn:btih:{}&x.pe=127.0.0.1:{port}", dataset.infohash_hex());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let taken = tempfile::tempdir().unwrap();
                let leecher = clients::LIBTORRENT.leech_by_magnet(&dataset, &link, taken.path());
                dataset.assert_at(&taken.path().join("a folder"));
                drop(leecher);
            });
        }
    });
    let sent = stop();
    assert!(sent < 2 * length, "{sent} of {length}: two whole copies");
}
