//! Serving: what of a dataset is verified, who is unchoked, and how fast it goes.
//!
//! Peers are served by the thread that writes to them. What a download is for is
//! never kept waiting: a worker hands a few blocks at a time to that thread, and the end waits for nobody.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::mutex::Mutex;
use crate::protocol::upload::{Bucket, Choker};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// A dataset whose verified pieces peers are sent: one that is being fetched, or one that is seeded.
pub trait Served: Send + Sync {
    fn uploads(&self) -> &UploadManager;
    fn metainfo(&self) -> &Metainfo;
    /// Time since any moment.
    fn now(&self) -> Duration;
    /// Reads verified bytes of the torrent's stream.
    ///
    /// # Errors
    /// They are not there any more, or the disk refused.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// So many bytes went out.
    fn sent(&self, bytes: u64);
}

/// The rate, shared by all datasets of a build.
#[derive(Debug)]
pub struct RateLimiter {
    bytes_per_second: u64,
    started: Instant,
    bucket: Mutex<Bucket>,
}

impl RateLimiter {
    /// `None` where nothing may be sent.
    pub fn new(bytes_per_second: u64) -> Option<Arc<RateLimiter>> {
        let bucket = Mutex::new(Bucket::new(bytes_per_second));
        (bytes_per_second > 0)
            .then(|| Arc::new(RateLimiter { bytes_per_second, started: Instant::now(), bucket }))
    }

    #[cfg(feature = "seed")]
    pub fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    fn may_send(&self, bytes: u64) -> bool {
        self.bucket.lock().take(self.started.elapsed(), bytes)
    }
}

/// What a dataset's peers are served.
#[derive(Debug)]
pub struct UploadManager {
    rate_limiter: Option<Arc<RateLimiter>>,
    choker: Mutex<Choker>,
    verified: Mutex<Verified>,
    /// How many are in the log.
    logged: AtomicUsize,
}

#[derive(Debug)]
struct Verified {
    pieces: PieceSet,
    /// Those that were verified since the download began, in order.
    log: Vec<PieceIndex>,
}

impl UploadManager {
    /// Of a dataset with these pieces verified, where so many peers are unchoked at a time.
    pub fn new(
        rate_limiter: Option<Arc<RateLimiter>>,
        pieces: PieceSet,
        slots: usize,
    ) -> UploadManager {
        UploadManager {
            rate_limiter,
            choker: Mutex::new(Choker::new(slots)),
            verified: Mutex::new(Verified { pieces, log: Vec::new() }),
            logged: AtomicUsize::new(0),
        }
    }

    /// Whether anything may be sent.
    pub fn is_on(&self) -> bool {
        self.rate_limiter.is_some()
    }

    /// The piece is verified, and may be served.
    pub fn add(&self, piece: PieceIndex) {
        if self.is_on() {
            let mut verified = self.verified.lock();
            verified.pieces.insert(piece);
            verified.log.push(piece);
            self.logged.store(verified.log.len(), Ordering::Release);
        }
    }

    /// These are verified now, and no others: what is new is told, and what is gone is refused from now on.
    #[cfg(feature = "seed")]
    pub fn set(&self, pieces: PieceSet) {
        let mut verified = self.verified.lock();
        let mut new = pieces.clone();
        new.remove_all(&verified.pieces);
        verified.log.extend(new.iter());
        verified.pieces = pieces;
        self.logged.store(verified.log.len(), Ordering::Release);
    }

    /// How many are verified.
    #[cfg(feature = "seed")]
    pub fn count(&self) -> u32 {
        self.verified.lock().pieces.len()
    }

    pub fn has(&self, piece: PieceIndex) -> bool {
        self.verified.lock().pieces.contains(piece)
    }

    /// All that may be served now, and the place in the log from which on there is more; nothing, where nothing may.
    pub fn pieces(&self) -> (PieceSet, usize) {
        let verified = self.verified.lock();
        let pieces = match self.is_on() {
            true => verified.pieces.clone(),
            false => PieceSet::none(0),
        };
        (pieces, verified.log.len())
    }

    /// Pieces that were verified since this place in the log, which moves on.
    pub fn news(&self, since: &mut usize) -> Vec<PieceIndex> {
        if self.logged.load(Ordering::Acquire) <= *since {
            return Vec::new();
        }
        let verified = self.verified.lock();
        let news = verified.log.get(*since..).unwrap_or_default().to_vec();
        *since = verified.log.len();
        news
    }

    /// Whether a peer that is interested is unchoked, and how many share the rate with it.
    pub fn is_unchoked(&self, id: u32, host: Option<IpAddr>, now: Duration) -> (bool, u64) {
        let mut choker = self.choker.lock();
        (choker.is_unchoked(id, host, now), choker.unchoked() as u64)
    }

    /// What one peer alone may be sent.
    pub fn bytes_per_second(&self) -> u64 {
        self.rate_limiter.as_ref().map_or(0, |rate_limiter| rate_limiter.bytes_per_second)
    }

    /// The peer is interested no more.
    pub fn rest(&self, id: u32) {
        self.choker.lock().rest(id);
    }

    /// The peer is gone.
    pub fn leave(&self, id: u32) {
        self.choker.lock().leave(id);
    }

    /// Whether so many bytes may be sent now; they count as sent then.
    pub fn may_send(&self, bytes: u64) -> bool {
        self.rate_limiter.as_ref().is_some_and(|rate_limiter| rate_limiter.may_send(bytes))
    }
}
