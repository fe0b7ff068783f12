//! Datasets by magnet link, or by infohash without the catalog: peers provide the metainfo (BEP 9).

use std::time::Instant;

use crate::fixture::Fixture;
use crate::support::files::remove_tree;
use crate::support::{Project, files_below, side_by_side};
use crate::swarm::bencode::B;
use crate::swarm::peer::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, UdpTracker, WebSeed};
use crate::swarm::{catalogue, random_bytes, tracker, udp_tracker};

mod calls;

/// 2,000 pieces, whose hashes span three metadata blocks.
fn data() -> Dataset {
    Dataset::single("data.bin", random_bytes(3, 1_000_000)).piece_length(512)
}

fn magnet(dataset: &Dataset, rest: &str) -> String {
    format!("magnet:?xt=urn:btih:{}&dn=Some+data{rest}", dataset.infohash_hex())
}

fn by_magnet(dataset: &Dataset, rest: &str) -> Project {
    Project::new(&format!("data.magnet = \"{}\"", magnet(dataset, rest)))
}

/// Declares the infohash and these lines.
fn by_infohash(dataset: &Dataset, lines: &str) -> Project {
    Project::new(&format!("data.infohash = \"{}\"\n{lines}", dataset.infohash_hex()))
}

fn peers_of(peers: &[&Peer]) -> String {
    let peers: Vec<_> = peers.iter().map(|peer| format!("\"{}\"", peer.addr())).collect();
    format!("data.peers = [{}]", peers.join(", "))
}

#[test]
fn a_magnet_link_and_one_peer_are_enough() {
    let dataset = data();
    let peer = Peer::seeding(&dataset);
    let project = by_magnet(&dataset, &format!("&x.pe={}", peer.addr()));
    dataset.assert_at(&project.path_of("data"));
    // The connection that provided the torrent also provides the data.
    assert_eq!(peer.server().connections(), 1);
    // The torrent is stored, so it is not requested again.
    let kept = project.store().join(format!("v1/torrents/{}.torrent", dataset.infohash_hex()));
    assert_eq!(std::fs::read(kept).unwrap(), B::dict([("info", dataset.info())]).write());
    remove_tree(&project.store().join("v1/data"));
    let asked = peer.stats().metadata_requests.len();
    assert!(asked >= 3);
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(peer.stats().metadata_requests.len(), asked);
}

/// Takes a second, so that the peer is already known when the tracker is asked again.
fn slow_peer(dataset: &Dataset) -> Peer {
    Peer::seeding(dataset).with(Fault::Slow { bytes_per_second: 1_000_000 })
}

/// One `started` for the metadata, with one block left, and one for the data.
fn assert_started_twice(announces: &[tracker::Announce]) {
    let started = announces.iter().filter(|it| it.event.as_deref() == Some("started"));
    let told: Vec<_> = started.map(|it| (it.left.unwrap(), it.uploaded.unwrap())).collect();
    assert_eq!((told.len(), told[0]), (2, (16_384, 0)), "{told:?}");
    assert!((16_385..=1_000_000).contains(&told[1].0), "{told:?}");
}

