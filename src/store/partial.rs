//! A dataset on its way: bytes come in at any offset, verified pieces are recorded, and when all are there it
//! is published.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::check::{self, Existing};
use super::directory::{Home, is_ours_alone, take_over};
use super::files::LayoutFiles;
use super::fs::{copy, link_or_copy};
use super::record::{Record, Recorded};
use super::{Stamp, Store};
use crate::error::Error;
use crate::geometry::PieceIndex;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::plan::Layout;

/// A dataset that is being fetched; shared by the workers.
#[derive(Debug)]
pub struct Partial {
    pub(super) store: Store,
    pub(super) id: String,
    pub(super) metainfo: Arc<Metainfo>,
    pub(super) files: LayoutFiles,
    record: Record,
}

impl Partial {
    /// Goes on from what is there: an earlier download's verified pieces, the good pieces of damaged data
    /// (`existing`), and the files that other selections of the torrent have already.
    ///
    /// Gives the verified pieces too. With `hash_again` nothing is believed that is not hashed now: neither the record, nor
    /// the stamps of other selections. `hashed_bytes` counts what had to be hashed again. The caller holds the lock.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn open(
        store: &Store,
        id: &str,
        metainfo: &Arc<Metainfo>,
        layout: &Arc<Layout>,
        existing: Option<&Existing>,
        hash_again: bool,
        hashed_bytes: &AtomicU64,
    ) -> Result<(Partial, PieceSet), Error> {
        let directory = store.partial_path(id);
        let failed = |why: io::Error| Error::disk("prepare", &directory, &why);
        std::fs::create_dir_all(directory.join("files")).map_err(failed)?;
        let files = LayoutFiles::for_writing(
            Arc::clone(layout),
            directory.join("files"),
            directory.join("scratch"),
            store.directory.as_ref().map(|home| Home::new(home.clone(), directory.clone())),
        );
        let mut recorded =
            Record::read(&store.record_path(id), id, layout.geometry().piece_count());
        recorded.same_boot &= !hash_again;
        let mut verified =
            still_there(&files, metainfo, recorded, &directory, hashed_bytes).map_err(failed)?;
        if let Some(existing) = existing {
            let mut taken = match files.home() {
                Some(home) => take_over(&files, home, existing),
                None => salvage(&files, existing, &directory).map_err(failed)?,
            };
            // A process may have been killed before it recorded what it had copied.
            let unrecorded: Vec<_> =
                taken.unsure.iter().filter(|piece| !verified.contains(*piece)).collect();
            taken.sure.insert_all(&check::hash_pieces(&files, metainfo, &unrecorded, hashed_bytes));
            verified.insert_all(&taken.sure);
        }
        let others = store.selections(metainfo.infohash);
        for other in others.iter().filter(|other| *other != id && !hash_again) {
            if let Some(stamp) = store.present(other) {
                let from = store.files_path(other);
                adopt(&files, existing, &from, &stamp, &directory).map_err(failed)?;
            }
        }
        verified.insert_all(&sealed_pieces(&files));
        let record = Record::begin(&store.record_path(id), id, verified.iter()).map_err(failed)?;
        let partial = Partial {
            store: store.clone(),
            id: id.to_owned(),
            metainfo: Arc::clone(metainfo),
            files,
            record,
        };
        Ok((partial, verified))
    }

    pub fn layout(&self) -> &Arc<Layout> {
        self.files.layout()
    }

    /// The root of the store.
    pub fn place(&self) -> &Path {
        self.store.root()
    }

    pub fn metainfo(&self) -> &Arc<Metainfo> {
        &self.metainfo
    }

    /// The raw `info` of the torrent, from the `.torrent` that the store keeps; `None` where someone removed it.
    pub fn raw_info(&self) -> Option<Vec<u8>> {
        self.metainfo.raw_info(&self.store.torrent(self.metainfo.infohash)?)
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

    /// Bytes that the file system can still give to this dataset: what is free, and what its files hold that was
    /// not verified and will be written again. `None` where the platform does not tell.
    #[cfg(unix)]
    pub fn room_bytes(&self, verified_bytes: u64) -> Option<u64> {
        use std::os::unix::fs::MetadataExt as _;
        let free = fs2::available_space(self.store.partial_path(&self.id)).ok()?;
        let bytes = |path: &Path| Some(std::fs::metadata(path).ok()?.blocks() * 512);
        let (mut held, mut copied) = (0, 0);
        for (index, file) in self.layout().files().iter().enumerate() {
            if let Some(bytes) = bytes(&self.files.path(index as u32)) {
                held += bytes;
            } else if let Some(home) = self.files.home().filter(|home| home.is_used(index as u32))
                && let home = home.path(&file.path)
                && let Some(bytes) = bytes(&home)
            {
                // What has further names, or is a link, is copied where it is to be mended.
                let is_copied = self.files.home().is_some_and(|home| home.waits(index as u32))
                    && !is_ours_alone(&home);
                held += bytes;
                copied += if is_copied { bytes } else { 0 };
            }
        }
        let room = free.saturating_add(held.saturating_sub(verified_bytes));
        Some(room.saturating_sub(copied))
    }

    /// See above: std does not tell, and nothing small that is kept up does.
    #[cfg(not(unix))]
    pub fn room_bytes(&self, _: u64) -> Option<u64> {
        None
    }

    /// Tells those who wait for the lock that data comes in.
    pub fn alive(&self, now: std::time::SystemTime) {
        self.record.touch(now);
    }
}

