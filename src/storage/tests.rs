#[cfg(feature = "engine")]
mod adopt;
mod left;
mod names;
#[cfg(unix)]
mod obstacles;
#[cfg(unix)]
mod planted;
mod relocate;
mod replaceable;
mod siblings;
#[cfg(feature = "unpack")]
mod tree;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::file_fault::CopyFault;
use super::pins::Pins;
use super::*;
use crate::error::ErrorKind;
use crate::hash::Sha1;
use crate::mutex::Mutex;
use crate::plan::{Layout, Selection};
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// A store, and a torrent with pieces of 10 bytes: `a` (14 bytes), `d/b` (12), `empty`, `c` (9).
struct Fixture {
    directory: tempfile::TempDir,
    /// The store, or the workplace in the user's directory.
    store: Store,
    home: Option<Directory>,
    metainfo: Arc<Metainfo>,
    bytes: Vec<u8>,
}

const FILES: [(&str, usize); 4] = [("a", 14), ("d/b", 12), ("empty", 0), ("c", 9)];

impl Fixture {
    fn new() -> Fixture {
        Fixture::of(FILES.into_iter(), (0..35).collect())
    }

    fn of<'a>(files: impl Iterator<Item = (&'a str, usize)>, bytes: Vec<u8>) -> Fixture {
        let pieces: Vec<u8> = bytes.chunks(10).flat_map(Sha1::digest).collect();
        let mut torrent = b"d4:infod5:filesl".to_vec();
        let components =
            |path: &str| path.split('/').map(|c| format!("{}:{c}", c.len())).collect::<String>();
        for (path, length) in files {
            if let Some((path, target)) = path.split_once(" -> ") {
                let (path, target) = (components(path), components(target));
                let link = format!("d4:attr1:l4:pathl{path}e12:symlink pathl{target}ee");
                torrent.extend(link.bytes());
                continue;
            }
            let components = components(path);
            torrent.extend(format!("d6:lengthi{length}e4:pathl{components}ee").bytes());
        }
        torrent
            .extend(format!("e4:name4:tree12:piece lengthi10e6:pieces{}:", pieces.len()).bytes());
        torrent.extend(pieces);
        torrent.extend(b"ee");
        // In memory if possible: each sync to a disk takes milliseconds.
        let memory = Some("/dev/shm").filter(|path| std::path::Path::new(path).is_dir());
        let directory = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
        let store = Store::at(directory.path());
        store.create().unwrap();
        let metainfo = Arc::new(Metainfo::parse(&torrent).unwrap());
        Fixture { directory, store, home: None, metainfo, bytes }
    }

    /// Returns the same torrent, with a user's directory as the target.
    fn in_directory(mut self) -> Fixture {
        let home = Directory::new(&self.directory.path().join("home"), false);
        self.store = home.workplace.clone();
        self.home = Some(home);
        self.target().create().unwrap();
        self
    }

    fn target(&self) -> Target<'_> {
        self.home.as_ref().map_or(Target::Store(&self.store), Target::Directory)
    }

    fn selected(&self, globs: &[&str]) -> (String, Arc<Layout>) {
        let globs: Vec<_> =
            globs.iter().map(|glob| crate::manifest::FileGlob::parse(glob).unwrap()).collect();
        let selection = Selection::of(&self.metainfo, &globs, &[]).unwrap();
        (selection.id().to_owned(), Arc::new(Layout::new(&self.metainfo, &selection)))
    }

    /// Hashes what is in the dataset's place.
    fn in_place(&self, id: &str, layout: &Arc<Layout>) -> Option<LocalCopy> {
        let hashed = AtomicU64::new(0);
        let work = DiskWork::counting(&hashed);
        LocalCopy::in_place(self.target(), id, &self.metainfo, layout, work).unwrap()
    }

    /// Opens the partial dataset without hashing what an earlier process left.
    fn open_unchecked(&self, globs: &[&str]) -> (Partial, Here) {
        let (id, layout) = self.selected(globs);
        let existing = self.in_place(&id, &layout);
        Partial::open(self.target(), &id, &self.metainfo, &layout, existing.as_ref(), false)
            .unwrap()
    }

    /// Does the same, then hashes it; returns the right pieces.
    fn open(&self, globs: &[&str]) -> (Partial, PieceSet) {
        let (partial, mut here) = self.open_unchecked(globs);
        let right = Mutex::new(Vec::new());
        let pieces: Vec<_> = here.unchecked.iter().collect();
        partial.check(&pieces, &|| true, &|piece, is_right| {
            right.lock().extend(is_right.then_some(piece));
        });
        here.verified.extend(right.into_inner());
        (partial, here.verified)
    }

    fn bring(&self, partial: &Partial, piece: u32) {
        let range = self.metainfo.geometry.range(piece);
        partial.write(range.start, &self.bytes[range.start as usize..range.end as usize]).unwrap();
        partial.verified(piece).unwrap();
    }

    /// Fetches the missing pieces, and publishes.
    fn provide(&self, globs: &[&str]) -> String {
        let (partial, verified) = self.open(globs);
        let needed: Vec<_> = partial.layout().needed().iter().collect();
        needed
            .iter()
            .filter(|piece| !verified.contains(**piece))
            .for_each(|piece| self.bring(&partial, *piece));
        partial.publish(&Pins::new()).unwrap();
        self.selected(globs).0
    }

    fn file(&self, id: &str, path: &str) -> PathBuf {
        self.target().files_path(id).join("tree").join(path)
    }

    fn check(&self, id: &str, paths: &[&str]) {
        let mut at = 0;
        for (path, length) in FILES {
            let expected = &self.bytes[at..at + length];
            at += length;
            let found = std::fs::read(self.file(id, path)).ok();
            assert_eq!(found.as_deref(), paths.contains(&path).then_some(expected), "{path}");
        }
        assert!(self.target().present(id).is_some());
    }
}

