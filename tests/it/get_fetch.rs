//! The records of [`academictorrents::Get::fetch`] and [`academictorrents::Build`].

use std::path::Path;

use academictorrents::{Dataset as Record, ErrorKind};

use crate::get::{GetFixture, folder, single};
use crate::load_path::LOAD_PATH;
use crate::support::{Project, files_below};
use crate::swarm::{Dataset, WebSeed};

/// The record's files: path relative to the record's path, with `/`, and length.
pub fn files(record: &Record) -> Vec<(String, u64)> {
    let name = |path: &Path| {
        let below = path.strip_prefix(record.path()).unwrap();
        below.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("/")
    };
    record.files().iter().map(|file| (name(&file.path), file.length)).collect()
}

/// Checks that the record's files exist, and that no other files do.
#[track_caller]
pub fn check(record: &Record, expected: &[(&str, u64)]) {
    let found = files(record);
    let found: Vec<_> = found.iter().map(|(path, length)| (path.as_str(), *length)).collect();
    assert_eq!(found, expected);
    for file in record.files() {
        assert_eq!(std::fs::metadata(&file.path).unwrap().len(), file.length, "{file:?}");
    }
    let below = if record.path().is_dir() { files_below(record.path()).len() } else { 1 };
    assert_eq!(below, expected.len());
}

/// A fixture with the dataset's .torrent, which names the seed.
fn fixture(dataset: &Dataset, seed: &WebSeed) -> (GetFixture, String) {
    let fixture = GetFixture::new();
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    (fixture, torrent.to_str().unwrap().to_owned())
}

const HALF: u64 = (7 * crate::support::files::PIECE / 2) as u64;

#[test]
fn a_record_tells_path_infohash_and_files_however_the_dataset_came() {
    let cases: [(Dataset, &[(&str, u64)]); 2] = [
        (single(), &[("", crate::get::LENGTH)]),
        (folder(), &[("a", HALF), ("d/b", HALF), ("d/c", HALF), ("e", HALF)]),
    ];
    for (dataset, expected) in cases {
        let seed = WebSeed::serving(&dataset);
        let (fixture, torrent) = fixture(&dataset, &seed);
        // Downloaded to the store, found in the store, downloaded to a directory, found in the
        // directory.
        for into in [false, false, true, true] {
            let get = fixture.ask(&torrent);
            let get = if into { get.into(fixture.data()) } else { get };
            let record = get.clone().fetch().unwrap();
            dataset.assert_at(record.path());
            let shown = format!("{record:?}").replace(&format!("{:?}", record.path()), "");
            assert!(shown.len() < 200, "no metainfo: {shown}");
            check(&record, expected);
            assert_eq!(record.infohash().to_string(), dataset.infohash_hex());
            assert_eq!(record.archive(), None);
            assert!(record.name().contains("data"), "{}", record.name());
            assert_eq!(get.run().unwrap(), record.path());
        }
    }
}

#[test]
fn a_record_of_a_selection_has_the_selected_files() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset, &seed);
    let ask = || fixture.ask(&torrent).files(["d/*", "!d/b"]);
    for _ in 0..2 {
        check(&ask().fetch().unwrap(), &[("d/c", HALF)]);
    }
    check(&ask().into(fixture.data()).fetch().unwrap(), &[("d/c", HALF)]);
}

/// The copy may have more files than requested.
#[test]
fn of_a_whole_copy_a_record_has_the_selected_files_only() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let (theirs, torrent) = fixture(&dataset, &seed);
    let whole = theirs.ask(&torrent).run().unwrap();
    for load_path in [theirs.path("store"), whole.parent().unwrap().to_owned()] {
        let (ours, torrent) = fixture(&dataset, &seed);
        let ask = || ours.ask(&torrent).env(LOAD_PATH, &load_path).offline(true).files(["d/*"]);
        for _ in 0..2 {
            let record = ask().fetch().unwrap();
            assert_eq!(record.path(), whole);
            assert_eq!(files(&record), [("d/b".to_owned(), HALF), ("d/c".to_owned(), HALF)]);
        }
        // The record and the generated module of a build.
        let project =
            Project::of(&dataset, "files = [\"d/*\"]").env(LOAD_PATH, load_path.display());
        for _ in 0..2 {
            let datasets = project.run().unwrap();
            assert_eq!(files(datasets.dataset("data").unwrap()), files(&ask().fetch().unwrap()));
            let module = std::fs::read_to_string(project.path("out/datasets.rs")).unwrap();
            assert!(module.contains("\"d/c\"") && !module.contains("\"a\""), "{module}");
        }
    }
}

#[test]
fn a_builds_dataset_tells_the_same() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let lines = format!("web-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &lines);
    for _ in 0..2 {
        let datasets = project.run().unwrap();
        let record = datasets.dataset("data").unwrap();
        check(record, &[("a", HALF), ("d/b", HALF), ("d/c", HALF), ("e", HALF)]);
        assert_eq!((record.name(), record.archive()), ("data", None));
    }
    // A copy under another name.
    let copy = project.path("copy");
    std::fs::rename(project.path_of("data"), &copy).unwrap();
    let project = project.env("ACADEMICTORRENTS_PATH_DATA", copy.display());
    let datasets = project.run().unwrap();
    let record = datasets.dataset("data").unwrap();
    assert_eq!(record.path(), copy);
    check(record, &[("a", HALF), ("d/b", HALF), ("d/c", HALF), ("e", HALF)]);
}

/// As on docs.rs.
#[test]
fn where_nothing_is_fetched_a_record_has_the_files_of_a_vendored_torrent() {
    let project = Project::of(&folder(), "files = [\"d/*\"]").env("DOCS_RS", "1");
    let datasets = project.run().unwrap();
    let record = datasets.dataset("data").unwrap();
    assert_eq!(files(record), [("d/b".to_owned(), HALF), ("d/c".to_owned(), HALF)]);
    let bare = Project::new(&format!("data = \"{}\"", folder().infohash_hex())).env("DOCS_RS", "1");
    let datasets = bare.run().unwrap();
    assert_eq!(files(datasets.dataset("data").unwrap()), []);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_no_file_of_a_record() {
    let dataset = folder().link("l", "a", None);
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset, &seed);
    let record = fixture.ask(&torrent).fetch().unwrap();
    assert!(record.path().join("l").exists());
    assert!(files(&record).iter().all(|(path, _)| path != "l"), "{:?}", record.files());
}

#[test]
fn a_dataset_that_cannot_be_had_has_no_record() {
    let (fixture, torrent) = crate::get_options::fixture(&single());
    let error = fixture.ask(&torrent).offline(true).fetch().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
}
