//! A dataset that is being seeded.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::report::Remark;
use crate::engine::announce::target::AnnounceTarget;
use crate::engine::connection_limiter::ConnectionLimiter;
use crate::engine::local_peer::LocalPeer;
use crate::engine::upload::manager::{RateLimiter, Served, UploadManager};
use crate::engine::upload::pex_registry::PexRegistry;
use crate::error::printable;
use crate::mutex::Mutex;
use crate::net::SourceError;
use crate::protocol::tracker::Announce;
use crate::protocol::upload::seed_slots;
use crate::storage::{Offered, Store};
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// Limit on notes that were not collected.
const MOST_NOTES: usize = 64;

/// A message from a tracker or the DHT about a dataset that a [`crate::Seeding`] serves, or about a
/// changed file. Requires the feature `seed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeedNote {
    /// The tracker's URL, `DHT`, or the file's path. Control characters are escaped, as in `said`.
    pub from: String,
    /// The answer, such as `knows no peers`, or the failure, such as `connection refused`.
    pub said: String,
    /// Whether the request failed, the tracker is never asked, or the file is no longer served. A
    /// tracker that failed is asked again later.
    pub is_failure: bool,
}

#[derive(Default)]
struct Notes {
    new: Vec<SeedNote>,
    last: Vec<SeedNote>,
}

impl Notes {
    /// Adds a note, unless it repeats the last one from the same origin.
    fn add(&mut self, note: SeedNote) {
        match self.last.iter_mut().find(|known| known.from == note.from) {
            Some(last) if *last == note => return,
            Some(last) => last.clone_from(&note),
            None => self.last.push(note.clone()),
        }
        if self.new.len() < MOST_NOTES {
            self.new.push(note);
        }
    }
}

pub struct SeededTorrent {
    pub metainfo: Arc<Metainfo>,
    pub offered: Offered,
    /// Peers that are reported to other peers by PEX.
    pub pex: Arc<PexRegistry>,
    uploads: UploadManager,
    host: LocalPeer,
    started: Instant,
    uploaded_bytes: AtomicU64,
    /// The peers that are connected for this dataset.
    pub guests: ConnectionLimiter<IpAddr>,
    /// Messages that were not collected yet, and the last message of each origin.
    notes: Mutex<Notes>,
}

impl SeededTorrent {
    pub fn new(
        store: &Store,
        metainfo: Metainfo,
        rate_limiter: &Arc<RateLimiter>,
        host: &LocalPeer,
    ) -> SeededTorrent {
        let metainfo = Arc::new(metainfo);
        let none = PieceSet::none(metainfo.geometry.piece_count());
        let slots = seed_slots(rate_limiter.bytes_per_second());
        SeededTorrent {
            offered: Offered::new(store, &metainfo),
            pex: Arc::default(),
            uploads: UploadManager::new(Some(Arc::clone(rate_limiter)), none, slots),
            metainfo,
            host: host.clone(),
            started: Instant::now(),
            uploaded_bytes: AtomicU64::new(0),
            guests: ConnectionLimiter::default(),
            notes: Mutex::default(),
        }
    }

    /// Updates what is verified: see [`Offered::look`].
    pub fn look(&self, quick: bool) {
        if let Some(pieces) = self.offered.look(quick) {
            self.uploads.set(pieces);
        }
        for path in self.offered.new_changes() {
            self.note(&path.display().to_string(), Err(SourceError::Changed));
        }
    }

    /// Serves all pieces that `offered` has now.
    pub fn take_stock(&self) {
        self.uploads.set(self.offered.pieces());
    }

    pub fn is_complete(&self) -> bool {
        self.uploads.count() == self.metainfo.geometry.piece_count()
    }

    pub fn is_empty(&self) -> bool {
        self.uploads.count() == 0
    }

    /// Notes since the last call.
    pub fn new_notes(&self) -> Vec<SeedNote> {
        std::mem::take(&mut self.notes.lock().new)
    }

    pub fn uploaded_bytes(&self) -> u64 {
        self.uploaded_bytes.load(Ordering::Relaxed)
    }

    pub fn missing_bytes(&self) -> u64 {
        let geometry = self.metainfo.geometry;
        let pieces = self.uploads.pieces().0;
        let there: u64 = pieces.iter().map(|piece| u64::from(geometry.len(piece))).sum();
        geometry.total_bytes().saturating_sub(there)
    }
}

impl Served for SeededTorrent {
    fn uploads(&self) -> &UploadManager {
        &self.uploads
    }

    fn metainfo(&self) -> &Metainfo {
        &self.metainfo
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.offered.read(offset, buffer)
    }

    fn sent(&self, bytes: u64) {
        self.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.host.sent(bytes);
    }
}

impl AnnounceTarget for SeededTorrent {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn announce(&self) -> Announce {
        Announce {
            infohash: self.metainfo.infohash,
            peer_id: self.host.peer_id,
            port: self.host.port,
            uploaded_bytes: self.uploaded_bytes.load(Ordering::Relaxed),
            downloaded_bytes: 0,
            left_bytes: self.missing_bytes(),
            event: None,
            // Peers connect to us, so none are needed.
            numwant: 0,
            key: 0,
        }
    }

    fn note(&self, source: &str, said: Remark) {
        let is_failure = said.is_err();
        let said = said.unwrap_or_else(|why| why.to_string());
        self.notes.lock().add(SeedNote {
            from: printable(source),
            said: printable(&said),
            is_failure,
        });
    }

    fn named(&self, _: Vec<SocketAddr>) {}

    /// Never gives up a tracker: it may be down only for a while.
    fn lost(&self, _: u32) -> bool {
        false
    }

    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration> {
        // A dataset that was removed from the store is no longer announced.
        (!self.is_empty()).then_some(crate::engine::announce::dht::TELL_INTERVAL)
    }

    #[cfg(feature = "dht")]
    fn dht_nodes(&self) -> Vec<(crate::address::NamedBy, String)> {
        self.metainfo.named_dht_nodes()
    }

    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        self.host.listens_at()
    }
}
