//! What is known about each source.

use std::collections::{BTreeSet, HashMap};
use std::mem::take;
use std::ops::Range;
use std::time::Duration;

use super::pace::Pace;
use super::{PickerWorker, PieceSet, STRIKES, Schedule, SourceId, WorkerId, pick};
use crate::torrent::geometry::PieceIndex;

/// After this many turns at the same piece, the source is not asked for it again. Files that
/// sources lack alternately within a piece should never need as many; the limit ends any other
/// endless loop.
const TURNS: u32 = 64;

/// A source that trickles for this long while it has claims loses them to others.
pub const SLOW_SOURCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct PickerSource {
    pub(super) has: PieceSet,
    pub(super) peer: bool,
    pub(super) strikes: u32,
    /// The bytes received over all of its connections, and their rate while the source had claims.
    pub(super) brought_bytes: u64,
    pub(super) pace: Pace,
    /// Whether its last connection ended without sending anything useful.
    pub(super) in_vain: bool,
    /// Pieces that it sent corrupt: asked for again only if no other source has them.
    pub(super) bad: BTreeSet<PieceIndex>,
    /// The files in each of the corrupt pieces of a server or directory.
    pub(super) corrupt: Vec<Range<u32>>,
    /// Pieces that it refused when it was last asked.
    pub(super) refused: BTreeSet<PieceIndex>,
    /// Pieces of which it has provided its part, and that another source must advance.
    pub(super) waits_for: BTreeSet<PieceIndex>,
    /// How often it has provided its part of a piece.
    pub(super) turns: HashMap<PieceIndex, u32>,
    /// Whether its pieces are counted in [`Schedule::availability`].
    pub(super) counted: bool,
    /// It has no wanted piece before this index.
    pub(super) useful_from: PieceIndex,
    /// It has no unclaimed piece at or after this index.
    pub(super) unclaimed_before: PieceIndex,
}

/// Indexed by ID, counted from 0: any other index is slower at opt-level 0, and costs every user
/// compile time.
#[derive(Debug, Default)]
pub(super) struct SourceTable(Vec<Option<PickerSource>>);

impl SourceTable {
    pub(super) fn get(&self, id: SourceId) -> Option<&PickerSource> {
        self.0.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: SourceId) -> Option<&mut PickerSource> {
        self.0.get_mut(id.0 as usize)?.as_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut PickerSource> {
        self.0.iter_mut().flatten()
    }

    /// Adds a source, or replaces the one with this ID.
    fn insert(&mut self, id: SourceId, source: PickerSource) {
        let place = id.0 as usize;
        self.0.resize_with(self.0.len().max(place + 1), || None);
        self.0[place] = Some(source);
    }
}

impl Schedule {
    /// Adds a source that can seek and stream. It has all pieces until [`Schedule::lacks`] says
    /// otherwise.
    pub fn add_streaming(&mut self, source: SourceId) {
        self.add(source, PieceSet::all(self.geometry.piece_count()), false);
    }

    /// Adds a peer. It has no pieces until it announces some.
    pub fn add_peer(&mut self, source: SourceId) {
        self.add(source, PieceSet::none(self.geometry.piece_count()), true);
    }

    fn add(&mut self, source: SourceId, has: PieceSet, peer: bool) {
        let before = self.sources.get_mut(source);
        let (strikes, in_vain, bad, corrupt) = before.map_or_else(Default::default, |known| {
            (known.strikes, known.in_vain, take(&mut known.bad), take(&mut known.corrupt))
        });
        self.sources.insert(
            source,
            PickerSource {
                has,
                peer,
                strikes,
                brought_bytes: 0,
                pace: Pace::new(SLOW_SOURCE, Duration::ZERO, 0),
                in_vain,
                bad,
                corrupt,
                refused: BTreeSet::new(),
                waits_for: BTreeSet::new(),
                turns: HashMap::new(),
                counted: peer,
                useful_from: 0,
                unclaimed_before: self.geometry.piece_count(),
            },
        );
    }

