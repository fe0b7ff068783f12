//! Selections of a dataset that a store already has: nothing is downloaded.

use std::path::{Path, PathBuf};

use academictorrents::{ErrorKind, Get};

use crate::load_path::{LOAD_PATH, flip, state};
#[cfg(target_os = "linux")]
use crate::refusals::sha256;
use crate::support::files::inode;
use crate::support::{Project, files_below};
use crate::swarm::{Dataset, WebSeed, random_bytes};

const PIECE: usize = 32 << 10;

/// 300 files, none of which ends on a piece boundary; every second file is in `even`.
fn many() -> Dataset {
    let name = |index| format!("{}/f{index}", if index % 2 == 0 { "even" } else { "odd" });
    let files: Vec<_> =
        (0..300).map(|index| (name(index), random_bytes(index, 1_000 + index as usize))).collect();
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone()));
    Dataset::multi("many", files).piece_length(1 << 14)
}

/// A few files whose neighbors share a piece.
fn few() -> Dataset {
    let file = |seed| random_bytes(seed, 7 * PIECE / 2);
    let files = [("a", file(1)), ("b", file(2)), ("c", file(3)), ("d", file(4))];
    Dataset::multi("few", files).piece_length(PIECE)
}

/// A project with the whole dataset, and the seed that provided it.
fn with_all(dataset: &Dataset) -> (Project, WebSeed) {
    let seed = WebSeed::serving(dataset);
    let project = Project::of(dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    project.path_of("data");
    (project, seed)
}

/// Asserts that exactly the selected files of the dataset are below the path.
#[track_caller]
fn assert_files(dataset: &Dataset, path: &Path, is_one: impl Fn(&str) -> bool) {
    let dir = tempfile::tempdir().unwrap();
    dataset.write_to(dir.path());
    let all = dir.path().join(std::str::from_utf8(dataset.name()).unwrap());
    let mut wanted = files_below(&all);
    wanted.retain(|file| is_one(file.to_str().unwrap()));
    assert_eq!(files_below(path), wanted);
    for file in wanted {
        assert!(
            std::fs::read(path.join(&file)).unwrap() == std::fs::read(all.join(&file)).unwrap()
        );
    }
}

/// Builds a selection offline.
#[track_caller]
fn offline(project: &Project, lines: &str) -> PathBuf {
    project.declare_data(lines);
    let run = project.build().env("ACADEMICTORRENTS_OFFLINE", "1").run();
    run.unwrap_or_else(|error| panic!("{lines}: {error}"))
        .dataset("data")
        .unwrap()
        .path()
        .to_owned()
}

#[test]
fn every_second_of_300_small_files_is_served_from_the_whole_dataset_by_links() {
    let dataset = many();
    let (project, seed) = with_all(&dataset);
    let whole = project.path_of("data");
    let before = seed.http().server().connections();
    project.declare_data(&format!("web-seeds = [\"{}\"]\nfiles = [\"even/*\"]", seed.url()));
    let even = project.path_of("data");
    let odd = offline(&project, "files = [\"odd/*\"]");
    for (path, name) in [(even, "even"), (odd, "odd")] {
        assert_files(&dataset, &path, |file| file.starts_with(name));
        let file = &files_below(&path)[0];
        assert_eq!(inode(&path.join(file)), inode(&whole.join(file)));
        // After a change of its time, the selection is hashed again, which its stamp makes
        // possible.
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(77);
        std::fs::File::open(path.join(file)).unwrap().set_modified(time).unwrap();
        assert_eq!(offline(&project, &format!("files = [\"{name}/*\"]")), path);
    }
    assert_eq!(seed.http().server().connections(), before);
}

#[test]
fn a_selection_is_served_from_another_one_that_covers_it() {
    let dataset = few();
    let seed = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, "");
    project.declare_data(&format!("web-seeds = [\"{}\"]\nfiles = [\"b\", \"c\"]", seed.url()));
    project.path_of("data");
    for name in ["b", "c"] {
        let path = offline(&project, &format!("files = [\"{name}\"]"));
        assert_files(&dataset, &path, |file| file == name);
    }
    // If the other selection covers only a part, that part is reused and the rest is downloaded.
    let (project, seed) = (Project::of(&dataset, ""), WebSeed::serving(&dataset));
    let lines = |files: &str| format!("web-seeds = [\"{}\"]\nfiles = {files}", seed.url());
    project.declare_data(&lines("[\"a\", \"b\"]"));
    project.path_of("data");
    let first = seed.bytes_served();
    project.declare_data(&lines("[\"b\", \"c\"]"));
    assert_files(&dataset, &project.path_of("data"), |file| ["b", "c"].contains(&file));
    // `c` has pieces 7 to 10.
    assert_eq!(seed.bytes_served() - first, 4 * PIECE as u64);
}

