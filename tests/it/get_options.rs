//! The methods of [`academictorrents::Get`], each tested by its effect.

use std::time::Duration;

use academictorrents::{Error, ErrorKind, Get, Progress, Verify};

use crate::get::{GetFixture, LENGTH, folder, single};
use crate::refusals::sha256;
use crate::support::files::{PIECE, damage_unseen, inode};
use crate::support::slashes;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed};

/// A fixture with a .torrent that names no sources.
pub fn fixture(dataset: &Dataset) -> (GetFixture, String) {
    let fixture = GetFixture::new();
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.torrent()).unwrap();
    (fixture, torrent.to_str().unwrap().to_owned())
}

pub fn refused(error: Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    let text = slashes(&error.to_string());
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} are not in: {text}");
    assert!(!text.contains("Cargo.toml"), "a call has no manifest: {text}");
}

#[test]
fn each_kind_of_source_can_be_named() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![Peer::seeding(&dataset).addr(), peer.addr()]);
    let mirror = tempfile::tempdir().unwrap();
    dataset.write_to(&mirror.path().join(dataset.infohash_hex()));
    let mirror = mirror.path().to_str().unwrap();
    let check = |named: &dyn Fn(Get) -> Get| {
        let (fixture, torrent) = fixture(&dataset);
        dataset.assert_at(&named(fixture.ask(&torrent)).run().unwrap());
    };
    check(&|get| get.web_seed(seed.url()));
    check(&|get| get.peer(peer.addr().to_string()));
    check(&|get| get.tracker(tracker.url()));
    check(&|get| get.mirror(mirror));
    // Without a source, the download fails.
    let (fixture, torrent) = fixture(&dataset);
    let error = fixture.ask(&torrent).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
}

#[test]
fn values_that_cannot_be_used_name_their_method() {
    let dataset = single();
    let check = |with: &dyn Fn(Get) -> Get, parts: &[&str]| {
        let (fixture, torrent) = fixture(&dataset);
        refused(with(fixture.ask(&torrent)).run().unwrap_err(), ErrorKind::Manifest, parts);
        assert!(!fixture.path("store").exists());
    };
    check(&|get| get.web_seed("ftp://host/x"), &["`Get::web_seed`", "http:// or https://"]);
    check(&|get| get.tracker("udp://host"), &["`Get::tracker`", "udp://host:port"]);
    check(&|get| get.peer("host"), &["`Get::peer`", "has no port"]);
    check(&|get| get.mirror("ftp://host"), &["`Get::mirror`"]);
    check(&|get| get.files(["a", "[b"]), &["`Get::files`", "`[b`"]);
    check(&|get| get.sha256("data.bin", "beef"), &["`Get::sha256`", "64 hexadecimal"]);
    check(&|get| get.sha256("../x", "0".repeat(64)), &["`Get::sha256`", "`../x`"]);
    let two = |get: Get| get.sha256("a", "0".repeat(64)).sha256("a", "1".repeat(64));
    check(&two, &["two different digests"]);
    check(&|get| get.timeout(Duration::from_millis(99)), &["`Get::timeout`", "100ms"]);
}

#[test]
fn files_selects_and_a_glob_that_covers_nothing_is_named() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let ask = || fixture.ask(&torrent).web_seed(seed.folder_url());
    let root = ask().files(["d/*"]).run().unwrap();
    assert!(root.join("d/b").is_file() && !root.join("a").exists());
    let error = ask().files(["d/*", "nothing/**"]).run().unwrap_err();
    refused(error, ErrorKind::Manifest, &["`nothing/**` matches no file", "4 files"]);
    // Two calls add up.
    let root = ask().files(["a"]).files(["e"]).into(fixture.data()).run().unwrap();
    assert!(root.join("a").is_file() && root.join("e").is_file() && !root.join("d").exists());
}

#[test]
fn the_torrent_of_an_infohash_is_checked_against_it() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let ask = |id: &str| fixture.ask(id).torrent(&torrent).web_seed(seed.url()).run();
    dataset.assert_at(&ask(&dataset.infohash_hex()).unwrap());
    let other = folder().infohash_hex();
    refused(ask(&other).unwrap_err(), ErrorKind::Metainfo, &[&other, "data.torrent"]);
    refused(ask("mnist").unwrap_err(), ErrorKind::Manifest, &["`mnist`", "`Get::torrent`"]);
}

#[test]
fn the_store_of_the_call_takes_the_environments_place() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let ask = || fixture.ask(&torrent).store(fixture.path("mine"));
    let path = ask().web_seed(seed.url()).run().unwrap();
    assert!(path.starts_with(fixture.path("mine/v1/data")), "{path:?}");
    assert!(!fixture.path("store").exists());
    // The data now exists.
    assert_eq!(ask().offline(true).run().unwrap(), path);
}

