//! Hashing what is on disk: after another boot, a damaged dataset, a copied store.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::LayoutFiles;
use super::{Site, Store, fault, parallel};
use crate::geometry::PieceIndex;
use crate::hash::Sha1;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::plan::{Layout, Place};

/// Read at a time: the largest that stays in the L2 cache between the read and the hash.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// The pieces whose bytes on disk have the right SHA-1, of those asked for. Runs on the current rayon pool.
///
/// `hashed_bytes` counts along, for the progress.
pub fn hash_pieces(
    files: &LayoutFiles,
    metainfo: &Metainfo,
    pieces: &[PieceIndex],
    hashed_bytes: &AtomicU64,
) -> PieceSet {
    let geometry = files.layout().geometry();
    parallel::filter(pieces, geometry.piece_count(), &|piece, buffer| {
        buffer.resize(BUFFER_BYTES, 0);
        let sha1 = hash_piece(files, piece, buffer);
        hashed_bytes.fetch_add(geometry.len(piece).into(), Ordering::Relaxed);
        // A file that is missing or too short makes its pieces missing, which is what they are.
        sha1.ok() == metainfo.piece_hash(piece)
    })
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

/// Whether the torrent's own directory, or its single file, is there: without it none of its 100,000 files is, and
/// nobody needs to look for them.
pub(super) fn any_is_there(files: &LayoutFiles) -> bool {
    let first = files.layout().files().first();
    let depth = first.map_or(0, |file| file.path.iter().count());
    depth > 0 && files.path(0).ancestors().nth(depth - 1).is_some_and(Path::exists)
}

/// The SHA-1 of the bytes of a piece that a selection keeps.
pub(super) fn hash_kept(files: &LayoutFiles, piece: PieceIndex) -> io::Result<[u8; 20]> {
    let mut sha1 = Sha1::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    for segment in files.layout().segments(files.layout().geometry().range(piece)) {
        if matches!(segment.place, Place::Scratch { .. }) {
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

/// A dataset that lies in its place without a stamp that fits: copied, restored, or damaged.
#[derive(Debug)]
pub struct Existing {
    pub(super) files: LayoutFiles,
    /// Needed pieces that are there and right. One that is kept in part is judged by the old stamp's digest.
    pub(super) good: PieceSet,
    /// The digests that were checked again.
    pub(super) fragments: Vec<(PieceIndex, [u8; 20])>,
}

impl Existing {
    /// Hashes what lies at the dataset's place; `None` where nothing does.
    pub fn look(
        store: &Store,
        id: &str,
        metainfo: &Metainfo,
        layout: &Arc<Layout>,
        hashed_bytes: &AtomicU64,
    ) -> Option<Existing> {
        let directory = store.files_path(id);
        if !directory.is_dir() {
            return None;
        }
        let files = LayoutFiles::for_reading(Arc::clone(layout), directory.into());
        if !any_is_there(&files) {
            return None;
        }
        // The pieces of a file that is not there are bad without being read.
        let (mut there, mut missing) = (layout.needed(), 0);
        for (index, file) in layout.files().iter().enumerate() {
            if !files.path(index as u32).is_file() {
                missing += 1;
                there.remove_range(layout.geometry().pieces(file.range.clone()));
            }
        }
        if missing == layout.files().len() {
            return None;
        }
        let (whole, part): (Vec<_>, Vec<_>) =
            there.iter().partition(|piece| layout.is_kept(*piece));
        let mut good = hash_pieces(&files, metainfo, &whole, hashed_bytes);
        let stamp = store.last_stamp(id).unwrap_or_default();
        let fragments: Vec<_> = stamp
            .fragments
            .into_iter()
            .filter(|(piece, sha1)| {
                part.binary_search(piece).is_ok()
                    && hash_kept(&files, *piece).is_ok_and(|kept| kept == *sha1)
            })
            .collect();
        good.extend(fragments.iter().map(|(piece, _)| *piece));
        files.close();
        Some(Existing { files, good, fragments })
    }

    /// What is wrong first: a file that is not as the torrent says, else a piece.
    pub fn fault(&self, site: &Site, metainfo: &Metainfo) -> String {
        fault::first(site, &self.files, self.files.layout(), metainfo, &self.good)
    }

    /// Whether this file, by its index in [`Layout::files`], has the right length and no bad piece.
    pub(super) fn is_right(&self, index: u32) -> bool {
        let layout = self.files.layout();
        layout.files().get(index as usize).is_some_and(|file| {
            std::fs::metadata(self.files.path(index))
                .is_ok_and(|found| found.len() == file.length())
                && layout
                    .geometry()
                    .pieces(file.range.clone())
                    .all(|piece| self.good.contains(piece))
        })
    }

    /// Whether nothing is missing: neither a piece nor an empty file.
    pub fn is_complete(&self) -> bool {
        let layout = self.files.layout();
        layout.needed().len() == self.good.len()
            && (0..layout.files().len() as u32).all(|index| {
                let length = layout.files()[index as usize].length();
                std::fs::metadata(self.files.path(index))
                    .is_ok_and(|file| file.is_file() && file.len() == length)
            })
    }
}
