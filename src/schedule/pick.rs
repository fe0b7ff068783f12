//! The choices: the next run, the rarest piece, whom to steal from, what to fetch twice.

use std::ops::Range;
use std::time::Duration;

use super::{Next, STRIKES, Schedule, Source, Worker, WorkerId};
use crate::geometry::PieceIndex;

/// Runs are long, so that requests and steals are rare, and end within the time that a line needs for 64 MiB.
const RUN_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(64 << 20);

/// A robbed web-seed connection must be closed: less than this is not worth a new one, unless its line is slow.
const STEAL_BYTES: u64 = 1 << 20;

/// A victim that needs longer than this for the rest of its run is slow.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// Pieces looked at for the rarest: all of them where there are few, a sample where there are many.
const SAMPLE: usize = 256;

/// What the endgame may fetch twice: 1 % of the dataset, or this where that is more.
const DUPLICATED_BYTES: u64 = 4 << 20;

impl Source {
    fn serves(&self, piece: PieceIndex, as_last_resort: bool) -> bool {
        self.strikes < STRIKES
            && self.has.contains(piece)
            && !self.waits_for.contains(&piece)
            && (as_last_resort || !self.bad.contains(&piece))
    }
}

impl Worker {
    fn seconds_left(&self, bytes: u64, now: Duration) -> f64 {
        let silent = now.saturating_sub(self.last_bytes).as_secs_f64();
        // A worker that was never measured counts as slow once it has been silent for a while.
        if self.bytes_per_second <= 0.0 {
            silent
        } else {
            silent.max(bytes as f64 / self.bytes_per_second)
        }
    }
}

impl Schedule {
    /// The next run of a streaming worker: from the front; else stolen; else, in the endgame, shared.
    pub fn next_run(&mut self, worker: WorkerId, now: Duration) -> Next {
        self.release(worker);
        if self.is_done() {
            return Next::Done;
        }
        let found = self
            .unclaimed_run(worker, 0, u32::MAX)
            .or_else(|| self.steal(worker, now))
            .or_else(|| self.share(worker, now).map(|piece| piece..piece + 1))
            .or_else(|| self.last_resort(worker, now).map(|piece| piece..piece + 1));
        self.claim_run(worker, found)
    }

    /// The next run that begins within `pieces`: for a server without ranges, whose stream goes on anyway.
    pub fn next_run_within(&mut self, worker: WorkerId, pieces: Range<PieceIndex>) -> Next {
        self.release(worker);
        let found = self.unclaimed_run(worker, pieces.start, pieces.end);
        self.claim_run(worker, found)
    }

    fn claim_run(&mut self, worker: WorkerId, found: Option<Range<PieceIndex>>) -> Next {
        let (Some(run), Some(known)) = (found, self.workers.get_mut(&worker)) else {
            return Next::Wait;
        };
        known.run = run.clone();
        self.unclaimed.remove(run.clone());
        Next::Fetch(run)
    }

    /// The next piece of a peer: the rarest that it has; else, in the endgame, a shared one.
    pub fn next_piece(&mut self, worker: WorkerId, now: Duration) -> Next {
        if self.is_done() {
            return Next::Done;
        }
        let found = self
            .rarest(worker)
            .or_else(|| self.steal_one(worker, now))
            .or_else(|| self.share(worker, now))
            .or_else(|| self.last_resort(worker, now));
        let (Some(piece), Some(known)) = (found, self.workers.get_mut(&worker)) else {
            return Next::Wait;
        };
        known.claims.push(piece);
        self.unclaimed.remove(piece..piece + 1);
        Next::Fetch(piece..piece + 1)
    }

    fn source_of(&self, worker: WorkerId) -> Option<&Source> {
        self.sources.get(&self.workers.get(&worker)?.source)
    }

    /// A stretch of unclaimed pieces that this source has and that begins within these bounds.
    fn unclaimed_run(
        &self,
        worker: WorkerId,
        from: PieceIndex,
        to: PieceIndex,
    ) -> Option<Range<PieceIndex>> {
        let source = self.source_of(worker)?;
        let streaming = self
            .workers
            .values()
            .filter(|w| self.sources.get(&w.source).is_some_and(|s| !s.peer))
            .count();
        let bytes = self.wanted_bytes / (2 * streaming.max(1) as u64);
        let bytes = bytes.clamp(*RUN_BYTES.start(), *RUN_BYTES.end());
        let longest = u32::try_from(bytes / u64::from(self.geometry.piece_bytes()))
            .unwrap_or(u32::MAX)
            .max(1);
        let start = self.first_unclaimed(source, from, to)?;
        let stretch = self.unclaimed.from(start).next()?;
        let end = (start..stretch.end.min(start.saturating_add(longest)))
            .take_while(|piece| {
                source.serves(*piece, false) && !(self.whole.contains(piece) && *piece > start)
            })
            .last()?;
        // A piece that must come whole from one source is a run of its own.
        Some(start..if self.whole.contains(&start) { start + 1 } else { end + 1 })
    }

    /// The first unclaimed piece within bounds that the source serves. What it lacks is passed over by whole words
    /// and ranges: a server that lacks most of a million pieces is no work.
    fn first_unclaimed(
        &self,
        source: &Source,
        from: PieceIndex,
        to: PieceIndex,
    ) -> Option<PieceIndex> {
        let mut at = from;
        loop {
            let range = self.unclaimed.from(at).next().filter(|range| range.start < to)?;
            let had = source.has.next_from(range.start)?;
            if had < range.end.min(to) && source.serves(had, false) {
                return Some(had);
            }
            // One that it sent wrong is passed over alone.
            at = if had < range.end { had + 1 } else { had };
        }
    }

