//! Each kind of source alone, and together.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Project, files_below};
use crate::swarm::tracker::Form;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed, peer, random_bytes};

fn data(length: usize) -> Dataset {
    Dataset::single("data.bin", random_bytes(1, length))
}

fn six_files(length: usize) -> Dataset {
    let name = |index: u64| (format!("dir/{index}.bin"), random_bytes(index, length));
    let files: Vec<_> = (0..6).map(name).collect();
    Dataset::multi("six", files.iter().map(|(name, bytes)| (&name[..], bytes.clone())))
}

/// Nobody listens there.
const DEAD: &str = "http://127.0.0.1:9";

fn connections(seed: &WebSeed) -> usize {
    seed.http().server().connections()
}

#[test]
fn only_a_directory() {
    let dataset = data(300_000);
    let project = Project::of(&dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&project.path("mirror"));
    dataset.assert_at(&project.path_of("data"));
    assert!(files_below(&project.store().join("v1/partial")).is_empty());
}

#[test]
fn only_a_web_seed() {
    let dataset = data(3_000_000);
    let seed = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), 3_000_000);
}

#[test]
fn only_a_peer() {
    let dataset = data(3_000_000);
    let peer = Peer::seeding(&dataset);
    let project = Project::of(&dataset, &format!("peers = [\"{}\"]", peer.addr()));
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

#[test]
fn two_web_seeds_that_each_lack_half_of_the_files() {
    // Each file ends with a piece: one that two files share must come from a seed that has both.
    let dataset = six_files(4 * 32_768);
    let lacks = |files: [u32; 3]| {
        let lost = files.map(|index| Fault::NotFoundFor(format!("dir/{index}.bin")));
        lost.into_iter().fold(WebSeed::serving(&dataset), WebSeed::with)
    };
    for (first, second) in [([0, 1, 2], [3, 4, 5]), ([0, 2, 4], [1, 3, 5])] {
        let (first, second) = (lacks(first), lacks(second));
        let lines = format!("web-seeds = [\"{}\", \"{}\"]", first.url(), second.url());
        dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
        for seed in [first, second] {
            // What was asked for behind a file that is not there may have been sent for nothing.
            assert_eq!(seed.coverage().distinct_bytes(), 12 * 32_768);
        }
    }
}

#[test]
fn a_peer_and_a_web_seed_that_each_have_half_of_the_pieces() {
    let dataset = data(50 * 32_768);
    let peer = Peer::seeding(&dataset).pieces(25..50);
    let seed = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..25));
    let lines = format!("peers = [\"{}\"]\nweb-seeds = [\"{}\"]", peer.addr(), seed.url());
    dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
    assert_eq!((peer.bytes_served(), seed.bytes_served()), (25 * 32_768, 25 * 32_768));
}

#[test]
fn two_peers_that_each_have_half_of_the_pieces_and_say_so_differently() {
    let dataset = data(50 * 32_768);
    let first = Peer::seeding(&dataset).pieces(0..25);
    let second = Peer::seeding(&dataset).pieces(25..50).haves().reqq(None);
    let lines = format!("peers = [\"{}\", \"{}\"]", first.addr(), second.addr());
    dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
    assert_eq!(first.bytes_served() + second.bytes_served(), 50 * 32_768);
}

#[test]
fn two_datasets_are_fetched_side_by_side() {
    let first = Dataset::single("first.bin", random_bytes(1, 300_000));
    let second = Dataset::single("second.bin", random_bytes(2, 300_000));
    // Neither can end before the other has begun.
    let (one, other) = (WebSeed::serving(&first), WebSeed::serving(&second));
    let stall = Fault::Stall { after_bytes: 100_000 };
    one.fault(stall.clone());
    other.fault(stall);
    let first = first.url_list([one.url()]);
    let second = second.url_list([other.url()]);
    let catalogue = Catalogue::serving(&[&first, &second]);
    let lines =
        format!("first = \"{}\"\nsecond = \"{}\"", first.infohash_hex(), second.infohash_hex());
    let project = Project::new(&lines)
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_TIMEOUT", "8s");
    std::thread::scope(|scope| {
        let build = scope.spawn(|| project.run().unwrap_or_else(|error| panic!("{error}")));
        crate::swarm::eventually("both have begun and neither has ended", || {
            one.bytes_served() == 100_000 && other.bytes_served() == 100_000
        });
        // What has stalled stays so, and is asked for again.
        one.mend();
        other.mend();
        let datasets = build.join().unwrap();
        first.assert_at(datasets.dataset("first").unwrap().path());
        second.assert_at(datasets.dataset("second").unwrap().path());
        assert_eq!(datasets.iter().count(), 2);
    });
}

