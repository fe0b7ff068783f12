//! Reuses damaged data for a download, in the store or in a user's directory.

use std::io;
use std::path::Path;

use super::claims::ClaimKind;
use super::files::{FileOrigin, LayoutFiles};
use super::fs::{CopyMode, copy, file_at, link_or_copy, open_to_write, remove, remove_entry};
use super::local_copy::LocalCopy;
use super::user_files::UserFiles;
use crate::plan::Layout;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

/// Pieces that are reused from damaged data.
pub(super) struct Salvaged {
    /// Pieces whose bytes were hashed.
    pub sure: PieceSet,
    /// Pieces in files that the partial dataset already had: still to be hashed.
    pub unsure: PieceSet,
}

impl Salvaged {
    /// Starts with the good pieces that are kept whole: a piece kept in part cannot be checked
    /// again without its rest.
    fn of(existing: &LocalCopy, layout: &Layout) -> Salvaged {
        let mut sure = existing.pieces.clone();
        sure.retain(|piece| layout.is_kept(piece));
        Salvaged { sure, unsure: PieceSet::none(layout.geometry().piece_count()) }
    }

    /// Drops pieces whose file is not reused.
    fn forget(&mut self, pieces: std::ops::Range<PieceIndex>) {
        self.sure.remove_range(pieces.clone());
        self.unsure.remove_range(pieces);
    }

    /// Marks pieces for hashing whose file the partial dataset already had.
    fn doubt(&mut self, pieces: std::ops::Range<PieceIndex>) {
        self.unsure.extend(pieces.filter(|piece| self.sure.remove(*piece)));
    }
}

/// Reuses the good pieces of damaged data: intact files by link, damaged ones by copy, since other
/// selections may share their inodes.
pub(super) fn salvage(
    files: &LayoutFiles,
    existing: &LocalCopy,
    workplace: &Path,
) -> io::Result<Salvaged> {
    let layout = files.layout();
    let mut salvaged = Salvaged::of(existing, layout);
    for (index, file) in layout.files().enumerate() {
        let index = index as u32;
        let (from, to) = (existing.files.path(index), files.path(index));
        let pieces = layout.geometry().pieces(file.range());
        if file.length() == 0 || !pieces.clone().any(|piece| existing.pieces.contains(piece)) {
            continue;
        }
        if file_at(&to).is_some() {
            salvaged.doubt(pieces);
            continue;
        }
        files.create_parents(&to)?;
        remove(&to)?; // a symbolic link, a pipe, an empty directory
        if existing.has_file(index) {
            link_or_copy(&from, &to, workplace)?;
            files.set_origin(index, Some(FileOrigin::Sealed));
        } else {
            copy(&from, &to, CopyMode::New, workplace)?;
            open_to_write(&to)?.set_len(file.length())?;
            files.set_origin(index, Some(FileOrigin::Ours));
        }
    }
    Ok(salvaged)
}

/// Notes which damaged files of the user's are to be repaired, and returns their right pieces.
pub(super) fn take_over(
    files: &LayoutFiles,
    home: &UserFiles,
    existing: &LocalCopy,
) -> io::Result<Salvaged> {
    let layout = files.layout();
    let mut salvaged = Salvaged::of(existing, layout);
    let mut waiting = home.lock();
    for (index, claim) in &home.claims {
        let (Some(file), path) = (layout.file(*index), files.path(*index)) else {
            continue;
        };
        let mut is_begun = false;
        match std::fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => remove(&path)?,
            found => is_begun = found.is_ok(),
        }
        match claim.kind {
            // A file begun by an earlier run would replace the right file.
            ClaimKind::Right if is_begun => {
                remove_entry(&path)?;
                files.set_origin(*index, None);
            }
            ClaimKind::Damaged if is_begun => {
                salvaged.doubt(layout.geometry().pieces(file.range()));
            }
            ClaimKind::Damaged => drop(waiting.insert(*index, claim.fingerprint)),
            // Rewritten completely, even if parts of it, such as a piece of zeros, happen to be
            // right. Unknown files are compared with the downloaded bytes.
            ClaimKind::Replaceable | ClaimKind::Unknown => {
                salvaged.forget(layout.geometry().pieces(file.range()));
            }
            ClaimKind::Right => {}
        }
    }
    drop(waiting);
    Ok(salvaged)
}
