//! A dataset that is being fetched: bytes arrive at any offset, verified pieces are recorded, and
//! the complete dataset is published.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::check;
use super::file_size;
use super::files::{FileOrigin, LayoutFiles, SCRATCH};
use super::fs::{create_directories, file_at, free_bytes, obstacle};
use super::local_copy::LocalCopy;
use super::replaceable;
use super::resume_record::ResumeRecord;
use super::salvage::{salvage, take_over};
use super::siblings::Siblings;
use super::target::Target;
use super::user_files::{UserFiles, is_ours_alone};
use super::{Store, folded_names};
use crate::error::Error;
use crate::plan::Layout;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// A dataset that is being fetched; shared by the workers.
#[derive(Debug)]
pub struct Partial {
    /// The store that contains the partial dataset.
    pub(super) store: Store,
    pub(super) id: String,
    pub(super) metainfo: Arc<Metainfo>,
    pub(super) files: LayoutFiles,
    /// Right pieces of which this selection keeps a part, sorted, with the digest of that part. The
    /// rest is only in other selections.
    pub(super) edges: Vec<(PieceIndex, [u8; 20])>,
    pub(super) record: ResumeRecord,
}

/// The pieces that exist when a download begins.
#[derive(Debug)]
pub struct Here {
    /// Hashed by this process, or in files of a selection with a valid stamp.
    pub verified: PieceSet,
    /// Left by an earlier process: recorded, and still to be hashed.
    pub unchecked: PieceSet,
}

impl Partial {
    /// Continues from existing data: a partial download, the good pieces of damaged data
    /// (`existing`), and files that other selections of the torrent already have. Hashes only
    /// pieces at the selection's edges.
    ///
    /// With `hash_again` the stamps of other selections are not trusted. The caller holds the lock.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`]; in a user's directory also for files that may not be replaced,
    /// and [`crate::ErrorKind::Metainfo`] for unsafe paths.
    pub fn open(
        target: Target<'_>,
        id: &str,
        metainfo: &Arc<Metainfo>,
        layout: &Arc<Layout>,
        existing: Option<&LocalCopy>,
        hash_again: bool,
    ) -> Result<(Partial, Here), Error> {
        let store = target.workplace();
        let directory = store.partial_path(id);
        let failed = |why: io::Error| store.failed("prepare", &directory, &why);
        let home = match target {
            Target::Directory(home) => {
                // Checked before anything is fetched for a file that would replace another.
                folded_names::check(&home.path.as_path().into(), layout)?;
                let claims = replaceable::survey(&home.path, home.overwrite, layout, existing)?;
                Some(UserFiles::new(home.clone(), directory.clone(), claims))
            }
            Target::Store(store) => {
                // Reported before anything is downloaded for a path that cannot be used.
                obstacle(&store.data_path(id), true).map_or(Ok(()), Err).map_err(failed)?;
                None
            }
        };
        store.create_directory(&directory.join("files"))?;
        create_directories(&directory, Path::new("files")).map_err(failed)?;
        super::links::probe(&directory, layout)?;
        let files = LayoutFiles::for_writing(Arc::clone(layout), directory.clone(), home);
        let files = files.map_err(failed)?;
        let mut verified = PieceSet::none(layout.geometry().piece_count());
        let mut unchecked = verified.clone();
        if let Some(existing) = existing {
            let taken = match files.home() {
                Some(home) => take_over(&files, home, existing),
                None => salvage(&files, existing, &directory),
            };
            let taken = taken.map_err(failed)?;
            verified.insert_all(&taken.sure);
            // An earlier process may have been killed between copying and recording.
            unchecked.insert_all(&taken.unsure);
        }
        let recorded = store.recorded(id, layout.geometry().piece_count());
        unchecked.insert_all(&left(&files, recorded));
        let mut edges = Vec::new();
        if let Some(store) = target.store().filter(|_| !hash_again) {
            let siblings = Siblings::of(store, id, metainfo, layout);
            let mut linked = siblings.link(&files, existing, &directory).map_err(failed)?;
            edges = siblings.edges(&files, &mut linked)?;
        }
        verified.insert_all(&pieces_in(&files, &|index| {
            files.origin(index) == Some(FileOrigin::Sealed)
        }));
        let mut recorded = verified.clone();
        verified.extend(edges.iter().map(|(piece, _)| *piece));
        unchecked.remove_all(&verified);
        // An edge is not recorded: without its rest it cannot be hashed again here.
        recorded.insert_all(&unchecked);
        let record =
            ResumeRecord::begin(&store.record_path(id), id, recorded.iter()).map_err(failed)?;
        let partial = Partial {
            store: store.clone(),
            id: id.to_owned(),
            metainfo: Arc::clone(metainfo),
            files,
            edges,
            record,
        };
        Ok((partial, Here { verified, unchecked }))
    }

    /// Hashes pieces in place while `goes_on` returns true, and calls `said` with each piece and
    /// whether it is right.
    pub fn check(
        &self,
        pieces: &[PieceIndex],
        goes_on: &(dyn Fn() -> bool + Sync),
        said: &(dyn Fn(PieceIndex, bool) + Sync),
    ) {
        check::judge_pieces(&self.files, &self.metainfo, pieces, goes_on, said);
    }

    pub fn layout(&self) -> &Arc<Layout> {
        self.files.layout()
    }

