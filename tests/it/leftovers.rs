//! Changes the leftovers of an earlier process in every way: the next process publishes only bytes
//! that it hashed.

use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::{Command, Stdio};

use academictorrents::{ErrorKind, Get};

use crate::get::{GetFixture, folder};
use crate::support::files::{PIECE, flip};
use crate::support::{files_below, side_by_side};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, WebSeed};

/// The target of a download: a store, a directory, or a selection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Into {
    Store,
    Directory,
    Selection,
}

const PLACES: [Into; 3] = [Into::Store, Into::Directory, Into::Selection];

fn ask(fixture: &GetFixture, dataset: &Dataset, into: Into, seed: &WebSeed) -> Get {
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    let get = fixture.ask(torrent.to_str().unwrap());
    match into {
        Into::Store => get,
        Into::Directory => get.into(fixture.data()),
        // Both files share pieces with unselected files.
        Into::Selection => get.files(["d/b", "e"]),
    }
}

/// Starts a download that lacks one file, so that the other files are recorded.
fn begun(dataset: &Dataset, into: Into) -> GetFixture {
    let fixture = GetFixture::new();
    let seed = WebSeed::serving(dataset).with(Fault::NotFoundFor("e".into()));
    ask(&fixture, dataset, into, &seed).run().unwrap_err();
    fixture
}

/// Records everything but publishes nothing, because a pin does not match.
fn all_but_published(dataset: &Dataset, into: Into) -> GetFixture {
    let fixture = GetFixture::new();
    let seed = WebSeed::serving(dataset);
    let error = ask(&fixture, dataset, into, &seed).sha256("e", "0".repeat(64)).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    fixture
}

fn workplace(fixture: &GetFixture) -> Vec<PathBuf> {
    let root = fixture.path("");
    let files = files_below(&root).into_iter().map(|file| root.join(file));
    files.filter(|file| file.components().any(|it| it.as_os_str() == "partial")).collect()
}

fn record(fixture: &GetFixture) -> PathBuf {
    workplace(fixture).into_iter().find(|file| file.ends_with("record")).unwrap()
}

fn data(fixture: &GetFixture) -> Vec<PathBuf> {
    workplace(fixture).into_iter().filter(|file| !file.ends_with("record")).collect()
}

