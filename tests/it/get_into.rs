//! Damaged files of a user that cannot or must not be repaired: [`academictorrents::Get::into`].

use std::path::{Path, PathBuf};

use academictorrents::{Error, ErrorKind, Get};

use crate::get::{GetFixture, LENGTH, folder, single};
use crate::refusals::sha256;
use crate::support::files::{PIECE, REPAIRS_IN_PLACE, flip, inode};
use crate::support::files_below;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, WebSeed, eventually};

/// A call by a .torrent that names these web seeds.
fn ask(fixture: &GetFixture, dataset: &Dataset, seeds: &[&WebSeed]) -> Get {
    let torrent = fixture.path("data.torrent");
    let urls = seeds.iter().map(|seed| seed.url());
    std::fs::write(&torrent, dataset.clone().url_list(urls).torrent()).unwrap();
    fixture.ask(torrent.to_str().unwrap()).into(fixture.data())
}

/// Asserts that a refused call leaves the damaged file unchanged and creates nothing.
fn stays(damage: fn(&Path), kind: ErrorKind, how: impl Fn(&GetFixture, &Dataset, &WebSeed) -> Get) {
    let dataset = single();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    damage(&path);
    let (before, bytes) = (inode(&path), std::fs::read(&path).unwrap());
    let error = how(&fixture, &dataset, &seed).run().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(files_below(&fixture.data()), [PathBuf::from("data.bin")], "{error}");
    assert_eq!(inode(&path), before);
    assert!(std::fs::read(&path).unwrap() == bytes, "the file was changed");
    assert!(!error.to_string().contains(".academictorrents"), "{error}");
    assert_eq!(seed.bytes_served(), 0);
}

fn one_piece(path: &Path) {
    flip(path, 5);
}

/// Truncating the file would lose what the user appended.
fn longer_and_wrong(path: &Path) {
    flip(path, 5);
    std::fs::File::options().write(true).open(path).unwrap().set_len(LENGTH + 10).unwrap();
}

#[test]
fn what_is_too_large_is_refused_before_a_damaged_file_moves() {
    for damage in [one_piece, longer_and_wrong] {
        stays(damage, ErrorKind::TooLarge, |fixture, dataset, seed| {
            ask(fixture, dataset, &[seed]).max_size(PIECE as u64 - 1)
        });
    }
}

#[test]
fn offline_a_damaged_file_does_not_move() {
    stays(longer_and_wrong, ErrorKind::Offline, |fixture, dataset, seed| {
        ask(fixture, dataset, &[seed]).offline(true)
    });
}

#[test]
fn what_may_not_be_fetched_moves_no_damaged_file() {
    stays(one_piece, ErrorKind::Offline, |fixture, dataset, seed| {
        ask(fixture, dataset, &[seed]).env("ACADEMICTORRENTS_FETCH", "never")
    });
}

#[test]
fn without_sources_a_damaged_file_does_not_move() {
    stays(longer_and_wrong, ErrorKind::Network, |fixture, dataset, _| ask(fixture, dataset, &[]));
}

#[test]
fn from_sources_that_bring_nothing_a_damaged_file_does_not_move() {
    // The first piece is damaged, and the seed has only another piece.
    stays(one_piece, ErrorKind::Network, |fixture, dataset, _| {
        let seed = WebSeed::serving(dataset).with(Fault::OnlyPieces(7..8));
        ask(fixture, dataset, &[&seed])
    });
}

/// Nothing is copied from a partial copy on `LOAD_PATH` before the download is known to be allowed.
#[test]
fn what_a_copy_has_moves_no_damaged_file_where_the_rest_is_refused() {
    let dataset = single();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    let copy = fixture.path("copies/data.bin");
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    std::fs::copy(&path, &copy).unwrap();
    flip(&copy, 5);
    for offset in [5, 7 * PIECE as u64] {
        flip(&path, offset);
    }
    let before = inode(&path);
    let load_path = fixture.path("copies");
    let ask = || ask(&fixture, &dataset, &[&seed]).env("ACADEMICTORRENTS_LOAD_PATH", &load_path);
    let error = ask().max_size(PIECE as u64 - 1).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!((inode(&path), fixture.workplace().exists()), (before, false));
    dataset.assert_at(&ask().max_size(PIECE as u64 + 4096).run().unwrap());
    assert_eq!(seed.bytes_served(), PIECE as u64);
}