fn set(pieces: &[u32]) -> PieceSet {
    let mut set = PieceSet::none(4);
    set.extend(pieces.iter().copied());
    set
}

#[test]
fn a_dataset_is_complete_when_it_is_published_and_read_only() {
    let fixture = Fixture::new();
    let (partial, verified) = fixture.open(&[]);
    assert!(verified.is_empty());
    (0..4).for_each(|piece| fixture.bring(&partial, piece));
    let id = fixture.selected(&[]).0;
    assert!(fixture.store.present(&id).is_none());
    partial.publish(&Pins::new()).unwrap();
    fixture.check(&id, &["a", "d/b", "empty", "c"]);
    assert!(std::fs::metadata(fixture.file(&id, "d/b")).unwrap().permissions().readonly());
    assert!(!fixture.store.partial_path(&id).exists());
    // Directories stay writable, so that `rm -rf` works.
    fs::remove_tree(&fixture.directory.path().join("v1/data")).unwrap();
    assert!(fixture.store.present(&id).is_none());
}

#[test]
fn a_download_goes_on_from_the_recorded_pieces() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    fixture.bring(&partial, 1);
    fixture.bring(&partial, 3);
    drop(partial);
    let (partial, verified) = fixture.open(&[]);
    assert_eq!(verified, set(&[1, 3]));
    drop(partial);
    // A removed file takes its pieces with it.
    let id = fixture.selected(&[]).0;
    std::fs::remove_file(fixture.store.partial_path(&id).join("files/tree/c")).unwrap();
    assert_eq!(fixture.open(&[]).1, set(&[1]));
}

#[test]
fn a_selection_keeps_its_files_alone_and_can_be_checked_again() {
    let fixture = Fixture::new();
    let id = fixture.provide(&["d/b"]);
    fixture.check(&id, &["d/b"]);
    let (_, layout) = fixture.selected(&["d/b"]);
    let look = || fixture.in_place(&id, &layout).unwrap();
    assert!(look().is_complete());
    let path = fixture.file(&id, "d/b");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::set_read_only(&path, false).unwrap();
    std::fs::write(&path, bytes).unwrap();
    assert!(!look().is_complete());
}

/// No conclusion may be drawn from pieces that were not hashed.
#[test]
fn hashing_that_is_stopped_is_an_error() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    let (_, layout) = fixture.selected(&[]);
    let (hashed, stopped) = (AtomicU64::new(0), std::sync::atomic::AtomicBool::new(true));
    let work = DiskWork { done_bytes: &hashed, stopped: Some(&stopped) };
    let (target, metainfo) = (fixture.target(), &fixture.metainfo);
    let found = LocalCopy::in_place(target, &id, metainfo, &layout, work);
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Stopped);
    let site = fixture.store.files_path(&id).into();
    let mut copy = LocalCopy::look(&site, metainfo, &layout, Vec::new());
    assert_eq!(copy.hash(work).unwrap_err().kind(), ErrorKind::Stopped);
    assert!(copy.may_be_complete() && !copy.is_hashed());
    assert_eq!(hashed.into_inner(), 0);
}

