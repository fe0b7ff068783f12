//! What is in the store, for `list`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::usage::{Usage, Used};
use super::{Asked, Desk};
use crate::counters::Counters;
use crate::download::{self, Standing};
use crate::error::printable;
use crate::infohash::Infohash;
use crate::metainfo::Metainfo;
use crate::store::{Held, HeldKind};

/// What lies in the store, and is not among the datasets that were asked about.
#[derive(Clone, Debug)]
pub struct Stocked {
    /// The infohash, with the selection's digest where not all files are selected.
    pub id: String,
    /// The torrent.
    pub infohash: Infohash,
    /// In which state it is.
    pub kind: HeldKind,
    /// The torrent's name, fit to be printed, where its `.torrent` or its stamp is there.
    pub torrent_name: Option<String>,
    /// On the disk.
    pub bytes: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether some process fetches or checks it.
    pub is_locked: bool,
    /// Who uses it.
    pub used: Used,
    /// The last build that used it; where none is known, when it was fetched.
    pub last_use: Option<SystemTime>,
    /// How long ago that was; none for what lies in the future.
    pub age: Option<Duration>,
}

impl Desk {
    /// How a dataset stands: nothing is fetched, hashed or written.
    #[must_use]
    pub fn standing(&self, dataset: &Asked) -> Standing {
        let counters = Counters::default();
        let mut session = self.session(&counters);
        session.manifest = dataset.manifest.as_deref().unwrap_or(session.manifest);
        let mut standing = download::standing(&session, &dataset.request);
        standing.torrent_name = standing.torrent_name.map(|name| printable(&name));
        standing
    }

    /// Whether some process fetches or checks this torrent at the moment.
    #[must_use]
    pub fn is_locked(&self, infohash: Infohash) -> bool {
        self.store.locked(infohash).is_some()
    }

    /// All that lies in the store but for these: ids, and of infohashes all selections.
    #[must_use]
    pub fn stock(&self, but_ids: &[String], but_all_of: &[Infohash]) -> Vec<Stocked> {
        let usage = Usage::of(self);
        let is_known = |held: &Held| {
            but_all_of.contains(&held.infohash)
                || but_ids.contains(&held.id)
                // The `.torrent` of a dataset that is asked about.
                || (held.kind == HeldKind::Torrent
                    && but_ids.iter().any(|id| id.starts_with(&held.infohash.to_string())))
        };
        let held = self.store.inventory().into_iter().filter(|held| !is_known(held));
        let mut stock: Vec<Stocked> = held.map(|held| self.stocked(&held, &usage)).collect();
        stock.sort_unstable_by(|a, b| (&a.torrent_name, &a.id).cmp(&(&b.torrent_name, &b.id)));
        stock
    }

    pub(super) fn stocked(&self, held: &Held, usage: &Usage) -> Stocked {
        let used = usage.of_id(&held.id);
        let last_use = used.last.max(held.modified);
        Stocked {
            id: held.id.clone(),
            infohash: held.infohash,
            kind: held.kind.clone(),
            torrent_name: self.torrent_name(held),
            bytes: held.bytes,
            path: self.place(held),
            is_locked: self.is_locked(held.infohash),
            last_use,
            age: last_use.and_then(|last| SystemTime::now().duration_since(last).ok()),
            used,
        }
    }

    fn place(&self, held: &Held) -> PathBuf {
        let root = self.store.root();
        match &held.kind {
            HeldKind::Complete { name } => self.store.files_path(&held.id).join(name),
            HeldKind::Unstamped => root.join("data").join(&held.id),
            HeldKind::Partial => root.join("partial").join(&held.id),
            HeldKind::Torrent => root.join("torrents").join(format!("{}.torrent", held.infohash)),
        }
    }

    fn torrent_name(&self, held: &Held) -> Option<String> {
        if let HeldKind::Complete { name } = &held.kind {
            return Some(printable(&name.display().to_string()));
        }
        let metainfo = Metainfo::parse(&self.store.torrent(held.infohash)?).ok()?;
        let name = metainfo.expect(held.infohash).ok()?.name;
        Some(printable(&String::from_utf8_lossy(&name)))
    }
}