#[test]
fn limits_only_become_stricter() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let ask = || fixture.ask(&torrent).web_seed(seed.url());
    let error = ask().max_size(LENGTH - 1).run().unwrap_err();
    let enough = format!("set `Get::max_size` to at least {}", LENGTH + 4096);
    refused(error, ErrorKind::TooLarge, &["set by `Get::max_size`", &enough]);
    let by_environment = || ask().env("ACADEMICTORRENTS_MAX_SIZE", "1MiB").max_size(2 * LENGTH);
    let error = by_environment().run().unwrap_err();
    refused(error, ErrorKind::TooLarge, &["set by ACADEMICTORRENTS_MAX_SIZE"]);
    refused(
        ask().offline(true).run().unwrap_err(),
        ErrorKind::Offline,
        &["offline: ", "`Get::offline`"],
    );
    let error = ask().env("ACADEMICTORRENTS_OFFLINE", "1").offline(false).run().unwrap_err();
    refused(error, ErrorKind::Offline, &["ACADEMICTORRENTS_OFFLINE"]);
    assert_eq!(seed.bytes_served(), 0);
    dataset.assert_at(&ask().max_size(LENGTH + 4096).run().unwrap());
}

#[test]
fn the_timeout_of_the_call_holds() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 0 });
    let (fixture, torrent) = fixture(&dataset);
    let ask = fixture.ask(&torrent).env("ACADEMICTORRENTS_TIMEOUT", "1h").web_seed(seed.url());
    let error = ask.timeout(Duration::from_millis(300)).run().unwrap_err();
    refused(error, ErrorKind::Network, &[]);
}

#[test]
fn a_pin_of_the_call_is_checked() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let ask = |digest: String| {
        fixture.ask(&torrent).web_seed(seed.url()).sha256("data.bin", digest).run()
    };
    refused(ask("0".repeat(64)).unwrap_err(), ErrorKind::Verification, &["`data.bin`"]);
    dataset.assert_at(&ask(sha256(&dataset.stream())).unwrap());
}

#[test]
fn what_no_stat_shows_is_found_and_mended_where_verify_is_always() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let ask = || fixture.ask(&torrent).progress(Progress::Off);
    let root = ask().web_seed(seed.folder_url()).run().unwrap();
    let file = root.join("d/b");
    let fetched = seed.bytes_served();
    // Correct data is neither fetched nor replaced.
    let before = inode(&file);
    assert_eq!(ask().verify(Verify::Always).offline(true).run().unwrap(), root);
    assert_eq!(inode(&file), before);

    damage_unseen(&file, 5 * PIECE as u64 / 2);
    assert_eq!(ask().offline(true).run().unwrap(), root);
    let error = ask().verify(Verify::Always).offline(true).run().unwrap_err();
    refused(error, ErrorKind::Offline, &["of the existing data: piece 6, at byte ", "d/b"]);
    // Once found, the damage is known to all calls.
    let error = ask().offline(true).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline, "{error}");
    assert_eq!(seed.bytes_served(), fetched);

    let mended = ask().web_seed(seed.folder_url()).verify(Verify::Always).run().unwrap();
    assert_eq!(mended, root);
    dataset.assert_at(&root);
    assert_eq!(seed.bytes_served() - fetched, PIECE as u64);
    assert_ne!(inode(&file), before, "others may have links to the old file");
}

#[test]
fn copies_on_load_path_are_hashed_again_where_verify_is_always() {
    let dataset = single();
    let (fixture, torrent) = fixture(&dataset);
    dataset.write_to(&fixture.path("copies"));
    let copy = fixture.path("copies/data.bin");
    let ask = || fixture.ask(&torrent).env("ACADEMICTORRENTS_LOAD_PATH", fixture.path("copies"));
    assert_eq!(ask().run().unwrap(), copy);
    assert_eq!(ask().verify(Verify::Always).run().unwrap(), copy);
    damage_unseen(&copy, 7);
    assert_eq!(ask().run().unwrap(), copy);
    // The copy belongs to someone else and is not repaired; its correct pieces are used.
    let seed = WebSeed::serving(&dataset);
    let own = ask().web_seed(seed.url()).verify(Verify::Always).run().unwrap();
    assert!(own.starts_with(fixture.path("store")), "{own:?}");
    dataset.assert_at(&own);
    assert_eq!(seed.bytes_served(), PIECE as u64);
}

#[test]
fn the_longest_timeout_is_no_mistake() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let ask = fixture.ask(&torrent).web_seed(seed.url()).timeout(Duration::MAX);
    dataset.assert_at(&ask.run().unwrap());
    let catalogue = Catalogue::serving(&[&dataset.clone().url_list([seed.url()])]);
    let ask = GetFixture::new();
    let ask = ask
        .ask(&dataset.infohash_hex())
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .timeout(Duration::MAX)
        .store(fixture.path("other"));
    dataset.assert_at(&ask.run().unwrap());
}