#[test]
fn a_selection_is_served_from_a_store_on_the_load_path_in_place() {
    let dataset = few();
    for theirs in ["", "files = [\"a\", \"b\", \"c\"]"] {
        let seed = WebSeed::serving(&dataset);
        let keeper = Project::of(&dataset, "");
        keeper.declare_data(&format!("web-seeds = [\"{}\"]\n{theirs}", seed.url()));
        let path = keeper.path_of("data");
        let before = state(&path);
        let ours = Project::of(&dataset, "").env(LOAD_PATH, keeper.store().display());
        assert_eq!(offline(&ours, "files = [\"b\", \"c\"]"), path);
        assert_eq!(state(&path), before);
        assert!(!ours.store().exists());
    }
}

/// No selection can be created there, so the files of the whole dataset are used in place.
#[test]
#[cfg(target_os = "linux")]
fn in_a_store_that_cannot_be_written_to_a_selection_is_served_from_the_whole_dataset() {
    let dataset = few();
    let (project, _seed) = with_all(&dataset);
    let whole = project.path_of("data");
    let before = state(&whole);
    let locks = project.store().join("v1/locks");
    std::fs::remove_dir_all(&locks).unwrap();
    // Not even root can create files there.
    std::os::unix::fs::symlink("/sys", &locks).unwrap();
    assert_eq!(offline(&project, "files = ['b', 'c']"), whole);
    assert_eq!(state(&whole), before);
    // Not in place of a copy that the user named, which cannot be stamped there.
    let run = project.build().env("ACADEMICTORRENTS_PATH_DATA", project.path("wrong")).run();
    assert_eq!(run.unwrap_err().kind(), ErrorKind::Disk);
    // Its stamp must be valid.
    flip(&whole.join("b"), 1_000);
    let run = project.build().env("ACADEMICTORRENTS_OFFLINE", "1").run();
    let error = run.unwrap_err().to_string();
    assert!(error.contains("the store is read-only"), "{error}");
}

#[test]
fn in_a_store_with_a_fault_a_selection_is_not_served_from_the_whole_dataset() {
    let dataset = few();
    let (project, _seed) = with_all(&dataset);
    let whole = project.path_of("data");
    let before = state(&whole);
    project.declare_data("files = ['b', 'c']");
    let fails = |why: &str| {
        let run = project.build().env("ACADEMICTORRENTS_OFFLINE", "1").run();
        let error = run.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.kind(), ErrorKind::Disk);
        let datasets = project.build().env("DOCS_RS", "1").run().unwrap();
        assert_ne!(datasets.dataset("data").unwrap().path(), whole);
    };
    let locks = project.store().join("v1/locks");
    let lock = locks.join(format!("{}.lock", dataset.infohash_hex()));
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir_all(lock.join("full")).unwrap();
    fails("is a directory where a file is expected: remove it");
    std::fs::remove_dir_all(&locks).unwrap();
    std::fs::write(&locks, "").unwrap();
    fails("locks is not a directory");
    assert_eq!(state(&whole), before);
}

