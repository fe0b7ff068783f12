//! [`academictorrents::Get`]: downloads at run time, mostly into a user's directory.

use std::path::PathBuf;

use academictorrents::{Error, ErrorKind, Get};

use crate::support::files::{PIECE, REPAIRS_IN_PLACE, flip, inode};
use crate::support::{files_below, slashes};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, WebSeed, eventually, random_bytes};

const PIECES: usize = 100;
pub const LENGTH: u64 = (PIECES * PIECE) as u64;

/// A temporary directory with a target directory, a store and a .torrent.
pub struct GetFixture {
    dir: tempfile::TempDir,
}

impl GetFixture {
    pub fn new() -> GetFixture {
        GetFixture { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A call for an id, without any variable of the real environment.
    pub fn ask(&self, id: &str) -> Get {
        Get::new(id)
            .env_clear()
            .env("ACADEMICTORRENTS_STORE", self.path("store"))
            .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
            .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
            .env("ACADEMICTORRENTS_PROGRESS", "off")
            .env("ACADEMICTORRENTS_TIMEOUT", "3s")
    }

    /// Downloads a dataset by its .torrent, which names this web seed, into the target directory.
    pub fn get(&self, dataset: &Dataset, seed: &WebSeed) -> Result<PathBuf, Error> {
        let torrent = self.path("data.torrent");
        std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
        self.ask(torrent.to_str().unwrap()).into(self.data()).run()
    }

    /// Downloads the dataset into the target directory; returns its path and a web seed that counts
    /// later downloads.
    pub fn complete(dataset: &Dataset) -> (GetFixture, PathBuf, WebSeed) {
        let fixture = GetFixture::new();
        let path = fixture.get(dataset, &WebSeed::serving(dataset)).unwrap();
        (fixture, path, WebSeed::serving(dataset))
    }

    pub fn workplace(&self) -> PathBuf {
        self.data().join(".academictorrents")
    }
}

pub fn single() -> Dataset {
    Dataset::single("data.bin", random_bytes(31, LENGTH as usize))
}

/// Files of three and a half pieces each, so that neighbors share a piece.
pub fn folder() -> Dataset {
    let file = |seed| random_bytes(seed, 7 * PIECE / 2);
    Dataset::multi("tree", [("a", file(1)), ("d/b", file(2)), ("d/c", file(3)), ("e", file(4))])
}

fn name_of(dataset: &Dataset) -> &str {
    std::str::from_utf8(dataset.name()).unwrap()
}

#[test]
fn a_dataset_comes_into_a_directory_and_nothing_else_does() {
    for dataset in [single(), folder()] {
        let (fixture, path, _) = GetFixture::complete(&dataset);
        assert_eq!(path, fixture.data().join(name_of(&dataset)));
        dataset.assert_at(&path);
        let files = files_below(&fixture.data());
        assert!(files.iter().all(|file| file.starts_with(name_of(&dataset))), "{files:?}");
        assert!(!fixture.workplace().exists());
        // The files belong to the user and are writable.
        let first = fixture.data().join(&files[0]);
        assert!(!std::fs::metadata(first).unwrap().permissions().readonly());
    }
}

#[test]
fn what_is_right_is_not_fetched_again() {
    for dataset in [single(), folder()] {
        let (fixture, path, seed) = GetFixture::complete(&dataset);
        let before = inode(&path);
        fixture.get(&dataset, &seed).unwrap();
        assert_eq!(seed.bytes_served(), 0);
        assert_eq!(inode(&path), before);
        assert!(!fixture.workplace().exists());
        drop(seed);
        let torrent = fixture.path("data.torrent");
        let ask = fixture.ask(torrent.to_str().unwrap()).into(fixture.data());
        assert_eq!(ask.env("ACADEMICTORRENTS_OFFLINE", "1").run().unwrap(), path);
    }
}

#[test]
fn of_a_damaged_file_only_the_damaged_pieces_are_fetched() {
    let dataset = single();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    let before = inode(&path);
    for piece in [0, 7, 8, 99] {
        flip(&path, (piece * PIECE + 5) as u64);
    }
    fixture.get(&dataset, &seed).unwrap();
    dataset.assert_at(&path);
    assert_eq!(seed.bytes_served(), 4 * PIECE as u64);
    // Nothing was copied.
    assert!(inode(&path) == before || !REPAIRS_IN_PLACE);
    assert!(!fixture.workplace().exists());
}

#[test]
fn a_file_that_is_right_stays_where_its_damaged_neighbour_is_mended() {
    let dataset = folder();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    let before = inode(&path.join("e"));
    flip(&path.join("a"), 0);
    std::fs::remove_file(path.join("d/c")).unwrap();
    std::fs::write(path.join("notes.txt"), "mine").unwrap();
    fixture.get(&dataset, &seed).unwrap();
    assert_eq!(std::fs::read(path.join("notes.txt")).unwrap(), b"mine");
    std::fs::remove_file(path.join("notes.txt")).unwrap();
    dataset.assert_at(&path);
    // `e` begins inside a piece that `d/c` shares. The file was not rewritten.
    assert!(inode(&path.join("e")) == before || !REPAIRS_IN_PLACE);
    // The first piece, and the four and a half pieces of `d/c`.
    assert!(seed.bytes_served() <= 6 * PIECE as u64, "{}", seed.bytes_served());
}

/// The path exceeds the length that Windows allows to programs without long path support.
#[test]
fn a_long_directory_is_fetched_into_and_repaired_in() {
    let dataset = folder();
    let fixture = GetFixture::new();
    let seed = WebSeed::serving(&dataset);
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    let long = ["d", "e", "f"].iter().fold(fixture.data(), |it, name| it.join(name.repeat(120)));
    let get = || fixture.ask(torrent.to_str().unwrap()).into(&long).run().unwrap();
    let path = get();
    dataset.assert_at(&path);
    flip(&path.join("d/b"), 5);
    std::fs::remove_file(path.join("a")).unwrap();
    dataset.assert_at(&get());
    assert!(!long.join(".academictorrents").exists());
    // The same for a store, which hard-links existing files.
    let store = long.join("store");
    let get = |files: &[&str]| {
        let ask = fixture.ask(torrent.to_str().unwrap()).files(files.iter().copied());
        ask.env("ACADEMICTORRENTS_STORE", &store).run().unwrap()
    };
    let whole = get(&[]);
    dataset.assert_at(&whole);
    let served = seed.bytes_served();
    let part = get(&["a"]);
    assert_eq!(std::fs::read(part.join("a")).unwrap(), std::fs::read(whole.join("a")).unwrap());
    assert_eq!(seed.bytes_served(), served);
}

#[test]
fn a_file_with_another_name_is_copied_before_it_is_mended() {
    let dataset = single();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    flip(&path, 5);
    let other = fixture.path("other.bin");
    std::fs::hard_link(&path, &other).unwrap();
    let damaged = std::fs::read(&other).unwrap();
    fixture.get(&dataset, &seed).unwrap();
    dataset.assert_at(&path);
    assert_eq!(seed.bytes_served(), PIECE as u64);
    assert!(std::fs::read(&other).unwrap() == damaged, "a file with another name was changed");
}

#[test]
fn a_file_of_the_wrong_length_is_mended() {
    let dataset = single();
    for length in [LENGTH - 10, LENGTH + 10, 0] {
        let (fixture, path, seed) = GetFixture::complete(&dataset);
        std::fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        fixture.get(&dataset, &seed).unwrap();
        dataset.assert_at(&path);
        let most = if length == 0 { LENGTH } else { PIECE as u64 };
        assert!(seed.bytes_served() <= most, "{length}: {}", seed.bytes_served());
    }
}

#[test]
fn a_run_that_failed_is_gone_on_from() {
    let dataset = single();
    let fixture = GetFixture::new();
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..50));
    let error = fixture.get(&dataset, &half).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    let error = slashes(&error.to_string());
    assert!(error.contains("ACADEMICTORRENTS_MIRRORS") && !error.contains("Cargo.toml"), "{error}");
    assert!(error.contains(".academictorrents/v1, and the next run resumes"), "{error}");
    // An incomplete file never has its final name.
    assert!(!fixture.data().join("data.bin").exists() && fixture.workplace().exists());
    let whole = WebSeed::serving(&dataset);
    dataset.assert_at(&fixture.get(&dataset, &whole).unwrap());
    assert_eq!(whole.bytes_served(), LENGTH - (50 * PIECE) as u64);
    assert!(!fixture.workplace().exists());
}

