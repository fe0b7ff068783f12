//! Walks over a store once: the source of all that `list`, `gc`, `doctor` and `seed` know of it.
//! Locks nothing and writes nothing.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::disk_usage::Inodes;
use super::projects::Root;
use crate::plan::Layout;
use crate::storage::ids::{infohash_in, is_tree};
use crate::storage::stamp::BACKDATED;
use crate::storage::{Stamp, Store};
use crate::torrent::infohash::Infohash;

/// Minimum age of a leftover in a directory that no lock protects: while a file is written there,
/// it has a temporary name for a moment.
const LEFT: Duration = Duration::from_secs(60 * 60);

/// The content of a store.
#[derive(Debug, Default)]
pub struct StoreScan {
    /// All selections and trees in `data` and `partial`, and each `.torrent` without any of these;
    /// sorted by id.
    pub entries: Vec<StoreEntry>,
    /// Entries that nothing uses, sorted by path.
    pub leftovers: Vec<Leftover>,
    /// The known projects, sorted by manifest path.
    pub roots: Vec<Root>,
    /// Ids in `data` whose entry is not a directory but a symbolic link, for example.
    pub obstructed: Vec<String>,
}

/// A selection of a torrent, an unpacked tree, or a `.torrent` in the store.
#[derive(Clone, Debug)]
pub struct StoreEntry {
    /// The infohash, with a `-` and the selection's digest unless all files are selected; for a
    /// tree also with a `+` and another digest.
    pub id: String,
    /// The torrent's infohash.
    pub infohash: Infohash,
    /// How much of it is stored.
    pub state: EntryState,
    /// Size on disk, even if other names share the bytes.
    pub bytes: u64,
    /// When it was last fetched or stamped.
    pub modified: Option<SystemTime>,
    /// Its files.
    pub inodes: Inodes,
}

/// How much of an entry is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// It has a matching stamp.
    Complete {
        /// The torrent's name, as a path.
        name: PathBuf,
        /// The total length of its files.
        bytes: u64,
    },
    /// It has no matching stamp, so it is hashed before it is used.
    Unstamped {
        /// Whether it has a stamp that does not match.
        is_changed: bool,
    },
    /// A download, import or unpacking has begun, and its process may still be running.
    Partial,
    /// Only a `.torrent`.
    Torrent,
}

/// An entry that nothing uses: left by a process that was killed, or the stamp of a copy that no
/// longer exists.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// Its files.
    pub inodes: Inodes,
    /// The torrent whose lock protects it, if it belongs to a dataset.
    pub(super) infohash: Option<Infohash>,
    /// When it was last written to.
    pub(super) modified: Option<SystemTime>,
}

/// An entry of one of the store's directories, with the properties that decide whether it is a
/// leftover.
struct LeftoverCandidate<'a> {
    name: &'a OsStr,
    place: StoreArea,
    /// Nothing reads it, although it has an ordinary name.
    is_unused: bool,
    /// How long ago it was written to.
    age: Option<Duration>,
    /// Whether a process holds the lock of its torrent.
    is_locked: &'a dyn Fn() -> bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreArea {
    /// Directly in `data` or `partial`. Entries with a temporary name were set aside by a rename.
    Datasets,
    /// In a dataset's directory there, which is only written to under the torrent's lock.
    Dataset,
    /// Stamps of copies, which appear by a rename.
    Copies,
    /// Anywhere else: written to without a lock.
    Shared,
}

/// Decides whether an entry is a leftover, for `doctor` and `gc`.
fn is_leftover(it: &LeftoverCandidate<'_>) -> bool {
    let is_temporary = is_temporary(it.name);
    match it.place {
        StoreArea::Datasets if is_temporary => true,
        StoreArea::Datasets | StoreArea::Dataset => {
            (is_temporary || it.is_unused) && !(it.is_locked)()
        }
        StoreArea::Copies if !is_temporary => it.is_unused,
        StoreArea::Copies | StoreArea::Shared => {
            (is_temporary || it.is_unused) && it.age.is_some_and(|age| age >= LEFT)
        }
    }
}

/// Whether a name is one of `fs::beside`'s; a file system may list it in upper case.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    let start = name.as_encoded_bytes().get(..5);
    start.is_some_and(|start| start.eq_ignore_ascii_case(b".tmp-"))
}

impl Store {
    /// Whether the selection has a partial download, running or not.
    pub fn is_partial(&self, id: &str) -> bool {
        self.partial_path(id).is_dir()
    }

    /// Returns the bytes of a dataset that an earlier download has recorded. Hashes nothing and
    /// changes nothing.
    pub fn recorded_bytes(&self, id: &str, layout: &Layout) -> u64 {
        let needed = layout.needed();
        let recorded = self.recorded(id, layout.geometry().piece_count());
        let pieces = recorded.iter().filter(|piece| needed.contains(*piece));
        pieces.map(|piece| layout.bytes_of_piece(piece)).sum()
    }

