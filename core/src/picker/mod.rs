//! Decides which source fetches which piece next. Sans-IO: no clock and no sockets; time is an
//! argument.
//!
//! Layer 1. The unit is the piece. Each needed piece is *unchecked*, *unclaimed*, *claimed* by a
//! worker, or *verified*:
//!
//! ```text
//!                                  checked
//! unchecked ───────────────────────────────────────────────▶ (gone)
//!     │ damaged                                                 ▲
//!     ▼      next_run, next_piece                verified       │
//! unclaimed ─────────────────────▶ claimed ─────────────────────┘
//!     ▲                            │  ▲ │ steal: the far half of a run changes hands
//!     └──── release, failed ───────┘  └─┘ endgame: a second worker joins
//! ```
//!
//! An unchecked piece was left by an earlier process. Until its hash turns out to be wrong, it
//! counts as present, and no source is asked for it.
//!
//! Workers are connections. A *streaming* worker (of a web seed or a directory) takes a run of
//! pieces from the front. A *peer* takes single pieces, the rarest first; while anyone streams, it
//! takes them from the back, so that runs stay long. Each piece has one source until the endgame,
//! so that blame is exact. A piece with several contributors that fails verification is fetched
//! again from one source alone. The claims of a source that trickles go to workers that have
//! nothing else to do.
//!
//! Invariants: a wanted piece (needed, and neither unchecked nor verified) is unclaimed exactly
//! when no worker claims it. Memory is linear in the number of pieces: a few bytes for each, and
//! one bit per peer. No call visits all pieces; at most, it skips over whole words of piece sets.
//! Only availability is counted piece by piece, once per peer.

mod blame;
pub mod pace;
mod pick;
mod sources;
#[cfg(test)]
mod tests;
mod unchecked;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

use sources::{PickerSource, SourceTable};

use crate::torrent::geometry::{Geometry, PieceIndex};
pub use crate::torrent::pieces::PieceSet;
pub use blame::{Blame, STRIKES};
pub use sources::SLOW_SOURCE;

/// A place that data comes from; it may have several workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A connection to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// What a worker should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Fetch these pieces, in order; for a peer, a single piece.
    Fetch(Range<PieceIndex>),
    /// Wait: this source cannot provide anything now. Ask again when something has changed.
    Wait,
    /// Stop: all needed pieces are verified.
    Done,
}

#[derive(Debug)]
struct PickerWorker {
    id: WorkerId,
    source: SourceId,
    streams: bool,
    claims: Vec<PieceIndex>,
    /// Claims that ended, whichever worker caused it, and that the worker has not been told yet.
    ended_claims: Vec<PieceIndex>,
    run: Range<PieceIndex>,
    last_bytes: Duration,
    brought_bytes: u64,
    bytes_per_second: f64,
    window_start: Duration,
    window_bytes: u64,
}

impl PickerWorker {
    fn holds(&self, piece: PieceIndex) -> bool {
        self.run.contains(&piece) || self.claims.contains(&piece)
    }

    /// Removes pieces that others have fetched from both ends of the run.
    fn trim_run(&mut self, wanted: &PieceSet) {
        while !self.run.is_empty() && !wanted.contains(self.run.start) {
            self.run.start += 1;
        }
        while !self.run.is_empty() && !wanted.contains(self.run.end - 1) {
            self.run.end -= 1;
        }
    }
}

fn bytes_of(geometry: Geometry, pieces: &PieceSet) -> u64 {
    let last = geometry.piece_count().saturating_sub(1);
    let lacks_bytes = match pieces.contains(last) {
        true => geometry.piece_bytes() - geometry.len(last),
        false => 0,
    };
    u64::from(pieces.len()) * u64::from(geometry.piece_bytes()) - u64::from(lacks_bytes)
}