fn set_read_only(file: &Path) {
    let mut permissions = std::fs::metadata(file).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(file, permissions).unwrap();
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

fn resized(file: &Path, length: u64) {
    std::fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

type Corruption = (&'static str, fn(&GetFixture));

const CORRUPTIONS: [Corruption; 11] = [
    ("nothing", |_| {}),
    ("zeros, as after a disk that was removed and mounted again", |fixture| {
        data(fixture)
            .iter()
            .for_each(|it| std::fs::write(it, vec![0; length(it) as usize]).unwrap());
    }),
    ("one byte of each file", |fixture| {
        data(fixture).iter().for_each(|it| flip(it, length(it) / 2))
    }),
    ("one byte of each file, which is read-only now", |fixture| {
        for file in data(fixture) {
            flip(&file, 7);
            set_read_only(&file);
        }
    }),
    ("read-only, and right", |fixture| data(fixture).iter().for_each(|it| set_read_only(it))),
    ("truncated", |fixture| data(fixture).iter().for_each(|it| resized(it, length(it) / 3))),
    ("extended", |fixture| data(fixture).iter().for_each(|it| resized(it, length(it) + 1))),
    ("sparse", |fixture| {
        for file in data(fixture) {
            let length = length(&file);
            std::fs::remove_file(&file).unwrap();
            std::fs::File::create(&file).unwrap();
            resized(&file, length);
        }
    }),
    ("removed", |fixture| data(fixture).iter().for_each(|it| std::fs::remove_file(it).unwrap())),
    ("other pieces in the record", |fixture| {
        let mut bytes = std::fs::read(record(fixture)).unwrap();
        let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        bytes[start..].chunks_mut(4).for_each(|index| index[3] ^= 4);
        std::fs::write(record(fixture), bytes).unwrap();
    }),
    ("all pieces in the record, and more", |fixture| {
        let mut bytes = std::fs::read(record(fixture)).unwrap();
        bytes.extend((0..100_u32).flat_map(u32::to_be_bytes));
        std::fs::write(record(fixture), bytes).unwrap();
    }),
];

#[track_caller]
fn assert_published(dataset: &Dataset, into: Into, path: &Path, what: &str) {
    for (name, bytes) in dataset.files() {
        if into != Into::Selection || ["d/b", "e"].contains(&name.as_str()) {
            let found = std::fs::read(path.join(&name)).unwrap();
            assert!(found == bytes, "{what}, {into:?}: {name} has wrong bytes");
        }
    }
}

#[test]
fn whatever_happened_to_what_was_left_right_bytes_are_published() {
    let dataset = folder();
    let cases = PLACES.into_iter().flat_map(|into| CORRUPTIONS.map(|it| (into, it)));
    let cases: Vec<(Into, Corruption)> = cases.collect();
    side_by_side(&cases, |(into, (what, corrupt))| {
        let fixture = begun(&dataset, *into);
        assert!(data(&fixture).len() > 1);
        corrupt(&fixture);
        let seed = WebSeed::serving(&dataset);
        let path = ask(&fixture, &dataset, *into, &seed).run();
        let path = path.unwrap_or_else(|error| panic!("{what}, {into:?}: {error}"));
        assert_published(&dataset, *into, &path, what);
    });
}

#[test]
fn what_is_all_there_needs_no_source_and_no_permission() {
    let dataset = folder();
    side_by_side(&PLACES, |into| {
        let fixture = all_but_published(&dataset, *into);
        let seed = WebSeed::serving(&dataset);
        let get = ask(&fixture, &dataset, *into, &seed).max_size(PIECE as u64 - 1);
        let path = get.env("ACADEMICTORRENTS_FETCH", "never").offline(true).run();
        assert_published(&dataset, *into, &path.unwrap(), "nothing");
        assert_eq!(seed.requests().len(), 0);
    });
}

#[test]
fn what_turns_out_to_be_damaged_is_fetched_only_if_it_may_be() {
    let dataset = folder();
    side_by_side(&PLACES, |into| {
        let fixture = all_but_published(&dataset, *into);
        let damaged = data(&fixture).into_iter().find(|file| file.ends_with("e")).unwrap();
        flip(&damaged, length(&damaged) - 1);
        let seed = WebSeed::serving(&dataset);
        let ask = || ask(&fixture, &dataset, *into, &seed);
        let refused = [
            (ask().max_size(PIECE as u64 - 1), ErrorKind::TooLarge),
            (ask().env("ACADEMICTORRENTS_FETCH", "never"), ErrorKind::Offline),
            (ask().offline(true), ErrorKind::Offline),
        ];
        for (get, kind) in refused {
            let error = get.run().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
        assert_eq!(seed.requests().len(), 0);
        // Includes the size of files and directories, which also counts.
        let path = ask().max_size(2 * PIECE as u64).run().unwrap();
        assert_published(&dataset, *into, &path, "one byte");
        assert_eq!(seed.bytes_served(), PIECE as u64);
    });
}

#[test]
fn what_turns_out_to_be_damaged_counts_towards_the_limit_while_the_rest_is_fetched() {
    let dataset = folder();
    let fixture = begun(&dataset, Into::Store);
    let files = data(&fixture);
    let of = |name: &str| files.iter().find(|file| file.ends_with(name)).unwrap();
    flip(of("a"), 0);
    // Half of the last piece of `d/c`, and `e`.
    let missing = 4 * PIECE as u64;
    let seed = WebSeed::serving(&dataset);
    let get = || ask(&fixture, &dataset, Into::Store, &seed);
    let error = get().max_size(missing + PIECE as u64 - 1).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains("have changed on disk"), "{error}");
    assert!(!fixture.path("store/v1/data").join(dataset.infohash_hex()).exists());
    let path = get().max_size(missing + 2 * PIECE as u64).run().unwrap();
    assert_published(&dataset, Into::Store, &path, "one byte");
}

/// Data of an earlier run does not replace files that the user has restored.
#[test]
fn files_that_their_owner_has_restored_stay_right() {
    let dataset = folder();
    let restored: [&[&str]; 3] = [&["a"], &["d/b", "d/c"], &["a", "d/b", "d/c", "e"]];
    side_by_side(&restored, |restored| {
        let fixture = begun(&dataset, Into::Directory);
        data(&fixture).iter().for_each(|it| flip(it, length(it) / 2));
        for (name, bytes) in dataset.files().iter().filter(|it| restored.contains(&it.0.as_str())) {
            let place = fixture.data().join("tree").join(name);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, bytes).unwrap();
        }
        let seed = WebSeed::serving(&dataset);
        let path = ask(&fixture, &dataset, Into::Directory, &seed).run().unwrap();
        assert_published(&dataset, Into::Directory, &path, &format!("{restored:?}"));
        assert!(!fixture.workplace().exists());
    });
}

/// All bytes of the file are correct, but it is too long.
#[test]
fn a_file_of_zeros_that_is_too_long_gets_its_length() {
    let dataset = Dataset::multi("tree", [("a", vec![1; PIECE]), ("b", vec![0; 100])]);
    let (fixture, path, _) = GetFixture::complete(&dataset);
    resized(&path.join("b"), 200);
    let seed = WebSeed::serving(&dataset);
    dataset.assert_at(&ask(&fixture, &dataset, Into::Directory, &seed).run().unwrap());
}

/// A piece of the file under repair extends into a correct file, which stays in place.
#[test]
fn a_file_that_is_right_is_not_replaced_for_the_sake_of_its_neighbor() {
    let dataset = folder();
    let (fixture, path, _) = GetFixture::complete(&dataset);
    let right = std::fs::read(path.join("a")).unwrap();
    [0, 2 * PIECE as u64].iter().for_each(|at| flip(&path.join("a"), *at));
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..1));
    ask(&fixture, &dataset, Into::Directory, &half).run().unwrap_err();
    let repaired = data(&fixture).into_iter().find(|file| file.ends_with("a")).unwrap();
    flip(&repaired, length(&repaired) - 1);
    // In the file's place is a copy with another damaged piece and a correct end, where its
    // neighbor begins.
    std::fs::write(path.join("a"), &right).unwrap();
    flip(&path.join("a"), 0);
    let seed = WebSeed::serving(&dataset);
    let path = ask(&fixture, &dataset, Into::Directory, &seed).run().unwrap();
    dataset.assert_at(&path);
}

