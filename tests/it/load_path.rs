//! Copies in directories of `ACADEMICTORRENTS_LOAD_PATH`.

use std::fs::Permissions;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use academictorrents::{ErrorKind, Get};

use crate::refusals::sha256;
use crate::support::files::{identity, set_writable};
use crate::support::{Project, files_below};
use crate::swarm::{Catalogue, Dataset, WebSeed, random_bytes};

pub const PIECE: usize = 32 << 10;
pub const LOAD_PATH: &str = "ACADEMICTORRENTS_LOAD_PATH";

pub fn single() -> Dataset {
    Dataset::single("data.bin", random_bytes(41, 20 * PIECE))
}

/// Files of three and a half pieces each, so that neighbors share a piece, and an empty file.
pub fn folder() -> Dataset {
    let file = |seed| random_bytes(seed, 7 * PIECE / 2);
    Dataset::multi("tree", [("a", file(1)), ("d/b", file(2)), ("empty", vec![]), ("e", file(3))])
}

pub fn name_of(dataset: &Dataset) -> &str {
    std::str::from_utf8(dataset.name()).unwrap()
}

/// A project whose only source is the seed.
pub fn project(dataset: &Dataset, seed: &WebSeed) -> Project {
    Project::of(dataset, &format!("web-seeds = [\"{}\"]", seed.url()))
}

/// A project with the dataset in a directory on LOAD_PATH, in the torrent's layout, and a seed that
/// counts downloads.
pub fn with_copy(dataset: &Dataset) -> (Project, PathBuf, WebSeed) {
    let seed = WebSeed::serving(dataset);
    let project = project(dataset, &seed);
    let copies = project.path("copies");
    dataset.write_to(&copies);
    let place = copies.join(name_of(dataset));
    (project.env(LOAD_PATH, copies.display()), place, seed)
}

type State = ((u64, u64), PathBuf, (Permissions, u64, SystemTime));

/// Everything that must not change: inode, link count, permissions, length and time of each file
/// and directory.
pub fn state(place: &Path) -> Vec<State> {
    let mut paths: Vec<_> = files_below(place).into_iter().map(|path| place.join(path)).collect();
    paths.extend([place.to_owned(), place.parent().unwrap().to_owned()]);
    let of = |path: PathBuf| {
        let file = std::fs::metadata(&path).unwrap();
        let of_inode = (file.permissions(), file.len(), file.modified().unwrap());
        (identity(&path), path, of_inode)
    };
    paths.into_iter().map(of).collect()
}

/// Changes a byte in place. Sets the time, because the change may fall into the same tick of the
/// file system's clock.
pub fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 0xFF;
    set_writable(path); // files in a store are read-only
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(77)).unwrap();
}

/// The stamps of copies in the project's store.
fn stamps(project: &Project) -> Vec<PathBuf> {
    let directory = project.store().join("v1/elsewhere");
    files_below(&directory).into_iter().map(|path| directory.join(path)).collect()
}

fn copy_tree(from: &Path, to: &Path) {
    for file in files_below(from) {
        let to = to.join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, std::fs::read(from.join(file)).unwrap()).unwrap();
    }
}

#[test]
fn a_copy_in_the_torrents_layout_is_used_where_it_lies_and_not_touched() {
    for dataset in [single(), folder()] {
        let (project, place, seed) = with_copy(&dataset);
        let before = state(&place);
        assert_eq!(project.path_of("data"), place);
        assert_eq!(stamps(&project).len(), 1);
        assert_eq!(project.path_of("data"), place);
        assert_eq!(state(&place), before);
        assert_eq!(seed.http().server().connections(), 0);
        project.assert_nothing_published();
        assert!(files_below(&project.store().join("v1/partial")).is_empty());
    }
}