    /// Handles a peer's bitfield, which replaces all that was known about its pieces.
    pub fn peer_has(&mut self, source: SourceId, pieces: PieceSet) {
        self.forget_peer(source);
        if let Some(known) = self.sources.get_mut(source) {
            known.counted = pieces.len() < self.geometry.piece_count();
            if known.counted {
                pieces.iter().for_each(|piece| {
                    self.availability[piece as usize] += 1;
                });
            }
            known.has = pieces;
            known.useful_from = 0;
            known.unclaimed_before = self.geometry.piece_count();
        }
    }

    /// Handles a peer's `have`. Returns whether the piece is wanted, or may turn out to be damaged.
    pub fn peer_has_piece(&mut self, source: SourceId, piece: PieceIndex) -> bool {
        if let Some(known) = self.sources.get_mut(source) {
            if known.has.insert(piece) {
                known.useful_from = known.useful_from.min(piece);
                known.unclaimed_before = known.unclaimed_before.max(piece + 1);
                if known.counted {
                    self.availability[piece as usize] =
                        self.availability[piece as usize].saturating_add(1);
                }
            }
        }
        self.wanted.contains(piece) || self.unchecked.contains(piece)
    }

    /// Records that a peer no longer has this piece.
    pub fn peer_lacks(&mut self, source: SourceId, piece: PieceIndex) {
        let Some(known) = self.sources.get_mut(source) else { return };
        if !known.has.remove(piece) {
            return;
        }
        if std::mem::replace(&mut known.counted, true) {
            self.availability[piece as usize] = self.availability[piece as usize].saturating_sub(1);
        } else {
            // Until now the peer had all pieces, which are not counted.
            known.has.iter().for_each(|piece| self.availability[piece as usize] += 1);
        }
    }

    /// Forgets the pieces of a peer that disconnected.
    pub fn forget_peer(&mut self, source: SourceId) {
        let Some(known) = self.sources.get_mut(source).filter(|known| known.peer) else { return };
        let none = PieceSet::none(self.geometry.piece_count());
        let had = std::mem::replace(&mut known.has, none);
        if std::mem::replace(&mut known.counted, true) {
            for piece in had.iter() {
                self.availability[piece as usize] =
                    self.availability[piece as usize].saturating_sub(1);
            }
        }
    }

    /// Releases a piece that a peer's connection has claimed. If the peer `refused` it, only others
    /// are asked for it until the peer is forgiven.
    pub fn give_up(&mut self, worker: WorkerId, piece: PieceIndex, refused: bool) {
        let Some(known) = self.worker_mut(worker) else { return };
        let source = known.source;
        let Some(index) = known.claims.iter().position(|claim| *claim == piece) else { return };
        known.claims.remove(index);
        for known in self.sources.iter_mut() {
            // The connection may have advanced the piece.
            known.waits_for.remove(&piece);
        }
        if let Some(known) = self.sources.get_mut(source).filter(|_| refused) {
            known.refused.insert(piece);
        }
        self.give_back(piece..piece + 1);
    }

    /// Allows asking the source again for what it refused.
    pub fn forgive(&mut self, source: SourceId) {
        if let Some(known) = self.sources.get_mut(source) {
            known.refused.clear();
        }
    }

    /// Records that the source cannot provide the piece (its server does not have the file).
    pub fn lacks(&mut self, source: SourceId, piece: PieceIndex) {
        if let Some(known) = self.sources.get_mut(source) {
            known.has.remove(piece);
        }
    }

    /// Records that the source has provided its part of a piece, whose progress was at `cursor`
    /// then. If nobody has advanced the piece meanwhile, the source can only continue after another
    /// source does; otherwise, all may try again.
    ///
    /// `cursor` was read before the schedule was locked: another source may have advanced the piece
    /// and reported it since then.
    pub fn brought_its_part(
        &mut self,
        source: SourceId,
        piece: PieceIndex,
        cursor: u32,
        progressed: bool,
    ) {
        let furthest = self.cursors.entry(piece).or_insert(0);
        let is_stale = cursor < *furthest && !self.whole.contains(&piece);
        *furthest = cursor.max(*furthest);
        if progressed {
            for known in self.sources.iter_mut() {
                known.waits_for.remove(&piece);
            }
        }
        let Some(known) = self.sources.get_mut(source) else { return };
        if !progressed && !is_stale {
            known.waits_for.insert(piece);
        }
        let turns = known.turns.entry(piece).or_insert(0);
        *turns += 1;
        if *turns > TURNS {
            known.has.remove(piece);
        }
    }

