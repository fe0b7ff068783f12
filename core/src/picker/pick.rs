//! The decisions: the next run, the rarest piece, which worker to steal from, which piece to fetch
//! twice.

use std::ops::Range;
use std::time::Duration;

use super::pace::Pace;
use super::{Next, PickerSource, PickerWorker, SLOW_SOURCE, STRIKES, Schedule, SourceId, WorkerId};
use crate::torrent::geometry::PieceIndex;

/// Runs are long, so that requests and steals are rare, but take no longer than a connection needs
/// for 64 MiB.
const RUN_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(64 << 20);

/// Stealing from a web seed forces its connection to close; less than this is not worth a new
/// connection, unless the victim is slow.
const STEAL_BYTES: u64 = 1 << 20;

/// A victim is slow if the rest of its run would take longer than this.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// How many pieces are examined to find the rarest: all if there are few, a sample if there are
/// many.
const SAMPLE: usize = 64;

/// What the endgame may fetch twice: 1 % of the dataset, but at least this much.
const DUPLICATED_BYTES: u64 = 4 << 20;

impl PickerSource {
    fn serves(&self, piece: PieceIndex, as_last_resort: bool) -> bool {
        self.strikes < STRIKES
            && self.has.contains(piece)
            && !self.waits_for.contains(&piece)
            && !self.refused.contains(&piece)
            && (as_last_resort || !self.bad.contains(&piece))
    }

    /// Returns the first piece of the range that the source does not serve, or the end of the
    /// range.
    fn serves_until(&self, pieces: Range<PieceIndex>) -> PieceIndex {
        if self.strikes >= STRIKES || pieces.is_empty() {
            return pieces.start;
        }
        let lacked = self.has.next_lacked(pieces.clone());
        let bad = self.bad.range(pieces.clone()).next().copied().unwrap_or(lacked);
        let waits = self.waits_for.range(pieces).next().copied().unwrap_or(lacked);
        lacked.min(bad).min(waits)
    }
}

impl PickerWorker {
    /// Whether the worker holds any piece.
    fn is_busy(&self) -> bool {
        !self.run.is_empty() || !self.claims.is_empty()
    }

    fn seconds_left(&self, bytes: u64, now: Duration) -> f64 {
        let silent = now.saturating_sub(self.last_bytes).as_secs_f64();
        // A worker whose rate was never measured counts as slow once it has been silent for a
        // while.
        if self.bytes_per_second <= 0.0 {
            silent
        } else {
            silent.max(bytes as f64 / self.bytes_per_second)
        }
    }
}

impl Schedule {
    /// Returns the next run of a streaming worker: from the front; otherwise stolen; otherwise, in
    /// the endgame, a shared piece, one taken over, or a last resort.
    pub fn next_run(&mut self, worker: WorkerId, now: Duration) -> Next {
        self.release(worker);
        if self.is_done() {
            return Next::Done;
        }
        let found = self
            .unclaimed_run(worker, 0, u32::MAX)
            .or_else(|| self.steal(worker, now))
            .or_else(|| self.share(worker, now).map(|piece| piece..piece + 1))
            .or_else(|| self.take_over(worker, now).map(|piece| piece..piece + 1))
            .or_else(|| self.last_resort(worker, now).map(|piece| piece..piece + 1));
        self.claim_run(worker, found, now)
    }

    /// Returns the next run that starts within `pieces`: for a server without range requests, whose
    /// stream continues anyway.
    pub fn next_run_within(
        &mut self,
        worker: WorkerId,
        pieces: Range<PieceIndex>,
        now: Duration,
    ) -> Next {
        self.release(worker);
        let found = self.unclaimed_run(worker, pieces.start, pieces.end);
        self.claim_run(worker, found, now)
    }

    /// Whether [`Schedule::next_run_within`] finds this piece again after it was released: not if
    /// another worker holds it, too, or if the source sent it corrupt.
    pub fn is_found_again(&self, source: SourceId, piece: PieceIndex) -> bool {
        let is_served = |it: &PickerSource| it.serves(piece, false);
        !self.duplicates.contains(&piece) && self.sources.get(source).is_some_and(is_served)
    }

    fn claim_run(
        &mut self,
        worker: WorkerId,
        found: Option<Range<PieceIndex>>,
        now: Duration,
    ) -> Next {
        self.note_claim(worker, now);
        let (Some(run), Some(known)) = (found, self.worker_mut(worker)) else {
            return Next::Wait;
        };
        known.run = run.clone();
        self.unclaimed.remove_range(run.clone());
        Next::Fetch(run)
    }