#[test]
fn a_file_that_is_too_long_alone_is_cut_without_the_network() {
    let dataset = single();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(LENGTH + 10).unwrap();
    ask(&fixture, &dataset, &[&seed]).offline(true).run().unwrap();
    dataset.assert_at(&path);
    assert!(!fixture.workplace().exists());
}

#[test]
fn where_the_network_goes_the_error_says_where_the_file_is() {
    let dataset = single();
    let (fixture, path, _) = GetFixture::complete(&dataset);
    for piece in [0, 60] {
        flip(&path, (piece * PIECE) as u64);
    }
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..50));
    let error: Error = ask(&fixture, &dataset, &[&half]).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    let text = error.to_string();
    let place = files_below(&fixture.data());
    let place = place.iter().find(|file| file.ends_with("files/data.bin")).unwrap();
    let directory = fixture.data().join(place.parent().unwrap());
    let said = format!("{} is kept in {}", path.display(), directory.display());
    assert!(text.contains(&said) || !REPAIRS_IN_PLACE, "{text}");
    assert_eq!(path.exists(), !REPAIRS_IN_PLACE);
    let whole = WebSeed::serving(&dataset);
    dataset.assert_at(&ask(&fixture, &dataset, &[&whole]).run().unwrap());
    assert_eq!(whole.bytes_served(), PIECE as u64);
}

/// Regression test: reading parts that had not been written gave a file of zeros, which then
/// replaced the correct file. The resume record lists pieces of correct files, which exist only in
/// their final place.
#[test]
fn right_files_stay_right_when_a_repair_is_resumed() {
    let dataset = folder();
    let (fixture, path, _) = GetFixture::complete(&dataset);
    for offset in [0, 2 * PIECE as u64] {
        flip(&path.join("a"), offset);
    }
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..1));
    ask(&fixture, &dataset, &[&half]).run().unwrap_err();
    let whole = WebSeed::serving(&dataset);
    dataset.assert_at(&ask(&fixture, &dataset, &[&whole]).run().unwrap());
    // Plus the piece that the moved file shares with its neighbor.
    assert_eq!(whole.bytes_served(), if REPAIRS_IN_PLACE { 2 } else { 1 } * PIECE as u64);
}

/// A correct file stays in place, and its pin is checked there.
#[test]
fn pins_hold_for_files_that_stay_and_for_those_that_are_mended() {
    let dataset = folder();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    let digests = ["a", "e"].map(|file| sha256(&std::fs::read(path.join(file)).unwrap()));
    flip(&path.join("a"), 0);
    let ask = |e: &str| {
        ask(&fixture, &dataset, &[&seed]).sha256("a", digests[0].as_str()).sha256("e", e).run()
    };
    let error = ask(&"0".repeat(64)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    assert!(error.to_string().contains("`e`"), "{error}");
    dataset.assert_at(&ask(&digests[1]).unwrap());
}

/// Changes that the user makes during the download are neither truncated nor taken for verified
/// data.
#[test]
fn a_file_that_changes_while_its_mending_is_waited_for_is_left_alone() {
    let dataset = single();
    let (fixture, path, _) = GetFixture::complete(&dataset);
    flip(&path, 5);
    let seed = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 0 });
    let get = ask(&fixture, &dataset, &[&seed]);
    let get = std::thread::spawn(move || get.run());
    eventually("the damaged piece is requested", || !seed.requests().is_empty());
    std::fs::File::options().write(true).open(&path).unwrap().set_len(LENGTH + 10).unwrap();
    seed.mend();
    let error = get.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disk, "{error}");
    assert!(error.to_string().contains("was changed after it was hashed"), "{error}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), LENGTH + 10);
}