#[test]
fn the_second_build_hashes_nothing_and_a_changed_time_makes_it_hash() {
    let dataset = single();
    let (project, place, seed) = with_copy(&dataset);
    project.path_of("data");
    // Changes bytes but not the time, so that hashing would find damage.
    let time = std::fs::metadata(&place).unwrap().modified().unwrap();
    flip(&place, 5 * PIECE);
    std::fs::File::options().write(true).open(&place).unwrap().set_modified(time).unwrap();
    assert_eq!(project.path_of("data"), place);
    flip(&place, 5 * PIECE);
    assert_eq!(project.path_of("data"), place);
    dataset.assert_at(&place);
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn of_a_damaged_copy_the_good_pieces_are_copied_and_the_rest_is_fetched() {
    let dataset = single();
    let (project, place, seed) = with_copy(&dataset);
    project.path_of("data");
    flip(&place, 5 * PIECE);
    let before = state(&place);
    let path = project.path_of("data");
    assert!(path.starts_with(project.store()), "{path:?}");
    dataset.assert_at(&path);
    assert_eq!(state(&place), before);
    assert_eq!(seed.bytes_served(), PIECE as u64);
}

#[test]
fn copies_that_each_lack_something_complete_each_other() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let project = project(&dataset, &seed);
    let (one, other) = (project.path("one"), project.path("other"));
    dataset.write_to(&one);
    dataset.write_to(&other);
    std::fs::remove_file(one.join("tree/a")).unwrap();
    flip(&other.join("tree/e"), 3 * PIECE);
    let before = [state(&one.join("tree")), state(&other.join("tree"))];
    let nowhere = project.path("nowhere");
    let both = std::env::join_paths([&nowhere, &one, &other]).unwrap();
    let project = project.env(LOAD_PATH, both.to_str().unwrap());
    let path = project.path_of("data");
    assert!(path.starts_with(project.store()));
    dataset.assert_at(&path);
    assert_eq!([state(&one.join("tree")), state(&other.join("tree"))], before);
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn a_copy_that_vanished_is_fetched() {
    let dataset = folder();
    let (project, place, seed) = with_copy(&dataset);
    project.path_of("data");
    std::fs::remove_dir_all(&place).unwrap();
    let path = project.path_of("data");
    assert!(path.starts_with(project.store()));
    dataset.assert_at(&path);
    assert_eq!(seed.coverage().distinct_bytes(), dataset.stream().len() as u64);
}

#[test]
fn a_store_on_the_load_path_is_used_by_its_stamp_without_one_of_ours() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let theirs = project(&dataset, &seed);
    let path = theirs.path_of("data");
    let served = seed.bytes_served();
    let catalogue = Catalogue::serving(&[]);
    // Without a vendored torrent, the .torrent of the other store is used, also for a selection.
    for lines in ["", "files = [\"d/*\"]"] {
        let ours = Project::new(&format!(
            "[package.metadata.academictorrents.data]\ninfohash = \"{}\"\n{lines}",
            dataset.infohash_hex()
        ))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_OFFLINE", 1)
        .env(LOAD_PATH, theirs.store().display());
        let before = state(&path);
        assert_eq!(ours.path_of("data"), path);
        assert_eq!(state(&path), before);
        assert!(!ours.store().exists());
    }
    assert_eq!(seed.bytes_served(), served);
}

#[test]
fn what_other_selections_of_a_store_on_the_load_path_have_is_copied() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let theirs = project(&dataset, &seed);
    theirs.declare_data(&format!("web-seeds = [\"{}\"]\nfiles = [\"a\", \"d/*\"]", seed.url()));
    let before = state(&theirs.path_of("data"));
    for lines in ["", "files = [\"d/*\", \"e\"]"] {
        let seed = WebSeed::serving(&dataset);
        let web_seed = format!("web-seeds = [\"{}\"]\n{lines}", seed.url());
        let ours = Project::of(&dataset, &web_seed).env(LOAD_PATH, theirs.store().display());
        let path = ours.path_of("data");
        assert!(path.starts_with(ours.store()));
        let e = std::fs::read(path.join("e")).unwrap();
        assert_eq!(e, random_bytes(3, 7 * PIECE / 2));
        assert_eq!(std::fs::read(path.join("d/b")).unwrap(), random_bytes(2, 7 * PIECE / 2));
        // `e` begins where a piece does.
        assert_eq!(seed.bytes_served(), e.len() as u64, "{lines}");
    }
    assert_eq!(state(&theirs.path_of("data")), before);
}