/// As after a backup was restored, or in the image of a container.
#[test]
#[cfg(target_os = "linux")]
fn in_a_store_that_cannot_be_written_to_files_whose_times_were_lost_are_hashed() {
    let dataset = few();
    let (project, _seed) = with_all(&dataset);
    let whole = project.path_of("data");
    for name in ["a", "b", "c"] {
        let file = std::fs::File::open(whole.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    let before = state(&whole);
    let locks = project.store().join("v1/locks");
    std::fs::remove_dir_all(&locks).unwrap();
    // Not even root can create files there.
    std::os::unix::fs::symlink("/sys", &locks).unwrap();
    for files in ["", "files = ['b', 'c']", "rename = 'other'", "rename = 'other'\nfiles = ['b']"] {
        for _ in 0..2 {
            assert_eq!(offline(&project, files), whole, "{files}");
        }
    }
    let pinned = |pin: &str| format!("sha256 = {{ 'b' = '{pin}' }}");
    project.declare_data(&pinned(&"0".repeat(64)));
    let run = project.build().env("ACADEMICTORRENTS_OFFLINE", "1").run();
    assert_eq!(run.unwrap_err().kind(), ErrorKind::Verification);
    assert_eq!(state(&whole), before);
    // A damaged file, which the pin is not blamed for.
    let pinned = pinned(&sha256(&std::fs::read(whole.join("b")).unwrap()));
    flip(&whole.join("b"), 1_000);
    for lines in ["", "files = ['b', 'c']", &pinned] {
        project.declare_data(lines);
        let run = project.build().env("ACADEMICTORRENTS_OFFLINE", "1").run();
        let error = run.unwrap_err().to_string();
        assert!(error.contains("the store is read-only"), "{error}");
        assert!(error.contains("\n  of the existing data: piece "), "{error}");
    }
    assert_eq!(offline(&project, "files = ['c']"), whole);
}

#[test]
fn a_selection_for_a_place_of_its_own_is_copied_from_the_store() {
    let dataset = few();
    let (project, seed) = with_all(&dataset);
    let before = (seed.http().server().connections(), state(&project.path_of("data")));
    let path = offline(&project, "store = \"out-dir\"\nfiles = [\"b\"]");
    assert!(path.starts_with(project.path("out")), "{path:?}");
    assert_files(&dataset, &path, |file| file == "b");
    let into = project.path("into");
    let get = Get::new(project.path("data.torrent").to_str().unwrap())
        .env_clear()
        .env("ACADEMICTORRENTS_STORE", project.store())
        .env("ACADEMICTORRENTS_OFFLINE", "1")
        .env("ACADEMICTORRENTS_PROGRESS", "off");
    assert_files(&dataset, &get.files(["c"]).into(&into).run().unwrap(), |file| file == "c");
    project.declare_data("");
    let after = (seed.http().server().connections(), state(&project.path_of("data")));
    assert_eq!(after, before);
}

#[test]
fn of_a_dataset_that_is_damaged_a_selection_takes_what_is_right_and_fetches_the_rest() {
    let dataset = few();
    // The last byte of `a` is damaged, in the piece that `b` shares. The stamp is still valid, or
    // not.
    for keeps_time in [true, false] {
        let (project, seed) = with_all(&dataset);
        let whole = project.path_of("data");
        let damaged = whole.join("a");
        let modified = std::fs::metadata(&damaged).unwrap().modified().unwrap();
        flip(&damaged, 7 * PIECE / 2 - 1);
        if keeps_time {
            std::fs::File::open(&damaged).unwrap().set_modified(modified).unwrap();
        }
        let before = seed.bytes_served();
        let lines = |files: &str| format!("web-seeds = [\"{}\"]\n{files}", seed.url());
        project.declare_data(&lines("files = [\"b\"]"));
        assert_files(&dataset, &project.path_of("data"), |file| file == "b");
        assert_eq!(seed.bytes_served() - before, PIECE as u64, "{keeps_time}");
        project.declare_data(&lines(""));
        dataset.assert_at(&project.path_of("data"));
    }
}