#[test]
fn a_copied_store_is_hashed_and_stamped_anew() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    std::fs::remove_file(fixture.store.stamp_path(&id)).unwrap();
    let (_, layout) = fixture.selected(&[]);
    let existing = fixture.in_place(&id, &layout).unwrap();
    assert!(existing.is_complete());
    existing.stamp(fixture.target(), &id, &Pins::new()).unwrap();
    fixture.check(&id, &["a", "d/b", "empty", "c"]);
}

#[test]
fn repair_fetches_the_damaged_pieces_and_writes_no_inode_that_others_share() {
    let fixture = Fixture::new();
    let whole = fixture.provide(&[]);
    let selected = fixture.provide(&["d/b"]);
    // Both share an inode; the whole dataset is damaged by a new file in its place.
    let path = fixture.file(&whole, "a");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[13] ^= 1;
    fs::remove(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    assert!(fixture.store.present(&whole).is_none());
    let (partial, verified) = fixture.open(&[]);
    assert_eq!(verified, set(&[0, 2, 3]));
    fixture.bring(&partial, 1);
    partial.publish(&Pins::new()).unwrap();
    fixture.check(&whole, &["a", "d/b", "empty", "c"]);
    fixture.check(&selected, &["d/b"]);
}

#[test]
fn another_selection_gives_its_files() {
    let fixture = Fixture::new();
    fixture.provide(&["a", "c"]);
    // Piece 0 is in `a`, piece 3 in `c`; the others have bytes of `d/b`.
    assert_eq!(fixture.open(&[]).1, set(&[0, 3]));
    let id = fixture.provide(&[]);
    fixture.check(&id, &["a", "d/b", "empty", "c"]);
}

#[test]
fn a_pin_that_does_not_hold_publishes_nothing_and_loses_nothing() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    (0..4).for_each(|piece| fixture.bring(&partial, piece));
    let wrong = Pins::from([("c".to_owned(), [0; 32])]);
    let error = partial.publish(&wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
    assert!(error.to_string().contains("`c`"), "{error}");
    let id = fixture.selected(&[]).0;
    assert!(!fixture.store.files_path(&id).exists());
    drop(partial);
    assert_eq!(fixture.open(&[]).1, set(&[0, 1, 2, 3]));
}

#[test]
fn a_dataset_is_taken_over_from_another_store() {
    let fixture = Fixture::new();
    let id = fixture.provide(&["d/b"]);
    let other = Store::at(&fixture.directory.path().join("other"));
    let (_, layout) = fixture.selected(&["d/b"]);
    let it = (&*fixture.metainfo, &*layout);
    let copy = |id: &str| other.copy_from(&fixture.store, id, it, &Pins::new()).unwrap();
    assert_eq!(copy("absent"), None);
    assert_eq!(copy(&id), Some(()));
    assert!(other.present(&id).is_some());
}

#[test]
fn a_dataset_that_cannot_be_taken_over_leaves_no_copy() {
    let fixture = Fixture::new();
    let id = fixture.provide(&["d/b"]);
    let other = Store::at(&fixture.directory.path().join("other"));
    let (_, layout) = fixture.selected(&["d/b"]);
    let it = (&*fixture.metainfo, &*layout);
    let left = || {
        let entries = std::fs::read_dir(other.root().join("data").join(&id)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    let wrong = Pins::from([("d/b".to_owned(), [0; 32])]);
    let error = other.copy_from(&fixture.store, &id, it, &wrong).unwrap_err();
    assert_eq!((error.kind(), left().len()), (ErrorKind::Verification, 0), "{error}");
    let (_, whole) = fixture.selected(&[]);
    let it = (&*fixture.metainfo, &*whole);
    assert_eq!(other.copy_from(&fixture.store, &id, it, &Pins::new()).unwrap(), None);
    assert_eq!(left().len(), 0);
}

#[test]
fn one_process_at_a_time_has_the_lock() {
    let fixture = Fixture::new();
    let infohash = fixture.metainfo.infohash;
    let lock = fixture.store.try_lock(infohash).unwrap().unwrap();
    let waiting = fixture.store.try_lock(infohash).unwrap().unwrap_err();
    assert!(waiting.process.is_none_or(|process| process == std::process::id()));
    drop(lock);
    assert!(fixture.store.try_lock(infohash).unwrap().is_ok());
}

/// On Windows an open file keeps its name until it is closed, and with it the directories above it.
#[test]
fn nothing_of_ours_stays_in_a_users_directory_once_the_lock_is_dropped() {
    let fixture = Fixture::new().in_directory();
    let (target, infohash) = (fixture.target(), fixture.metainfo.infohash);
    let home = fixture.directory.path().join("home");
    let (id, layout) = fixture.selected(&[]);
    // A download that failed without receiving a byte.
    let lock = target.try_lock(infohash).unwrap().unwrap();
    assert!(target.try_lock(infohash).unwrap().is_err());
    let error = crate::Error::new(ErrorKind::Network, "nobody has it");
    let error = target.left(&id, infohash, &layout, error);
    assert!(!error.to_string().contains("is kept in"), "{error}");
    drop(lock);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    // A download that succeeded.
    let lock = target.try_lock(infohash).unwrap().unwrap();
    fixture.provide(&[]);
    drop(lock);
    let names = |directory: &Path| {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|it| it.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&home), ["tree"]);
    // The lock of another dataset stays while that is being fetched.
    let other = "b".repeat(40).parse().unwrap();
    let held = target.try_lock(other).unwrap().unwrap();
    drop(target.try_lock(infohash).unwrap().unwrap());
    let locks = fixture.store.locks_path();
    assert_eq!(names(&locks), [format!("{other}.lock").as_str()]);
    assert!(target.try_lock(other).unwrap().is_err());
    drop(held);
    assert!(!locks.exists());
}

/// In a user's directory the lock file is removed with the lock, and two waiting processes must not
/// lock two different files.
#[test]
fn whoever_waited_for_a_lock_that_was_removed_locks_what_is_there() {
    let fixture = Fixture::new().in_directory();
    let (target, infohash) = (fixture.target(), fixture.metainfo.infohash);
    let path = fixture.store.lock_path(infohash);
    let lock = target.try_lock(infohash).unwrap().unwrap();
    let opened = fs::open_or_create(&path).unwrap();
    drop(lock);
    assert_eq!(path.exists(), cfg!(windows));
    // The opened file is still the lock only if it is still at its path.
    assert!(fs::try_lock(&opened).unwrap());
    let second = target.try_lock(infohash).unwrap();
    assert_eq!(second.is_err(), cfg!(windows));
}

#[test]
fn a_file_that_grew_gets_its_length_back() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    let path = fixture.file(&id, "c");
    fs::set_read_only(&path, false).unwrap();
    std::fs::write(&path, [&fixture.bytes[26..], b"more"].concat()).unwrap();
    assert!(fixture.store.present(&id).is_none());
    let (partial, verified) = fixture.open(&[]);
    assert_eq!(verified, set(&[0, 1, 2, 3]));
    partial.publish(&Pins::new()).unwrap();
    fixture.check(&id, &["a", "d/b", "empty", "c"]);
}

#[test]
fn a_pin_that_is_added_later_is_checked_once_and_noted() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    let stamp = || fixture.store.present(&id).unwrap();
    let mut sha256 = sha256::Sha256::new();
    sha256.update(&fixture.bytes[26..]);
    let right = Pins::from([("c".to_owned(), sha256.finish())]);
    let wrong = Pins::from([("c".to_owned(), [0; 32])]);
    assert!(!stamp().holds(&right));
    fixture.store.pin(&id, &mut stamp(), &fixture.metainfo, &right).unwrap();
    assert!(stamp().holds(&right) && !stamp().holds(&wrong));
    let error = fixture.store.pin(&id, &mut stamp(), &fixture.metainfo, &wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
}

#[test]
fn a_process_that_hashes_or_publishes_shows_that_it_lives() {
    let fixture = Fixture::new();
    let infohash = fixture.metainfo.infohash;
    let lock = fixture.store.try_lock(infohash).unwrap().unwrap();
    let before = fixture.store.signs_of_life(infohash);
    lock.alive(std::time::SystemTime::now() + std::time::Duration::from_secs(7));
    assert_ne!(before, fixture.store.signs_of_life(infohash));
}

/// Creates the fixture's files in a user's directory, in the torrent's own layout.
fn copy_of(fixture: &Fixture) -> PathBuf {
    let (directory, mut at) = (fixture.directory.path().join("copies"), 0);
    for (path, length) in FILES {
        let path = directory.join("tree").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &fixture.bytes[at..at + length]).unwrap();
        at += length;
    }
    directory
}

