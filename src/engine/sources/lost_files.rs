//! The files that a source does not have, and the pieces that it can only provide in part.
//!
//! If a piece spans two files, one source may have only the first file, and another only the
//! second. Each provides its part: the second continues where the first left the piece's cursor. A
//! source that did not advance the cursor is not asked for the piece again until another source has
//! advanced it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use super::event::WorkerEvent;
use super::swarm::Swarm;
use crate::engine::budget::FAILURES;
use crate::mutex::Mutex;
use crate::picker::{Blame, SourceId};
use crate::plan::SegmentPlace;
use crate::torrent::geometry::PieceIndex;

/// What is known when a run begins.
#[derive(Debug)]
pub struct RunStart {
    /// The pieces that the source can provide in part, and the cursor of each.
    cursors: Vec<(PieceIndex, u32)>,
    /// See [`crate::picker::Schedule::times_begun_anew`].
    times_begun_anew: usize,
}

#[derive(Debug, Default)]
pub struct LostFiles {
    files: Mutex<HashSet<u32>>,
    /// Files of which the server has sent data.
    served: Mutex<HashSet<u32>>,
    /// How often in a row the server failed for a file, and when last.
    failing: Mutex<HashMap<u32, (u32, Duration)>>,
}

impl LostFiles {
    pub fn contains(&self, file: u32) -> bool {
        self.files.lock().contains(&file)
    }

    /// Records that the server failed for this file. Returns whether to give the file up: the server
    /// has failed for it so often that a source would be given up, or has sent nothing since that
    /// happened to another file. Failures within `pause` count once.
    pub fn keeps_failing(&self, file: u32, now: Duration, pause: Duration) -> bool {
        let mut failing = self.failing.lock();
        let (count, last) = failing.entry(file).or_insert((0, now));
        if *count == 0 || now >= *last + pause {
            (*count, *last) = (*count + 1, now);
        }
        failing.values().any(|(count, _)| *count >= FAILURES)
    }

    pub fn has_sent(&self, file: u32) -> bool {
        self.served.lock().contains(&file)
    }

    /// Records that the server sent data of the file.
    pub fn record_sent(&self, file: u32) {
        self.served.lock().insert(file);
        self.failing.lock().retain(|other, (count, _)| *other != file && *count < FAILURES);
    }

    /// Records that the source does not have the file. Pieces of which it can provide nothing are
    /// left to other sources.
    pub fn lose(&self, swarm: &Swarm, source: SourceId, file: u32) {
        let Some(range) =
            swarm.partial.metainfo().files.get(file as usize).map(|file| file.range())
        else {
            return;
        };
        let mut lost = self.files.lock();
        lost.insert(file);
        swarm.tell(WorkerEvent::Lacks { source, file });
        let pieces = swarm.geometry().pieces(range);
        let (first, last) = (pieces.start, pieces.end.saturating_sub(1));
        let brings_part = |piece: PieceIndex| {
            let mut segments = swarm.partial.layout().segments(swarm.geometry().range(piece));
            segments.any(|segment| {
                segment.place != SegmentPlace::Zeros && !lost.contains(&segment.torrent_file)
            })
        };
        let lacked: Vec<_> = pieces
            .filter(|piece| !((*piece == first || *piece == last) && brings_part(*piece)))
            .collect();
        let mut schedule = swarm.schedule();
        lacked.into_iter().for_each(|piece| schedule.lacks(source, piece));
    }

    /// Records that the source has another version of the file, as `piece` shows. The pieces at its
    /// ends may have been corrupt for that reason alone.
    pub fn lose_version(&self, swarm: &Swarm, source: SourceId, file: u32, piece: PieceIndex) {
        self.lose(swarm, source, file);
        let verdict = Blame::OtherVersion(file);
        swarm.tell(WorkerEvent::BadPiece { source, piece, verdict });
        let range = swarm.partial.metainfo().files.get(file as usize).map(|file| file.range());
        let pieces = swarm.geometry().pieces(range.unwrap_or_default());
        for piece in [pieces.start, pieces.end.saturating_sub(1)] {
            swarm.begin_anew(source, piece);
        }
        swarm.wake();
    }

    /// Called when a worker has claimed the run.
    pub fn begin(&self, swarm: &Swarm, run: &Range<PieceIndex>) -> RunStart {
        let times_begun_anew = swarm.schedule().times_begun_anew();
        RunStart { cursors: self.partly(swarm, run), times_begun_anew }
    }

    /// The pieces of a run that the source can provide only in part, with their current cursors.
    fn partly(&self, swarm: &Swarm, run: &Range<PieceIndex>) -> Vec<(PieceIndex, u32)> {
        let lost = self.files.lock();
        if lost.is_empty() {
            return Vec::new();
        }
        let files = &swarm.partial.metainfo().files;
        let mut pieces = Vec::new();
        for segment in swarm.partial.layout().segments(swarm.geometry().bytes(run.clone())) {
            let file = files
                .get(segment.torrent_file as usize)
                .filter(|_| lost.contains(&segment.torrent_file));
            let Some(range) = file.map(|file| swarm.geometry().pieces(file.range())) else {
                continue;
            };
            for piece in [range.start, range.end.saturating_sub(1)] {
                if run.contains(&piece) && !pieces.contains(&piece) {
                    pieces.push(piece);
                }
            }
        }
        pieces.into_iter().map(|piece| (piece, swarm.progress_of(piece))).collect()
    }

    /// Called when the source has provided what it can of the run. `before` is the result of
    /// [`Self::begin`].
    pub fn settle(
        &self,
        swarm: &Swarm,
        source: SourceId,
        run: &Range<PieceIndex>,
        before: &RunStart,
    ) {
        for (piece, cursor) in self.partly(swarm, run) {
            let known = before.cursors.iter().find(|(known, _)| *known == piece);
            let began_at = known.map_or(0, |(_, cursor)| *cursor);
            let mut schedule = swarm.schedule();
            let causes: Vec<_> = schedule.begun_anew(piece, before.times_begun_anew).collect();
            if causes.is_empty() {
                schedule.brought_its_part(source, piece, cursor, cursor > began_at);
            } else if causes.contains(&source) {
                drop(schedule);
                // This run may have added bytes of the wrong version since then.
                swarm.begin_anew(source, piece);
            }
        }
        swarm.wake();
    }
}
