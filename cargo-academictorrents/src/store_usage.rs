//! The datasets in the store, and which projects use them according to their current manifests, for
//! `list` and `gc`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use academictorrents::Infohash;
use academictorrents::engine;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::error::printable;
use academictorrents::engine::manifest::{Manifest, StoreKind};
use academictorrents::engine::storage::{
    EntryState, Root, Store, StoreEntry, StoreScan, infohash_in,
};
use academictorrents::engine::torrent::Metainfo;

use crate::app::App;

/// No Cargo.toml is larger than this.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// An entry of the store, and its use.
#[derive(Debug)]
pub struct Stocked {
    pub entry: StoreEntry,
    /// The torrent's printable name, if its `.torrent` or stamp exists.
    pub torrent_name: Option<String>,
    pub path: PathBuf,
    pub used: Use,
    /// The Cargo.toml files of projects that use it, or else of those that did.
    pub manifests: Vec<PathBuf>,
    /// The last build that used it, to the day, or else when it was fetched.
    pub last_use: Option<SystemTime>,
    /// The time since then; `None` if it is in the future.
    pub age: Option<Duration>,
}

/// Whether a dataset in the store is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// An existing project declares it.
    Used,
    /// Projects used it, but were deleted or no longer declare it.
    Unused,
    /// No known project has used it: it was fetched by `get`, by a program, or by an older version.
    Unknown,
}

/// The projects that the store knows.
pub struct Usage {
    projects: Vec<(Root, Declares)>,
}

#[derive(Debug)]
enum Declares {
    /// The manifest no longer exists.
    Gone,
    /// The manifest cannot be read now (it may be being edited), so what it used is considered
    /// used.
    Unknown,
    These {
        ids: Vec<String>,
        /// Torrents whose selections are unknown, because the `.torrent` is not on this machine.
        whichever: Vec<Infohash>,
    },
}

/// Returns the current contents of a store.
pub fn scan(store: &Store) -> StoreScan {
    store.scan(SystemTime::now())
}

impl Usage {
    /// Reads the manifests of these projects.
    pub fn of(app: &App, roots: Vec<Root>) -> Usage {
        let declares = |root: Root| {
            let declares = declares(app, &root.manifest);
            (root, declares)
        };
        Usage { projects: roots.into_iter().map(declares).collect() }
    }

    /// Returns an entry with its use.
    pub fn stocked(&self, app: &App, entry: StoreEntry) -> Stocked {
        let mentions = |root: &Root| root.ids.contains(&entry.id);
        let uses = |(root, declares): &&(Root, Declares)| match declares {
            Declares::Gone => false,
            Declares::Unknown => mentions(root),
            Declares::These { ids, whichever } => {
                ids.contains(&entry.id)
                    || infohash_in(&entry.id).is_some_and(|it| whichever.contains(&it))
            }
        };
        let mut used = Use::Used;
        let mut roots: Vec<&Root> = self.projects.iter().filter(uses).map(|it| &it.0).collect();
        if roots.is_empty() {
            used = Use::Unused;
            roots = self.projects.iter().map(|it| &it.0).filter(|root| mentions(root)).collect();
        }
        if roots.is_empty() {
            used = Use::Unknown;
        }
        let last_use = roots.iter().filter_map(|root| root.last_use).max().max(entry.modified);
        Stocked {
            torrent_name: torrent_name(&app.store, &entry),
            path: place(&app.store, &entry),
            used,
            manifests: roots.iter().map(|root| root.manifest.clone()).collect(),
            last_use,
            age: last_use.and_then(|last| SystemTime::now().duration_since(last).ok()),
            entry,
        }
    }

    /// Whether a project declares any selection of the torrent.
    pub fn declares(&self, infohash: Infohash) -> bool {
        let is_of_it = |id: &String| infohash_in(id) == Some(infohash);
        self.projects.iter().any(|(root, declares)| match declares {
            Declares::Gone => false,
            Declares::Unknown => root.ids.iter().any(is_of_it),
            Declares::These { ids, whichever } => {
                whichever.contains(&infohash) || ids.iter().any(is_of_it)
            }
        })
    }

    /// Returns the projects that no longer exist.
    pub fn gone(&self) -> impl Iterator<Item = &Root> {
        let gone = self.projects.iter().filter(|(_, it)| matches!(it, Declares::Gone));
        gone.map(|(root, _)| root)
    }
}

/// Whether Cargo unpacked the package and unpacks it again when a build needs it, so that its
/// absence proves nothing.
fn is_unpacked_by_cargo(manifest: &Path) -> bool {
    let parts: Vec<_> = manifest.components().map(|part| part.as_os_str()).collect();
    parts.windows(2).any(|pair| pair == ["registry", "src"] || pair == ["git", "checkouts"])
}

fn declares(app: &App, manifest: &Path) -> Declares {
    match std::fs::metadata(manifest) {
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return if is_unpacked_by_cargo(manifest) { Declares::Unknown } else { Declares::Gone };
        }
        // Reading a pipe would block.
        Ok(file) if file.is_file() && file.len() <= MAX_MANIFEST_BYTES => {}
        _ => return Declares::Unknown,
    }
    let Ok(manifest) = Manifest::read(manifest) else { return Declares::Unknown };
    let counters = Counters::default();
    let session = app.session(&counters);
    let (mut ids, mut whichever) = (Vec::new(), Vec::new());
    for mut request in manifest.requests {
        request.store = StoreKind::Shared;
        let standing = engine::standing(&session, &request);
        match (&standing.id, standing.infohash) {
            (Some(_), _) => ids.extend(standing.ids().cloned()),
            (None, Some(infohash)) => whichever.push(infohash),
            (None, None) => return Declares::Unknown,
        }
    }
    Declares::These { ids, whichever }
}

fn place(store: &Store, entry: &StoreEntry) -> PathBuf {
    let root = store.root();
    match &entry.state {
        EntryState::Complete { name, .. } => store.files_path(&entry.id).join(name),
        EntryState::Unstamped { .. } => root.join("data").join(&entry.id),
        EntryState::Partial => root.join("partial").join(&entry.id),
        EntryState::Torrent => root.join("torrents").join(format!("{}.torrent", entry.infohash)),
    }
}

fn torrent_name(store: &Store, entry: &StoreEntry) -> Option<String> {
    if let EntryState::Complete { name, .. } = &entry.state {
        return Some(printable(&name.display().to_string()));
    }
    let metainfo = Metainfo::parse(&store.torrent(entry.infohash)?).ok()?;
    Some(metainfo.expect(entry.infohash).ok()?.shown_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_unpacked_is_known_by_its_place() {
        let check = |path: &str, expected: bool| {
            assert_eq!(is_unpacked_by_cargo(Path::new(path)), expected, "{path}");
        };
        check("/h/.cargo/registry/src/index.crates.io-0/a-1.0.0/Cargo.toml", true);
        check("/h/.cargo/git/checkouts/a-0123/abc/Cargo.toml", true);
        check("/h/registry/a/src/Cargo.toml", false);
        check("/h/project/Cargo.toml", false);
    }
}
