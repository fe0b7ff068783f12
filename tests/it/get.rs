//! A dataset by a call, into a directory of the user's: [`academictorrents::Get`].

use std::path::{Path, PathBuf};

use academictorrents::{Error, ErrorKind, Get};

use crate::support::files_below;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, WebSeed, eventually, random_bytes};

pub const PIECE: usize = 32 << 10;
const PIECES: usize = 100;
pub const LENGTH: u64 = (PIECES * PIECE) as u64;

/// A directory to get into, a store and a .torrent, in a directory of their own.
pub struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Desk {
        Desk { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Asks for an id, with nothing of this machine's in the environment.
    pub fn ask(&self, id: &str) -> Get {
        Get::new(id)
            .env_clear()
            .env("ACADEMICTORRENTS_STORE", self.path("store"))
            .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
            .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
            .env("ACADEMICTORRENTS_PROGRESS", "off")
            .env("ACADEMICTORRENTS_TIMEOUT", "3s")
    }

    /// Asks for a dataset by its .torrent, which names this web seed.
    pub fn get(&self, dataset: &Dataset, seed: &WebSeed) -> Result<PathBuf, Error> {
        let torrent = self.path("data.torrent");
        std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
        self.ask(torrent.to_str().unwrap()).into(self.data()).run()
    }

    /// Has the dataset in its directory, and a seed that counts what is fetched from now on.
    pub fn complete(dataset: &Dataset) -> (Desk, PathBuf, WebSeed) {
        let desk = Desk::new();
        let path = desk.get(dataset, &WebSeed::serving(dataset)).unwrap();
        (desk, path, WebSeed::serving(dataset))
    }

    pub fn workplace(&self) -> PathBuf {
        self.data().join(".academictorrents")
    }
}

pub fn single() -> Dataset {
    Dataset::single("data.bin", random_bytes(31, LENGTH as usize))
}

/// Files of three and a half pieces each, so that neighbours share one.
pub fn folder() -> Dataset {
    let file = |seed| random_bytes(seed, 7 * PIECE / 2);
    Dataset::multi("tree", [("a", file(1)), ("d/b", file(2)), ("d/c", file(3)), ("e", file(4))])
}

fn name_of(dataset: &Dataset) -> &str {
    std::str::from_utf8(dataset.name()).unwrap()
}

pub fn flip(path: &Path, offset: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

pub fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().ino()
}

#[test]
fn a_dataset_comes_into_a_directory_and_nothing_else_does() {
    for dataset in [single(), folder()] {
        let (desk, path, _) = Desk::complete(&dataset);
        assert_eq!(path, desk.data().join(name_of(&dataset)));
        dataset.assert_at(&path);
        let files = files_below(&desk.data());
        assert!(files.iter().all(|file| file.starts_with(name_of(&dataset))), "{files:?}");
        assert!(!desk.workplace().exists());
        // They are the user's own.
        let first = desk.data().join(&files[0]);
        assert!(!std::fs::metadata(first).unwrap().permissions().readonly());
    }
}

#[test]
fn what_is_right_is_not_fetched_again() {
    for dataset in [single(), folder()] {
        let (desk, path, seed) = Desk::complete(&dataset);
        let before = inode(&path);
        desk.get(&dataset, &seed).unwrap();
        assert_eq!(seed.bytes_served(), 0);
        assert_eq!(inode(&path), before);
        assert!(!desk.workplace().exists());
        drop(seed);
        let torrent = desk.path("data.torrent");
        let ask = desk.ask(torrent.to_str().unwrap()).into(desk.data());
        assert_eq!(ask.env("ACADEMICTORRENTS_OFFLINE", "1").run().unwrap(), path);
    }
}

#[test]
fn of_a_damaged_file_only_the_damaged_pieces_are_fetched() {
    let dataset = single();
    let (desk, path, seed) = Desk::complete(&dataset);
    let before = inode(&path);
    for piece in [0, 7, 8, 99] {
        flip(&path, (piece * PIECE + 5) as u64);
    }
    desk.get(&dataset, &seed).unwrap();
    dataset.assert_at(&path);
    assert_eq!(seed.bytes_served(), 4 * PIECE as u64);
    // Nothing was copied.
    assert_eq!(inode(&path), before);
    assert!(!desk.workplace().exists());
}

#[test]
fn a_file_that_is_right_stays_where_its_damaged_neighbour_is_mended() {
    let dataset = folder();
    let (desk, path, seed) = Desk::complete(&dataset);
    let before = inode(&path.join("e"));
    flip(&path.join("a"), 0);
    std::fs::remove_file(path.join("d/c")).unwrap();
    std::fs::write(path.join("notes.txt"), "mine").unwrap();
    desk.get(&dataset, &seed).unwrap();
    assert_eq!(std::fs::read(path.join("notes.txt")).unwrap(), b"mine");
    std::fs::remove_file(path.join("notes.txt")).unwrap();
    dataset.assert_at(&path);
    // `e` begins in the middle of a piece that `d/c` had a part of: it moved, and was not written anew.
    assert_eq!(inode(&path.join("e")), before);
    // The first piece, and the four and a half that `d/c` lies in.
    assert!(seed.bytes_served() <= 6 * PIECE as u64, "{}", seed.bytes_served());
}

#[test]
fn a_file_with_another_name_is_copied_before_it_is_mended() {
    let dataset = single();
    let (desk, path, seed) = Desk::complete(&dataset);
    flip(&path, 5);
    let other = desk.path("other.bin");
    std::fs::hard_link(&path, &other).unwrap();
    let damaged = std::fs::read(&other).unwrap();
    desk.get(&dataset, &seed).unwrap();
    dataset.assert_at(&path);
    assert_eq!(seed.bytes_served(), PIECE as u64);
    assert!(std::fs::read(&other).unwrap() == damaged, "a file of another name was changed");
}

#[test]
fn a_file_of_the_wrong_length_is_mended() {
    let dataset = single();
    for length in [LENGTH - 10, LENGTH + 10, 0] {
        let (desk, path, seed) = Desk::complete(&dataset);
        std::fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        desk.get(&dataset, &seed).unwrap();
        dataset.assert_at(&path);
        let most = if length == 0 { LENGTH } else { PIECE as u64 };
        assert!(seed.bytes_served() <= most, "{length}: {}", seed.bytes_served());
    }
}

#[test]
fn a_run_that_failed_is_gone_on_from() {
    let dataset = single();
    let desk = Desk::new();
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..50));
    let error = desk.get(&dataset, &half).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    let error = error.to_string();
    assert!(error.contains("ACADEMICTORRENTS_MIRRORS") && !error.contains("Cargo.toml"), "{error}");
    assert!(error.contains(".academictorrents/v1, and the next run goes on from there"), "{error}");
    // No file that is half there stands under its name.
    assert!(!desk.data().join("data.bin").exists() && desk.workplace().exists());
    let whole = WebSeed::serving(&dataset);
    dataset.assert_at(&desk.get(&dataset, &whole).unwrap());
    assert_eq!(whole.bytes_served(), LENGTH - (50 * PIECE) as u64);
    assert!(!desk.workplace().exists());
}

