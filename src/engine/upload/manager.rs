//! Uploads: which pieces are verified, which peers are unchoked, and at what rate data is sent.
//!
//! Each peer's writer thread does the sending. Uploads never delay a download: a worker hands over
//! only a few blocks at a time, and the end of the download does not wait for uploads.

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

/// A dataset whose verified pieces are sent to peers: a download or a seed.
pub trait Served: Send + Sync {
    fn uploads(&self) -> &UploadManager;
    fn metainfo(&self) -> &Metainfo;
    /// Time since an arbitrary but fixed moment.
    fn now(&self) -> Duration;
    /// Reads verified bytes of the torrent's byte stream.
    ///
    /// # Errors
    /// The data is no longer present, or the disk failed.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Counts bytes that were sent.
    fn sent(&self, bytes: u64);
}

/// The upload rate limit, shared by all datasets of a build.
#[derive(Debug)]
pub struct RateLimiter {
    bytes_per_second: u64,
    started: Instant,
    bucket: Mutex<Bucket>,
}

impl RateLimiter {
    /// `None` if the rate is 0: nothing is uploaded.
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

/// The upload state of a dataset.
#[derive(Debug)]
pub struct UploadManager {
    rate_limiter: Option<Arc<RateLimiter>>,
    choker: Mutex<Choker>,
    verified: Mutex<Verified>,
    /// The length of the log.
    logged: AtomicUsize,
}

#[derive(Debug)]
struct Verified {
    pieces: PieceSet,
    /// Pieces verified since the start, in order.
    log: Vec<PieceIndex>,
}

impl UploadManager {
    /// `pieces` are verified already; `slots` is the number of peers unchoked at a time.
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

    /// Whether uploads are enabled.
    pub fn is_on(&self) -> bool {
        self.rate_limiter.is_some()
    }

    /// Marks a piece as verified, so that it can be served.
    pub fn add(&self, piece: PieceIndex) {
        if self.is_on() {
            let mut verified = self.verified.lock();
            verified.pieces.insert(piece);
            verified.log.push(piece);
            self.logged.store(verified.log.len(), Ordering::Release);
        }
    }

    /// Replaces the set of verified pieces: new ones are announced to peers, and requests for
    /// removed ones are refused from now on.
    #[cfg(feature = "seed")]
    pub fn set(&self, pieces: PieceSet) {
        let mut verified = self.verified.lock();
        let mut new = pieces.clone();
        new.remove_all(&verified.pieces);
        verified.log.extend(new.iter());
        verified.pieces = pieces;
        self.logged.store(verified.log.len(), Ordering::Release);
    }

    /// Number of verified pieces.
    #[cfg(feature = "seed")]
    pub fn count(&self) -> u32 {
        self.verified.lock().pieces.len()
    }

    pub fn has(&self, piece: PieceIndex) -> bool {
        self.verified.lock().pieces.contains(piece)
    }

    /// The pieces that may be served, and the current length of the log. No pieces if uploads are
    /// disabled.
    pub fn pieces(&self) -> (PieceSet, usize) {
        let verified = self.verified.lock();
        let pieces = match self.is_on() {
            true => verified.pieces.clone(),
            false => PieceSet::none(0),
        };
        (pieces, verified.log.len())
    }

    /// The pieces verified since position `since` of the log. Advances `since`.
    pub fn news(&self, since: &mut usize) -> Vec<PieceIndex> {
        if self.logged.load(Ordering::Acquire) <= *since {
            return Vec::new();
        }
        let verified = self.verified.lock();
        let news = verified.log.get(*since..).unwrap_or_default().to_vec();
        *since = verified.log.len();
        news
    }

    /// Whether an interested peer is unchoked, and the number of peers that share the rate.
    pub fn is_unchoked(&self, id: u32, host: Option<IpAddr>, now: Duration) -> (bool, u64) {
        let mut choker = self.choker.lock();
        (choker.is_unchoked(id, host, now), choker.unchoked() as u64)
    }

    /// The rate limit if only one peer is served.
    pub fn bytes_per_second(&self) -> u64 {
        self.rate_limiter.as_ref().map_or(0, |rate_limiter| rate_limiter.bytes_per_second)
    }

    /// Records that the peer is no longer interested.
    pub fn rest(&self, id: u32) {
        self.choker.lock().rest(id);
    }

    /// Records that the peer has disconnected.
    pub fn leave(&self, id: u32) {
        self.choker.lock().leave(id);
    }

    /// Whether this many bytes may be sent now. If so, they count as sent.
    pub fn may_send(&self, bytes: u64) -> bool {
        self.rate_limiter.as_ref().is_some_and(|rate_limiter| rate_limiter.may_send(bytes))
    }
}
