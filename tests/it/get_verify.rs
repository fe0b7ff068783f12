//! [`Verify::Always`]: no later call trusts data that was found damaged.

use academictorrents::{ErrorKind, Verify};

use crate::get::{GetFixture, single};
use crate::get_options::{fixture, refused};
use crate::support::files::damage_unseen;
use crate::support::files::{PIECE, inode};
use crate::swarm::{Dataset, WebSeed, random_bytes};

/// Files of one piece each, with a selection whose inodes other selections share.
fn two_selections() -> (Dataset, GetFixture, String, WebSeed, std::path::PathBuf) {
    let file = |seed| random_bytes(seed, PIECE);
    let dataset = Dataset::multi("tree", [("a", file(1)), ("b", file(2)), ("c", file(3))]);
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let part = fixture.ask(&torrent).web_seed(seed.folder_url()).files(["a", "b"]).run().unwrap();
    (dataset, fixture, torrent, seed, part)
}

#[test]
fn a_damaged_file_is_not_taken_over_from_another_selection_where_verify_is_always() {
    let (dataset, fixture, torrent, seed, part) = two_selections();
    let ask = || fixture.ask(&torrent).web_seed(seed.folder_url());
    let whole = ask().run().unwrap();
    assert_eq!(inode(&whole.join("a")), inode(&part.join("a")));
    damage_unseen(&whole.join("a"), 5);
    let whole = ask().verify(Verify::Always).run().unwrap();
    dataset.assert_at(&whole);
    // The other selection had the damaged inode, and is not complete with it either.
    let part = ask().files(["a", "b"]).run().unwrap();
    assert_eq!(std::fs::read(part.join("a")).unwrap(), std::fs::read(whole.join("a")).unwrap());
}

#[test]
fn what_another_selection_has_is_hashed_where_verify_is_always() {
    let (dataset, fixture, torrent, seed, part) = two_selections();
    damage_unseen(&part.join("a"), 5);
    let ask = fixture.ask(&torrent).web_seed(seed.folder_url()).verify(Verify::Always);
    dataset.assert_at(&ask.run().unwrap());
}

#[test]
fn what_was_found_damaged_is_not_taken_over_from_another_selection_later() {
    let (dataset, fixture, torrent, seed, _) = two_selections();
    let ask = || fixture.ask(&torrent).web_seed(seed.folder_url());
    let whole = ask().run().unwrap();
    damage_unseen(&whole.join("a"), 5);
    let error = ask().verify(Verify::Always).offline(true).run().unwrap_err();
    refused(error, ErrorKind::Offline, &["piece 0, at byte 0 of ", "tree/a"]);
    let fetched = seed.bytes_served();
    dataset.assert_at(&ask().run().unwrap());
    assert_eq!(seed.bytes_served() - fetched, PIECE as u64);
}

#[test]
fn a_copy_that_was_found_damaged_is_not_trusted_afterwards() {
    let dataset = single();
    let (fixture, torrent) = fixture(&dataset);
    dataset.write_to(&fixture.path("copies"));
    let copy = fixture.path("copies/data.bin");
    let ask = || fixture.ask(&torrent).env("ACADEMICTORRENTS_LOAD_PATH", fixture.path("copies"));
    ask().run().unwrap();
    damage_unseen(&copy, 7);
    let error = ask().verify(Verify::Always).offline(true).run().unwrap_err();
    refused(error, ErrorKind::Offline, &["data.bin", "piece 0"]);
    let error = ask().offline(true).run().unwrap_err();
    refused(error, ErrorKind::Offline, &["data.bin", "piece 0"]);
}

#[test]
fn damage_is_mended_offline_from_a_copy_on_load_path() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset);
    let path = fixture.ask(&torrent).web_seed(seed.url()).run().unwrap();
    damage_unseen(&path, 7);
    dataset.write_to(&fixture.path("copies"));
    let ask = fixture.ask(&torrent).env("ACADEMICTORRENTS_LOAD_PATH", fixture.path("copies"));
    dataset.assert_at(&ask.verify(Verify::Always).offline(true).run().unwrap());
}
