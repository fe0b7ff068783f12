//! One dataset that is seeded.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::announcer::Announced;
use super::super::circle::Circle;
use super::super::host::Host;
use super::super::uploads::{Served, Uplink, Uploads};
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::protocol::tracker::Announce;
use crate::protocol::upload::seed_slots;
use crate::store::{Offered, Store};

/// Where nobody listens, so many are kept.
const MOST_NOTES: usize = 64;

#[derive(Default)]
struct Notes {
    new: Vec<(String, String)>,
    last: Vec<(String, String)>,
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
    /// Peers that are connected.
    pub visitors: AtomicUsize,
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
            visitors: AtomicUsize::new(0),
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
            self.note(&path.display().to_string(), said);
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
    pub fn new_notes(&self) -> Vec<(String, String)> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut notes.new)
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
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        // Each is heard when it says something for the first time, or something else than before.
        let known = notes.last.iter_mut().find(|(known, _)| known == source);
        match known {
            Some((_, last)) if *last == said => return,
            Some((_, last)) => last.clone_from(&said),
            None => notes.last.push((source.to_owned(), said.clone())),
        }
        if notes.new.len() < MOST_NOTES {
            notes.new.push((source.to_owned(), said));
        }
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