    /// Walks over the whole store: one `stat` per file, and one more per stamped file.
    pub fn scan(&self, now: SystemTime) -> StoreScan {
        let mut scan = StoreScan { roots: self.roots(), ..StoreScan::default() };
        let mut walk = Walk { store: self, now, leftovers: Vec::new() };
        for directory in ["data", "partial"] {
            let path = self.root.join(directory);
            for entry in entries(&path) {
                let Some(id) = id_of(&entry) else {
                    walk.look(&entry, StoreArea::Datasets, None, false);
                    continue;
                };
                // The target of a symbolic link is not the store's to examine or to remove.
                match is_directory(&entry) {
                    true => scan.entries.extend(walk.dataset(&entry, id)),
                    false if directory == "data" => scan.obstructed.push(id),
                    false => {}
                }
            }
        }
        for infohash in self.torrents() {
            if scan.entries.iter().all(|entry| entry.infohash != infohash) {
                let path = self.torrent_path(infohash);
                let (id, state) = (infohash.to_string(), EntryState::Torrent);
                scan.entries.extend(self.entry(id, state, Inodes::below(&path)));
            }
        }
        walk.shared_files();
        scan.leftovers = walk.leftovers;
        scan.entries.sort_by(|a, b| a.id.cmp(&b.id));
        scan.leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        scan.obstructed.sort();
        scan
    }

    fn entry(&self, id: String, state: EntryState, inodes: Inodes) -> Option<StoreEntry> {
        let bytes = inodes.bytes();
        let infohash = infohash_in(&id)?;
        let mut entry = StoreEntry { id, infohash, state, bytes, modified: None, inodes };
        entry.modified = entry.written(self);
        Some(entry)
    }

    /// Returns the ids that have a directory in this directory of the store.
    pub(super) fn ids(&self, directory: &str) -> Vec<String> {
        let entries = entries(&self.root.join(directory)).into_iter().filter(is_directory);
        entries.filter_map(|entry| id_of(&entry)).collect()
    }
}

impl StoreScan {
    /// Returns the ids of all datasets that are complete or were complete; trees of unpacked
    /// archives are left out.
    pub fn data_ids(&self) -> Vec<String> {
        let is_data = |it: &&StoreEntry| {
            matches!(it.state, EntryState::Complete { .. } | EntryState::Unstamped { .. })
                && !is_tree(&it.id)
        };
        let ids = self.entries.iter().filter(is_data).map(|it| &it.id);
        let mut ids: Vec<String> = ids.chain(&self.obstructed).cloned().collect();
        ids.sort();
        ids
    }
}

impl StoreEntry {
    /// Returns when it was last written to, as of now. A stamp's own time is fixed, but writing one
    /// updates the directory's time.
    pub(super) fn written(&self, store: &Store) -> Option<SystemTime> {
        let path = match self.state {
            EntryState::Complete { .. } | EntryState::Unstamped { .. } => store.data_path(&self.id),
            EntryState::Partial => store.record_path(&self.id),
            EntryState::Torrent => store.torrent_path(self.infohash),
        };
        std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
    }
}

struct Walk<'a> {
    store: &'a Store,
    now: SystemTime,
    leftovers: Vec<Leftover>,
}

impl Walk<'_> {
    /// Examines a dataset's directory in `data` or `partial`; `None` if it is a
    /// leftover or has only leftovers, which the entry does not include.
    fn dataset(&mut self, directory: &DirEntry, id: String) -> Option<StoreEntry> {
        let (path, infohash) = (directory.path(), infohash_in(&id));
        let is_partial = path.parent().is_some_and(|it| it.ends_with("partial"));
        let state = match is_partial {
            true => EntryState::Partial,
            false => self.data_state(&id),
        };
        // The partial directory of a published dataset, or an empty directory in `data`.
        let is_unused = match is_partial {
            // Unpacking always starts over.
            true => is_tree(&id) || self.store.present(&id).is_some(),
            false => is_empty(&path),
        };
        if self.look(directory, StoreArea::Datasets, infohash, is_unused) {
            return None;
        }
        let has_stamp = matches!(
            state,
            EntryState::Complete { .. } | EntryState::Unstamped { is_changed: true }
        );
        let (all, mut kept) = (entries(&path), Vec::new());
        for entry in &all {
            let is_unused = has_stamp && entry.file_name() == "stamp.old";
            if !self.look(entry, StoreArea::Dataset, infohash, is_unused) {
                kept.push(entry.path());
            }
        }
        if kept.is_empty() && !all.is_empty() {
            return None;
        }
        self.store.entry(id, state, Inodes::below_all(&kept))
    }

    fn data_state(&self, id: &str) -> EntryState {
        match Stamp::read(&self.store.stamp_path(id)) {
            Some(stamp) if self.store.is_as_stamped(id, &stamp) => EntryState::Complete {
                name: stamp.name().unwrap_or_default(),
                bytes: stamp.lengths().sum(),
            },
            stamp => EntryState::Unstamped { is_changed: stamp.is_some() },
        }
    }

    /// Examines the directories that are written to without a lock.
    fn shared_files(&mut self) {
        for directory in ["", "torrents", "roots"] {
            for entry in entries(&self.store.root.join(directory)) {
                let path = entry.path();
                let is_unused = directory == "torrents"
                    && path.extension().is_some_and(|it| it == "origin")
                    && std::fs::symlink_metadata(path.with_extension("torrent")).is_err();
                self.look(&entry, StoreArea::Shared, None, is_unused);
            }
        }
        for (directory, place) in
            [("catalogue", StoreArea::Shared), ("elsewhere", StoreArea::Copies)]
        {
            let all = entries(&self.store.root.join(directory));
            for directory in all.iter().filter(|entry| is_directory(entry)) {
                self.look(directory, StoreArea::Shared, None, is_empty(&directory.path()));
                for entry in entries(&directory.path()) {
                    let is_unused = place == StoreArea::Copies && is_of_nothing(&entry.path());
                    self.look(&entry, place, None, is_unused);
                }
            }
        }
    }

    /// Records an entry if it is a leftover. Returns whether it is.
    fn look(
        &mut self,
        entry: &DirEntry,
        place: StoreArea,
        infohash: Option<Infohash>,
        is_unused: bool,
    ) -> bool {
        let name = entry.file_name();
        if !is_unused && !is_temporary(&name) {
            return false;
        }
        let path = entry.path();
        let modified = modified(&path);
        // A stamp is backdated before it gets its name, but writing it updated its directory's
        // time.
        let backdated = SystemTime::UNIX_EPOCH + Duration::from_secs(BACKDATED);
        let written = match path.parent() {
            Some(parent) if modified == Some(backdated) => self::modified(parent),
            _ => modified,
        };
        let age = written.and_then(|written| self.now.duration_since(written).ok());
        let is_locked = || infohash.is_some_and(|it| self.store.locked(it).is_some());
        let is_leftover = is_leftover(&LeftoverCandidate {
            name: &name,
            place,
            is_unused,
            age,
            is_locked: &is_locked,
        });
        if is_leftover {
            let inodes = Inodes::below(&path);
            self.leftovers.push(Leftover { path, inodes, infohash, modified });
        }
        is_leftover
    }
}

