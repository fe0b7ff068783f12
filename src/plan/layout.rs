//! Where each needed byte of a torrent's stream lies on disk.

use std::ops::Range;
use std::path::PathBuf;

use super::Selection;
use crate::geometry::{Geometry, PieceIndex};
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;

/// The place of a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a selected file: its index in [`Layout::files`], and where in it.
    File { file: u32, offset: u64 },
    /// In the scratch file: bytes of files that were not selected but share a piece with one that was.
    /// They are needed to check that piece, and are not kept.
    Scratch { offset: u64 },
    /// In a pad file (BEP 47): zeros that nobody stores.
    Zeros,
}

/// A run of bytes of the torrent's stream that lies in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// In the torrent's stream.
    pub range: Range<u64>,
    /// Index in [`Metainfo::files`], and where in that file the run begins.
    pub torrent_file: u32,
    pub file_offset: u64,
    pub place: Place,
}

/// A selected file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// Below the directory that holds the torrent's own layout.
    pub path: PathBuf,
    /// In the torrent's stream.
    pub range: Range<u64>,
    pub torrent_file: u32,
}

impl PlacedFile {
    pub fn length(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// The map from a torrent's stream to the disk, for one selection.
#[derive(Clone, Debug)]
pub struct Layout {
    geometry: Geometry,
    files: Vec<PlacedFile>,
    /// Sorted by their start; gaps are bytes that no needed piece holds.
    extents: Vec<Segment>,
    /// Sorted, apart from one another.
    needed: Vec<Range<PieceIndex>>,
    scratch_bytes: u64,
}

impl Layout {
    pub fn new(metainfo: &Metainfo, selection: &Selection) -> Layout {
        let geometry = metainfo.geometry;
        let mut files = Vec::with_capacity(selection.files().len());
        let mut needed: Vec<Range<PieceIndex>> = Vec::new();
        for index in selection.files() {
            let file = &metainfo.files[*index as usize];
            files.push(PlacedFile {
                path: metainfo.layout_path(file),
                range: file.range(),
                torrent_file: *index,
            });
            let pieces = geometry.pieces(file.range());
            match needed.last_mut() {
                Some(last) if pieces.start <= last.end => last.end = last.end.max(pieces.end),
                _ if pieces.is_empty() => {}
                _ => needed.push(pieces),
            }
        }
        let mut layout = Layout { geometry, files, extents: Vec::new(), needed, scratch_bytes: 0 };
        layout.place(metainfo, selection);
        layout
    }

    fn place(&mut self, metainfo: &Metainfo, selection: &Selection) {
        let mut selected = selection.files().iter().enumerate().peekable();
        let mut needed =
            self.needed.iter().map(|pieces| self.geometry.bytes(pieces.clone())).peekable();
        for (index, file) in metainfo.files.iter().enumerate() {
            let chosen = selected
                .next_if(|(_, chosen)| **chosen as usize == index)
                .map(|(placed, _)| placed as u32);
            // Each needed range that ends before this file does is done with; the last one may go on.
            while let Some(range) = needed.peek().cloned() {
                let part = range.start.max(file.offset)..range.end.min(file.range().end);
                if part.start < part.end {
                    let file_offset = part.start - file.offset;
                    let place = match chosen {
                        _ if file.pad => Place::Zeros,
                        Some(placed) => Place::File { file: placed, offset: file_offset },
                        None => {
                            self.scratch_bytes += part.end - part.start;
                            Place::Scratch { offset: self.scratch_bytes - (part.end - part.start) }
                        }
                    };
                    self.extents.push(Segment {
                        range: part,
                        torrent_file: index as u32,
                        file_offset,
                        place,
                    });
                }
                if range.end > file.range().end {
                    break;
                }
                needed.next();
            }
        }
    }

    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The selected files, in the torrent's order.
    pub fn files(&self) -> &[PlacedFile] {
        &self.files
    }

    /// The pieces that hold any selected byte.
    pub fn needed(&self) -> PieceSet {
        let mut pieces = PieceSet::none(self.geometry.piece_count());
        self.needed.iter().cloned().for_each(|range| pieces.insert_range(range));
        pieces
    }

    /// Bytes of all needed pieces.
    pub fn needed_bytes(&self) -> u64 {
        self.needed
            .iter()
            .map(|pieces| self.geometry.bytes(pieces.clone()))
            .map(|bytes| bytes.end - bytes.start)
            .sum()
    }

    /// Length of the scratch file.
    pub fn scratch_bytes(&self) -> u64 {
        self.scratch_bytes
    }

    /// The runs that make up `range` of the torrent's stream, in order; bytes outside of needed pieces
    /// are left out.
    pub fn segments(&self, range: Range<u64>) -> impl Iterator<Item = Segment> + '_ {
        let first = self.extents.partition_point(|extent| extent.range.end <= range.start);
        self.extents[first..]
            .iter()
            .take_while({
                let end = range.end;
                move |extent| extent.range.start < end
            })
            .map(move |extent| {
                let part = range.start.max(extent.range.start)..range.end.min(extent.range.end);
                let skipped = part.start - extent.range.start;
                Segment {
                    range: part,
                    torrent_file: extent.torrent_file,
                    file_offset: extent.file_offset + skipped,
                    place: match extent.place {
                        Place::File { file, offset } => {
                            Place::File { file, offset: offset + skipped }
                        }
                        Place::Scratch { offset } => Place::Scratch { offset: offset + skipped },
                        Place::Zeros => Place::Zeros,
                    },
                }
            })
    }

    /// Whether the whole piece is kept (pad files count as kept), so that it can be hashed again later.
    pub fn is_kept(&self, piece: PieceIndex) -> bool {
        self.scratch_bytes == 0
            || self
                .segments(self.geometry.range(piece))
                .all(|segment| !matches!(segment.place, Place::Scratch { .. }))
    }
}