impl Store {
    /// Bytes of a dataset that an earlier download has verified, by its record: nothing is hashed, and nothing is changed.
    #[cfg(feature = "cli")]
    pub fn recorded_bytes(&self, id: &str, layout: &Layout) -> u64 {
        let geometry = layout.geometry();
        let needed = layout.needed();
        let recorded = Record::read(&self.record_path(id), id, geometry.piece_count()).pieces;
        let pieces = recorded.iter().filter(|piece| needed.contains(*piece));
        pieces.map(|piece| u64::from(geometry.len(piece))).sum()
    }
}

/// The recorded pieces whose files are there; after another boot, those that still hash right.
fn still_there(
    files: &LayoutFiles,
    metainfo: &Metainfo,
    recorded: Recorded,
    workplace: &Path,
    hashed_bytes: &AtomicU64,
) -> io::Result<PieceSet> {
    let layout = files.layout();
    let mut pieces = recorded.pieces;
    if !check::any_is_there(files) {
        return Ok(PieceSet::none(layout.geometry().piece_count()));
    }
    if !recorded.same_boot {
        // What is not in the workplace is no piece of this record: where the user's own files lie it is hashed anew.
        for (index, file) in layout.files().iter().enumerate() {
            if file.length() > 0 && !files.path(index as u32).exists() {
                pieces.remove_range(layout.geometry().pieces(file.range.clone()));
            }
        }
        unseal(files, workplace)?;
        let pieces: Vec<_> = pieces.iter().collect();
        return Ok(check::hash_pieces(files, metainfo, &pieces, hashed_bytes));
    }
    // Someone may have removed a file: opening it anew would read zeros.
    let scratch = layout.scratch_bytes();
    let whole =
        |path: PathBuf, length| std::fs::metadata(path).is_ok_and(|file| file.len() == length);
    if scratch > 0 && !whole(files.path(u32::MAX), scratch) {
        pieces.retain(|piece| layout.is_kept(piece));
    }
    for (index, file) in layout.files().iter().enumerate() {
        if file.length() > 0 && !whole(files.path(index as u32), file.length()) {
            pieces.remove_range(layout.geometry().pieces(file.range.clone()));
        }
    }
    Ok(pieces)
}