fn entries(directory: &Path) -> Vec<DirEntry> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().collect()
}

/// A directory that cannot be read does not count as empty.
fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|it| it.is_dir())
}

/// Returns the id that an entry's name is. A case-insensitive file system may list it in upper
/// case.
fn id_of(entry: &DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let id = name.to_ascii_lowercase();
    infohash_in(&id)?;
    let is_its_name = || {
        let listed = entry.path().canonicalize().ok();
        listed.is_some_and(|it| entry.path().with_file_name(&id).canonicalize().ok() == Some(it))
    };
    (name == id || is_its_name()).then_some(id)
}

/// Returns when an entry was last written to, without following a symbolic link; `None` if it does
/// not exist.
pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::symlink_metadata(path).and_then(|it| it.modified()).ok()
}

/// Whether a stamp's copy no longer exists. A disk that is not mounted looks the same; a stamp
/// removed for that reason costs one more hashing.
fn is_of_nothing(stamp: &Path) -> bool {
    let Some(place) = Stamp::read(stamp).and_then(|stamp| stamp.place) else { return false };
    std::fs::metadata(place).is_err_and(|why| why.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check(name: &str, place: StoreArea, expected: [bool; 4]) {
        let decide = |is_unused, age, is_locked: bool| {
            let (name, is_locked) = (OsStr::new(name), &|| is_locked);
            is_leftover(&LeftoverCandidate { name, place, is_unused, age: Some(age), is_locked })
        };
        let found = [
            decide(false, LEFT, false),
            decide(true, LEFT, false),
            decide(true, MOMENT, false),
            decide(true, LEFT, true),
        ];
        assert_eq!(found, expected, "{name} in {place:?}");
    }

    #[test]
    fn what_is_a_leftover_is_decided_by_name_use_age_and_lock() {
        // Old; old and unused; new and unused; old, unused and locked.
        check("id", StoreArea::Datasets, [false, true, true, false]);
        check("stamp.old", StoreArea::Dataset, [false, true, true, false]);
        check("0123456789abcdef", StoreArea::Copies, [false, true, true, true]);
        check("a.origin", StoreArea::Shared, [false, true, false, true]);
        // A file system may list names in another case.
        for temporary in [".tmp-1-2", ".tmp-0123456789abcdef", ".TMP-0123456789ABCDEF", ".Tmp-"] {
            check(temporary, StoreArea::Datasets, [true, true, true, true]);
            check(temporary, StoreArea::Dataset, [true, true, true, false]);
            check(temporary, StoreArea::Copies, [true, true, false, true]);
            check(temporary, StoreArea::Shared, [true, true, false, true]);
        }
        for other in ["", ".tmp", "tmp-1", "a.tmp-1", ".temp-1"] {
            check(other, StoreArea::Shared, [false, true, false, true]);
        }
        let unknown = LeftoverCandidate {
            name: OsStr::new(".tmp-1"),
            place: StoreArea::Shared,
            is_unused: false,
            age: None,
            is_locked: &|| false,
        };
        assert!(
            !is_leftover(&unknown),
            "a time in the future is due to a wrong clock, and counts as recent"
        );
    }
}
