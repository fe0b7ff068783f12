//! What the sources have, as far as is known.

use std::collections::{BTreeSet, HashMap};
use std::mem::take;
use std::time::Duration;

use super::{PieceSet, STRIKES, Schedule, SourceId, Worker, WorkerId, pick};
use crate::geometry::PieceIndex;

/// So many turns at one piece, and the source is not asked for it again: more than files that sources lack in turns
/// within a piece should need, and whatever else goes round in circles ends.
const TURNS: u32 = 64;

#[derive(Debug)]
pub(super) struct Source {
    id: SourceId,
    pub(super) has: PieceSet,
    pub(super) peer: bool,
    pub(super) strikes: u32,
    /// Its last connection ended and had brought nothing.
    pub(super) in_vain: bool,
    /// Pieces that it sent wrong: asked for again only where nobody else has them.
    pub(super) bad: BTreeSet<PieceIndex>,
    /// Pieces that it would not serve when it was last asked.
    pub(super) refused: BTreeSet<PieceIndex>,
    /// Pieces of which it has brought its part.
    pub(super) waits_for: BTreeSet<PieceIndex>,
    /// How often it has brought its part of a piece.
    pub(super) turns: HashMap<PieceIndex, u32>,
    /// What it has is in [`Schedule::availability`].
    pub(super) counted: bool,
    /// It has no wanted piece before this one. Pieces are verified and never wanted again, so this moves on.
    pub(super) useful_from: PieceIndex,
    /// It has no unclaimed piece from this one on.
    pub(super) unclaimed_before: PieceIndex,
}

/// By their ids. A sorted list: at opt-level 0 a tree is slower, and it costs every user more time to compile.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    fn place_of(&self, id: SourceId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |source| source.id)
    }

    pub(super) fn get(&self, id: SourceId) -> Option<&Source> {
        self.0.get(self.place_of(id).ok()?)
    }

    pub(super) fn get_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        let place = self.place_of(id).ok()?;
        self.0.get_mut(place)
    }

    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Source> {
        self.0.iter_mut()
    }

    /// Adds a source, or replaces the one with its id.
    fn insert(&mut self, source: Source) {
        match self.place_of(source.id) {
            Ok(place) => self.0[place] = source,
            Err(place) => self.0.insert(place, source),
        }
    }
}

impl Schedule {
    /// Adds a source that can seek and stream: it has all pieces until it is told otherwise.
    pub fn add_streaming(&mut self, source: SourceId) {
        self.add(source, PieceSet::all(self.geometry.piece_count()), false);
    }

    /// Adds a peer: it has nothing until it says so.
    pub fn add_peer(&mut self, source: SourceId) {
        self.add(source, PieceSet::none(self.geometry.piece_count()), true);
    }

    fn add(&mut self, source: SourceId, has: PieceSet, peer: bool) {
        let before = self.sources.get_mut(source);
        let (strikes, in_vain, bad) = before.map_or_else(Default::default, |known| {
            (known.strikes, known.in_vain, take(&mut known.bad))
        });
        self.sources.insert(Source {
            id: source,
            has,
            peer,
            strikes,
            in_vain,
            bad,
            refused: BTreeSet::new(),
            waits_for: BTreeSet::new(),
            turns: HashMap::new(),
            counted: peer,
            useful_from: 0,
            unclaimed_before: self.geometry.piece_count(),
        });
    }

    /// A peer's bitfield: what it has, all at once.
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

    /// A peer's `have`. Whether that is still wanted.
    pub fn peer_has_piece(&mut self, source: SourceId, piece: PieceIndex) -> bool {
        if let Some(known) = self.sources.get_mut(source)
            && known.has.insert(piece)
        {
            known.useful_from = known.useful_from.min(piece);
            known.unclaimed_before = known.unclaimed_before.max(piece + 1);
            if known.counted {
                self.availability[piece as usize] =
                    self.availability[piece as usize].saturating_add(1);
            }
        }
        self.wanted.contains(piece)
    }