    /// Returns the next piece of a peer: the rarest that it has; otherwise stolen; otherwise, in
    /// the endgame, a shared piece, one taken over, or a last resort.
    pub fn next_piece(&mut self, worker: WorkerId, now: Duration) -> Next {
        if self.is_done() {
            return Next::Done;
        }
        let found = self
            .rarest(worker)
            .or_else(|| self.steal_one(worker, now))
            .or_else(|| self.share(worker, now))
            .or_else(|| self.take_over(worker, now))
            .or_else(|| self.last_resort(worker, now));
        self.claim_one(worker, found, now)
    }

    /// Claims one of these pieces for a peer that currently serves no others.
    pub fn next_of(&mut self, worker: WorkerId, pieces: &[PieceIndex], now: Duration) -> Next {
        let Some(source) = self.source_of(worker) else { return Next::Wait };
        let is_free =
            |piece: &&PieceIndex| self.unclaimed.contains(**piece) && source.serves(**piece, false);
        let found = pieces.iter().find(is_free).copied();
        self.claim_one(worker, found, now)
    }

    /// Must be called before a worker claims anything: a source's pace is measured from its first
    /// claim.
    pub(super) fn note_claim(&mut self, worker: WorkerId, now: Duration) {
        let Some(id) = self.worker(worker).filter(|it| !it.is_busy()).map(|it| it.source) else {
            return;
        };
        let is_busy = self.workers.iter().any(|it| it.source == id && it.is_busy());
        if let Some(source) = self.sources.get_mut(id).filter(|_| !is_busy) {
            source.pace = Pace::new(SLOW_SOURCE, now, source.brought_bytes);
        }
    }

    fn claim_one(&mut self, worker: WorkerId, found: Option<PieceIndex>, now: Duration) -> Next {
        self.note_claim(worker, now);
        let (Some(piece), Some(known)) = (found, self.worker_mut(worker)) else {
            return Next::Wait;
        };
        debug_assert!(!known.claims.contains(&piece), "a peer is given a piece once");
        known.claims.push(piece);
        self.unclaimed.remove(piece);
        Next::Fetch(piece..piece + 1)
    }

    fn source_of(&self, worker: WorkerId) -> Option<&PickerSource> {
        self.sources.get(self.worker(worker)?.source)
    }

    /// Returns a run of unclaimed pieces that this source has, starting within these bounds.
    fn unclaimed_run(
        &self,
        worker: WorkerId,
        from: PieceIndex,
        to: PieceIndex,
    ) -> Option<Range<PieceIndex>> {
        let source = self.source_of(worker)?;
        let bytes = self.wanted_bytes / (2 * u64::from(self.streaming_workers.max(1)));
        let bytes = bytes.clamp(*RUN_BYTES.start(), *RUN_BYTES.end());
        let longest = u32::try_from(bytes / u64::from(self.geometry.piece_bytes()))
            .unwrap_or(u32::MAX)
            .max(1);
        let start = self.first_unclaimed(source, from, to)?;
        // A piece that must come whole from one source is a run of its own.
        if self.whole.contains(&start) {
            return Some(start..start + 1);
        }
        let run = start..start.saturating_add(longest).min(self.geometry.piece_count());
        let whole = self.whole.range(run.clone()).next().copied().unwrap_or(run.end);
        Some(start..source.serves_until(start..self.unclaimed.next_lacked(start..whole)))
    }

    /// Returns the first unclaimed piece within the bounds that the source serves.
    fn first_unclaimed(
        &self,
        source: &PickerSource,
        from: PieceIndex,
        to: PieceIndex,
    ) -> Option<PieceIndex> {
        let mut at = from;
        loop {
            let had = source.has.next_common(&self.unclaimed, at..to)?;
            if source.serves(had, false) {
                return Some(had);
            }
            // The source has the piece but does not serve it (it sent it corrupt, for example):
            // only this piece is skipped.
            at = had + 1;
        }
    }

