//! How a dataset stands, for `list` and `gc`: nothing is hashed, locked, fetched or written.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Session, at_hand, dataset, elsewhere};
use crate::error::Error;
use crate::infohash::Infohash;
use crate::manifest::Request;
use crate::plan::{self, Layout};

/// What is known of a dataset without asking anyone.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its identity; `None` of a vendored torrent that cannot be used.
    pub infohash: Option<Infohash>,
    /// The store's name for torrent and selection; `None` where that needs a torrent that is not at hand.
    pub id: Option<String>,
    /// Of its files; `None` where neither torrent nor stamp is at hand.
    pub total_bytes: Option<u64>,
    /// The torrent's name, as its maker chose it.
    pub torrent_name: Option<String>,
    /// How much of it is there.
    pub state: State,
    /// Where it lies.
    pub path: Option<PathBuf>,
}

/// How much of a dataset is there.
#[derive(Clone, Debug)]
pub enum State {
    /// All of it, in the user's store.
    Complete,
    /// Complete at a place that this variable names.
    Elsewhere {
        /// Without its prefix.
        variable: String,
    },
    /// Verified are so many bytes of those to fetch.
    Partial {
        /// Of pieces that the resume record names.
        done_bytes: u64,
        /// Of all pieces that hold a selected byte.
        needed_bytes: u64,
    },
    /// Begun, and the torrent is not at hand, so that nobody knows how far.
    Begun,
    /// It lies there without a stamp that fits: the next build hashes it.
    Unchecked,
    /// Nothing of it is there.
    Missing,
    /// Its torrent or its `files` cannot be used.
    Wrong(Error),
}

/// See [`Standing`].
pub fn standing(session: &Session<'_>, request: &Request) -> Standing {
    let mut found = Standing {
        infohash: request.identity.infohash,
        id: None,
        total_bytes: None,
        torrent_name: None,
        state: State::Missing,
        path: None,
    };
    let wrong = |mut found: Standing, error| {
        found.state = State::Wrong(session.declared(request, error));
        found
    };
    let at_hand = match at_hand::at_hand(session, request) {
        Ok(at_hand) => at_hand.map(|(metainfo, _)| metainfo),
        Err(error) => return wrong(found, error),
    };
    let store = session.store(request);
    let mut layout = None;
    if let Some(metainfo) = &at_hand {
        found.infohash = Some(metainfo.infohash);
        found.torrent_name = Some(dataset::name_of(metainfo).display().to_string());
        let selection = match plan::selection(metainfo, request) {
            Ok(selection) => selection,
            Err(error) => return wrong(found, error),
        };
        let placed = Layout::new(metainfo, &selection);
        found.total_bytes = Some(placed.files().iter().map(plan::PlacedFile::length).sum());
        found.id = Some(selection.id().to_owned());
        layout = Some(placed);
    } else if request.is_whole() {
        found.id = found.infohash.map(|infohash| infohash.to_string());
    }
    let present = match dataset::present(session, request) {
        Ok(present) => present,
        Err(error) => return wrong(found, error),
    };
    if let Some(there) = present {
        let id = there.id().unwrap_or_default();
        if found.total_bytes.is_none() {
            let stamp = crate::store::Stamp::read(&there.stamp);
            found.total_bytes = stamp.map(|stamp| stamp.files().map(|(_, length)| length).sum());
        }
        found.state = if there.stamp == store.stamp_path(id) {
            State::Complete
        } else if elsewhere::named(session, request).is_some() {
            State::Elsewhere { variable: format!("PATH_{}", request.name.variable()) }
        } else {
            State::Elsewhere { variable: "LOAD_PATH".to_owned() }
        };
        found.path = Some(there.path);
        return found;
    }
    let Some(id) = &found.id else { return found };
    if store.is_partial(id) {
        found.state = match layout.map(Arc::new) {
            None => State::Begun,
            Some(layout) => {
                let geometry = layout.geometry();
                let (needed, recorded) =
                    (layout.needed(), store.recorded(id, geometry.piece_count()));
                let done = recorded.iter().filter(|piece| needed.contains(*piece));
                State::Partial {
                    done_bytes: done.map(|piece| u64::from(geometry.len(piece))).sum(),
                    needed_bytes: layout.needed_bytes(),
                }
            }
        };
    } else if store.files_path(id).is_dir() {
        found.state = State::Unchecked;
        found.path = Some(store.files_path(id));
    }
    found
}
