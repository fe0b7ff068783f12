//! Maps the needed bytes of a torrent's stream to places on disk.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::{SelectedLink, Selection, SortedPaths};
use crate::size;
use crate::torrent::geometry::{Geometry, PieceIndex};
use crate::torrent::metainfo::{Components, FileKind, Metainfo, TorrentFile};
use crate::torrent::pieces::PieceSet;

/// Where a run of bytes is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentPlace {
    /// In a selected file: its index in [`Layout::files`], and the offset in it.
    File { file: u32, offset: u64 },
    /// In the scratch file: bytes of files that are not selected but share a piece with a selected
    /// file. They are needed to verify the piece, and are not kept.
    Scratch { offset: u64 },
    /// In a pad file (BEP 47): zeros, which are not stored.
    Zeros,
}

/// A run of bytes of the torrent's stream within one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Position in the torrent's stream.
    pub range: Range<u64>,
    /// Index in [`Metainfo::files`], and where the run begins in that file.
    pub torrent_file: u32,
    pub file_offset: u64,
    pub place: SegmentPlace,
}

/// A selected file.
#[derive(Clone, Copy, Debug)]
pub struct PlacedFile<'l> {
    layout: &'l Layout,
    pub torrent_file: u32,
    file: TorrentFile,
}

impl PlacedFile<'_> {
    /// Path below the directory that contains the torrent's own layout. Each call computes it.
    pub fn path(&self) -> PathBuf {
        self.layout.metainfo.layout_path(&self.file)
    }

    /// Position in the torrent's stream.
    pub fn range(&self) -> Range<u64> {
        self.file.range()
    }

    pub fn length(&self) -> u64 {
        self.file.length
    }
}

/// The map from a torrent's stream to the disk, for one selection.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Owns files and paths, which are not copied.
    metainfo: Metainfo,
    /// The selected files, by their index in [`Metainfo::files`].
    files: Vec<u32>,
    /// Directories to create even if they contain no files.
    folders: Vec<u32>,
    /// The selected symbolic links, which `files` does not include.
    links: Vec<SelectedLink>,
    /// Sorted by start. Gaps are bytes that are not in a needed piece.
    extents: Vec<Segment>,
    /// Sorted and disjoint.
    needed: Vec<Range<PieceIndex>>,
    scratch_bytes: u64,
    /// Bytes of pad files in needed pieces.
    pad_bytes: u64,
    pub entries: u64,
}

impl Layout {
    pub fn new(metainfo: &Metainfo, selection: &Selection) -> Layout {
        let geometry = metainfo.geometry;
        let mut needed: Vec<Range<PieceIndex>> = Vec::new();
        for index in selection.files() {
            let pieces = geometry.pieces(metainfo.files[*index as usize].range());
            match needed.last_mut() {
                Some(last) if pieces.start <= last.end => last.end = last.end.max(pieces.end),
                _ if pieces.is_empty() => {}
                _ => needed.push(pieces),
            }
        }
        let mut layout = Layout {
            metainfo: metainfo.clone(),
            files: selection
                .files()
                .iter()
                .filter(|index| !metainfo.files[**index as usize].is_link())
                .copied()
                .collect(),
            folders: selection.folders().to_vec(),
            links: selection.links().to_vec(),
            extents: Vec::new(),
            needed,
            scratch_bytes: 0,
            pad_bytes: 0,
            entries: selection.entries(),
        };
        layout.place();
        layout
    }

    /// The layout of all files of the torrent, without links. Returns this layout if it contains
    /// all of them.
    pub fn whole(layout: &Arc<Layout>) -> Arc<Layout> {
        let metainfo = &layout.metainfo;
        let is_data = |file: &&TorrentFile| file.kind == FileKind::Data;
        if !layout.has_links()
            && layout.files.len() == metainfo.files.iter().filter(is_data).count()
        {
            return Arc::clone(layout);
        }
        Arc::new(Layout::new(metainfo, &Selection::all(metainfo)))
    }