    /// The far half of the run that will take longest.
    fn steal(&mut self, thief: WorkerId, now: Duration) -> Option<Range<PieceIndex>> {
        let source = self.source_of(thief)?;
        let victim = self.victim(thief, now)?;
        let run = self.workers.get(&victim)?.run.clone();
        // Its first piece is on its way.
        let middle = run.start + 1 + (run.end - run.start - 1) / 2;
        let stolen = middle..run.end;
        if !stolen.clone().all(|piece| source.serves(piece, false)) {
            return None;
        }
        self.workers.get_mut(&victim)?.run.end = middle;
        Some(stolen)
    }

    /// For a peer: the last piece of that run.
    fn steal_one(&mut self, thief: WorkerId, now: Duration) -> Option<PieceIndex> {
        let source = self.source_of(thief)?;
        let victim = self.victim(thief, now)?;
        let piece = self.workers.get(&victim)?.run.end.checked_sub(1)?;
        if !source.serves(piece, false) {
            return None;
        }
        self.workers.get_mut(&victim)?.run.end = piece;
        Some(piece)
    }

    fn victim(&self, thief: WorkerId, now: Duration) -> Option<WorkerId> {
        let stealable = |(id, worker): (&WorkerId, &Worker)| {
            let (start, end) = (worker.run.start + 1, worker.run.end);
            if *id == thief || start >= end {
                return None;
            }
            let bytes = self.geometry.bytes(start..end);
            let bytes = bytes.end - bytes.start;
            let seconds = worker.seconds_left(bytes, now);
            (bytes >= STEAL_BYTES || seconds > SLOW.as_secs_f64()).then_some((*id, seconds, bytes))
        };
        let slowest = self
            .workers
            .iter()
            .filter_map(stealable)
            .max_by(|a, b| a.1.total_cmp(&b.1).then(a.2.cmp(&b.2)));
        slowest.map(|(id, ..)| id)
    }

    /// The endgame: a piece that one other worker has claimed and that takes long. Bounded: at most two
    /// workers a piece, and 1 % of the dataset in all, but for workers that bring nothing.
    fn share(&mut self, worker: WorkerId, now: Duration) -> Option<PieceIndex> {
        let allowed = (self.total_bytes / 100).max(DUPLICATED_BYTES);
        let source = self.source_of(worker)?;
        let mine = self.workers.get(&worker)?;
        let mut best: Option<(f64, PieceIndex)> = None;
        for (id, other) in self.workers.iter().filter(|(id, _)| **id != worker) {
            let seconds = other.seconds_left(self.geometry.piece_bytes().into(), now);
            let silent = now.saturating_sub(other.last_bytes) > SLOW;
            for piece in other.claims.iter().copied().chain(other.run.clone()) {
                let bytes = u64::from(self.geometry.len(piece));
                let shareable = self.wanted.contains(piece)
                    && (silent || self.duplicated_bytes + bytes <= allowed)
                    && !self.duplicates.contains(&piece)
                    && !self.whole.contains(&piece)
                    && !mine.holds(piece)
                    && (other.source != mine.source || silent)
                    && source.serves(piece, false);
                if shareable && best.is_none_or(|(most, _)| seconds > most) {
                    best = Some((seconds, piece));
                }
            }
            debug_assert!(*id != worker);
        }
        let (_, piece) = best?;
        self.duplicated_bytes += u64::from(self.geometry.len(piece));
        self.duplicates.insert(piece);
        Some(piece)
    }

    /// A piece that this source once sent wrong, where nobody else who is connected has it.
    fn last_resort(&self, worker: WorkerId, now: Duration) -> Option<PieceIndex> {
        let id = self.workers.get(&worker)?.source;
        let source = self.sources.get(&id)?;
        let mut bad: Vec<_> = source.bad.iter().copied().collect();
        bad.sort_unstable();
        bad.into_iter().find(|piece| {
            self.unclaimed.contains(*piece)
                && source.serves(*piece, true)
                && !self.others_have(id, *piece, now)
        })
    }

    /// The piece that the fewest peers have, among a sample of the unclaimed ones that this one has.
    fn rarest(&mut self, worker: WorkerId) -> Option<PieceIndex> {
        let someone_streams = self
            .workers
            .values()
            .any(|worker| self.sources.get(&worker.source).is_some_and(|source| !source.peer));
        let count = self.geometry.piece_count();
        let start = if count == 0 { 0 } else { self.random.u32(..count) };
        let source = self.source_of(worker)?;
        let serves = |piece: &PieceIndex| source.serves(*piece, false);
        let rarity =
            |piece: &PieceIndex| self.availability.get(*piece as usize).copied().unwrap_or(0);
        let from_back = || self.unclaimed.iter().rev().flat_map(|range| range.rev());
        let from_random =
            || self.unclaimed.from(start).flatten().chain(self.unclaimed.iter().flatten());
        let sampled = if someone_streams {
            from_back().take(SAMPLE).filter(serves).min_by_key(rarity)
        } else {
            from_random().take(SAMPLE).filter(serves).min_by_key(rarity)
        };
        // A peer with few pieces: go by what it has.
        sampled.or_else(|| {
            source.has.iter().find(|piece| self.unclaimed.contains(*piece) && serves(piece))
        })
    }
}
