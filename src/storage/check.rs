//! Hashes pieces that are already on disk: partial downloads, damaged datasets, copied stores.

use std::io;

use super::files::LayoutFiles;
use super::parallel::{self, DiskWork};
use crate::error::Error;
use crate::hash::Sha1;
use crate::plan::SegmentPlace;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// Bytes read at a time: the largest buffer that stays in the L2 cache between the read and the
/// hash.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// Returns those of `pieces` whose bytes on disk have the right SHA-1.
///
/// # Errors
/// [`crate::ErrorKind::Stopped`].
pub fn hash_pieces(
    files: &LayoutFiles,
    metainfo: &Metainfo,
    pieces: &[PieceIndex],
    work: DiskWork<'_>,
) -> Result<PieceSet, Error> {
    let geometry = files.layout().geometry();
    parallel::filter(pieces, geometry.piece_count(), work, &|piece, buffer| {
        let is_right = is_right(files, metainfo, piece, buffer);
        work.did(files.layout().bytes_of_piece(piece));
        is_right
    })
}

/// Hashes pieces while `goes_on` returns true, and calls `said` with each piece and whether it is
/// right.
pub(super) fn judge_pieces(
    files: &LayoutFiles,
    metainfo: &Metainfo,
    pieces: &[PieceIndex],
    goes_on: &(dyn Fn() -> bool + Sync),
    said: &(dyn Fn(PieceIndex, bool) + Sync),
) {
    // `each` fails only if the closure does, and this one never does.
    let _ = parallel::each(pieces.len(), &|index, buffer| {
        if goes_on() {
            said(pieces[index], is_right(files, metainfo, pieces[index], buffer));
        }
        Ok(())
    });
}

/// Returns whether a piece's bytes on disk have the right SHA-1; false if they cannot be read.
pub(super) fn is_right(
    files: &LayoutFiles,
    metainfo: &Metainfo,
    piece: PieceIndex,
    buffer: &mut Vec<u8>,
) -> bool {
    if buffer.is_empty() {
        *buffer = vec![0; BUFFER_BYTES]; // `resize` fills byte by byte at opt-level 0
    }
    hash_piece(files, piece, buffer).ok() == metainfo.piece_hash(piece)
}

fn hash_piece(files: &LayoutFiles, piece: PieceIndex, buffer: &mut [u8]) -> io::Result<[u8; 20]> {
    let range = files.layout().geometry().range(piece);
    let (mut at, mut sha1) = (range.start, Sha1::new());
    while at < range.end {
        let length = (range.end - at).min(buffer.len() as u64) as usize;
        let part = &mut buffer[..length];
        files.read(at, part)?;
        sha1.update(part);
        at += length as u64;
    }
    Ok(sha1.finish())
}

/// Returns the SHA-1 of the part of a piece that the selection keeps: everything but its scratch
/// bytes.
pub(super) fn hash_kept(files: &LayoutFiles, piece: PieceIndex) -> io::Result<[u8; 20]> {
    let mut sha1 = Sha1::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    for segment in files.layout().segments(files.layout().geometry().range(piece)) {
        if matches!(segment.place, SegmentPlace::Scratch { .. }) {
            continue;
        }
        let mut at = segment.range.start;
        while at < segment.range.end {
            let length = (segment.range.end - at).min(buffer.len() as u64) as usize;
            files.read(at, &mut buffer[..length])?;
            sha1.update(&buffer[..length]);
            at += length as u64;
        }
    }
    Ok(sha1.finish())
}