#[test]
fn a_copied_store_is_hashed_once_and_stamped_in_ours() {
    let dataset = folder();
    for lines in ["", "files = [\"d/*\"]"] {
        let seed = WebSeed::serving(&dataset);
        let theirs = project(&dataset, &seed);
        theirs.declare_data(&format!("web-seeds = [\"{}\"]\n{lines}", seed.url()));
        theirs.path_of("data");
        let copy = theirs.path("copy");
        copy_tree(&theirs.store(), &copy);
        let (before, served) = (state(&copy.join("v1")), seed.bytes_served());
        let ours = Project::of(&dataset, lines).env(LOAD_PATH, copy.display());
        for _ in 0..2 {
            assert!(ours.path_of("data").starts_with(&copy));
        }
        assert_eq!((stamps(&ours).len(), seed.bytes_served()), (1, served));
        assert_eq!(state(&copy.join("v1")), before);
    }
}

#[test]
#[cfg(unix)] // where directories have permissions
fn a_directory_that_nobody_can_write_to_is_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dataset = folder();
    let (project, place, seed) = with_copy(&dataset);
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let directories = [place.parent().unwrap(), &place, &place.join("d")];
    files_below(&place).iter().for_each(|file| set(&place.join(file), 0o444));
    directories.iter().for_each(|path| set(path, 0o555));
    let before = state(&place);
    assert_eq!(project.path_of("data"), place);
    assert_eq!(state(&place), before);
    directories.iter().for_each(|path| set(path, 0o755));
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn a_selection_is_found_in_a_whole_copy_and_only_its_pieces_are_checked() {
    let dataset = folder();
    let (project, place, seed) = with_copy(&dataset);
    project.declare_data("files = [\"d/*\"]");
    flip(&place.join("e"), 0);
    assert_eq!(project.path_of("data"), place);
    assert_eq!(project.path_of("data"), place);
    // `a` has the beginning of the selection's first piece.
    std::fs::remove_file(place.join("a")).unwrap();
    std::fs::remove_dir_all(project.store().join("v1/elsewhere")).unwrap();
    project.declare_data(&format!("files = [\"d/*\"]\nweb-seeds = [\"{}\"]", seed.url()));
    assert!(project.path_of("data").starts_with(project.store()));
    assert!(seed.coverage().distinct_bytes() <= PIECE as u64);
}

