//! The pieces of a torrent that can be served to peers: those of complete selections, verified
//! pieces of partial downloads of any process, and copies elsewhere.
//!
//! Nothing is locked and nothing is written. A stamp shows that a selection is complete, and a
//! resume record which pieces of a partial one to check; both are read again and again. A recorded
//! piece is hashed before it is offered, since the record's process may have ended long ago.
//! Publishing moves the files of a selection: what cannot be read in `partial` is read in `data`.
//!
//! A copy belongs to the user, and only its files' sizes and times show that it is unchanged since
//! it was hashed. They are compared after each read: bytes read before a change are right, and
//! bytes read after it are not served.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::SystemTime;

use super::check::is_right;
use super::files::LayoutFiles;
use super::fs::{FileFingerprint, file_at};
use super::local_copy::LocalCopy;
use super::parallel::DiskWork;
use super::resume_record::ResumeRecord;
use super::{Site, Stamp, Store};
use crate::mutex::Mutex;
use crate::plan::{Layout, SegmentPlace, Selection};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// Bytes of recorded pieces that are hashed per call of `look` (at least one piece): calls are
/// frequent and must be short.
const CHECKED_BYTES: u64 = 8 << 20;

/// Identifies a version of a stamp or record. The mtime is of no use: stamps are backdated, and
/// records are touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EvidenceVersion {
    length: u64,
    created: Option<SystemTime>,
}

/// The file that shows which pieces of a selection (by id) are in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Evidence {
    Stamp(String),
    ResumeRecord(String),
}

/// Pieces of the torrent in one place, for as long as they are served.
///
/// Not a [`LocalCopy`], which is one selection as of one moment. Here only the id of a selection is
/// known, not its globs; the pieces change while peers read them; and publishing moves the files.
#[derive(Debug)]
struct ServedPlace {
    /// `None` for a copy, which was hashed when it was added.
    evidence: Option<(Evidence, EvidenceVersion)>,
    /// Only shrinks for a copy, and only grows for a record.
    pieces: Mutex<PieceSet>,
    /// Recorded pieces that are still to be hashed, the newest last.
    unchecked: Mutex<Vec<PieceIndex>>,
    /// Number of entries read from the record.
    entries: usize,
    /// The first that can provide the bytes is used.
    files: Arc<Vec<LayoutFiles>>,
    /// For a copy, the state of each of the torrent's files before it was hashed.
    fingerprints: Vec<Option<FileFingerprint>>,
}

/// The verified pieces of one torrent.
#[derive(Debug)]
pub struct Offered {
    store: Store,
    infohash: Infohash,
    metainfo: Arc<Metainfo>,
    /// All files of the torrent; a selection's stamp shows which of them it has.
    whole: Arc<Layout>,
    places: Mutex<Vec<Arc<ServedPlace>>>,
    /// Changed files of copies that were not reported yet.
    changed: Mutex<Vec<PathBuf>>,
    /// Whether pieces were lost since the last look.
    is_less: AtomicBool,
}

impl Offered {
    /// Starts empty: [`Offered::look`] finds the pieces.
    pub fn new(store: &Store, metainfo: &Arc<Metainfo>) -> Offered {
        Offered {
            store: store.clone(),
            infohash: metainfo.infohash,
            metainfo: Arc::clone(metainfo),
            whole: Arc::new(Layout::new(metainfo, &Selection::all(metainfo))),
            places: Mutex::default(),
            changed: Mutex::default(),
            is_less: AtomicBool::new(false),
        }
    }