#[test]
fn two_runs_into_one_directory_fetch_once() {
    let dataset = single();
    let desk = Desk::new();
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 3_000_000 });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| desk.get(&dataset, &seed).unwrap());
        eventually("the first has begun", || seed.bytes_served() > 0);
        dataset.assert_at(&desk.get(&dataset, &seed).unwrap());
        first.join().unwrap();
    });
    assert_eq!(seed.bytes_served(), LENGTH);
    assert!(!desk.workplace().exists());
}

#[test]
fn an_infohash_is_looked_up_and_without_a_directory_the_store_has_the_data() {
    let dataset = single();
    let desk = Desk::new();
    let seed = WebSeed::serving(&dataset);
    let catalogue = Catalogue::serving(&[&dataset.clone().url_list([seed.url()])]);
    let ask = || {
        desk.ask(&dataset.infohash_hex()).env("ACADEMICTORRENTS_CATALOGUE", catalogue.url()).run()
    };
    let path = ask().unwrap();
    assert!(path.starts_with(desk.path("store")), "{path:?}");
    dataset.assert_at(&path);
    assert_eq!(ask().unwrap(), path);
    assert_eq!(seed.bytes_served(), LENGTH);
}

#[test]
fn what_cannot_be_an_id_or_a_place_is_refused_and_nothing_is_lost() {
    let desk = Desk::new();
    let check = |error: Error, parts: &[&str]| {
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    check(
        desk.ask("mnist").run().unwrap_err(),
        &["`mnist`", "neither an infohash nor a magnet link nor the path"],
    );
    let text = desk.path("notes.txt");
    std::fs::write(&text, "hello").unwrap();
    check(desk.ask(text.to_str().unwrap()).run().unwrap_err(), &["not a .torrent", "notes.txt"]);
    // A directory lies where the file belongs.
    let dataset = single();
    let in_the_way = desk.data().join("data.bin");
    std::fs::create_dir_all(in_the_way.join("mine")).unwrap();
    let seed = WebSeed::serving(&dataset);
    let error = desk.get(&dataset, &seed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disk);
    check(error, &["data.bin"]);
    assert!(in_the_way.join("mine").is_dir());
    // What was fetched is there still.
    std::fs::remove_dir_all(&in_the_way).unwrap();
    dataset.assert_at(&desk.get(&dataset, &seed).unwrap());
    assert_eq!(seed.bytes_served(), LENGTH);
    // A file lies where the directory should be.
    let torrent = desk.path("data.torrent");
    let error = desk.ask(torrent.to_str().unwrap()).into(&text).run().unwrap_err();
    check(error, &["notes.txt", "name a directory"]);
    assert_eq!(std::fs::read(&text).unwrap(), b"hello");
}

#[test]
fn the_environments_limit_holds() {
    let dataset = single();
    let desk = Desk::new();
    let seed = WebSeed::serving(&dataset);
    let torrent = desk.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    let ask = desk.ask(torrent.to_str().unwrap()).into(desk.data());
    let error = ask.env("ACADEMICTORRENTS_MAX_SIZE", "1MiB").run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(!error.to_string().contains("Cargo.toml"), "{error}");
    assert_eq!(seed.bytes_served(), 0);
}

#[test]
fn who_forbids_to_fetch_is_heard_by_a_call_too() {
    let desk = Desk::new();
    let error = desk
        .ask("323a0048d87ca79b68f12a6350a57776b6a3b7fb")
        .env("ACADEMICTORRENTS_FETCH", "never")
        .run()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    let text = error.to_string();
    assert!(text.contains("may not be fetched"), "{text}");
    assert!(text.ends_with("help: unset ACADEMICTORRENTS_FETCH"), "{text}");
    // The configuration file says it, and no variable.
    let directory = desk.path("config/academictorrents");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), "fetch = 'never'\n").unwrap();
    let ask = desk.ask("323a0048d87ca79b68f12a6350a57776b6a3b7fb");
    let text = ask.env("XDG_CONFIG_HOME", desk.path("config")).run().unwrap_err().to_string();
    assert!(text.contains("config.toml"), "{text}");
    assert!(text.contains("set ACADEMICTORRENTS_FETCH=local"), "{text}");
}