#[test]
fn a_magnet_links_tracker_names_the_peers() {
    let dataset = data();
    let peer = slow_peer(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    let project = by_magnet(&dataset, &format!("&tr={}", tracker.url().replace(':', "%3A")));
    dataset.assert_at(&project.path_of("data"));
    // First with an unknown amount left, then for the data.
    let announces = tracker.announces();
    let first = &announces[0];
    assert_eq!((first.left, first.event.as_deref()), (Some(16 << 10), Some("started")));
    assert_started_twice(&announces);
    crate::swarm::eventually("the first peer ID announces `stopped`", || {
        let of_first = |it: &&tracker::Announce| it.peer_id == first.peer_id;
        let announces = tracker.announces();
        let last = announces.iter().rfind(of_first).and_then(|it| it.event.clone());
        last.as_deref() == Some("stopped")
    });
    // The stored torrent names the tracker.
    let kept = project.store().join(format!("v1/torrents/{}.torrent", dataset.infohash_hex()));
    let (kept, _) =
        B::read(&std::fs::read(kept).unwrap()).map(|(it, rest)| (it, rest.len())).unwrap();
    let url = B::bytes(tracker.url());
    assert_eq!(kept.at("announce"), Some(&url));
    assert_eq!(kept.at("announce-list"), Some(&B::list([B::list([url.clone()])])));
    assert_eq!(kept.at("info"), Some(&dataset.info()));
}

#[test]
fn so_does_its_udp_tracker() {
    let dataset = data();
    let peer = slow_peer(&dataset);
    let silent = UdpTracker::start(Vec::new()).with(udp_tracker::Fault::Silent);
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let rest = format!("&tr={}&tr={}", silent.url(), tracker.url());
    dataset.assert_at(&by_magnet(&dataset, &rest).path_of("data"));
    let announces = tracker.announces();
    assert_started_twice(&announces);
    let first = announces[0].peer_id.clone();
    crate::swarm::eventually("the first peer ID announces `stopped`", || {
        let announces = tracker.announces();
        let last = announces.iter().rfind(|it| it.peer_id == first);
        last.and_then(|it| it.event.as_deref()) == Some("stopped")
    });
    // A bare infohash, by a tracker that loses datagrams.
    let lossy = UdpTracker::start(vec![peer.addr()]).with(udp_tracker::Fault::Loses(2));
    let line = format!("data.trackers = [\"{}\"]", lossy.url());
    dataset.assert_at(&by_infohash(&dataset, &line).path_of("data"));
    // If the tracker is the only one, the error describes its failure.
    let project = by_magnet(&dataset, &format!("&tr={}", silent.url()));
    let error = project.error();
    assert!(error.contains(&format!("{}: no answer after ", silent.url())), "{error}");
    assert!(error.contains("peers: no peer is known"), "{error}");
}

#[test]
fn a_tracker_that_answers_once_is_enough() {
    let dataset = data();
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    std::thread::scope(|scope| {
        let project = by_magnet(&dataset, &format!("&tr={}", tracker.url()));
        let built = scope.spawn(move || project.path_of("data").is_file());
        crate::swarm::eventually("the source is asked", || !tracker.announces().is_empty());
        // As a tracker does that limits eager clients.
        tracker.fault(tracker::Fault::Status { status: 429, retry_after_secs: Some(600) });
        assert!(built.join().unwrap());
    });
}

#[test]
fn without_the_catalogue_a_tracker_of_the_manifest_is_enough() {
    let dataset = data();
    let status = |status| Catalogue::serving(&[]).with(catalogue::Fault::Status(status));
    let cases = [
        None,
        Some(Catalogue::serving(&[])),
        Some(status(500)),
        Some(status(403)),
        Some(Catalogue::serving(&[]).with(catalogue::Fault::Garbage)),
        Some(Catalogue::serving(&[]).with(catalogue::Fault::Stall)),
    ];
    side_by_side(&cases, |catalogue| {
        let peer = Peer::seeding(&dataset);
        let tracker = Tracker::start(vec![peer.addr()]);
        let project = by_infohash(&dataset, &format!("data.trackers = [\"{}\"]", tracker.url()));
        let project = match catalogue {
            Some(catalogue) => project.env("ACADEMICTORRENTS_CATALOGUE", catalogue.url()),
            None => project,
        };
        dataset.assert_at(&project.path_of("data"));
        // The catalog is not retried while peers may have the torrent.
        let requests = catalogue.as_ref().map_or(0, |it| it.requests().len());
        assert!(requests <= 1, "{requests}");
    });
}

#[test]
fn the_catalogue_comes_first() {
    let dataset = data();
    let peer = Peer::seeding(&dataset);
    let catalogue = Catalogue::serving(&[&dataset]);
    let project = by_infohash(&dataset, &peers_of(&[&peer]))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(peer.stats().metadata_requests, [0; 0]);
}

#[test]
fn a_catalogue_that_was_busy_is_asked_again_where_no_peer_has_it() {
    let dataset = data();
    let peer = Peer::seeding(&dataset).with(Fault::NoMetadata);
    let busy = catalogue::Fault::TooMany { retry_after_secs: 1, times: 2 };
    let catalogue = Catalogue::serving(&[&dataset]).with(busy);
    let project = by_infohash(&dataset, &peers_of(&[&peer]))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let begun = Instant::now();
    dataset.assert_at(&project.path_of("data"));
    // Not before the time of `Retry-After`.
    assert!(begun.elapsed().as_secs() >= 2, "{:?}", begun.elapsed());
    assert_eq!(catalogue.requests().len(), 3);
}

#[test]
fn a_peer_is_asked_for_one_block_at_a_time() {
    let dataset = data();
    let peer = Peer::seeding(&dataset).with(Fault::OneMetadataRequest);
    dataset.assert_at(&by_infohash(&dataset, &peers_of(&[&peer])).path_of("data"));
    // Each block once, in order.
    assert_eq!(peer.stats().metadata_requests, [0, 1, 2]);
}

#[test]
fn one_honest_peer_among_others_is_enough() {
    let dataset = data();
    let cases = [
        Fault::CorruptMetadata,
        Fault::HugeMetadata,
        Fault::LongMetadata(1),
        Fault::LongMetadata(-20_000),
        Fault::LongMetadata(50 << 20),
        Fault::RejectMetadata,
        Fault::WithholdMetadata(1),
        Fault::NoMetadata,
        Fault::SilentAfterHandshake,
        Fault::WrongInfohash,
        Fault::GarbageHandshake,
        Fault::OversizedMessage,
    ];
    side_by_side(&cases, |fault| {
        let odd: Vec<_> = (0..3).map(|_| Peer::seeding(&dataset).with(*fault)).collect();
        let honest = Peer::seeding(&dataset);
        let all: Vec<_> = odd.iter().chain([&honest]).collect();
        let project = by_infohash(&dataset, &peers_of(&all));
        dataset.assert_at(&project.path_of("data"));
        assert!(!honest.stats().metadata_requests.is_empty(), "{fault:?}");
    });
}

#[test]
fn the_honest_one_is_heard_however_many_lie() {
    let dataset = data();
    let liars: Vec<_> =
        (0..30).map(|_| Peer::seeding(&dataset).with(Fault::CorruptMetadata)).collect();
    let honest = Peer::seeding(&dataset);
    let addresses = liars.iter().chain([&honest]).map(Peer::addr).collect();
    let tracker = Tracker::start(addresses);
    let project = by_magnet(&dataset, &format!("&tr={}", tracker.url()));
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn where_nobody_gives_it_the_error_says_what_each_one_said() {
    let dataset = data();
    let check = |fault: Fault, said: &str| {
        let peers = [Peer::seeding(&dataset).with(fault), Peer::seeding(&dataset).with(fault)];
        let project = by_infohash(&dataset, &peers_of(&[&peers[0], &peers[1]]));
        let begun = Instant::now();
        let error = project.error();
        assert!(error.contains("could not be found anywhere"), "{error}");
        assert!(error.contains("peers: 2 peers were asked, but none provided it"), "{error}");
        assert!(error.contains("/download/"), "{error}");
        for peer in &peers {
            assert!(error.contains(&format!("peer {}: {said}", peer.addr())), "{error}");
            crate::swarm::eventually("the peer is disconnected", || {
                peer.server().open_connections() == 0
            });
        }
        // Three attempts of a second of silence each, and pauses.
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
        project.assert_nothing_published();
    };
    let cases = [
        (Fault::CorruptMetadata, "it sent metadata that does not match the infohash"),
        (Fault::HugeMetadata, "it states 2147483648 bytes of metadata, over the limit of"),
        (Fault::LongMetadata(-1), "it sent"),
        (Fault::RejectMetadata, "it offers the metadata but does not send it"),
        (Fault::NoMetadata, "it does not offer metadata (BEP 9)"),
        (Fault::WithholdMetadata(1), "sent none of the requested metadata within 1 s"),
        (Fault::SilentAfterHandshake, "sent no extension handshake within 1 s"),
        (Fault::WrongInfohash, "it serves another torrent"),
        (Fault::GarbageHandshake, "it does not speak BitTorrent"),
    ];
    side_by_side(&cases, |(fault, said)| check(*fault, said));
}

#[test]
fn a_peer_that_brings_little_for_ever_is_left() {
    let dataset = data();
    let peer = Peer::seeding(&dataset).with(Fault::TrickleMetadata);
    let project = by_infohash(&dataset, &peers_of(&[&peer]));
    let begun = Instant::now();
    let error = project.env("ACADEMICTORRENTS_TIMEOUT", "1s").error();
    assert!(error.contains("peers: 1 peer was asked, but none provided it within 10 s"), "{error}");
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    // An honest peer next to it is used.
    let honest = Peer::seeding(&dataset);
    dataset.assert_at(&by_infohash(&dataset, &peers_of(&[&peer, &honest])).path_of("data"));
}

#[test]
fn where_nobody_is_known_or_nobody_is_there_the_error_says_so() {
    let dataset = data();
    let nobody = Tracker::start(Vec::new());
    let project = by_magnet(&dataset, &format!("&tr={}", nobody.url()));
    let error = project.error();
    assert!(error.contains("peers: no peer is known"), "{error}");
    assert!(error.contains(&format!("{}: knows no peers", nobody.url())), "{error}");
    // Nothing listens on port 9.
    let project =
        by_magnet(&dataset, "&x.pe=127.0.0.1:9&tr=http://127.0.0.1:9/announce&tr=wss://x/");
    let error = project.error();
    assert!(error.contains("peer 127.0.0.1:9: connection refused"), "{error}");
    assert!(error.contains("http://127.0.0.1:9/announce: connection refused"), "{error}");
    assert!(error.contains("wss://x/: only http, https and udp trackers are supported"), "{error}");
    // With nothing to ask, the error does not mention peers.
    let error = by_magnet(&dataset, "").error();
    assert!(!error.contains("peer"), "{error}");
}

#[test]
fn metadata_that_is_no_torrent_is_refused_though_its_hash_is_right() {
    let path = |part: &str| vec![part.as_bytes().to_vec()];
    let hostile = Dataset::multi_raw(b"data", vec![(path(".."), vec![1; 10])]);
    let peer = Peer::seeding(&hostile);
    let error = by_infohash(&hostile, &peers_of(&[&peer])).error();
    assert!(error.contains("peers: its path `..` leaves its directory"), "{error}");
}

#[test]
fn so_selects_files_by_number() {
    let files = [("a.bin", 1), ("b/c.bin", 2), ("d.bin", 3), ("e.bin", 4)];
    let files = files.map(|(name, seed)| (name, random_bytes(seed, 50_000)));
    let dataset = Dataset::multi("some", files);
    let peer = Peer::seeding(&dataset);
    let project = by_magnet(&dataset, &format!("&x.pe={}&so=0,2-2", peer.addr()));
    let path = project.path_of("data");
    assert_eq!(files_below(&path), ["a.bin", "d.bin"].map(std::path::PathBuf::from));
    let modules = std::fs::read_to_string(project.path("out/datasets.rs")).unwrap();
    assert!(modules.contains("d.bin") && !modules.contains("c.bin"), "{modules}");
    // The same path as for globs.
    let globs = format!("data.files = [\"a.bin\", \"d.bin\"]\n{}", peers_of(&[&peer]));
    project.declare(&format!("data.infohash = \"{}\"\n{globs}", dataset.infohash_hex()));
    assert_eq!(project.path_of("data"), path);
    let error = by_magnet(&dataset, &format!("&x.pe={}&so=4", peer.addr())).error();
    assert!(error.contains("selects file 4") && error.contains("numbers 0 to 3"), "{error}");
    assert!(error.contains("Cargo.toml:6"), "{error}");
}

#[test]
fn nobody_is_asked_who_may_not_be() {
    let dataset = data();
    let check = |name: &str, value: &str, lines: &str, part: &str| {
        let peer = Peer::seeding(&dataset);
        let tracker = Tracker::start(vec![peer.addr()]);
        let rest = format!("&x.pe={}&tr={}", peer.addr(), tracker.url());
        let link = magnet(&dataset, &rest);
        let project = Project::new(&format!("data.magnet = \"{link}\"\n{lines}")).env(name, value);
        let error = project.error();
        assert!(error.contains(part), "{error}");
        let connections = peer.server().connections() + tracker.http().server().connections();
        assert_eq!(connections, 0, "{name}={value} {lines}");
    };
    check("ACADEMICTORRENTS_OFFLINE", "1", "", "network access is disabled");
    check("ACADEMICTORRENTS_FETCH", "never", "", "downloading is not allowed");
    let left_out =
        |by: &str| format!("excluded by {by}: peers and trackers, which may have the torrent");
    let by_user = left_out("ACADEMICTORRENTS_SOURCES");
    check("ACADEMICTORRENTS_SOURCES", "catalogue,web-seeds", "", &by_user);
    let by_manifest = left_out("`sources` in the manifest");
    check("ACADEMICTORRENTS_PROGRESS", "off", "data.sources = [\"catalogue\"]", &by_manifest);
}

#[test]
fn peers_alone_may_be_allowed() {
    let dataset = data();
    let peer = Peer::seeding(&dataset);
    let catalogue = Catalogue::serving(&[&dataset]);
    let lines = format!("data.sources = [\"peers\"]\n{}", peers_of(&[&peer]));
    let project = by_infohash(&dataset, &lines).env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(catalogue.requests().len(), 0);
}

#[test]
fn a_crate_is_built_from_a_magnet_link() {
    let dataset = Dataset::single("data.bin", random_bytes(4, 200_000));
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    let link = magnet(&dataset, &format!("&tr={}", tracker.url()));
    let fixture = Fixture::new("fixture-magnet", &format!("data.magnet = \"{link}\""));
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    // Cargo stores the build script's output.
    let scripts = std::fs::read_dir(fixture.target().join("debug/build")).unwrap();
    let said = scripts.map(|entry| entry.unwrap()).filter(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with("fixture-magnet-"))
    });
    let said: String = said
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stderr")).ok())
        .collect();
    assert!(said.contains("academictorrents: data: asking peers for the torrent"), "{said}");
    fixture.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn the_torrent_at_a_links_exact_source_is_used_if_it_is_the_declared_one() {
    let dataset = data();
    let seed = WebSeed::serving(&dataset);
    let other = Dataset::single("data.bin", random_bytes(4, 1_000));
    let infohash = dataset.infohash_hex();
    let place =
        Catalogue::serving(&[]).torrent(&infohash, [dataset.torrent(), b"\n".to_vec()].concat());
    let lies = Catalogue::serving(&[]).torrent(&infohash, other.torrent());
    let xs = |at: &Catalogue| format!("&xs={}/download/{infohash}.torrent", at.url());
    let ws = |at: &str| format!("&ws={at}");
    // One `xs` with another torrent, one that is down; several web seeds, of which one has the
    // data.
    let dead = "http://127.0.0.1:9/";
    let rest =
        [xs(&lies), format!("&xs={dead}x.torrent"), xs(&place), ws(dead), ws(&seed.url())].concat();
    for scheme in ["magnet:?", "magnet:/?", "MAGNET://?"] {
        let link = magnet(&dataset, &rest).replacen("magnet:?", scheme, 1);
        let project = Project::new(&format!("data.magnet = \"{link}\""));
        dataset.assert_at(&project.path_of("data"));
    }
    let link = magnet(&dataset, &[xs(&lies), ws(&seed.url())].concat());
    let error = Project::new(&format!("data.magnet = \"{link}\"")).error();
    assert!(error.contains(&lies.url()) && error.contains(&other.infohash_hex()), "{error}");
    // Web servers are not asked if `sources` excludes web seeds, and not offline.
    let asked = place.requests().len();
    let link = magnet(&dataset, &xs(&place));
    for (name, value) in
        [("ACADEMICTORRENTS_OFFLINE", "1"), ("ACADEMICTORRENTS_SOURCES", "mirrors,peers")]
    {
        Project::new(&format!("data.magnet = \"{link}\"")).env(name, value).error();
        assert_eq!(place.requests().len(), asked, "{name}");
    }
}
