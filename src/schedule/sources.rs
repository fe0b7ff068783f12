//! What the sources have, as far as is known.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{PieceSet, STRIKES, Schedule, SourceId, Worker, pick};
use crate::geometry::PieceIndex;

/// So many turns at one piece, and the source is not asked for it again: more than files that sources lack in turns
/// within a piece should need, and whatever else goes round in circles ends.
const TURNS: u32 = 64;

#[derive(Debug)]
pub(super) struct Source {
    pub(super) has: PieceSet,
    pub(super) peer: bool,
    pub(super) strikes: u32,
    /// Pieces that it sent wrong: asked for again only where nobody else has them.
    pub(super) bad: HashSet<PieceIndex>,
    /// Pieces of which it has brought its part.
    pub(super) waits_for: HashSet<PieceIndex>,
    /// How often it has brought its part of a piece.
    pub(super) turns: HashMap<PieceIndex, u32>,
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
        let strikes = self.sources.get(&source).map_or(0, |known| known.strikes);
        let bad = self.sources.remove(&source).map_or_else(HashSet::new, |known| known.bad);
        self.sources.insert(
            source,
            Source { has, peer, strikes, bad, waits_for: HashSet::new(), turns: HashMap::new() },
        );
    }

    /// A peer's bitfield: what it has, all at once.
    pub fn peer_has(&mut self, source: SourceId, pieces: PieceSet) {
        self.forget_peer(source);
        if let Some(known) = self.sources.get_mut(&source) {
            pieces.iter().for_each(|piece| self.availability[piece as usize] += 1);
            known.has = pieces;
        }
    }

    /// A peer's `have`. Whether that is still wanted.
    pub fn peer_has_piece(&mut self, source: SourceId, piece: PieceIndex) -> bool {
        if let Some(known) = self.sources.get_mut(&source)
            && known.has.insert(piece)
        {
            self.availability[piece as usize] = self.availability[piece as usize].saturating_add(1);
        }
        self.wanted.contains(piece)
    }

    /// The peer is gone: what it had counts no more.
    pub fn forget_peer(&mut self, source: SourceId) {
        let Some(known) = self.sources.get_mut(&source).filter(|known| known.peer) else { return };
        let none = PieceSet::none(self.geometry.piece_count());
        for piece in std::mem::replace(&mut known.has, none).iter() {
            self.availability[piece as usize] = self.availability[piece as usize].saturating_sub(1);
        }
    }

    /// The source cannot bring the piece (its server does not have the file).
    pub fn lacks(&mut self, source: SourceId, piece: PieceIndex) {
        if let Some(known) = self.sources.get_mut(&source) {
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
        for (id, known) in &mut self.sources {
            if progressed {
                known.waits_for.remove(&piece);
            } else if *id == source && !is_stale {
                known.waits_for.insert(piece);
            }
            if *id == source {
                let turns = known.turns.entry(piece).or_insert(0);
                *turns += 1;
                if *turns > TURNS {
                    known.has.remove(piece);
                }
            }
        }
    }

    /// Whether the source, as far as is known, has anything that is still wanted.
    pub fn is_useful(&self, source: SourceId) -> bool {
        self.sources
            .get(&source)
            .is_some_and(|known| known.strikes < STRIKES && known.has.intersects(&self.wanted))
    }

    /// Whether each wanted piece is had by one of these sources.
    pub fn is_covered_by(&self, sources: &[SourceId]) -> bool {
        let known: Vec<_> = sources.iter().filter_map(|source| self.sources.get(source)).collect();
        let has_all = |source: &&&Source| {
            source.strikes < STRIKES && source.has.len() == self.geometry.piece_count()
        };
        if known.iter().any(|source| has_all(&source)) {
            return true;
        }
        self.wanted.iter().all(|piece| {
            known.iter().any(|source| source.strikes < STRIKES && source.has.contains(piece))
        })
    }

    /// Whether any source but this one could bring the piece: one that has brought something a moment ago.
    pub fn others_have(&self, source: SourceId, piece: PieceIndex, now: Duration) -> bool {
        let serves = |worker: &Worker| {
            worker.source != source
                && now.saturating_sub(worker.last_bytes) <= pick::SLOW
                && self.sources.get(&worker.source).is_some_and(|other| {
                    other.strikes < STRIKES
                        && other.has.contains(piece)
                        && !other.bad.contains(&piece)
                })
        };
        self.workers.values().any(serves)
    }

    /// How many connections to the source have brought useful bytes.
    pub fn delivering(&self, source: SourceId) -> usize {
        self.workers.values().filter(|worker| worker.source == source && worker.brought).count()
    }

    /// How many connections to the source work.
    pub fn workers_of(&self, source: SourceId) -> usize {
        self.workers.values().filter(|worker| worker.source == source).count()
    }
}