    /// Returns the root of the store.
    pub fn place(&self) -> &Path {
        self.store.root()
    }

    pub fn metainfo(&self) -> &Arc<Metainfo> {
        &self.metainfo
    }

    /// Returns the pieces that can be read here, given the missing ones.
    pub fn readable(&self, missing: &PieceSet) -> PieceSet {
        let mut pieces = self.layout().needed();
        pieces.remove_all(missing);
        for (edge, _) in &self.edges {
            pieces.remove(*edge);
        }
        pieces
    }

    /// Writes bytes of the torrent's stream, verified or not.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.files.write(offset, bytes)
    }

    /// Reads bytes that were written.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.files
            .read(offset, buffer)
            .map_err(|why| Error::disk("read", &self.store.partial_path(&self.id), &why))
    }

    /// Records a piece whose bytes were written and had the right SHA-1.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn verified(&self, piece: PieceIndex) -> Result<(), Error> {
        self.record
            .append(piece)
            .map_err(|why| Error::disk("write", &self.store.record_path(&self.id), &why))
    }

    /// Returns the bytes that the file system can still provide for this dataset: free space, plus
    /// the space of unverified data, which will be overwritten. `None` if the platform does not
    /// report free space.
    pub fn room_bytes(&self, verified_bytes: u64) -> Option<u64> {
        let free = free_bytes(&self.store.partial_path(&self.id))?;
        let bytes = |path: &Path| std::fs::metadata(path).ok().map(|it| allocated_bytes(&it));
        let (mut held, mut copied) = (0, 0);
        let is_begun = self.files.site().has_root(self.layout());
        for (index, file) in self.layout().files().enumerate() {
            let index = index as u32;
            if let Some(bytes) = is_begun.then(|| bytes(&self.files.path(index))).flatten() {
                held += bytes;
                continue;
            }
            let Some(home) = self.files.home().filter(|home| home.is_used(index)) else { continue };
            let path = home.path(&file.path());
            let Some(bytes) = bytes(&path) else { continue };
            // A file with further names, or a symbolic link, is copied before it is repaired.
            let is_copied = home.waits(index) && !is_ours_alone(&path);
            held += bytes;
            copied += if is_copied { bytes } else { 0 };
        }
        let room = free.saturating_add(held.saturating_sub(verified_bytes));
        Some(room.saturating_sub(copied))
    }

    /// Refuses files that exceed this process's file size limit, before any is written.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], for the first such file.
    pub fn check_file_sizes(&self) -> Result<(), Error> {
        for (index, file) in self.layout().files().enumerate() {
            let path = self.files.path(index as u32);
            let is_there = || std::fs::metadata(&path).is_ok_and(|it| it.len() == file.length());
            match file_size::check(file.length()) {
                Err(why) if !is_there() => return Err(Error::disk("write", &path, &why)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Shows processes that wait for the lock that this one is alive.
    pub fn alive(&self, now: std::time::SystemTime) {
        self.record.touch(now);
    }
}

impl Store {
    /// Returns the pieces that a resume record names, for a torrent with `piece_count` pieces. They
    /// may be wrong.
    pub fn recorded(&self, id: &str, piece_count: u32) -> PieceSet {
        let mut pieces = PieceSet::none(piece_count);
        pieces.extend(ResumeRecord::read(&self.record_path(id), id));
        pieces
    }
}

#[cfg(unix)]
fn allocated_bytes(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(file) * 512
}

/// On this platform std provides only the length.
#[cfg(not(unix))]
fn allocated_bytes(file: &std::fs::Metadata) -> u64 {
    file.len()
}

/// Returns the pieces that an earlier process may have left: recorded pieces, and pieces in
/// read-only files, which are linked before they are recorded.
fn left(files: &LayoutFiles, recorded: PieceSet) -> PieceSet {
    let layout = files.layout();
    let geometry = layout.geometry();
    let (mut pieces, needed) = (recorded, layout.needed());
    pieces.retain(|piece| needed.contains(piece));
    // All bytes of a piece must be in the workplace. Files in the user's directory have been hashed
    // already.
    for (index, file) in layout.files().enumerate() {
        if file.length() > 0 && files.origin(index as u32).is_none() {
            pieces.remove_range(geometry.pieces(file.range()));
        }
    }
    if files.origin(SCRATCH).is_none() {
        pieces.retain(|piece| layout.is_kept(piece));
    }
    let is_read_only = |index| {
        let metadata = || file_at(&files.path(index));
        files.origin(index).is_some() && metadata().is_some_and(|it| it.permissions().readonly())
    };
    pieces.insert_all(&pieces_in(files, &is_read_only));
    pieces
}

/// Returns the pieces that are completely in files for which `is_one` returns true (and in pad
/// files).
fn pieces_in(files: &LayoutFiles, is_one: &dyn Fn(u32) -> bool) -> PieceSet {
    let layout = files.layout();
    let (mut pieces, mut none) = (layout.needed(), true);
    for (index, file) in layout.files().enumerate() {
        if is_one(index as u32) {
            none = false;
        } else {
            pieces.remove_range(layout.geometry().pieces(file.range()));
        }
    }
    if none {
        return PieceSet::none(layout.geometry().piece_count());
    }
    pieces.retain(|piece| layout.is_kept(piece));
    pieces
}
