//! Many machines that want one dataset at once: a head node that seeds, and mirrors that are
//! stores.

use academictorrents::Seed;

use crate::get::{GetFixture, LENGTH, folder, single};
use crate::seeding::{address, keep, seed, stocked};
use crate::support::Project;
use crate::swarm::http::HttpServer;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, Tracker, WebSeed};

const NODES: usize = 20;

/// Runs twenty builds that know the head node, each with its own store and the .torrent, which
/// names the web seed. Returns the bytes that the head node sent.
fn build_all(dataset: &Dataset, head: &Seed, before: impl FnOnce()) -> u64 {
    let seeding = head.clone().start().unwrap();
    before();
    let peer = address(&seeding);
    let nodes: Vec<_> = (0..NODES)
        .map(|_| {
            Project::of(dataset, "")
                .env("ACADEMICTORRENTS_PEERS", peer)
                // Longer than a busy machine delays anything, so that delays do not count as
                // silence.
                .env("ACADEMICTORRENTS_TIMEOUT", "60s")
        })
        .collect();
    std::thread::scope(|scope| {
        for node in &nodes {
            scope.spawn(|| dataset.assert_at(&node.path_of("data")));
        }
    });
    seeding.stop().unwrap()
}

#[test]
fn twenty_cold_stores_and_a_head_that_starts_empty_fetch_from_the_web_seed_once() {
    let plain = single();
    // Slow enough that all nodes connect before the head node has half of the data.
    let web_seed = WebSeed::serving(&plain).with(Fault::Slow { bytes_per_second: 500_000 });
    let dataset = plain.url_list([web_seed.url()]);
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset);
    let head = seed(&[&torrent], &fixture.path("store"))
        .env("ACADEMICTORRENTS_TIMEOUT", "60s")
        .fetch(true);
    let sent = build_all(&dataset, &head, || {});
    // The documentation promises at most twice. In fact it is once: a node waits for a named peer
    // while that peer still gets new pieces.
    assert_eq!(web_seed.bytes_served(), LENGTH);
    assert!(sent >= LENGTH * NODES as u64, "{sent}");
}

#[test]
fn a_named_peer_that_has_no_news_any_more_is_not_waited_for() {
    let dataset = single();
    // The head node's source stalls forever.
    let stalled = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 20_000 });
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset.clone().url_list([stalled.url()]));
    let head = seed(&[&torrent], &fixture.path("store"))
        .env("ACADEMICTORRENTS_TIMEOUT", "60s")
        .fetch(true)
        .start()
        .unwrap();
    let web_seed = WebSeed::serving(&dataset);
    let dataset = dataset.url_list([web_seed.url()]);
    let project = Project::of(&dataset, "").env("ACADEMICTORRENTS_PEERS", address(&head));
    dataset.assert_at(&project.path_of("data"));
    assert!(web_seed.bytes_served() > LENGTH / 2);
}

#[test]
fn a_peer_that_a_tracker_named_is_not_waited_for_though_it_has_news() {
    let dataset = single();
    let slow = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 20_000 });
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset.clone().url_list([slow.url()]));
    let head = seed(&[&torrent], &fixture.path("store"))
        .env("ACADEMICTORRENTS_TIMEOUT", "60s")
        .fetch(true)
        .start()
        .unwrap();
    let tracker = Tracker::start(vec![address(&head)]);
    let web_seed = WebSeed::serving(&dataset);
    let dataset = dataset.url_list([web_seed.url()]);
    let project = Project::of(&dataset, &format!("trackers = [\"{}\"]", tracker.url()))
        .env("ACADEMICTORRENTS_TIMEOUT", "60s");
    dataset.assert_at(&project.path_of("data"));
    assert!(web_seed.bytes_served() > LENGTH / 2 && slow.bytes_served() < LENGTH / 2);
}

/// A plain web server, which knows nothing of torrents.
fn serving_files(root: std::path::PathBuf) -> HttpServer {
    HttpServer::start(move |request, responder| {
        let path = String::from_utf8(request.path()).unwrap();
        let path = root.join(path.trim_start_matches('/'));
        let Ok(bytes) = std::fs::read(&path) else { return responder.status(404) };
        let total = bytes.len() as u64;
        match request.range(total) {
            Some(Some((start, end))) => {
                let range = format!("bytes {start}-{}/{total}", end - 1);
                let part = &bytes[start as usize..end as usize];
                responder.respond(206, &[("content-range", &range)], part);
            }
            _ => responder.respond(200, &[], &bytes),
        }
    })
}

#[test]
fn a_mirror_may_be_a_store_behind_a_web_server_or_in_a_directory() {
    for dataset in [single(), folder()] {
        let fixture = stocked(&dataset);
        let server = serving_files(fixture.path("store"));
        let web_seed = WebSeed::serving(&dataset);
        let infohash = dataset.infohash_hex();
        let directory = fixture.path("store").display().to_string();
        for mirror in [server.url(), directory] {
            // With and without a vendored torrent.
            let named = dataset.clone().url_list([web_seed.url()]);
            let project = Project::of(&named, "").env("ACADEMICTORRENTS_MIRRORS", &mirror);
            dataset.assert_at(&project.path_of("data"));
            let project = Project::new(&format!("data = \"{infohash}\""));
            let project = project.env("ACADEMICTORRENTS_MIRRORS", &mirror);
            dataset.assert_at(&project.path_of("data"));
        }
        assert_eq!(web_seed.bytes_served(), 0);
    }
}
