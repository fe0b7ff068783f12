//! Who fetches what next. Sans-IO: no clock, no sockets; time comes in as an argument.
//!
//! Layer 1. The unit is the piece. Each needed piece is *unchecked*, *unclaimed*, *claimed* by a worker, or *verified*:
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
//! An unchecked piece was left by an earlier process. Until its hash fails it counts as present: no source is asked for it.
//! Workers are connections. A *streaming* one (a web seed's or a directory's) takes a run of pieces from the
//! front; a *peer* takes single pieces, the rarest first among what it has, from the back while anyone streams,
//! so that runs stay long. One source per piece until the endgame, so that blame is exact; a piece that
//! several contributed to and that fails is fetched again from one alone. What a source holds that trickles is
//! given to whoever has nothing else to do.
//!
//! Invariants: a wanted piece (needed, and neither unchecked nor verified) is unclaimed exactly when no worker claims it; memory is linear in the pieces (a few bytes each, and a bit for each peer), and no call
//! walks them all: at most it passes over whole words of sets. What a peer has is counted piece by piece, once.

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

/// A place that data comes from; one may have several workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A connection to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// What a worker should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Fetch these pieces, in order (a peer: the one piece).
    Fetch(Range<PieceIndex>),
    /// Nothing that this source can bring now; ask again when something changed.
    Wait,
    /// All needed pieces are verified.
    Done,
}

#[derive(Debug)]
struct PickerWorker {
    id: WorkerId,
    source: SourceId,
    streams: bool,
    claims: Vec<PieceIndex>,
    /// Claims that came to an end, by whomever, and of which it was not told yet.
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

    /// Takes what others have brought off both ends of the run.
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

/// The schedule of one dataset's download.
#[derive(Debug)]
pub struct Schedule {
    geometry: Geometry,
    /// To be fetched.
    wanted: PieceSet,
    wanted_bytes: u64,
    /// Present, as far as is known, and to be hashed.
    unchecked: PieceSet,
    unchecked_bytes: u64,
    total_bytes: u64,
    unclaimed: PieceSet,
    /// How many connected peers have each piece; those who have all make none rarer, and are not counted.
    availability: Vec<u16>,
    sources: SourceTable,
    /// By their ids, which only grow. Each piece goes through all of them, and at opt-level 0 a tree takes ten times
    /// as long for that.
    workers: Vec<PickerWorker>,
    next_worker: u32,
    streaming_workers: u32,
    /// Failed with several contributors: to be fetched whole from one.
    whole: BTreeSet<PieceIndex>,
    /// How far pieces had come that sources bring in parts.
    cursors: HashMap<PieceIndex, u32>,
    duplicated_bytes: u64,
    /// Pieces that two workers hold.
    duplicates: BTreeSet<PieceIndex>,
    random: fastrand::Rng,
}

impl Schedule {
    /// A schedule for these pieces; `seed` makes its choices repeatable.
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
            duplicated_bytes: 0,
            duplicates: BTreeSet::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub fn is_done(&self) -> bool {
        self.wanted.is_empty() && self.unchecked.is_empty()
    }

    /// Bytes of pieces that have to be downloaded.
    pub fn wanted_bytes(&self) -> u64 {
        self.wanted_bytes
    }

    /// Whether the piece is to be fetched.
    pub fn is_wanted(&self, piece: PieceIndex) -> bool {
        self.wanted.contains(piece)
    }

    /// Whether any of these pieces is still to be verified.
    pub fn wants_any(&self, pieces: Range<PieceIndex>) -> bool {
        self.wanted.next_common(&self.wanted, pieces).is_some()
    }

    /// A connection to the source begins its work.
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

    /// The connection is gone, or shall claim nothing for now: its claims are anyone's again.
    pub fn release(&mut self, worker: WorkerId) {
        let Some(known) = self.worker_mut(worker) else { return };
        let run = std::mem::replace(&mut known.run, 0..0);
        let claims = std::mem::take(&mut known.claims);
        known.ended_claims.clear();
        // A peer may have moved a piece that those wait for who can bring a part of it.
        for source in self.sources.iter_mut().filter(|source| !source.waits_for.is_empty()) {
            claims.iter().for_each(|piece| {
                source.waits_for.remove(piece);
            });
        }
        self.give_back(run);
        claims.into_iter().for_each(|piece| self.give_back(piece..piece + 1));
    }

    /// The connection has ended. Gives how many useful bytes it had brought.
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

    /// A worker holds these pieces no more.
    fn give_back(&mut self, pieces: Range<PieceIndex>) {
        if pieces.is_empty() {
            return;
        }
        for piece in pieces.clone() {
            if self.duplicates.contains(&piece) {
                self.unclaim(piece);
            } else if self.wanted.contains(piece) {
                // What is not shared nobody else holds.
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

    /// Useful bytes came in over this connection.
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

    /// The piece is verified: nobody needs to fetch it any more.
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

    /// A streaming worker has read to the end of a piece. Gives the rest of its run.
    pub fn passed(&mut self, worker: WorkerId, piece: PieceIndex) -> Range<PieceIndex> {
        let Some(known) = self.worker_mut(worker) else { return 0..0 };
        if known.run.contains(&piece) {
            let passed = known.run.start..piece + 1;
            known.run.start = piece + 1;
            let rest = known.run.clone();
            // What it could not finish (its bytes did not count) is anyone's again.
            self.give_back(passed);
            return rest;
        }
        known.run.clone()
    }

    /// The claims of a peer's connection that came to an end since it was last asked: the piece was verified, or was
    /// wrong and is anyone's again, whoever brought its last bytes.
    pub fn take_ended_claims(&mut self, worker: WorkerId) -> Vec<PieceIndex> {
        self.worker_mut(worker)
            .map_or_else(Vec::new, |known| std::mem::take(&mut known.ended_claims))
    }

    /// Whether the piece has a second worker: its blocks may be asked for twice.
    pub fn is_shared(&self, piece: PieceIndex) -> bool {
        self.duplicates.contains(&piece)
    }
}