    /// A peer has this piece no more.
    pub fn peer_lacks(&mut self, source: SourceId, piece: PieceIndex) {
        let Some(known) = self.sources.get_mut(source) else { return };
        if !known.has.remove(piece) {
            return;
        }
        if std::mem::replace(&mut known.counted, true) {
            self.availability[piece as usize] = self.availability[piece as usize].saturating_sub(1);
        } else {
            // It had all until now.
            known.has.iter().for_each(|piece| self.availability[piece as usize] += 1);
        }
    }

    /// The peer is gone: what it had counts no more.
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

    /// A peer's connection lets go of a piece that it has claimed. One that the peer `refused` is asked of others
    /// first, until the peer is forgiven.
    pub fn give_up(&mut self, worker: WorkerId, piece: PieceIndex, refused: bool) {
        let Some(known) = self.worker_mut(worker) else { return };
        let source = known.source;
        let Some(index) = known.claims.iter().position(|claim| *claim == piece) else { return };
        known.claims.remove(index);
        for known in self.sources.iter_mut() {
            // It may have moved the piece.
            known.waits_for.remove(&piece);
            if refused && known.id == source {
                known.refused.insert(piece);
            }
        }
        self.give_back(piece..piece + 1);
    }

    /// The source may be asked again for what it refused.
    pub fn forgive(&mut self, source: SourceId) {
        if let Some(known) = self.sources.get_mut(source) {
            known.refused.clear();
        }
    }

    /// The source cannot bring the piece (its server does not have the file).
    pub fn lacks(&mut self, source: SourceId, piece: PieceIndex) {
        if let Some(known) = self.sources.get_mut(source) {
            known.has.remove(piece);
        }
    }

    /// The source has brought of a piece what it can, and found it at `cursor` then. Where it has come no further
    /// meanwhile, by whomever, the source can go on only behind what another brings; where it has, all may try again.
    ///
    /// `cursor` was read before the schedule was locked: another source may have moved the piece since, and told.
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
        for known in self.sources.iter_mut() {
            if progressed {
                known.waits_for.remove(&piece);
            } else if known.id == source && !is_stale {
                known.waits_for.insert(piece);
            }
            if known.id == source {
                let turns = known.turns.entry(piece).or_insert(0);
                *turns += 1;
                if *turns > TURNS {
                    known.has.remove(piece);
                }
            }
        }
    }

    /// Whether the source, as far as is known, has anything that is still wanted.
    pub fn is_useful(&mut self, source: SourceId) -> bool {
        let count = self.geometry.piece_count();
        let Some(known) = self.sources.get_mut(source) else { return false };
        let first = known.has.next_common(&self.wanted, known.useful_from..count);
        known.useful_from = first.unwrap_or(count);
        first.is_some() && known.strikes < STRIKES
    }

    /// Whether each wanted piece is had by one of these sources.
    pub fn is_covered_by(&self, sources: &[SourceId]) -> bool {
        let known = sources.iter().filter_map(|source| self.sources.get(*source));
        let sets: Vec<_> =
            known.filter(|known| known.strikes < STRIKES).map(|known| &known.has).collect();
        let has_all = |set: &&PieceSet| set.len() == self.geometry.piece_count();
        sets.iter().any(has_all) || self.wanted.is_covered_by(&sets)
    }

    /// Whether any source but this one could bring the piece: one that has brought something a moment ago, or has just
    /// begun. One that comes back and had brought nothing is not counted on, however often it begins.
    pub fn others_have(&self, source: SourceId, piece: PieceIndex, now: Duration) -> bool {
        let serves = |worker: &Worker| {
            worker.source != source
                && now.saturating_sub(worker.last_bytes) <= pick::SLOW
                && self.sources.get(worker.source).is_some_and(|other| {
                    other.strikes < STRIKES
                        && (worker.brought || !other.in_vain)
                        && other.has.contains(piece)
                        && !other.bad.contains(&piece)
                })
        };
        self.workers.iter().any(serves)
    }

    /// How many connections to the source have brought useful bytes.
    pub fn delivering(&self, source: SourceId) -> usize {
        self.workers.iter().filter(|worker| worker.source == source && worker.brought).count()
    }

    /// How many connections to the source work.
    pub fn workers_of(&self, source: SourceId) -> usize {
        self.workers.iter().filter(|worker| worker.source == source).count()
    }
}
