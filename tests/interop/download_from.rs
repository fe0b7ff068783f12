//! We download a dataset that a build script declares, from a single counterpart.

use std::path::Path;

use crate::clients::{self, Client};
use crate::harness::Trial;
use crate::support::Project;
use crate::swarm::{Dataset, random_bytes};
use crate::trackers::{BITTORRENT_TRACKER, OPENTRACKER, Tracker};
use crate::web_servers::{self, WebServer, url};

pub fn trials() -> Vec<Trial> {
    let servers = web_servers::ALL.iter().flat_map(|server| {
        let trial = |what: &str, run: fn(&WebServer)| {
            let name = format!("download_from::{}::{what}", server.tool.name);
            Trial::new(name, &[server.tool], move || run(server))
        };
        [
            trial("folder", a_folder_from),
            trial("single_file", a_single_file_from),
            trial("mends", mended_from),
            trial("compressed", compressed_from),
        ]
    });
    let clients = clients::ALL.iter().flat_map(|client| {
        let name = format!("download_from::{}", client.tool.name);
        let by_tracker = |how: &str, url: fn(&Tracker) -> String| {
            let name = format!("{name}::found_by_opentracker_{how}");
            Trial::new(name, &[client.tool, &OPENTRACKER], move || {
                from_a_peer_found_by_tracker(client, Tracker::opentracker, url)
            })
        };
        [
            by_tracker("http", Tracker::http_url),
            by_tracker("udp", Tracker::udp_url),
            Trial::new(name, &[client.tool], move || from_a_named_peer(client)),
        ]
    });
    let others_tracker = |how: &str, url: fn(&Tracker) -> String| {
        let client = &clients::ALL[2];
        let name =
            format!("download_from::{}::found_by_bittorrent-tracker_{how}", client.tool.name);
        Trial::new(name, &[client.tool, &BITTORRENT_TRACKER], move || {
            from_a_peer_found_by_tracker(client, Tracker::bittorrent_tracker, url)
        })
    };
    let trackers =
        [("http", Tracker::http_url as fn(&Tracker) -> String), ("udp", Tracker::udp_url)];
    // The trials that take longest start first.
    clients.chain(servers).chain(trackers.map(|(how, url)| others_tracker(how, url))).collect()
}

/// Odd lengths, a file within one piece, and a path that needs escaping in a URL.
pub fn folder() -> Dataset {
    let files = [
        ("data.bin", random_bytes(1, (6 << 20) + 17)),
        ("sub dir/ünï + 100% #1.txt", random_bytes(2, 100_003)),
        ("one", vec![1]),
        ("sub dir/tail", random_bytes(3, 70_001)),
    ];
    Dataset::multi("a folder", files).piece_length(64 << 10)
}

pub fn project(dataset: &Dataset, lines: &str) -> Project {
    // Transmission can take ten seconds to unchoke a peer, and the machine may be busy.
    Project::of(dataset, lines).env("ACADEMICTORRENTS_TIMEOUT", "30s")
}

fn a_folder_from(server: &WebServer) {
    let (dataset, served) = (folder(), tempfile::tempdir().unwrap());
    dataset.write_to(served.path());
    let server = server.serve(served.path());
    let lines = format!("web-seeds = [\"{}\"]", url(server.address(), ""));
    dataset.assert_at(&project(&dataset, &lines).path_of("data"));
}

/// Compressed files, which Apache serves with `Content-Encoding: x-gzip`.
fn compressed_from(server: &WebServer) {
    let served = tempfile::tempdir().unwrap();
    let gzip = |length: usize| [&[0x1f, 0x8b, 8, 0][..], &random_bytes(5, length)].concat();
    let files =
        [("train.tar.gz", gzip((5 << 20) + 3)), ("labels.gz", gzip(70_000)), ("x.tgz", gzip(9))];
    let dataset = Dataset::multi("set", files).piece_length(64 << 10);
    dataset.write_to(served.path());
    let server = server.serve(served.path());
    let lines = format!("web-seeds = [\"{}\"]", url(server.address(), ""));
    dataset.assert_at(&project(&dataset, &lines).path_of("data"));
}

/// For a single file, the web seed is the file's URL (BEP 19). Here, it is in the torrent.
fn a_single_file_from(server: &WebServer) {
    let dataset = Dataset::single("a file.bin", random_bytes(4, (3 << 20) + 5));
    let served = tempfile::tempdir().unwrap();
    dataset.write_to(served.path());
    let server = server.serve(served.path());
    let dataset = dataset.url_list([url(server.address(), "a%20file.bin")]);
    dataset.assert_at(&project(&dataset, "").path_of("data"));
}

/// Damage in the middle of a file is fetched again, with ranges or without.
fn mended_from(server: &WebServer) {
    let (dataset, served) = (folder(), tempfile::tempdir().unwrap());
    dataset.write_to(served.path());
    let server = server.serve(served.path());
    let lines = format!("web-seeds = [\"{}\"]", url(server.address(), ""));
    let project = project(&dataset, &lines);
    let path = project.path_of("data");
    damage(&path.join("data.bin"), 3 << 20);
    dataset.assert_at(&project.path_of("data"));
}

/// Replaces the file: published files are read-only.
fn damage(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn from_a_named_peer(client: &Client) {
    let dataset = folder();
    let seeder = client.seeding(&dataset);
    let lines = format!("peers = [\"{}\"]", seeder.address());
    dataset.assert_at(&project(&dataset, &lines).path_of("data"));
}

/// Both announce themselves, and the tracker gives us the client's address. The client announces
/// over HTTP: which tracker protocols it supports is not tested here.
fn from_a_peer_found_by_tracker(
    client: &Client,
    start: fn(&Dataset) -> Tracker,
    url: fn(&Tracker) -> String,
) {
    let dataset = folder();
    let tracker = start(&dataset);
    let _seeder = client.seeding(&dataset.clone().announce(&tracker.http_url()));
    let dataset = dataset.announce(&url(&tracker));
    tracker.wait_for("the client's announce", |scrape| scrape.complete == 1);
    dataset.assert_at(&project(&dataset, "").path_of("data"));
    // The tracker counted our download, and we have left.
    tracker.wait_for("ours", |scrape| {
        (scrape.complete, scrape.downloaded, scrape.incomplete) == (1, 1 + client.completions(), 0)
    });
}