fn found(fixture: &Fixture, site: &Site, globs: &[&str]) -> LocalCopy {
    let (_, layout) = fixture.selected(globs);
    let mut found = LocalCopy::look(site, &fixture.metainfo, &layout, Vec::new());
    if found.may_be_complete() {
        found.hash(DiskWork::counting(&AtomicU64::new(0))).unwrap();
    }
    found
}

#[test]
fn a_copy_elsewhere_is_stamped_in_the_store_for_its_place_alone() {
    let fixture = Fixture::new();
    let directory = copy_of(&fixture);
    let (id, _) = fixture.selected(&[]);
    for site in [Site::In(directory.clone()), Site::At(directory.join("tree"))] {
        assert!(fixture.store.present_elsewhere(&id, &site).is_none());
        let copy = found(&fixture, &site, &[]);
        assert!(
            copy.is_complete() && copy.stamp_elsewhere(&fixture.store, &id, &Pins::new()).unwrap()
        );
        assert!(fixture.store.present_elsewhere(&id, &site).is_some());
        // A copy of the stamp under another place's name does not count.
        let other = Site::At(directory.join("other"));
        let stamp = fixture.store.elsewhere_path(&id, &site);
        std::fs::copy(stamp, fixture.store.elsewhere_path(&id, &other)).unwrap();
        assert!(fixture.store.present_elsewhere(&id, &other).is_none());
    }
    assert!(fixture.store.present(&id).is_none());
}

