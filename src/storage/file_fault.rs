//! What can be wrong with a file of a dataset, and the wording for it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::files::LayoutFiles;
use super::{Site, links};
use crate::error::printable;
use crate::plan::{Layout, SegmentPlace, SelectedLink};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// First bytes of a Git LFS pointer, which replaces a file that Git LFS has not fetched.
pub const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Message for a Git LFS pointer; follows the file's path.
pub const IS_LFS_POINTER: &str =
    "is a Git LFS pointer, not the file itself: run `git lfs pull` there";

/// Returns whether a file is a Git LFS pointer.
pub fn is_lfs_pointer(path: &Path) -> bool {
    let mut start = [0; LFS_POINTER.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == LFS_POINTER
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(feature = "bench", feature = "engine")),
    expect(dead_code, reason = "only `verify` hashes everything")
)]
pub enum FileFault {
    /// The file does not exist.
    Missing,
    /// The path is a directory or another kind of entry.
    NotAFile,
    /// The path is not a symbolic link that leads to this target.
    Link(PathBuf),
    /// The file cannot be read: the system's message.
    Unreadable(String),
    /// The file has this length, in bytes, which is wrong.
    Length(u64),
    /// The file is a Git LFS pointer.
    LfsPointer,
    /// Ranges of this file in pieces with a wrong SHA-1; adjacent ranges are merged.
    Damaged(Vec<Range<u64>>),
    /// Ranges in pieces that cannot be checked, since another file that has part of the piece is
    /// missing.
    Unchecked(Vec<Range<u64>>),
    /// The pieces are right, but the SHA-256 is not the pinned one.
    Pin,
}

impl FileFault {
    /// Returns what is wrong with a file that should have this length, without hashing its content.
    pub(super) fn of_file(path: &Path, length: u64) -> Option<FileFault> {
        match std::fs::metadata(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Some(FileFault::Missing),
            Err(why) => Some(FileFault::Unreadable(why.to_string())),
            Ok(found) if !found.is_file() => Some(FileFault::NotAFile),
            Ok(found) if found.len() != length => Some(match is_lfs_pointer(path) {
                true => FileFault::LfsPointer,
                false => FileFault::Length(found.len()),
            }),
            Ok(_) => {
                let opened = File::open(path);
                opened.err().map(|why| FileFault::Unreadable(why.to_string()))
            }
        }
    }

    /// Returns what is wrong with a symbolic link.
    pub(super) fn of_link(site: &Site, path: &Path, link: &SelectedLink) -> Option<FileFault> {
        if links::is_right(site, path, link) {
            return None;
        }
        let is_there = std::fs::symlink_metadata(site.path(path)).is_ok();
        Some(if is_there { FileFault::Link(link.text.clone()) } else { FileFault::Missing })
    }
}

/// The first thing that is wrong with a copy of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFault {
    /// A file, its fault, and the length that it should have.
    File(PathBuf, FileFault, u64),
    /// The first path is not a symbolic link that leads to the second.
    Link(PathBuf, PathBuf),
    /// A wrong piece, and the file and offset where it begins.
    Piece(PieceIndex, Option<(PathBuf, u64)>),
    /// A piece that cannot be checked, since this file, which has part of it, does not exist.
    PartOfPiece(PieceIndex, PathBuf),
    /// There was a fault, but it is gone now.
    Changed,
}

impl CopyFault {
    /// Finds the first fault: a file or link that is not as the torrent says, else a needed piece
    /// that is not in `right`. `files` are those that pieces are read from; `layout` has the
    /// selected ones among them.
    pub(super) fn first(
        site: &Site,
        files: &LayoutFiles,
        layout: &Layout,
        metainfo: &Metainfo,
        right: &PieceSet,
    ) -> CopyFault {
        for file in layout.files() {
            let path = site.path(&file.path());
            if let Some(fault) = FileFault::of_file(&path, file.length()) {
                return CopyFault::File(path, fault, file.length());
            }
        }
        for (path, link) in layout.links() {
            if FileFault::of_link(site, &path, link).is_some() {
                return CopyFault::Link(site.path(&path), link.text.clone());
            }
        }
        let Some(piece) = layout.needed().iter().find(|piece| !right.contains(*piece)) else {
            return CopyFault::Changed;
        };
        let mut first = None;
        for part in files.layout().segments(layout.geometry().range(piece)) {
            if matches!(part.place, SegmentPlace::Scratch { .. }) {
                continue;
            }
            let Some(file) = metainfo.files.get(part.torrent_file as usize) else { continue };
            let path = site.path(&metainfo.layout_path(file));
            if file.is_listed() && !path.is_file() {
                return CopyFault::PartOfPiece(piece, path);
            }
            first.get_or_insert((path, part.file_offset));
        }
        CopyFault::Piece(piece, first)
    }

    /// The file that the fault is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            CopyFault::File(path, ..)
            | CopyFault::Link(path, _)
            | CopyFault::PartOfPiece(_, path)
            | CopyFault::Piece(_, Some((path, _))) => Some(path),
            CopyFault::Piece(_, None) | CopyFault::Changed => None,
        }
    }
}

impl fmt::Display for CopyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.path().map(shown).unwrap_or_default();
        match self {
            CopyFault::File(_, fault, length) => match fault {
                FileFault::Missing => write!(f, "{shown} does not exist"),
                FileFault::Unreadable(why) => write!(f, "{shown} cannot be read: {why}"),
                FileFault::Length(found) => {
                    write!(f, "{shown} has {found} bytes instead of {length}")
                }
                FileFault::LfsPointer => write!(f, "{shown} {IS_LFS_POINTER}"),
                _ => write!(f, "{shown} is not a file"),
            },
            CopyFault::Link(_, target) => {
                let target = printable(&target.display().to_string());
                write!(f, "{shown} is not a symbolic link to {target}")
            }
            CopyFault::Piece(piece, Some((_, offset))) => write!(
                f,
                "piece {piece}, at byte {offset} of {shown}, does not match the torrent's SHA-1"
            ),
            CopyFault::Piece(piece, None) => write!(f, "piece {piece} is wrong"),
            CopyFault::PartOfPiece(piece, _) => write!(
                f,
                "piece {piece} cannot be verified: {shown}, which contains part of it, does not exist"
            ),
            CopyFault::Changed => f.write_str("it changed while it was being checked"),
        }
    }
}

/// Makes a path printable: the torrent's author chose the names.
fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}