/// The schedule of a dataset's download.
#[derive(Debug)]
pub struct Schedule {
    geometry: Geometry,
    /// The pieces to fetch.
    wanted: PieceSet,
    wanted_bytes: u64,
    /// The pieces that are presumed present, and have yet to be hashed.
    unchecked: PieceSet,
    unchecked_bytes: u64,
    total_bytes: u64,
    unclaimed: PieceSet,
    /// How many connected peers have each piece. Peers with all pieces do not affect rarity, and
    /// are not counted.
    availability: Vec<u16>,
    sources: SourceTable,
    /// Sorted by ID; new IDs are always greater. Many operations visit all workers for each piece,
    /// which takes ten times as long with a tree at opt-level 0.
    workers: Vec<PickerWorker>,
    next_worker: u32,
    streaming_workers: u32,
    /// Pieces that failed with several contributors, to be fetched whole from one source.
    whole: BTreeSet<PieceIndex>,
    /// How far a piece has progressed, if sources provide parts of it.
    cursors: HashMap<PieceIndex, u32>,
    /// Pieces that were begun anew, in order, each with the source because of which.
    begun_anew: Vec<(SourceId, PieceIndex)>,
    duplicated_bytes: u64,
    /// Pieces that two workers hold.
    duplicates: BTreeSet<PieceIndex>,
    random: fastrand::Rng,
}

