//! The status of a dataset, for `list` and `gc`. Hashes, locks, fetches and writes nothing.

use std::path::PathBuf;

use crate::engine::job::{elsewhere, present, tree};
use crate::engine::resolve::{self, Resolved};
use crate::engine::session::Session;
use crate::error::Error;
use crate::manifest::Request;
use crate::torrent::infohash::Infohash;

impl Resolved {
    /// Total size of the selected files in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.layout().files().map(|file| file.length()).sum()
    }
}

/// What is known about a dataset without network access.
#[derive(Clone, Debug, Default)]
pub struct DatasetStatus {
    /// The infohash; `None` for a vendored torrent that cannot be used.
    pub infohash: Option<Infohash>,
    /// The store's name for torrent and selection; `None` if that requires a torrent that is not
    /// available.
    pub id: Option<String>,
    /// The store's name for the unpacked tree.
    pub tree_id: Option<String>,
    /// Whether the dataset itself is kept after it is unpacked.
    pub is_kept: bool,
    /// Total size of the files; `None` if neither torrent nor stamp is available.
    pub total_bytes: Option<u64>,
    /// The name in the torrent.
    pub torrent_name: Option<String>,
    /// How much of the dataset is present.
    pub state: Completeness,
    /// The location of the data.
    pub path: Option<PathBuf>,
}

/// How much of a dataset is present.
#[derive(Clone, Debug, Default)]
pub enum Completeness {
    /// Complete, in the user's store.
    Complete,
    /// Complete, at a location that this variable names.
    Elsewhere {
        /// The name without its prefix.
        variable: String,
    },
    /// Partly downloaded.
    Partial {
        /// Bytes of the needed pieces that the resume record lists.
        done_bytes: u64,
        /// Bytes of all pieces that contain a selected byte.
        needed_bytes: u64,
    },
    /// Partly downloaded; how far is not known without the torrent.
    Begun,
    /// Present without a valid stamp: the next build hashes it.
    Unchecked,
    /// The archives are present, but not unpacked.
    Packed,
    /// Nothing is present.
    #[default]
    Missing,
    /// The torrent or `files` cannot be used.
    Wrong(Error),
}

impl DatasetStatus {
    /// The IDs in the store that belong to the dataset.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.id.iter().filter(|_| self.is_kept).chain(&self.tree_id)
    }
}

/// Determines the status of a dataset.
pub fn standing(session: &Session<'_>, request: &Request) -> DatasetStatus {
    let mut found = DatasetStatus {
        infohash: request.identity.infohash,
        is_kept: request.unpack.as_ref().is_none_or(|it| !it.discards_archive),
        ..DatasetStatus::default()
    };
    let wrong = |mut found: DatasetStatus, error| {
        found.state = Completeness::Wrong(request.origin.declared(error));
        found
    };
    let located = match resolve::at_hand(session, request) {
        Ok(located) => located,
        Err(error) => return wrong(found, error),
    };
    let store = session.target(request).workplace();
    let mut resolved = None;
    if let Some(located) = located {
        found.infohash = Some(located.metainfo.infohash);
        found.torrent_name = Some(located.metainfo.root_path().display().to_string());
        let selected = match located.select(request) {
            Ok(selected) => selected,
            Err(error) => return wrong(found, error),
        };
        found.total_bytes = Some(selected.size_bytes());
        found.id = Some(selected.id().to_owned());
        resolved = Some(selected);
    } else if request.is_whole() {
        found.id = found.infohash.map(|infohash| infohash.to_string());
    }
    let unpacking = request.unpack.as_ref();
    found.tree_id = unpacking.zip(found.id.as_ref()).map(|(it, id)| it.tree_id(id));
    let present = tree::present(session, request).and_then(|there| match there {
        None if unpacking.is_some() => Ok(present::present(session, request)?.map(|it| (it, true))),
        there => Ok(there.map(|it| (it, false))),
    });
    let present = match present {
        Ok(present) => present,
        Err(error) => return wrong(found, error),
    };
    if let Some((there, is_packed)) = present {
        let id = there.id().unwrap_or_default();
        if found.total_bytes.is_none() {
            let stamp = crate::storage::Stamp::read(&there.stamp);
            found.total_bytes = stamp.map(|stamp| stamp.files().map(|(_, length)| length).sum());
        }
        found.state = if is_packed {
            Completeness::Packed
        } else if there.stamp == store.stamp_path(id) {
            Completeness::Complete
        } else if elsewhere::named(session, request).is_some() {
            Completeness::Elsewhere { variable: format!("PATH_{}", request.name.variable()) }
        } else {
            Completeness::Elsewhere { variable: "LOAD_PATH".to_owned() }
        };
        found.path = Some(there.path);
        return found;
    }
    let Some(id) = &found.id else { return found };
    if store.is_partial(id) {
        found.state = match &resolved {
            None => Completeness::Begun,
            Some(resolved) => {
                let (layout, geometry) = (resolved.layout(), &resolved.metainfo.geometry);
                let (needed, recorded) =
                    (layout.needed(), store.recorded(id, geometry.piece_count()));
                let done = recorded.iter().filter(|piece| needed.contains(*piece));
                Completeness::Partial {
                    done_bytes: done.map(|piece| layout.bytes_of_piece(piece)).sum(),
                    needed_bytes: layout.needed_bytes(),
                }
            }
        };
    } else if store.files_path(id).is_dir() {
        found.state = Completeness::Unchecked;
        found.path = Some(store.files_path(id));
    }
    found
}
