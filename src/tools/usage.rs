//! Which datasets of the store are used, by what the projects that built with it say now.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Desk;
use crate::counters::Counters;
use crate::download;
use crate::infohash::Infohash;
use crate::manifest::Manifest;
use crate::store::{Root, infohash_in};

/// A Cargo.toml of more is read by nobody.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// Whether a dataset of the store is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A project that is there declares it.
    Used,
    /// Projects used it, and are gone, or declare it no more.
    Unused,
    /// No project is known to have used it: it was fetched by `get`, by a program, or by an older version.
    Unknown,
}

/// What is known of the use of one dataset.
#[derive(Clone, Debug)]
pub struct Used {
    /// Whether, and by whom.
    pub by: Use,
    /// The Cargo.toml of those that use it, else of those that did.
    pub manifests: Vec<PathBuf>,
    /// The last build of one of them, to a day.
    pub last: Option<SystemTime>,
}

/// The projects that are known to the store.
pub(super) struct Usage {
    projects: Vec<(Root, Declares)>,
}

#[derive(Debug)]
enum Declares {
    /// The manifest is gone.
    Gone,
    /// It cannot be read now: in the middle of an edit, say. What it used is believed to be used.
    Unknown,
    These {
        ids: Vec<String>,
        /// Selections of these cannot be told, since the torrent is not at hand.
        whichever: Vec<Infohash>,
    },
}

impl Usage {
    /// Reads the manifests of all projects that are known.
    pub(super) fn of(desk: &Desk) -> Usage {
        let declares = |root: Root| {
            let declares = declares(desk, &root.manifest);
            (root, declares)
        };
        Usage { projects: desk.store.roots().into_iter().map(declares).collect() }
    }

    pub(super) fn of_id(&self, id: &str) -> Used {
        let mentions = |root: &Root| root.ids.iter().any(|known| known == id);
        let uses = |(root, declares): &&(Root, Declares)| match declares {
            Declares::Gone => false,
            Declares::Unknown => mentions(root),
            Declares::These { ids, whichever } => {
                ids.iter().any(|declared| declared == id)
                    || infohash_in(id).is_some_and(|infohash| whichever.contains(&infohash))
            }
        };
        let mut by = Use::Used;
        let mut roots: Vec<&Root> = self.projects.iter().filter(uses).map(|it| &it.0).collect();
        if roots.is_empty() {
            by = Use::Unused;
            roots = self.projects.iter().map(|it| &it.0).filter(|root| mentions(root)).collect();
        }
        if roots.is_empty() {
            by = Use::Unknown;
        }
        Used {
            by,
            manifests: roots.iter().map(|root| root.manifest.clone()).collect(),
            last: roots.iter().filter_map(|root| root.last_use).max(),
        }
    }

    /// Whether a project declares any selection of the torrent.
    pub(super) fn declares(&self, infohash: Infohash) -> bool {
        self.projects.iter().any(|(root, declares)| match declares {
            Declares::Gone => false,
            Declares::Unknown => root.ids.iter().any(|id| infohash_in(id) == Some(infohash)),
            Declares::These { ids, whichever } => {
                whichever.contains(&infohash)
                    || ids.iter().any(|id| infohash_in(id) == Some(infohash))
            }
        })
    }

    /// The projects that are gone.
    pub(super) fn gone(&self) -> impl Iterator<Item = &Root> {
        let gone = self.projects.iter().filter(|(_, it)| matches!(it, Declares::Gone));
        gone.map(|(root, _)| root)
    }
}

fn declares(desk: &Desk, manifest: &Path) -> Declares {
    match std::fs::metadata(manifest) {
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Declares::Gone;
        }
        // A pipe would be waited for.
        Ok(file) if file.is_file() && file.len() <= MAX_MANIFEST_BYTES => {}
        _ => return Declares::Unknown,
    }
    let Ok(manifest) = Manifest::read(manifest) else { return Declares::Unknown };
    let counters = Counters::default();
    let session = desk.session(&counters);
    let (mut ids, mut whichever) = (Vec::new(), Vec::new());
    for mut request in manifest.requests {
        request.store = crate::manifest::StoreKind::Shared;
        let standing = download::standing(&session, &request);
        match (standing.id, standing.infohash) {
            (Some(id), _) => ids.push(id),
            (None, Some(infohash)) => whichever.push(infohash),
            (None, None) => return Declares::Unknown,
        }
    }
    Declares::These { ids, whichever }
}