impl Schedule {
    /// Creates a schedule for these pieces; `seed` makes its choices reproducible.
    pub fn new(geometry: Geometry, wanted: PieceSet, seed: u64) -> Schedule {
        let wanted_bytes = bytes_of(geometry, &wanted);
        Schedule {
            geometry,
            unclaimed: wanted.clone(),
            wanted,
            wanted_bytes,
            unchecked: PieceSet::none(geometry.piece_count()),
            unchecked_bytes: 0,
            total_bytes: wanted_bytes,
            availability: vec![0; geometry.piece_count() as usize],
            sources: SourceTable::default(),
            workers: Vec::new(),
            next_worker: 0,
            streaming_workers: 0,
            whole: BTreeSet::new(),
            cursors: HashMap::new(),
            begun_anew: Vec::new(),
            duplicated_bytes: 0,
            duplicates: BTreeSet::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub fn is_done(&self) -> bool {
        self.wanted.is_empty() && self.unchecked.is_empty()
    }

    /// Returns the total size of the pieces that must be downloaded.
    pub fn wanted_bytes(&self) -> u64 {
        self.wanted_bytes
    }

    /// Whether the piece must be fetched.
    pub fn is_wanted(&self, piece: PieceIndex) -> bool {
        self.wanted.contains(piece)
    }

    /// Whether any of these pieces must still be fetched.
    pub fn wants_any(&self, pieces: Range<PieceIndex>) -> bool {
        self.wanted.next_common(&self.wanted, pieces).is_some()
    }

    /// Adds a worker for a connection to the source.
    pub fn begin(&mut self, source: SourceId, now: Duration) -> WorkerId {
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        let streams = self.sources.get(source).is_some_and(|source| !source.peer);
        self.streaming_workers += u32::from(streams);
        let worker = PickerWorker {
            id,
            source,
            streams,
            claims: Vec::new(),
            ended_claims: Vec::new(),
            run: 0..0,
            last_bytes: now,
            brought_bytes: 0,
            bytes_per_second: 0.0,
            window_start: now,
            window_bytes: 0,
        };
        self.workers.push(worker);
        id
    }

    fn index_of(&self, worker: WorkerId) -> Option<usize> {
        self.workers.binary_search_by_key(&worker, |known| known.id).ok()
    }

    fn worker(&self, worker: WorkerId) -> Option<&PickerWorker> {
        self.index_of(worker).and_then(|index| self.workers.get(index))
    }

    fn worker_mut(&mut self, worker: WorkerId) -> Option<&mut PickerWorker> {
        self.index_of(worker).and_then(|index| self.workers.get_mut(index))
    }

    /// Releases all claims of a worker whose connection ended, or that must not claim anything for
    /// now.
    pub fn release(&mut self, worker: WorkerId) {
        let Some(known) = self.worker_mut(worker) else { return };
        let run = std::mem::replace(&mut known.run, 0..0);
        let claims = std::mem::take(&mut known.claims);
        known.ended_claims.clear();
        // The peer may have advanced a piece that sources with a part of it are waiting for.
        for source in self.sources.iter_mut().filter(|source| !source.waits_for.is_empty()) {
            claims.iter().for_each(|piece| {
                source.waits_for.remove(piece);
            });
        }
        self.give_back(run);
        claims.into_iter().for_each(|piece| self.give_back(piece..piece + 1));
    }

    /// Removes a worker whose connection has ended. Returns how many useful bytes it received.
    pub fn end(&mut self, worker: WorkerId) -> u64 {
        self.release(worker);
        let Some(index) = self.index_of(worker) else { return 0 };
        let known = self.workers.remove(index);
        self.streaming_workers -= u32::from(known.streams);
        if let Some(source) = self.sources.get_mut(known.source) {
            source.in_vain = known.brought_bytes == 0;
        }
        known.brought_bytes
    }

    /// Releases pieces that a worker no longer holds.
    fn give_back(&mut self, pieces: Range<PieceIndex>) {
        if pieces.is_empty() {
            return;
        }
        for piece in pieces.clone() {
            if self.duplicates.contains(&piece) {
                self.unclaim(piece);
            } else if self.wanted.contains(piece) {
                // A piece that is not shared has no other holder.
                self.unclaimed.insert(piece);
            }
        }
        for source in self.sources.iter_mut() {
            source.unclaimed_before = source.unclaimed_before.max(pieces.end);
        }
    }

    fn unclaim(&mut self, piece: PieceIndex) {
        let holders = self.workers.iter().filter(|worker| worker.holds(piece)).take(2).count();
        if holders == 0 && self.wanted.contains(piece) {
            self.unclaimed.insert(piece);
        }
        if holders < 2 {
            self.duplicates.remove(&piece);
        }
    }

    /// Records useful bytes received over this connection.
    pub fn received(&mut self, worker: WorkerId, bytes: u64, now: Duration) {
        let Some(known) = self.worker_mut(worker) else { return };
        known.last_bytes = now;
        known.brought_bytes += bytes;
        let source = known.source;
        known.window_bytes += bytes;
        let elapsed = now.saturating_sub(known.window_start).as_secs_f64();
        if elapsed >= 0.5 {
            let rate = known.window_bytes as f64 / elapsed;
            known.bytes_per_second = if known.bytes_per_second == 0.0 {
                rate
            } else {
                known.bytes_per_second * 0.5 + rate * 0.5
            };
            (known.window_start, known.window_bytes) = (now, 0);
        }
        if let Some(source) = self.sources.get_mut(source) {
            source.brought_bytes += bytes;
            source.pace.trickles(now, source.brought_bytes);
        }
    }

    /// Marks the piece as verified, and ends all claims of it.
    pub fn verified(&mut self, piece: PieceIndex) {
        if !self.wanted.remove(piece) {
            return;
        }
        self.wanted_bytes -= u64::from(self.geometry.len(piece));
        self.unclaimed.remove(piece);
        self.whole.remove(&piece);
        self.drop_claims_of(piece);
        for worker in &mut self.workers {
            worker.trim_run(&self.wanted);
        }
    }

    fn drop_claims_of(&mut self, piece: PieceIndex) {
        self.cursors.remove(&piece);
        self.duplicates.remove(&piece);
        for worker in &mut self.workers {
            if let Some(index) = worker.claims.iter().position(|claim| *claim == piece) {
                worker.claims.remove(index);
                worker.ended_claims.push(piece);
            }
            if worker.run.start == piece && !worker.run.is_empty() {
                worker.run.start += 1;
            }
        }
    }

    /// Records that a streaming worker has read to the end of a piece. Returns the rest of its run.
    pub fn passed(&mut self, worker: WorkerId, piece: PieceIndex) -> Range<PieceIndex> {
        let Some(known) = self.worker_mut(worker) else { return 0..0 };
        if known.run.contains(&piece) {
            let passed = known.run.start..piece + 1;
            known.run.start = piece + 1;
            let rest = known.run.clone();
            // Pieces that it could not finish (its bytes did not count) are released.
            self.give_back(passed);
            return rest;
        }
        known.run.clone()
    }

    /// Takes the claims of a peer's connection that ended since the last call: the piece was
    /// verified, or failed and is unclaimed again, whichever source sent its last bytes.
    pub fn take_ended_claims(&mut self, worker: WorkerId) -> Vec<PieceIndex> {
        self.worker_mut(worker)
            .map_or_else(Vec::new, |known| std::mem::take(&mut known.ended_claims))
    }

    /// Whether the piece has a second worker, so that its blocks may be requested twice.
    pub fn is_shared(&self, piece: PieceIndex) -> bool {
        self.duplicates.contains(&piece)
    }
}