/// Makes `child` download into this directory.
#[cfg(unix)]
const CHILD: &str = "ACADEMICTORRENTS_TEST_INTO";

/// Not a test by itself: see below.
#[cfg(unix)]
#[test]
fn child() {
    if let Some(directory) = std::env::var_os(CHILD) {
        let directory = PathBuf::from(directory);
        let torrent = directory.join("data.torrent");
        let get = Get::new(torrent.to_str().unwrap()).env_clear().into(directory.join("data"));
        let get = get.env("ACADEMICTORRENTS_STORE", directory.join("store"));
        let get = get.env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off");
        get.run().unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Files that are created read-only must still be written.
#[cfg(unix)]
#[test]
fn no_write_is_lost_under_a_umask_that_makes_files_read_only() {
    let dataset = folder();
    let fixture = GetFixture::new();
    let seed = WebSeed::serving(&dataset);
    drop(ask(&fixture, &dataset, Into::Directory, &seed));
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0222 && exec \"$0\" --exact leftovers::child --nocapture"]);
    shell.arg(std::env::current_exe().unwrap()).env(CHILD, fixture.path(""));
    let output = shell.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => dataset.assert_at(&fixture.data().join("tree")),
        // Directories are read-only too, except for root.
        false => assert!(said.contains("denied"), "{said}"),
    }
}
