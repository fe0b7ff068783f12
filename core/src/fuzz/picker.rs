//! The picker as a state machine: any sequence of actions of sources and workers.

use std::ops::Range;
use std::time::Duration;

use crate::picker::{Next, PieceSet, Schedule, SourceId, WorkerId};
use crate::torrent::geometry::Geometry;

use super::Input;

const PIECE_BYTES: u32 = 1 << 20;
const SOURCES: u32 = 5;

/// A worker in the model.
struct KnownWorker {
    worker: WorkerId,
    source: SourceId,
    /// The pieces that it has to fetch.
    run: Range<u32>,
}

/// The expected state of the schedule.
struct Model {
    schedule: Schedule,
    geometry: Geometry,
    needed: Vec<u32>,
    unchecked: PieceSet,
    verified: PieceSet,
    workers: Vec<KnownWorker>,
    now: Duration,
}

/// Feeds a [`Schedule`] with events in any order. Afterwards, one honest source must be able to
/// provide the rest.
pub fn picker(data: &[u8]) {
    let mut input = Input(data);
    let Some(mut model) = Model::new(&mut input) else { return };
    while !input.is_empty() {
        model.step(&mut input);
        model.check();
    }
    model.finish();
}

impl Model {
    fn new(input: &mut Input<'_>) -> Option<Model> {
        let pieces = 1 + input.below(64);
        let last = u64::from(1 + input.below(PIECE_BYTES));
        let geometry =
            Geometry::new(u64::from(pieces - 1) * u64::from(PIECE_BYTES) + last, PIECE_BYTES)?;
        let mut wanted = PieceSet::all(pieces);
        wanted.retain(|piece| piece % 7 != 6);
        let needed: Vec<u32> = wanted.iter().collect();
        let mut unchecked =
            PieceSet::from_bitfield(input.take(pieces.div_ceil(8) as usize), pieces);
        unchecked.retain(|piece| needed.contains(&piece));
        wanted.remove_all(&unchecked);
        let schedule = Schedule::new(geometry, wanted, 7).with_unchecked(unchecked.clone());
        let (verified, workers) = (PieceSet::none(pieces), Vec::new());
        let now = Duration::ZERO;
        Some(Model { schedule, geometry, needed, unchecked, verified, workers, now })
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let pieces = self.geometry.piece_count();
        self.now += Duration::from_millis(u64::from(input.byte()) * 10);
        let action = input.byte();
        let piece = u32::from(input.byte()) % pieces;
        let number = u32::from(action >> 4) % SOURCES;
        let (source, streams) = (SourceId(number), number < 2);
        let schedule = &mut self.schedule;
        match action & 15 {
            0 | 1 => {
                if streams {
                    schedule.add_streaming(source);
                } else {
                    schedule.add_peer(source);
                }
                let worker = schedule.begin(source, self.now);
                self.workers.push(KnownWorker { worker, source, run: 0..0 });
            }
            2 if !streams => {
                let bitfield = input.take(pieces.div_ceil(8) as usize);
                schedule.peer_has(source, PieceSet::from_bitfield(bitfield, pieces));
            }
            3 if !streams => {
                schedule.peer_has_piece(source, piece);
            }
            4 if !streams => schedule.peer_lacks(source, piece),
            5 => schedule.lacks(source, piece),
            6 if !streams => schedule.forget_peer(source),
            7 => schedule.forgive(source),
            8 => schedule.brought_its_part(source, piece, input.number(), piece & 1 == 0),
            9 if self.unchecked.remove(piece) => {
                if streams {
                    schedule.checked(piece);
                    self.verified.insert(piece);
                } else {
                    schedule.damaged(piece);
                }
            }
            action @ 10.. if !self.workers.is_empty() => {
                let index = piece as usize % self.workers.len();
                self.work(index, action);
            }
            _ => {}
        }
    }

    /// One action of a worker, or an event for it.
    fn work(&mut self, index: usize, action: u8) {
        let Model { schedule, needed, unchecked, verified, workers, now, .. } = self;
        let KnownWorker { worker, source, run } = &mut workers[index];
        let streams = source.0 < 2;
        match action {
            10 | 11 => {
                let next = if streams {
                    schedule.next_run(*worker, *now)
                } else {
                    schedule.next_piece(*worker, *now)
                };
                match next {
                    Next::Fetch(fetch) => {
                        assert!(fetch.start < fetch.end);
                        // A stolen run may contain pieces that arrived in the meantime.
                        let is_missing = |piece| {
                            needed.contains(&piece)
                                && !unchecked.contains(piece)
                                && !verified.contains(piece)
                        };
                        assert!(fetch.clone().any(is_missing), "{fetch:?}");
                        *run = fetch;
                    }
                    Next::Done => assert!(schedule.is_done()),
                    Next::Wait => assert!(!schedule.is_done()),
                }
            }
            12 | 13 if run.start < run.end => {
                let piece = run.start;
                schedule.received(*worker, u64::from(PIECE_BYTES), *now);
                if action == 12 {
                    schedule.verified(piece);
                    verified.insert(piece);
                } else if !verified.contains(piece) {
                    schedule.failed(piece, &[*source], Some(piece / 2..piece / 2 + 2));
                }
                *run = if streams { schedule.passed(*worker, piece) } else { 0..0 };
            }
            14 => {
                schedule.release(*worker);
                *run = 0..0;
            }
            15 => {
                schedule.end(*worker);
                workers.swap_remove(index);
            }
            _ => {}
        }
    }

    fn check(&self) {
        let is_missing = |piece| !self.verified.contains(piece) && !self.unchecked.contains(piece);
        let missing = || self.needed.iter().copied().filter(|piece| is_missing(*piece));
        let bytes = |pieces: &mut dyn Iterator<Item = u32>| -> u64 {
            pieces.map(|piece| u64::from(self.geometry.len(piece))).sum()
        };
        let schedule = &self.schedule;
        assert_eq!(schedule.is_done(), missing().next().is_none() && self.unchecked.is_empty());
        assert_eq!(schedule.wanted_bytes(), bytes(&mut missing()));
        assert_eq!(schedule.unchecked_bytes(), bytes(&mut self.unchecked.iter()));
        assert!(self.needed.iter().all(|it| schedule.is_wanted(*it) == is_missing(*it)));
    }

    /// Ends all workers, fails all unchecked pieces, and lets a new source with all pieces finish.
    fn finish(mut self) {
        for known in std::mem::take(&mut self.workers) {
            self.schedule.end(known.worker);
        }
        let none = PieceSet::none(self.geometry.piece_count());
        for piece in std::mem::replace(&mut self.unchecked, none).iter() {
            self.schedule.damaged(piece);
        }
        let honest = SourceId(SOURCES);
        self.schedule.add_streaming(honest);
        let worker = self.schedule.begin(honest, self.now);
        while let Next::Fetch(run) = self.schedule.next_run(worker, self.now) {
            for piece in run {
                assert!(self.verified.insert(piece), "{piece} was verified before");
                self.schedule.verified(piece);
                let _ = self.schedule.passed(worker, piece);
            }
        }
        assert!(self.schedule.is_done(), "an honest source was not asked for what is missing");
        self.check();
    }
}