    fn place(&mut self) {
        let geometry = self.geometry();
        let mut selected = self.files.iter().enumerate().peekable();
        let mut needed = self.needed.iter().map(|pieces| geometry.bytes(pieces.clone())).peekable();
        for (index, file) in self.metainfo.files.iter().enumerate() {
            let chosen = selected
                .next_if(|(_, chosen)| **chosen as usize == index)
                .map(|(placed, _)| placed as u32);
            // Consume the needed ranges that end within this file. The last one may extend into the
            // next.
            while let Some(range) = needed.peek().cloned() {
                let part = range.start.max(file.offset)..range.end.min(file.range().end);
                if part.start < part.end {
                    let file_offset = part.start - file.offset;
                    let place = match chosen {
                        _ if file.is_pad() => {
                            self.pad_bytes += part.end - part.start;
                            SegmentPlace::Zeros
                        }
                        Some(placed) => SegmentPlace::File { file: placed, offset: file_offset },
                        None => {
                            self.scratch_bytes += part.end - part.start;
                            SegmentPlace::Scratch {
                                offset: self.scratch_bytes - (part.end - part.start),
                            }
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
        self.metainfo.geometry
    }

    /// The selected files, in the torrent's order.
    pub fn files(&self) -> impl DoubleEndedIterator<Item = PlacedFile<'_>> + ExactSizeIterator {
        let file = |index: &u32| self.placed(*index);
        self.files.iter().map(file)
    }

    /// A selected file, by its index in [`Layout::files`].
    pub fn file(&self, index: u32) -> Option<PlacedFile<'_>> {
        self.files.get(index as usize).map(|index| self.placed(*index))
    }

    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    fn placed(&self, index: u32) -> PlacedFile<'_> {
        // A selection contains only indices of these files.
        PlacedFile { layout: self, torrent_file: index, file: self.metainfo.files[index as usize] }
    }

    /// Paths of directories to create even if they contain no files, below the directory that
    /// contains the layout.
    pub fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let files =
            self.folders.iter().filter_map(|index| self.metainfo.files.get(*index as usize));
        files.map(|file| self.metainfo.layout_path(file))
    }

    /// Everything that is created, as paths below the torrent's name: files, links and directories.
    pub fn created(&self) -> impl Iterator<Item = Components<'_>> {
        let links = self.links.iter().map(|link| &link.torrent_file);
        let all = self.files.iter().chain(links).chain(&self.folders);
        let files = all.filter_map(|index| self.metainfo.files.get(*index as usize));
        files.map(|file| self.metainfo.components(file))
    }

    /// The selected symbolic links, with their paths below the directory that contains the
    /// torrent's own layout.
    pub fn links(&self) -> impl Iterator<Item = (PathBuf, &SelectedLink)> {
        let path = |link: &SelectedLink| {
            self.metainfo.layout_path(&self.metainfo.files[link.torrent_file as usize])
        };
        self.links.iter().map(move |link| (path(link), link))
    }