#[test]
fn what_changed_after_it_was_looked_at_is_not_stamped() {
    let fixture = Fixture::new();
    let directory = copy_of(&fixture);
    let (id, _) = fixture.selected(&[]);
    let copy = found(&fixture, &directory.as_path().into(), &[]);
    let file = std::fs::File::options().write(true).open(directory.join("tree/c")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert!(
        copy.is_complete() && !copy.stamp_elsewhere(&fixture.store, &id, &Pins::new()).unwrap()
    );
    assert!(!fixture.store.root().join("elsewhere").exists());
}

#[test]
fn pieces_of_a_copy_are_hashed_on_their_way() {
    let fixture = Fixture::new();
    let directory = copy_of(&fixture);
    let copy = found(&fixture, &directory.as_path().into(), &[]);
    // Changed after it was hashed: piece 1 has the end of `a` and the beginning of `d/b`.
    std::fs::write(directory.join("tree/a"), [9; 14]).unwrap();
    let (partial, _) = fixture.open(&[]);
    let take = |wanted: &[u32]| {
        partial.take(&copy, &set(wanted), DiskWork::counting(&AtomicU64::new(0))).unwrap()
    };
    assert_eq!(take(&[0, 1, 2]), set(&[2]));
    assert_eq!(take(&[2, 3]), set(&[2, 3]));
    [0, 1].iter().for_each(|piece| fixture.bring(&partial, *piece));
    partial.publish(&Pins::new()).unwrap();
    fixture.check(&fixture.selected(&[]).0, &["a", "d/b", "empty", "c"]);
}

#[test]
fn a_selection_of_a_copy_needs_the_files_that_share_its_pieces() {
    let fixture = Fixture::new();
    let directory = copy_of(&fixture);
    let site = Site::In(directory.clone());
    assert!(found(&fixture, &site, &["d/b"]).is_complete());
    std::fs::remove_file(directory.join("tree/c")).unwrap();
    let copy = found(&fixture, &site, &["d/b"]);
    assert!(!copy.is_complete());
    assert!(matches!(copy.fault(), CopyFault::PartOfPiece(2, _)), "{}", copy.fault());
    assert!(found(&fixture, &site, &["a"]).is_complete());
}
