//! Which sources are used: what the manifest and the environment name, allow and exclude.

use std::time::Duration;

use crate::support::{Project, slashes};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed, peer, random_bytes};

fn data(length: usize) -> Dataset {
    Dataset::single("data.bin", random_bytes(1, length))
}

/// Nothing listens there.
const DEAD: &str = "http://127.0.0.1:9";

fn connections(seed: &WebSeed) -> usize {
    seed.http().server().connections()
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
    // Allowed is what both the environment and the manifest allow.
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
fn an_error_tells_what_sources_left_out_and_who_did() {
    let dataset = data(1_000).announce(&format!("{DEAD}/announce")).url_list([DEAD, DEAD]);
    let none = "the torrent lists no tracker or web seed";
    let common = "have nothing in common, so no source may be used";
    let check = |lines: &str, environment: &str, expected: &[&str], absent: &[&str]| {
        let project = Project::of(&dataset, lines).env("ACADEMICTORRENTS_SOURCES", environment);
        let error = project.error();
        expected.iter().for_each(|part| assert!(error.contains(part), "{part}\n{error}"));
        absent.iter().for_each(|part| assert!(!error.contains(part), "{part}\n{error}"));
    };
    let all = "mirrors,catalogue,web-seeds,peers";
    check(
        "sources = [\"mirrors\"]",
        all,
        &[
            "excluded by `sources` in the manifest: 1 tracker\n",
            "web seed",
            "help: to use them, add `web-seeds`, `peers` to `sources` in the manifest\n  help: add",
        ],
        &[none, common, "ACADEMICTORRENTS_SOURCES"],
    );
    check(
        "peers = [\"127.0.0.1:9\"]",
        "mirrors",
        &[
            "excluded by ACADEMICTORRENTS_SOURCES: 1 tracker and 1 peer\n",
            "add `web-seeds`, `peers` to ACADEMICTORRENTS_SOURCES\n",
        ],
        &[none, common, "`sources` in the manifest"],
    );
    check("sources = [\"peers\"]", "web-seeds", &[common, "1 tracker"], &[none]);
    // Sources that were allowed and failed are listed as well.
    check("sources = [\"peers\"]", all, &[&format!("{DEAD}/announce: "), "web seed"], &[none]);
    check(
        "sources = [\"peers\"]",
        "peers,mirrors",
        &["excluded by `sources` in the manifest and by ACADEMICTORRENTS_SOURCES"],
        &[none],
    );
}

#[test]
fn a_mirror_without_the_dataset_is_said_not_to_exist() {
    let dataset = data(1_000);
    let error = Project::of(&dataset, "mirrors = [\"nothing-there\"]").error();
    let line = format!("nothing-there/{}: the directory does not exist", dataset.infohash_hex());
    assert!(slashes(&error).contains(&line), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_users_configuration_file_says_what_no_variable_does() {
    let dataset = Dataset::single("data.bin", random_bytes(4, 100_000));
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()));
    dataset.write_mirror(&project.path("a mirror"));
    let home = project.path("config");
    let config = home.join("academictorrents/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    let write = |key: &str| {
        let mirror = home.with_file_name("a mirror");
        std::fs::write(&config, format!("{key} = [{:?}]\n", mirror.display().to_string())).unwrap();
    };
    let project = project.env("XDG_CONFIG_HOME", home.display());
    write("mirror");
    let error = project.error();
    assert!(
        error.contains("config.toml:1") && error.contains("did you mean `mirrors`?"),
        "{error}"
    );
    write("mirrors");
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn mirrors_of_the_environment_bring_torrent_and_data() {
    let dataset = Dataset::multi(
        "set",
        [("a b", random_bytes(2, 120_000)), ("c/d", random_bytes(3, 50_000))],
    );
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
        assert!(error.contains("network access is disabled"), "{error}");
        dataset.write_mirror(&project.path("mirror"));
        let mirrors = format!("mirrors = [\"{}\", \"mirror\"]", catalogue.url());
        project.declare_data(&mirrors);
        dataset.assert_at(&project.path_of("data"));

        let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
            .env(variable, "1")
            .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
        let error = project.error();
        assert!(error.contains("network access is disabled"), "{error}");
    }
    let opened = [connections(&seed), peer.server().connections(), tracker.announces().len()];
    assert_eq!((opened, catalogue.requests().len()), ([0; 3], 0));
}

/// Trickling sources are never silent, so silence alone would wait for them forever.
#[test]
fn named_sources_that_trickle_do_not_keep_the_torrents_own_waiting() {
    let dataset = Dataset::single("data.bin", random_bytes(321, 300_000));
    let own = WebSeed::serving(&dataset);
    let named = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 100 });
    let dataset = dataset.url_list([own.url()]);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", named.url()));
    dataset.assert_at(&project.path_of("data"));
    assert!(named.http().server().connections() > 0 && own.bytes_served() > 0);
}

#[test]
fn named_sources_come_first_and_the_torrents_own_join_when_these_fail() {
    let own = WebSeed::serving(&data(1_000_000));
    let dataset = data(1_000_000).url_list([own.url()]);
    let named = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", named.url()));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!((named.bytes_served(), connections(&own)), (1_000_000, 0));

    // Incomplete named sources are supplemented only with what they lack.
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