    /// Updates and returns the verified pieces; `None` if nothing has changed. With `quick` only the
    /// known stamps and records are read again; new ones are searched for only if one of them is
    /// gone.
    pub fn look(&self, quick: bool) -> Option<PieceSet> {
        let old = self.places();
        let (mut new, of_store): (Vec<_>, Vec<_>) =
            old.iter().cloned().partition(|place| place.evidence.is_none());
        let known = of_store.iter().filter_map(|place| place.evidence.clone());
        let mut all: Vec<Evidence> = known.map(|(evidence, _)| evidence).collect();
        if !quick || all.iter().any(|evidence| self.version(evidence).is_none()) {
            let partial = self.store.partial_selections(self.infohash);
            let complete = self.store.selections(self.infohash).into_iter();
            all = complete.map(Evidence::Stamp).collect();
            all.extend(partial.into_iter().map(Evidence::ResumeRecord));
        }
        for evidence in all {
            let Some(version) = self.version(&evidence) else { continue };
            let is_it = |known: &(Evidence, _)| known.0 == evidence;
            let known = of_store.iter().find(|it| it.evidence.as_ref().is_some_and(is_it));
            let is_same = |known: &(Evidence, _)| known.1 == version;
            match known.filter(|it| it.evidence.as_ref().is_some_and(is_same)) {
                Some(place) => new.push(Arc::clone(place)),
                None => new.push(Arc::new(self.place(evidence, version, known))),
            }
        }
        let mut same =
            old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| Arc::ptr_eq(a, b));
        for place in &new {
            same &= !self.check_some(place);
        }
        if same && !self.is_less.swap(false, Ordering::AcqRel) {
            return None;
        }
        *self.places.lock() = new;
        Some(self.pieces())
    }

    /// Hashes what `directory` has of the dataset: a store, or a directory with the torrent's own
    /// layout.
    pub fn add_copy(&self, directory: &Path, hashed_bytes: &AtomicU64) {
        let in_store = Store::at(directory).files_path(&self.infohash.to_string());
        for directory in [directory.to_owned(), in_store] {
            let site = Site::In(directory);
            let mut copy = LocalCopy::look(&site, &self.metainfo, &self.whole, Vec::new());
            // Taken before the hashing, so that a file that changes meanwhile does not match.
            let paths = self.whole.files().map(|file| site.path(&file.path()));
            let fingerprints = paths.map(|path| FileFingerprint::at(&path)).collect();
            let hashed = copy.hash(DiskWork::counting(hashed_bytes));
            if hashed.is_ok() && !copy.pieces.is_empty() {
                let mut place = ServedPlace::new(None, copy.pieces, Arc::new(vec![copy.files]));
                place.fingerprints = fingerprints;
                self.places.lock().push(Arc::new(place));
            }
        }
    }

    /// Returns all verified pieces, as of the last look.
    pub fn pieces(&self) -> PieceSet {
        let mut pieces = PieceSet::none(self.whole.geometry().piece_count());
        self.places().iter().for_each(|place| pieces.insert_all(&place.pieces()));
        pieces
    }

    /// Reads bytes of one verified piece.
    ///
    /// # Errors
    /// If the piece is not available, or no longer.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let piece = self.whole.geometry().piece_at(offset);
        let mut result = Err(io::ErrorKind::NotFound.into());
        for place in self.places().iter().filter(|place| place.pieces().contains(piece)) {
            for files in place.files.iter() {
                result = files.read(offset, buffer);
                if self.has_changed(place, offset..offset + buffer.len() as u64) {
                    result = Err(io::ErrorKind::NotFound.into());
                }
                if result.is_ok() {
                    return result;
                }
            }
        }
        result
    }

    /// Returns the files of copies that have changed since the last call.
    pub fn new_changes(&self) -> Vec<PathBuf> {
        std::mem::take(&mut *self.changed.lock())
    }

    /// Whether a file of a copy that has part of this range is no longer what was hashed. If so,
    /// its pieces are withdrawn.
    fn has_changed(&self, place: &ServedPlace, range: Range<u64>) -> bool {
        let mut has_changed = false;
        for segment in self.whole.segments(range) {
            let SegmentPlace::File { file, .. } = segment.place else { continue };
            let index = file as usize;
            let (Some(was), [files]) = (place.fingerprints.get(index), &place.files[..]) else {
                continue;
            };
            let path = files.path(file);
            if was.is_some() && FileFingerprint::at(&path) == *was {
                continue;
            }
            has_changed = true;
            let mut pieces = place.pieces();
            let before = pieces.len();
            if let Some(file) = self.whole.file(file) {
                pieces.remove_range(self.whole.geometry().pieces(file.range()));
            }
            // Of several concurrent reads only the first that removes pieces reports the change.
            if pieces.len() < before {
                self.is_less.store(true, Ordering::Release);
                self.changed.lock().push(path);
            }
        }
        has_changed
    }

    #[cfg(test)]
    pub fn place_count(&self) -> usize {
        self.places.lock().len()
    }

    fn places(&self) -> Vec<Arc<ServedPlace>> {
        self.places.lock().clone()
    }

    fn version(&self, evidence: &Evidence) -> Option<EvidenceVersion> {
        let path = match evidence {
            Evidence::Stamp(id) => self.store.stamp_path(id),
            Evidence::ResumeRecord(id) => self.store.record_path(id),
        };
        let file = file_at(&path)?;
        Some(EvidenceVersion { length: file.len(), created: file.created().ok() })
    }

    /// `known` is the previous state of the same place.
    fn place(
        &self,
        evidence: Evidence,
        version: EvidenceVersion,
        known: Option<&Arc<ServedPlace>>,
    ) -> ServedPlace {
        let count = self.whole.geometry().piece_count();
        let reading = |directory: PathBuf| {
            LayoutFiles::for_reading(Arc::clone(&self.whole), Site::In(directory))
        };
        match &evidence {
            Evidence::Stamp(id) => {
                let stamp = Stamp::read(&self.store.stamp_path(id));
                let pieces = match stamp.filter(|stamp| self.store.is_as_stamped(id, stamp)) {
                    Some(stamp) => self.stamped(&stamp),
                    None => PieceSet::none(count),
                };
                let files = Arc::new(vec![reading(self.store.files_path(id))]);
                ServedPlace::new(Some((evidence, version)), pieces, files)
            }
            Evidence::ResumeRecord(id) => {
                let recorded = ResumeRecord::read(&self.store.record_path(id), id);
                // If it is the same record and has grown, only the new entries are checked.
                let is_it =
                    |known: &(Evidence, EvidenceVersion)| known.1.created == version.created;
                let known = known.filter(|known| {
                    known.evidence.as_ref().is_some_and(is_it) && known.entries <= recorded.len()
                });
                let (files, pieces, mut unchecked, entries) = match known {
                    Some(known) => (
                        Arc::clone(&known.files),
                        known.pieces().clone(),
                        known.unchecked.lock().clone(),
                        known.entries,
                    ),
                    None => {
                        let partial = self.store.partial_path(id).join("files");
                        let files = vec![reading(partial), reading(self.store.files_path(id))];
                        (Arc::new(files), PieceSet::none(count), Vec::new(), 0)
                    }
                };
                let new = recorded.get(entries..).unwrap_or_default();
                unchecked.extend(new.iter().filter(|piece| **piece < count));
                let mut place = ServedPlace::new(Some((evidence, version)), pieces, files);
                (place.unchecked, place.entries) = (Mutex::new(unchecked), recorded.len());
                place
            }
        }
    }

    /// Hashes some of the recorded pieces, the newest first. Returns whether any is right.
    fn check_some(&self, place: &ServedPlace) -> bool {
        let (mut left, mut buffer, mut any) = (CHECKED_BYTES, Vec::new(), false);
        while left > 0 {
            let Some(piece) = place.unchecked.lock().pop() else { break };
            if place.pieces().contains(piece) {
                continue;
            }
            left = left.saturating_sub(u64::from(self.whole.geometry().len(piece)));
            // A piece at the edge of a selection is partly in its scratch file, and cannot be read
            // here.
            let mut files = place.files.iter();
            if files.any(|files| is_right(files, &self.metainfo, piece, &mut buffer)) {
                any |= place.pieces().insert(piece);
            }
        }
        any
    }

    /// Returns the pieces that are completely in stamped files.
    fn stamped(&self, stamp: &Stamp) -> PieceSet {
        let geometry = self.whole.geometry();
        let mut pieces = PieceSet::all(geometry.piece_count());
        let mut stamped = stamp.among(self.whole.files()).map(|file| file.torrent_file).peekable();
        for file in self.whole.files() {
            if stamped.next_if_eq(&file.torrent_file).is_none() {
                pieces.remove_range(geometry.pieces(file.range()));
            }
        }
        pieces
    }
}

impl ServedPlace {
    fn new(
        evidence: Option<(Evidence, EvidenceVersion)>,
        pieces: PieceSet,
        files: Arc<Vec<LayoutFiles>>,
    ) -> ServedPlace {
        let (pieces, unchecked) = (Mutex::new(pieces), Mutex::default());
        ServedPlace { evidence, pieces, unchecked, entries: 0, files, fingerprints: Vec::new() }
    }

    fn pieces(&self) -> MutexGuard<'_, PieceSet> {
        self.pieces.lock()
    }
}