    /// Steals the far half of the run that will take longest.
    fn steal(&mut self, thief: WorkerId, now: Duration) -> Option<Range<PieceIndex>> {
        let source = self.source_of(thief)?;
        let victim = self.victim(thief, now)?;
        let run = self.worker(victim)?.run.clone();
        // The first piece of the run is being received.
        let middle = run.start + 1 + (run.end - run.start - 1) / 2;
        // Others may have fetched pieces in the middle. A run has no holes, so everything after the
        // first hole is released.
        let start = self.wanted.next_common(&self.wanted, middle..run.end)?;
        let stolen = start..self.wanted.next_lacked(start..run.end);
        if source.serves_until(stolen.clone()) < stolen.end {
            return None;
        }
        self.cut_run(victim, |run| run.start..middle)?;
        self.give_back(stolen.end..run.end);
        Some(stolen)
    }

    /// Reduces a worker's run to this part, without pieces at its ends that others have fetched.
    fn cut_run(
        &mut self,
        worker: WorkerId,
        part: impl Fn(&Range<PieceIndex>) -> Range<PieceIndex>,
    ) -> Option<()> {
        let worker = self.index_of(worker).and_then(|index| self.workers.get_mut(index))?;
        worker.run = part(&worker.run);
        worker.trim_run(&self.wanted);
        Some(())
    }

    /// Steals the last piece of that run, for a peer.
    pub(super) fn steal_one(&mut self, thief: WorkerId, now: Duration) -> Option<PieceIndex> {
        let source = self.source_of(thief)?;
        let victim = self.victim(thief, now)?;
        let piece = self.worker(victim)?.run.end.checked_sub(1)?;
        // A second worker already has the piece, possibly the thief itself.
        if !source.serves(piece, false) || self.duplicates.contains(&piece) {
            return None;
        }
        self.cut_run(victim, |run| run.start..piece)?;
        Some(piece)
    }

    fn victim(&self, thief: WorkerId, now: Duration) -> Option<WorkerId> {
        let stealable = |worker: &PickerWorker| {
            let (start, end) = (worker.run.start + 1, worker.run.end);
            if worker.id == thief || start >= end {
                return None;
            }
            let bytes = self.geometry.bytes(start..end);
            let bytes = bytes.end - bytes.start;
            let seconds = worker.seconds_left(bytes, now);
            (bytes >= STEAL_BYTES || seconds > SLOW.as_secs_f64())
                .then_some((worker.id, seconds, bytes))
        };
        let slowest = self
            .workers
            .iter()
            .filter_map(stealable)
            .max_by(|a, b| a.1.total_cmp(&b.1).then(a.2.cmp(&b.2)));
        slowest.map(|(id, ..)| id)
    }

    /// The endgame: returns a piece that one other worker has claimed and that will take long. At
    /// most two workers share a piece, and at most 1 % of the dataset is fetched twice, not
    /// counting workers that send nothing. A piece that only silent workers hold is also given to a
    /// worker of another source, if that worker has nothing else.
    fn share(&mut self, worker: WorkerId, now: Duration) -> Option<PieceIndex> {
        let allowed = (self.total_bytes / 100).max(DUPLICATED_BYTES);
        let source = self.source_of(worker)?;
        let mine = self.worker(worker)?;
        let mut best: Option<(f64, PieceIndex)> = None;
        for other in &self.workers {
            let seconds = other.seconds_left(self.geometry.piece_bytes().into(), now);
            let silent = now.saturating_sub(other.last_bytes) > SLOW;
            let may_share = other.id != worker && (other.source != mine.source || silent);
            if !may_share || best.is_some_and(|(most, _)| seconds <= most) {
                continue;
            }
            let affordable = |piece| {
                let bytes = u64::from(self.geometry.len(piece));
                !self.is_counted_on(other, now) || self.duplicated_bytes + bytes <= allowed
            };
            // Silent workers are replaced sooner than a useless peer loses its connection;
            // otherwise a good peer might never have anything to request.
            let is_live = |it: &PickerWorker| {
                let is_late = it.brought_bytes == 0 && now.saturating_sub(it.last_bytes) > SLOW / 2;
                !is_late && self.is_counted_on(it, now)
            };
            let has_room = |piece: &PieceIndex| {
                let keeps = |it: &PickerWorker| {
                    it.holds(*piece) && (it.source == mine.source || is_live(it))
                };
                !self.duplicates.contains(piece)
                    || (!mine.is_busy() && !self.workers.iter().any(keeps))
            };
            let shareable = |piece: &PieceIndex| {
                self.wanted.contains(*piece)
                    && affordable(*piece)
                    && has_room(piece)
                    && !self.whole.contains(piece)
                    && !mine.holds(*piece)
                    && source.serves(*piece, false)
            };
            // Only the torrent's last piece can be shorter than the others.
            let first = match affordable(other.run.start) {
                true => other.run.start,
                false => other.run.end.saturating_sub(1),
            };
            let mut rest = first..other.run.end;
            let within_run = std::iter::from_fn(|| {
                let piece = source.has.next_common(&self.wanted, rest.clone())?;
                rest.start = piece + 1;
                Some(piece)
            });
            if let Some(piece) = other.claims.iter().copied().chain(within_run).find(shareable) {
                best = Some((seconds, piece));
            }
        }
        let (_, piece) = best?;
        self.duplicated_bytes += u64::from(self.geometry.len(piece));
        self.duplicates.insert(piece);
        Some(piece)
    }

