//! Takes a user's own files into the store: `import`.
//!
//! The files are never written to. A file is copied (by reflink if the file system can) and hashed
//! in the store afterwards, so a file that changes meanwhile only makes pieces bad. Hard links are
//! made only on request. Then both names share the bytes, so the file is made read-only before it is
//! linked, hashed after that, and compared once more after publishing. If its hash is wrong, it is
//! unlinked and gets its permissions back.

use std::fs::Permissions;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use crate::error::{Error, ErrorKind};
use crate::storage::Store;
use crate::storage::check::hash_pieces;
use crate::storage::files::FileOrigin;
use crate::storage::fs::{
    CopyMode, copy, file_at, open, open_to_write, remove_entry, set_read_only,
};
use crate::storage::local_copy::LocalCopy;
use crate::storage::parallel::DiskWork;
use crate::storage::partial::Partial;
use crate::torrent::pieces::PieceSet;

/// How many files were taken into the store, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// By hard link.
    pub linked: usize,
    /// By reflink or copy.
    pub copied: usize,
}

impl LocalCopy {
    /// Whether each selected file exists and has its length.
    pub fn has_all_files(&self) -> bool {
        self.stamp.is_some()
    }

    /// Bytes of the pieces that may be right; after hashing, of those that are.
    pub fn bytes(&self) -> u64 {
        self.layout.bytes_of(&self.pieces)
    }
}

impl Partial {
    /// Takes over the files that contain a `wanted` piece that was hashed and is right. Returns the
    /// wanted pieces that are right in the partial dataset too, which are recorded. With `link` the
    /// copy must be complete.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`] of the partial dataset; unreadable files of the copy are skipped.
    pub fn adopt_files(
        &self,
        found: &LocalCopy,
        wanted: &PieceSet,
        link: bool,
        hashed_bytes: &AtomicU64,
    ) -> Result<(PieceSet, Adopted), Error> {
        // Never stopped halfway: a link to a user's file may stay only if the file is known to be
        // right.
        let work = DiskWork::counting(hashed_bytes);
        let workplace = self.store.partial_path(&self.id);
        let (layout, files, mut adopted) = (self.layout(), &self.files, Adopted::default());
        let (mut whole, mut linked) = (wanted.clone(), Vec::new());
        for (index, file) in layout.files().enumerate() {
            let (from, to) = (found.site.path(&file.path()), self.files.path(index as u32));
            let its_own = layout.geometry().pieces(file.range());
            if file.length() == 0 {
                continue;
            }
            let is_right = |it| found.is_hashed() && found.pieces().contains(it);
            let is_of_use = its_own.clone().any(|it| wanted.contains(it) && is_right(it));
            // A file that the partial dataset has already gets its missing pieces below.
            if file_at(&to).is_some() || !is_of_use || !from.is_file() {
                whole.remove_range(its_own);
                continue;
            }
            let failed = |why: std::io::Error| Error::disk("copy a file to", &to, &why);
            let parents = || self.files.create_parents(&to);
            let linked_as = || parents().and_then(|()| hard_link(&from, &to)).ok();
            if let Some(before) = link.then(linked_as).flatten() {
                files.set_origin(index as u32, Some(FileOrigin::Sealed));
                linked.push((index as u32, to, its_own, before));
            } else if std::fs::File::open(&from).is_ok() {
                parents().map_err(failed)?;
                copy(&from, &to, CopyMode::New, &workplace).map_err(failed)?;
                let cut = open_to_write(&to);
                cut.and_then(|cut| cut.set_len(file.length())).map_err(failed)?;
                files.set_origin(index as u32, Some(FileOrigin::Ours));
                adopted.copied += 1;
            } else {
                whole.remove_range(its_own);
            }
        }
        whole.retain(|piece| layout.is_kept(piece));
        let pieces: Vec<_> = whole.iter().collect();
        let mut right = hash_pieces(&self.files, &self.metainfo, &pieces, work)?;
        self.files.close();
        for (index, to, its_own, before) in &linked {
            let is_right = |piece| right.contains(piece) || !whole.contains(piece);
            if !its_own.clone().all(is_right) {
                files.set_origin(*index, None);
                unlink(to, before).map_err(|why| Error::disk("remove", to, &why))?;
                right.remove_range(its_own.clone());
            }
        }
        adopted.linked = linked.iter().filter(|(_, to, ..)| to.exists()).count();
        for piece in right.iter() {
            self.verified(piece)?;
        }
        // Pieces of files that the partial dataset already had, and pieces shared with unselected
        // files, are copied one by one.
        let mut rest = wanted.clone();
        rest.remove_all(&whole);
        right.insert_all(&self.take(found, &rest, work)?);
        Ok((right, adopted))
    }
}

/// Gives a user's file a second name, and returns its former permissions. The file is made
/// read-only first, since writable files of a partial dataset are written to.
fn hard_link(from: &Path, to: &Path) -> io::Result<Permissions> {
    // For a symbolic link, link its target.
    let from = from.canonicalize()?;
    let before = std::fs::metadata(&from)?.permissions();
    set_read_only(&from, true)?;
    if let Err(why) = std::fs::hard_link(&from, to) {
        std::fs::set_permissions(&from, before)?;
        return Err(why);
    }
    Ok(before)
}

/// Removes the second name, and restores the file's permissions. The name is removed first: a
/// process killed in between must not leave a writable file of the user's in the store.
fn unlink(to: &Path, before: &Permissions) -> io::Result<()> {
    let file = open(to);
    remove_entry(to)?;
    file?.set_permissions(before.clone())
}

impl Store {
    /// After hard links were published, checks that the files are the same as before they were
    /// hashed. If not, removes the dataset's stamp.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`], also if the files changed.
    pub fn check_linked(&self, id: &str, found: &LocalCopy) -> Result<(), Error> {
        if found.unchanged().is_some() {
            return Ok(());
        }
        self.remove_stamp(id)?;
        let place = found.site.named().display();
        Err(Error::new(ErrorKind::Disk, format!("{place} changed while it was being imported"))
            .why("it is hard-linked and no longer counts as complete: the next build hashes it and downloads what is damaged")
            .help("import it again while no program writes to it, or without --hard-link"))
    }
}