#[test]
fn a_dataset_for_out_dir_or_a_directory_of_the_users_is_copied_from_there() {
    let dataset = folder();
    let (project, place, seed) = with_copy(&dataset);
    project.declare_data("store = \"out-dir\"");
    let before = state(&place);
    let path = project.path_of("data");
    assert!(path.starts_with(project.path("out")), "{path:?}");
    dataset.assert_at(&path);
    let get = || {
        Get::new(project.path("data.torrent").to_str().unwrap())
            .env_clear()
            .env("ACADEMICTORRENTS_STORE", project.store())
            .env("ACADEMICTORRENTS_OFFLINE", "1")
            .env("ACADEMICTORRENTS_PROGRESS", "off")
            .env(LOAD_PATH, place.parent().unwrap())
    };
    assert_eq!(get().run().unwrap(), place);
    let into = project.path("into");
    dataset.assert_at(&get().into(&into).run().unwrap());
    assert_eq!(state(&place), before);
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn two_crates_share_the_stamp_of_a_copy() {
    let dataset = single();
    let (one, place, seed) = with_copy(&dataset);
    let two = project(&dataset, &seed)
        .env(LOAD_PATH, place.parent().unwrap().display())
        .env("ACADEMICTORRENTS_STORE", one.store().display());
    std::thread::scope(|scope| {
        for project in [&one, &two] {
            scope.spawn(|| assert_eq!(project.path_of("data"), place));
        }
    });
    assert_eq!(stamps(&one).len(), 1);
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn the_error_of_an_offline_build_says_what_each_directory_lacks() {
    let dataset = single();
    let (project, place, _seed) = with_copy(&dataset);
    flip(&place, 0);
    let nowhere = project.path("nowhere");
    let both = std::env::join_paths([place.parent().unwrap(), &nowhere]).unwrap();
    let project = project.env(LOAD_PATH, both.to_str().unwrap()).env("ACADEMICTORRENTS_OFFLINE", 1);
    let error = project.error();
    assert!(
        error.contains("copies: 19 of 20 pieces are correct; piece 0, at byte 0 of"),
        "{error}"
    );
    assert!(error.contains("nowhere: the directory does not exist"), "{error}");

    let mirror = project.path("mirror");
    let data = mirror.join(dataset.infohash_hex());
    std::fs::create_dir_all(&data).unwrap();
    let error = project.env(LOAD_PATH, mirror.display()).error();
    assert!(error.contains("it is a mirror: name it in ACADEMICTORRENTS_MIRRORS"), "{error}");
    assert!(error.contains(&format!("or name {} here", data.display())), "{error}");
}

#[test]
fn a_torrent_beside_the_data_is_found_and_without_one_the_error_says_where_it_was_looked_for() {
    let dataset = folder();
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
        .env("ACADEMICTORRENTS_OFFLINE", 1);
    let copies = project.path("copies");
    dataset.write_to(&copies);
    let project = project.env(LOAD_PATH, copies.display());
    let torrent = format!("{}.torrent", dataset.infohash_hex());
    let error = project.error();
    assert!(
        error.contains(&format!("copies: contains neither {torrent} nor v1/torrents/{torrent}")),
        "{error}"
    );
    std::fs::write(copies.join(torrent), dataset.torrent()).unwrap();
    assert_eq!(project.path_of("data"), copies.join("tree"));
}

#[test]
fn pins_are_checked_on_copies_and_on_stores_that_did_not_check_them() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let theirs = project(&dataset, &seed);
    let in_store = theirs.path_of("data");
    let copies = theirs.path("copies");
    dataset.write_to(&copies);
    let pinned = |pin: &[u8]| format!("sha256 = {{ \"data.bin\" = \"{}\" }}", sha256(pin));
    for (directory, path) in [(theirs.store(), in_store), (copies.clone(), copies.join("data.bin"))]
    {
        let ours =
            Project::of(&dataset, &pinned(b"other bytes")).env(LOAD_PATH, directory.display());
        let error = ours.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
        assert!(stamps(&ours).is_empty());
        ours.declare_data(&pinned(&dataset.stream()));
        let before = state(&path);
        for _ in 0..2 {
            assert_eq!(ours.path_of("data"), path);
        }
        assert_eq!((stamps(&ours).len(), state(&path)), (1, before));
    }
}

#[test]
fn places_that_cannot_be_read_are_named_with_the_reason() {
    let dataset = Dataset::single("data.bin", random_bytes(88, 50_000));
    let by_infohash = format!("data = \"{}\"", dataset.infohash_hex());
    for declared in ["data.torrent = \"data.torrent\"", &by_infohash] {
        let project = Project::new(declared);
        std::fs::write(project.path("data.torrent"), dataset.torrent()).unwrap();
        std::fs::write(project.path("file"), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("loop", project.path("loop")).unwrap();
        let places: &[_] =
            if cfg!(unix) { &["nowhere", "file", "loop"] } else { &["nowhere", "file"] };
        let places: Vec<_> = places.iter().map(|place| project.path(place)).collect();
        let all = std::env::join_paths(&places).unwrap().into_string().unwrap();
        let mirrors = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>();
        let error = project
            .env("ACADEMICTORRENTS_LOAD_PATH", all)
            .env("ACADEMICTORRENTS_MIRRORS", mirrors.join(","))
            .error();
        let faults = ["the directory does not exist", "it is not a directory", "it cannot be read"];
        for (place, fault) in places.iter().zip(faults) {
            let place = place.display();
            let load_path = format!("ACADEMICTORRENTS_LOAD_PATH: {place}: {fault}");
            assert!(error.contains(&load_path), "{error}");
            let named =
                |line: &str| line.trim().starts_with(&place.to_string()) && line.contains(fault);
            assert!(error.lines().any(named), "{place}: {error}");
        }
    }
}