#[test]
fn a_dataset_that_fails_does_not_stop_another() {
    let (good, bad) = (data(100_000), Dataset::single("bad.bin", "bad"));
    let seed = WebSeed::serving(&good);
    let good = good.url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&good, &bad]);
    let lines = format!("good = \"{}\"\nbad = \"{}\"", good.infohash_hex(), bad.infohash_hex());
    let project = Project::new(&lines).env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let error = project.error();
    assert!(error.starts_with("dataset `bad`:") && !error.contains("`good`"), "{error}");
    project.declare(&format!("good = \"{}\"", good.infohash_hex()));
    good.assert_at(&project.path_of("good"));
    assert_eq!(seed.bytes_served(), 100_000);
}

#[test]
fn url_list_in_each_form() {
    let seed = WebSeed::serving(&data(100_000));
    let url = seed.url();
    let lists: [Dataset; 5] = [
        data(100_000).url_string(&url),
        data(100_000).url_list([&url]),
        data(100_000).url_list(["", &url, "", &url]),
        data(100_000).url_list([&seed.folder_url()]),
        data(100_000).url_list(["ftp://127.0.0.1/data.bin", "nonsense", &url]),
    ];
    for dataset in lists {
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
    assert_eq!(seed.bytes_served(), 500_000);
    let error = Project::of(&data(100_000).url_string(""), "").error();
    assert!(error.contains("no tracker and no web seed"), "{error}");
    let folder = six_files(120_000);
    let seed = WebSeed::serving(&folder);
    let without_slash = folder.clone().url_string(seed.url().trim_end_matches('/'));
    folder.assert_at(&Project::of(&without_slash, "").path_of("data"));
}

#[test]
fn several_web_seeds_share_the_work() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 12 << 20)).piece_length(256 << 10);
    let slow = Fault::Slow { bytes_per_second: 3 << 20 };
    let seeds = [0; 3].map(|_| WebSeed::serving(&dataset).with(slow.clone()));
    let urls = seeds.each_ref().map(WebSeed::url).join("\", \"");
    dataset.assert_at(&Project::of(&dataset, &format!("web-seeds = [\"{urls}\"]")).path_of("data"));
    for seed in &seeds {
        assert!(seed.bytes_served() > 0);
    }
    let served: u64 = seeds.iter().map(WebSeed::bytes_served).sum();
    assert!(served <= 20 << 20, "{served}");
}

#[test]
fn trackers_in_each_form() {
    let peer = Peer::seeding(&data(100_000));
    let dictionaries = Tracker::start(vec![peer.addr()]).form(Form::Dictionaries);
    let dataset = data(100_000).announce(&dictionaries.url());
    dataset.assert_at(&Project::of(&dataset, "").path_of("data"));

    let tracker = Tracker::start(vec![peer.addr()]);
    let dead = format!("{DEAD}/announce");
    let (good, dead) = (&tracker.url()[..], &dead[..]);
    for tiers in [&[&[dead][..], &[good]][..], &[&[dead, good]], &[&["", "udp://"], &[good], &[]]] {
        // `announce-list` takes the place of `announce`.
        let dataset = data(100_000).announce(dead).announce_list(tiers);
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
    let lines = format!("trackers = [\"{dead}\", \"{good}\"]");
    dataset.assert_at(&Project::of(&data(100_000), &lines).path_of("data"));
}

#[test]
fn a_tracker_names_peers_of_both_families() {
    let peer = Peer::seeding(&data(100_000));
    let nobody: SocketAddr = "[::1]:9".parse().unwrap();
    for form in [Form::Compact, Form::Dictionaries] {
        let tracker = Tracker::start(vec![nobody, peer.addr()]).form(form);
        let dataset = data(100_000).announce(&tracker.url());
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
}

#[test]
fn sources_that_are_left_out_are_not_connected_to() {
    let seed = WebSeed::serving(&data(100_000));
    let peer = Peer::seeding(&data(100_000));
    let tracker = Tracker::start(vec![peer.addr()]);
    let dataset = data(100_000).announce(&tracker.url()).url_list([seed.url()]);
    let check = |sources: &str, expected: [bool; 3]| {
        let before = [connections(&seed), peer.server().connections(), tracker.announces().len()];
        dataset
            .assert_at(&Project::of(&dataset, &format!("sources = [{sources}]")).path_of("data"));
        let after = [connections(&seed), peer.server().connections(), tracker.announces().len()];
        let used: Vec<bool> =
            before.iter().zip(after).map(|(before, after)| after > *before).collect();
        assert_eq!(used, expected, "{sources}");
    };
    check("\"peers\"", [false, true, true]);
    check("\"web-seeds\"", [true, false, false]);
    // The user's word and the manifest's: what both allow.
    let project = Project::of(&dataset, "sources = [\"peers\", \"web-seeds\"]")
        .env("ACADEMICTORRENTS_SOURCES", "mirrors,web-seeds");
    let before = peer.server().connections();
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(peer.server().connections(), before);
    let project =
        Project::of(&dataset, "sources = [\"peers\"]").env("ACADEMICTORRENTS_SOURCES", "web-seeds");
    project.error();
}

#[test]
fn mirrors_of_the_environment_bring_torrent_and_data() {
    let dataset = six_files(120_000);
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()));
    dataset.write_mirror(&project.path("mirror"));
    let directory = project.path("mirror");
    let project = project.env("ACADEMICTORRENTS_MIRRORS", directory.display());
    dataset.assert_at(&project.path_of("data"));

    // The same tree behind an HTTP server.
    let served = crate::swarm::http::HttpServer::start(move |request, responder| {
        let path = String::from_utf8(request.path()).unwrap();
        let Some(bytes) =
            path.strip_prefix("/pub/").and_then(|path| std::fs::read(directory.join(path)).ok())
        else {
            return responder.status(404);
        };
        match request.range(bytes.len() as u64) {
            Some(Some((start, end))) => {
                let range = format!("bytes {start}-{}/{}", end - 1, bytes.len());
                let part = &bytes[start as usize..end as usize];
                responder.respond(206, &[("content-range", &range)], part);
            }
            _ => responder.respond(200, &[], &bytes),
        }
    });
    for slash in ["", "/"] {
        let other = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
            .env("ACADEMICTORRENTS_MIRRORS", format!("{DEAD} {}/pub{slash}", served.url()));
        dataset.assert_at(&other.path_of("data"));
    }
}