#[test]
fn two_runs_into_one_directory_fetch_once() {
    let dataset = single();
    let fixture = GetFixture::new();
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 3_000_000 });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| fixture.get(&dataset, &seed).unwrap());
        eventually("the first download has started", || seed.bytes_served() > 0);
        dataset.assert_at(&fixture.get(&dataset, &seed).unwrap());
        first.join().unwrap();
    });
    assert_eq!(seed.bytes_served(), LENGTH);
    assert!(!fixture.workplace().exists());
}

#[test]
fn an_infohash_is_looked_up_and_without_a_directory_the_store_has_the_data() {
    let dataset = single();
    let fixture = GetFixture::new();
    let seed = WebSeed::serving(&dataset);
    let catalogue = Catalogue::serving(&[&dataset.clone().url_list([seed.url()])]);
    let ask = || {
        fixture
            .ask(&dataset.infohash_hex())
            .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
            .run()
    };
    let path = ask().unwrap();
    assert!(path.starts_with(fixture.path("store")), "{path:?}");
    dataset.assert_at(&path);
    assert_eq!(ask().unwrap(), path);
    assert_eq!(seed.bytes_served(), LENGTH);
}

#[test]
fn what_cannot_be_an_id_or_a_place_is_refused_and_nothing_is_lost() {
    let fixture = GetFixture::new();
    let check = |error: Error, parts: &[&str]| {
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    check(
        fixture.ask("mnist").run().unwrap_err(),
        &["`mnist`", "neither an infohash nor a magnet link nor the path"],
    );
    let text = fixture.path("notes.txt");
    std::fs::write(&text, "hello").unwrap();
    check(fixture.ask(text.to_str().unwrap()).run().unwrap_err(), &["not a .torrent", "notes.txt"]);
    // A directory is in the place of the file.
    let dataset = single();
    let in_the_way = fixture.data().join("data.bin");
    std::fs::create_dir_all(in_the_way.join("mine")).unwrap();
    let seed = WebSeed::serving(&dataset);
    let error = fixture.get(&dataset, &seed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disk);
    check(error, &["data.bin"]);
    assert!(in_the_way.join("mine").is_dir());
    // The downloaded data was kept.
    std::fs::remove_dir_all(&in_the_way).unwrap();
    dataset.assert_at(&fixture.get(&dataset, &seed).unwrap());
    assert_eq!(seed.bytes_served(), LENGTH);
    // A file is in the place of the directory.
    let torrent = fixture.path("data.torrent");
    let error = fixture.ask(torrent.to_str().unwrap()).into(&text).run().unwrap_err();
    check(error, &["notes.txt", "choose a directory"]);
    assert_eq!(std::fs::read(&text).unwrap(), b"hello");
}

#[test]
fn the_environments_limit_holds() {
    let dataset = single();
    let fixture = GetFixture::new();
    let seed = WebSeed::serving(&dataset);
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    let ask = fixture.ask(torrent.to_str().unwrap()).into(fixture.data());
    let error = ask.env("ACADEMICTORRENTS_MAX_SIZE", "1MiB").run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(!error.to_string().contains("Cargo.toml"), "{error}");
    assert_eq!(seed.bytes_served(), 0);
}

#[test]
fn who_forbids_to_fetch_is_heard_by_a_call_too() {
    let fixture = GetFixture::new();
    let error = fixture
        .ask("323a0048d87ca79b68f12a6350a57776b6a3b7fb")
        .env("ACADEMICTORRENTS_FETCH", "never")
        .run()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    let text = error.to_string();
    assert!(text.contains("downloading is not allowed"), "{text}");
    assert!(text.ends_with("help: unset ACADEMICTORRENTS_FETCH"), "{text}");
    // Set in the configuration file instead of a variable.
    let directory = fixture.path("config/academictorrents");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), "fetch = 'never'\n").unwrap();
    let ask = fixture.ask("323a0048d87ca79b68f12a6350a57776b6a3b7fb");
    let variable = if cfg!(windows) { "APPDATA" } else { "XDG_CONFIG_HOME" };
    let text = ask.env(variable, fixture.path("config")).run().unwrap_err().to_string();
    assert!(text.contains("config.toml"), "{text}");
    assert!(text.contains("set ACADEMICTORRENTS_FETCH=local"), "{text}");
}