    /// Takes over a piece from a worker of another source that sends almost nothing. If a second
    /// worker holds the piece, it keeps it.
    fn take_over(&mut self, thief: WorkerId, now: Duration) -> Option<PieceIndex> {
        let id = self.worker(thief)?.source;
        for index in 0..self.workers.len() {
            let victim = self.workers.get(index).filter(|it| it.source != id && it.is_busy());
            let of = victim.and_then(|it| self.sources.get_mut(it.source));
            if !of.is_some_and(|it| it.pace.trickles(now, it.brought_bytes)) {
                continue;
            }
            let (source, victim) = (self.sources.get(id)?, self.workers.get(index)?);
            let may_take = |piece: &PieceIndex| {
                let has_already = |it: &PickerWorker| it.source == id && it.holds(*piece);
                self.wanted.contains(*piece)
                    && source.serves(*piece, false)
                    && !self.workers.iter().any(has_already)
            };
            let first = victim.run.clone().take(1);
            let Some(piece) = victim.claims.iter().copied().chain(first).find(may_take) else {
                continue;
            };
            let victim = self.workers.get_mut(index)?;
            if victim.run.contains(&piece) {
                let victim = victim.id;
                self.cut_run(victim, |run| piece + 1..run.end)?;
            } else {
                victim.claims.retain(|claim| *claim != piece);
                victim.ended_claims.push(piece);
            }
            return Some(piece);
        }
        None
    }

    /// Returns a piece that this source once sent corrupt, if no other connected source has it.
    fn last_resort(&self, worker: WorkerId, now: Duration) -> Option<PieceIndex> {
        let id = self.worker(worker)?.source;
        let source = self.sources.get(id)?;
        source.bad.iter().copied().find(|piece| {
            self.unclaimed.contains(*piece)
                && source.serves(*piece, true)
                && !self.others_have(id, *piece, now)
        })
    }

    /// Returns the piece that the fewest peers have, among a sample of the unclaimed pieces that
    /// this peer has.
    pub(super) fn rarest(&mut self, worker: WorkerId) -> Option<PieceIndex> {
        let id = self.worker(worker)?.source;
        let source = self.sources.get_mut(id)?;
        let last = source.has.last_common(&self.unclaimed, source.unclaimed_before);
        source.unclaimed_before = last.map_or(0, |last| last + 1);
        let end = last? + 1;
        let from_back = self.streaming_workers > 0;
        let start = if from_back { end } else { self.random.u32(..end) };
        let source = self.sources.get(id)?;
        // The pieces left to examine: from the start to the end, and then those before the start;
        // from the back, all of them.
        let (mut rest, mut before) = (start..end, Some(0..start));
        let mut next = || loop {
            if from_back {
                rest.end = source.has.last_common(&self.unclaimed, rest.end)?;
                return Some(rest.end);
            }
            match source.has.next_common(&self.unclaimed, rest.clone()) {
                Some(piece) => {
                    rest.start = piece + 1;
                    return Some(piece);
                }
                None => rest = before.take()?,
            }
        };
        // No piece can be rarer than one that only this peer has.
        let least = u16::from(source.counted);
        let mut rarest: Option<(u16, PieceIndex)> = None;
        for _ in 0..SAMPLE {
            let Some(piece) = next() else { break };
            let peers = self.availability[piece as usize];
            if rarest.is_none_or(|(fewest, _)| peers < fewest) && source.serves(piece, false) {
                rarest = Some((peers, piece));
                if peers <= least {
                    break;
                }
            }
        }
        rarest.map(|(_, piece)| piece)
    }
}