#[test]
fn peers_of_the_environment() {
    let dataset = data(100_000);
    let peer = Peer::seeding(&dataset);
    let named = format!("127.0.0.1:9,localhost:{}", peer.addr().port());
    let project = Project::of(&dataset, "").env("ACADEMICTORRENTS_PEERS", named);
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn offline_opens_no_socket_and_directories_still_serve() {
    let (seed, peer) = (WebSeed::serving(&data(100_000)), Peer::seeding(&data(100_000)));
    let tracker = Tracker::start(vec![peer.addr()]);
    let dataset = data(100_000).announce(&tracker.url()).url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&dataset]);
    for variable in ["ACADEMICTORRENTS_OFFLINE", "CARGO_NET_OFFLINE"] {
        let lines = format!("peers = [\"{}\"]\nmirrors = [\"{}\"]", peer.addr(), catalogue.url());
        let project = Project::of(&dataset, &lines).env(variable, "true");
        let error = project.error();
        assert!(error.contains("the network may not be used"), "{error}");
        dataset.write_mirror(&project.path("mirror"));
        let mirrors = format!("mirrors = [\"{}\", \"mirror\"]", catalogue.url());
        project.declare_data(&mirrors);
        dataset.assert_at(&project.path_of("data"));

        let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
            .env(variable, "1")
            .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
        let error = project.error();
        assert!(error.contains("the network may not be used"), "{error}");
    }
    let opened = [connections(&seed), peer.server().connections(), tracker.announces().len()];
    assert_eq!((opened, catalogue.requests().len()), ([0; 3], 0));
}

#[test]
fn named_sources_come_first_and_the_torrents_own_join_when_these_fail() {
    let own = WebSeed::serving(&data(1_000_000));
    let dataset = data(1_000_000).url_list([own.url()]);
    let named = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", named.url()));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!((named.bytes_served(), connections(&own)), (1_000_000, 0));

    // Those that lack something are helped out with that alone.
    let half = Peer::seeding(&dataset).pieces(0..15);
    let project = Project::of(&dataset, &format!("peers = [\"{}\"]", half.addr()));
    dataset.assert_at(&project.path_of("data"));
    assert!(own.bytes_served() >= 1_000_000 - 15 * 32_768, "{}", own.bytes_served());

    let begun = std::time::Instant::now();
    for lines in [
        format!("web-seeds = [\"{DEAD}/data.bin\"]"),
        format!("web-seeds = [\"{}\"]", WebSeed::serving(&dataset).with(Fault::NotFound).url()),
        "peers = [\"127.0.0.1:9\"]".to_owned(),
        format!("trackers = [\"{DEAD}/announce\"]"),
        "mirrors = [\"nothing-there\"]".to_owned(),
    ] {
        dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let silent = Peer::seeding(&dataset).with(peer::Fault::NeverUnchoke);
    let project = Project::of(&dataset, &format!("peers = [\"{}\"]", silent.addr()));
    dataset.assert_at(&project.path_of("data"));
}