    /// Paths of the selected symbolic links, and of the files for which `is_one` returns true,
    /// given the index in [`Layout::files`].
    pub fn sorted_paths(&self, is_one: &dyn Fn(u32) -> bool) -> SortedPaths<'_> {
        let files = (0..).zip(&self.files).filter(|(index, _)| is_one(*index));
        let links = self.links.iter().map(|link| link.torrent_file);
        SortedPaths::new(&self.metainfo, files.map(|(_, file)| *file).chain(links).collect())
    }

    pub fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// The torrent's name on disk.
    pub fn root_name(&self) -> &[u8] {
        self.metainfo.stored_name()
    }

    /// Converts a path below the torrent's name to a path below the layout's directory.
    pub fn path_of(&self, path: Components<'_>) -> PathBuf {
        self.metainfo.path_of(path)
    }

    /// See [`Metainfo::root_path`].
    pub fn root_path(&self) -> PathBuf {
        self.metainfo.root_path()
    }

    /// The number of files and directories to create if these pieces are missing: all except
    /// non-empty files whose pieces are all present.
    pub fn entries_of(&self, wanted: &PieceSet) -> u64 {
        let is_whole = |file: &PlacedFile<'_>| {
            let pieces = self.geometry().pieces(file.range());
            file.length() > 0 && wanted.next_from(pieces.start).is_none_or(|it| it >= pieces.end)
        };
        self.entries - self.files().filter(is_whole).count() as u64
    }

    /// The pieces that contain a selected byte.
    pub fn needed(&self) -> PieceSet {
        let mut pieces = PieceSet::none(self.geometry().piece_count());
        self.needed.iter().cloned().for_each(|range| pieces.insert_range(range));
        pieces
    }

    /// Bytes of all needed pieces, without pad files.
    pub fn needed_bytes(&self) -> u64 {
        let bytes = self.needed.iter().map(|pieces| self.geometry().bytes(pieces.clone()));
        bytes.map(|bytes| bytes.end - bytes.start).sum::<u64>() - self.pad_bytes
    }

    /// Bytes of these needed pieces, without pad files.
    pub fn bytes_of(&self, pieces: &PieceSet) -> u64 {
        pieces.iter().map(|piece| self.bytes_of_piece(piece)).sum()
    }

    /// Bytes of a needed piece, without pad files.
    pub fn bytes_of_piece(&self, piece: PieceIndex) -> u64 {
        let padding = self.padding(self.geometry().range(piece));
        u64::from(self.geometry().len(piece)) - padding.map(|it| it.end - it.start).sum::<u64>()
    }

    /// Bytes of these needed pieces in files that are not selected: pieces are downloaded whole.
    pub fn scratch_bytes_of(&self, pieces: &PieceSet) -> u64 {
        let scratch = self.extents.iter();
        let scratch = scratch.filter(|it| matches!(it.place, SegmentPlace::Scratch { .. }));
        let parts = scratch.flat_map(|extent| {
            let touched = self.geometry().pieces(extent.range.clone());
            touched.filter(|piece| pieces.contains(*piece)).map(|piece| {
                let piece = self.geometry().range(piece);
                extent.range.end.min(piece.end) - extent.range.start.max(piece.start)
            })
        });
        parts.sum()
    }

    /// The parts of a range of the torrent's stream that are in pad files.
    pub fn padding(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let segments = (self.pad_bytes > 0).then(|| self.segments(range)).into_iter().flatten();
        segments.filter(|it| it.place == SegmentPlace::Zeros).map(|it| it.range)
    }

    /// Estimates how many of `bytes` in needed pieces are not in pad files.
    pub fn without_padding(&self, bytes: u64) -> u64 {
        let needed = self.needed_bytes();
        if self.pad_bytes == 0 {
            return bytes;
        }
        let share = u128::from(bytes) * u128::from(needed) / u128::from(needed + self.pad_bytes);
        u64::try_from(share).unwrap_or(needed)
    }

    /// Length of the scratch file.
    pub fn scratch_bytes(&self) -> u64 {
        self.scratch_bytes
    }

    /// Splits a range of the torrent's stream into segments, in order. Omits bytes outside of
    /// needed pieces.
    pub fn segments(&self, range: Range<u64>) -> impl Iterator<Item = Segment> + '_ {
        let first = self.extents.partition_point(|extent| extent.range.end <= range.start);
        self.extents[first..]
            .iter()
            .take_while({
                // An empty range has no segments, even within an extent.
                let end = if range.is_empty() { 0 } else { range.end };
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
                        SegmentPlace::File { file, offset } => {
                            SegmentPlace::File { file, offset: offset + skipped }
                        }
                        SegmentPlace::Scratch { offset } => {
                            SegmentPlace::Scratch { offset: offset + skipped }
                        }
                        SegmentPlace::Zeros => SegmentPlace::Zeros,
                    },
                }
            })
    }

    /// Whether no byte of the piece is in the scratch file, so that it can be verified again later.
    /// Pad files count as kept.
    pub fn is_kept(&self, piece: PieceIndex) -> bool {
        self.scratch_bytes == 0
            || self
                .segments(self.geometry().range(piece))
                .all(|segment| !matches!(segment.place, SegmentPlace::Scratch { .. }))
    }
}

/// A note for a download of `bytes`, of which `scratch_bytes` are in files that are not selected.
/// `None` if the displayed size is the same without them.
pub fn of_other_files(bytes: u64, scratch_bytes: u64) -> Option<String> {
    let [all, part, rest] =
        [bytes, scratch_bytes, bytes.saturating_sub(scratch_bytes)].map(size::display);
    let text = format!("{part} of {all} belong to other files, as pieces are downloaded whole");
    (all != rest).then_some(text)
}