    /// Whether the source is known to have a piece that is wanted, or that may turn out to be
    /// damaged.
    pub fn is_useful(&mut self, source: SourceId) -> bool {
        let count = self.geometry.piece_count();
        let Some(known) = self.sources.get_mut(source) else { return false };
        let first = known.has.next_common(&self.wanted, known.useful_from..count);
        known.useful_from = first.unwrap_or(count);
        let may_be = || {
            let unchecked = &self.unchecked;
            !unchecked.is_empty() && known.has.next_common(unchecked, 0..count).is_some()
        };
        known.strikes < STRIKES && (first.is_some() || may_be())
    }

    /// Whether each wanted piece is available from at least one of these sources.
    pub fn is_covered_by(&self, sources: &[SourceId]) -> bool {
        let known = sources.iter().filter_map(|source| self.sources.get(*source));
        let sets: Vec<_> =
            known.filter(|known| known.strikes < STRIKES).map(|known| &known.has).collect();
        let has_all = |set: &&PieceSet| set.len() == self.geometry.piece_count();
        sets.iter().any(has_all) || self.wanted.is_covered_by(&sets)
    }

    /// Whether any other source could provide the piece: one that sent something a moment ago, or
    /// has just started. A source that reconnects after sending nothing does not count, however
    /// often it starts.
    pub fn others_have(&self, source: SourceId, piece: PieceIndex, now: Duration) -> bool {
        let serves = |worker: &PickerWorker| {
            worker.source != source
                && self.is_counted_on(worker, now)
                && self.sources.get(worker.source).is_some_and(|other| {
                    other.strikes < STRIKES
                        && other.has.contains(piece)
                        && !other.bad.contains(&piece)
                })
        };
        self.workers.iter().any(serves)
    }

    /// Whether a worker sent something a moment ago, or has just started and is not a reconnect
    /// after sending nothing.
    pub(super) fn is_counted_on(&self, worker: &PickerWorker, now: Duration) -> bool {
        let in_vain = || self.sources.get(worker.source).is_none_or(|source| source.in_vain);
        now.saturating_sub(worker.last_bytes) <= pick::SLOW
            && (worker.brought_bytes > 0 || !in_vain())
    }

    /// Returns how many connections to the source have received useful bytes.
    pub fn delivering(&self, source: SourceId) -> usize {
        self.workers
            .iter()
            .filter(|worker| worker.source == source && worker.brought_bytes > 0)
            .count()
    }

    /// Returns how many peers have sent nothing useful for longer than `time` allows each of them.
    pub fn idle_peers(&self, now: Duration, time: impl Fn(SourceId) -> Duration) -> usize {
        let is_idle =
            |it: &&PickerWorker| !it.streams && now.saturating_sub(it.last_bytes) > time(it.source);
        self.workers.iter().filter(is_idle).count()
    }

    /// Returns the source's recent rate of useful bytes per second; `None` if it has sent none.
    pub fn rate_of(&self, source: SourceId, now: Duration) -> Option<u64> {
        let known = self.sources.get(source).filter(|known| known.brought_bytes > 0)?;
        Some(known.pace.mean(now, known.brought_bytes))
    }

    /// Whether another connection to the same source is fetching some of these pieces.
    pub fn is_fetched_beside(&self, worker: WorkerId, pieces: Range<PieceIndex>) -> bool {
        let Some(source) = self.worker(worker).map(|known| known.source) else { return false };
        let others = self.workers.iter().filter(|it| it.source == source && it.id != worker);
        let both = |run: &Range<PieceIndex>| run.start.max(pieces.start)..run.end.min(pieces.end);
        others.map(|other| both(&other.run)).any(|it| it.start < it.end && self.wants_any(it))
    }

    /// Returns the number of connections to the source.
    pub fn workers_of(&self, source: SourceId) -> usize {
        self.workers.iter().filter(|worker| worker.source == source).count()
    }
}
