//! What web seeds and directories have in common: a run of pieces is read in order, file by file.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::assembly::Assembly;
use super::swarm::{Fed, Swarm};
use crate::mutex::Mutex;
use crate::picker::{Blame, SourceId, WorkerId};
use crate::plan::SegmentPlace;
use crate::torrent::geometry::PieceIndex;

/// The part of a run that is in one file of the torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Range in the torrent's byte stream.
    pub range: Range<u64>,
    /// The file index, and the offset in the file; `None` for pad files.
    pub file: Option<(u32, u64)>,
}

impl Part {
    pub fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The range in the file.
    pub fn file_range(&self) -> Range<u64> {
        let start = self.file.map_or(0, |(_, offset)| offset);
        start..start + self.length()
    }
}

/// The parts of a run, starting after the bytes of its first piece that are already there.
pub fn parts(swarm: &Swarm, source: SourceId, run: &Range<PieceIndex>) -> VecDeque<Part> {
    let mut bytes = swarm.geometry().bytes(run.clone());
    bytes.start += u64::from(swarm.cursor(source, run.start));
    let segments = swarm.partial.layout().segments(bytes);
    segments
        .map(|segment| Part {
            range: segment.range,
            file: (segment.place != SegmentPlace::Zeros)
                .then_some((segment.torrent_file, segment.file_offset)),
        })
        .collect()
}

/// What the worker should do after feeding some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Onward,
    /// The rest of the run was given to another source, or is complete.
    RunEnded,
    /// The source has another version of this file, as this piece shows.
    OtherVersion(u32, PieceIndex),
    /// The source sent too many corrupt pieces.
    Banned,
    /// The download is over.
    Over,
}

/// Feeds consecutive bytes of a run to its pieces.
#[derive(Debug)]
pub struct Feeder<'a> {
    swarm: &'a Swarm,
    source: SourceId,
    worker: WorkerId,
    current: Option<(PieceIndex, Option<Arc<Mutex<Assembly>>>)>,
    /// A piece turned out to be corrupt.
    pub fed_wrong: bool,
}

impl<'a> Feeder<'a> {
    pub fn new(swarm: &'a Swarm, source: SourceId, worker: WorkerId) -> Feeder<'a> {
        Feeder { swarm, source, worker, current: None, fed_wrong: false }
    }

    /// Feeds bytes that begin at offset `at` of the torrent's byte stream.
    pub fn feed(&mut self, mut at: u64, mut bytes: &[u8]) -> Flow {
        let geometry = self.swarm.geometry();
        while !bytes.is_empty() {
            let piece = geometry.piece_at(at);
            let range = geometry.range(piece);
            let (now, rest) = bytes.split_at(bytes.len().min((range.end - at) as usize));
            let begin = (at - range.start) as u32; // within a piece
            at += now.len() as u64;
            bytes = rest;
            let assembly = match &self.current {
                Some((current, assembly)) if *current == piece => assembly.clone(),
                _ => {
                    let assembly = self.swarm.assembly(self.source, piece);
                    self.current = Some((piece, assembly.clone()));
                    assembly
                }
            };
            let fed = match assembly {
                Some(assembly) => {
                    self.swarm.feed(self.source, self.worker, piece, &assembly, begin, now)
                }
                None => Fed::Onward, // another source was faster
            };
            match fed {
                Fed::Over => return Flow::Over,
                Fed::Blamed(Blame::Banned) => return Flow::Banned,
                Fed::Blamed(Blame::OtherVersion(file)) => {
                    self.fed_wrong = true;
                    return Flow::OtherVersion(file, piece);
                }
                Fed::Blamed(Blame::Warned) | Fed::Wrong => self.fed_wrong = true,
                _ => {}
            }
            if at >= range.end {
                self.current = None;
                if self.swarm.schedule().passed(self.worker, piece).is_empty() {
                    return Flow::RunEnded;
                }
            }
        }
        if self.swarm.is_over() { Flow::Over } else { Flow::Onward }
    }

    /// Feeds the zeros of a pad file.
    pub fn feed_zeros(&mut self, range: Range<u64>) -> Flow {
        static ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        let mut at = range.start;
        while at < range.end {
            let length = (range.end - at).min(ZEROS.len() as u64);
            match self.feed(at, &ZEROS[..length as usize]) {
                Flow::Onward => at += length,
                other => return other,
            }
        }
        Flow::Onward
    }
}
