//! One dataset that is seeded.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::announcer::Announced;
use super::super::circle::Circle;
use super::super::host::Host;
use super::super::uploads::{Served, Uplink, Uploads};
use super::guests::Guests;
use crate::error::printable;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::protocol::tracker::Announce;
use crate::protocol::upload::seed_slots;
use crate::store::{Offered, Store};

/// Where nobody listens, so many are kept.
const MOST_NOTES: usize = 64;

/// What a tracker, or the DHT, said of a dataset that a [`crate::Seeding`] serves, or what became of one of its files. Needs the feature `seed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeedNote {
    /// The tracker's URL, `DHT`, or the file's path; what would move a terminal's cursor is escaped, also in what it said.
    pub from: String,
    /// What it answered, as `knows no peers`; or why it failed or is never asked, as `connection refused`.
    pub said: String,
    /// It failed, is never asked, or is served no more. Who failed is asked again, and may answer then.
    pub is_failure: bool,
}

#[derive(Default)]
struct Notes {
    new: Vec<SeedNote>,
    last: Vec<SeedNote>,
}

impl Notes {
    /// Each is heard when it says something for the first time, or something else than before.
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

pub struct Shelf {
    pub metainfo: Arc<Metainfo>,
    pub offered: Offered,
    /// Peers that others are told of.
    pub circle: Arc<Circle>,
    uploads: Uploads,
    store: Store,
    /// Where the store does not have it.
    torrent: Option<Vec<u8>>,
    host: Host,
    started: Instant,
    uploaded_bytes: AtomicU64,
    /// The peers that are connected for it.
    pub guests: Arc<Guests>,
    /// What trackers and the DHT said that nobody has heard yet, and what was said already.
    notes: Mutex<Notes>,
}

impl Shelf {
    pub fn new(
        store: &Store,
        metainfo: Metainfo,
        torrent: Vec<u8>,
        uplink: &Arc<Uplink>,
        host: &Host,
    ) -> Shelf {
        let metainfo = Arc::new(metainfo);
        let none = PieceSet::none(metainfo.geometry.piece_count());
        let slots = seed_slots(uplink.bytes_per_second());
        let is_kept = store.torrent(metainfo.infohash).is_some();
        Shelf {
            offered: Offered::new(store, &metainfo),
            circle: Arc::default(),
            uploads: Uploads::new(Some(Arc::clone(uplink)), none, slots),
            metainfo,
            store: store.clone(),
            torrent: (!is_kept).then_some(torrent),
            host: host.clone(),
            started: Instant::now(),
            uploaded_bytes: AtomicU64::new(0),
            guests: Arc::default(),
            notes: Mutex::default(),
        }
    }

    /// Looks what is verified by now: see [`Offered::look`].
    pub fn look(&self, quick: bool) {
        if let Some(pieces) = self.offered.look(quick) {
            self.uploads.set(pieces);
        }
        for path in self.offered.new_changes() {
            let said = "has changed since it was hashed, and is served no more".to_owned();
            self.failed(&path.display().to_string(), said);
        }
    }

    /// Takes what was added to what is offered.
    pub fn take_stock(&self) {
        self.uploads.set(self.offered.pieces());
    }

    pub fn is_complete(&self) -> bool {
        self.uploads.count() == self.metainfo.geometry.piece_count()
    }

    pub fn is_empty(&self) -> bool {
        self.uploads.count() == 0
    }

    /// What trackers and the DHT said since this was asked last.
    pub fn new_notes(&self) -> Vec<SeedNote> {
        std::mem::take(&mut self.notes().new)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Served for Shelf {
    fn uploads(&self) -> &Uploads {
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

    fn raw_info(&self) -> Option<Vec<u8>> {
        let kept = self.store.torrent(self.metainfo.infohash);
        self.metainfo.raw_info(self.torrent.as_deref().or(kept.as_deref())?)
    }

    fn sent(&self, bytes: u64) {
        self.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.host.sent(bytes);
    }
}

impl Announced for Shelf {
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
            // Peers come to us.
            numwant: 0,
            key: 0,
        }
    }

    fn note(&self, source: &str, said: String) {
        let (from, said) = (printable(source), printable(&said));
        self.notes().add(SeedNote { from, said, is_failure: false });
    }

    fn failed(&self, source: &str, why: String) {
        let (from, said) = (printable(source), printable(&why));
        self.notes().add(SeedNote { from, said, is_failure: true });
    }

    fn named(&self, _: Vec<SocketAddr>) {}

    /// A tracker that is down today may be up tomorrow.
    fn lost(&self, _: u32) -> bool {
        false
    }

    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration> {
        // What was removed from the store is announced no more.
        (!self.is_empty()).then_some(super::super::dht::TELL_INTERVAL)
    }

    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        self.host.listens_at()
    }
}