/// Makes each read-only file a writable copy. Read-only means complete from elsewhere, and is trusted while the
/// machine runs; after another boot its pieces are hashed like all others, and what is damaged must be written,
/// in an inode that is ours alone.
fn unseal(files: &LayoutFiles, workplace: &Path) -> io::Result<()> {
    for index in 0..files.layout().files().len() as u32 {
        let path = files.path(index);
        if std::fs::metadata(&path).is_ok_and(|file| file.permissions().readonly()) {
            copy(&path, &path, false, workplace)?;
        }
    }
    Ok(())
}

/// Pieces that were taken over from damaged data.
pub(super) struct Salvaged {
    sure: PieceSet,
    /// In files that lay in the partial dataset before: to be hashed where no record has them.
    unsure: PieceSet,
}

impl Salvaged {
    /// The good pieces. What is kept in part cannot be checked again without the rest of the piece.
    pub(super) fn of(existing: &Existing, layout: &Layout) -> Salvaged {
        let mut sure = existing.good.clone();
        sure.retain(|piece| layout.is_kept(piece));
        Salvaged { sure, unsure: PieceSet::none(layout.geometry().piece_count()) }
    }

    /// Their file lay in the partial dataset before.
    pub(super) fn doubt(&mut self, pieces: std::ops::Range<PieceIndex>) {
        self.unsure.extend(pieces.filter(|piece| self.sure.remove(*piece)));
    }
}

/// Takes over the good pieces of damaged data: whole files by link, damaged ones by copy, since other
/// selections may have the same inodes.
fn salvage(files: &LayoutFiles, existing: &Existing, workplace: &Path) -> io::Result<Salvaged> {
    let layout = files.layout();
    let mut salvaged = Salvaged::of(existing, layout);
    for (index, file) in layout.files().iter().enumerate() {
        let index = index as u32;
        let (from, to) = (existing.files.path(index), files.path(index));
        let pieces = layout.geometry().pieces(file.range.clone());
        if file.length() == 0 || !pieces.clone().any(|piece| existing.good.contains(piece)) {
            continue;
        }
        if to.exists() {
            salvaged.doubt(pieces);
            continue;
        }
        if existing.is_right(index) {
            link_or_copy(&from, &to, workplace)?;
        } else {
            copy(&from, &to, false, workplace)?;
            std::fs::File::options().write(true).open(&to)?.set_len(file.length())?;
        }
    }
    Ok(salvaged)
}

/// Links the files that another selection has complete. Not those that were found damaged here: they may be other names
/// for the same bytes, whatever the stamp says.
fn adopt(
    files: &LayoutFiles,
    existing: Option<&Existing>,
    from: &Path,
    stamp: &Stamp,
    workplace: &Path,
) -> io::Result<()> {
    let stamped: std::collections::HashSet<_> = stamp.paths().collect();
    for (index, file) in files.layout().files().iter().enumerate() {
        let to = files.path(index as u32);
        let was_hashed = || existing.is_some_and(|it| it.files.path(index as u32).exists());
        let is_theirs = file.length() > 0 && stamped.contains(file.path.as_path());
        if is_theirs && !to.exists() && !was_hashed() {
            link_or_copy(&from.join(&file.path), &to, workplace)?;
        }
    }
    Ok(())
}

/// The pieces that lie wholly in files that are complete from elsewhere (and in pad files).
fn sealed_pieces(files: &LayoutFiles) -> PieceSet {
    let layout = files.layout();
    if !check::any_is_there(files) {
        return PieceSet::none(layout.geometry().piece_count());
    }
    let (mut pieces, mut none) = (layout.needed(), true);
    for (index, file) in layout.files().iter().enumerate() {
        let path = files.path(index as u32);
        if std::fs::metadata(path).is_ok_and(|file| file.permissions().readonly()) {
            none = false;
        } else {
            pieces.remove_range(layout.geometry().pieces(file.range.clone()));
        }
    }
    if none {
        return PieceSet::none(layout.geometry().piece_count());
    }
    pieces.retain(|piece| layout.is_kept(piece));
    pieces
}
