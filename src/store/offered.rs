//! What of a torrent can be given to others: complete selections, what is verified of those that are being fetched, by
//! whatever process, and copies elsewhere.
//!
//! Nothing is locked and nothing is written. A stamp says that a selection is complete, and a resume record which pieces
//! of one on its way are verified; both are looked at again and again. When a selection is published its files move: what
//! cannot be read in `partial` is read in `data`.
//!
//! Of a copy, which is the user's, nothing says that it is still what was hashed but its files' sizes and times. They
//! are looked at after each read: so what was read before a change is right, and what was read after it is not given.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::check::hash_pieces;
use super::files::LayoutFiles;
use super::fs::Look;
use super::record::Record;
use super::{Site, Stamp, Store, ids_in};
use crate::geometry::PieceIndex;
use crate::infohash::Infohash;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::plan::{Layout, Place, Selection};

/// By what a file is known to be another than before: its time is no help, since stamps are backdated, and records
/// are touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    length: u64,
    created: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A selection with a stamp.
    Data(String),
    /// One with a resume record.
    Partial(String),
    Copy(PathBuf),
}

/// Where some pieces lie.
#[derive(Debug)]
struct Lies {
    kind: Kind,
    mark: Option<Mark>,
    /// Of a copy they become fewer.
    pieces: Mutex<PieceSet>,
    /// Asked in order.
    files: Arc<Vec<LayoutFiles>>,
    /// Of a copy, how each of the torrent's files was when it was hashed.
    looks: Vec<Option<Look>>,
}

/// The verified pieces of one torrent.
#[derive(Debug)]
pub struct Offered {
    store: Store,
    infohash: Infohash,
    metainfo: Arc<Metainfo>,
    /// All files of the torrent: which of them a selection has is seen from its stamp.
    whole: Arc<Layout>,
    places: Mutex<Vec<Arc<Lies>>>,
    /// Files of copies that have changed, of which nobody has heard yet.
    changed: Mutex<Vec<PathBuf>>,
    /// They took pieces with them.
    is_less: AtomicBool,
}

impl Offered {
    /// Nothing is looked at yet.
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

    /// Looks what there is now; `None` where nothing has changed. A `quick` look sees how far those have come that
    /// are known, and no new ones.
    pub fn look(&self, quick: bool) -> Option<PieceSet> {
        let old = self.places();
        let mut kinds: Vec<Kind> = old.iter().map(|place| place.kind.clone()).collect();
        if !quick || kinds.iter().any(|kind| kind.is_marked() && self.mark(kind).is_none()) {
            kinds.retain(|kind| !kind.is_marked());
            let partial = ids_in(&self.store.root().join("partial"), self.infohash);
            kinds.extend(self.store.selections(self.infohash).into_iter().map(Kind::Data));
            kinds.extend(partial.into_iter().map(Kind::Partial));
        }
        let mut new = Vec::new();
        for kind in kinds {
            let mark = self.mark(&kind);
            if kind.is_marked() && mark.is_none() {
                continue;
            }
            let known = old.iter().find(|place| place.kind == kind);
            match known.filter(|place| place.mark == mark) {
                Some(place) => new.push(Arc::clone(place)),
                None => new.push(Arc::new(self.place(kind, mark, known))),
            }
        }
        let same = old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| Arc::ptr_eq(a, b));
        if same && !self.is_less.swap(false, Ordering::AcqRel) {
            return None;
        }
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Some(self.pieces())
    }

    /// Looks for the dataset in this directory, a store or one with the torrent's own layout, and hashes what lies
    /// there. Runs on the current rayon pool.
    pub fn add_copy(&self, directory: &Path, hashed_bytes: &AtomicU64) {
        let in_store = Store::at(directory).files_path(&self.infohash.to_string());
        for directory in [directory.to_owned(), in_store] {
            let site = Site::In(directory.clone());
            let files = LayoutFiles::for_reading(Arc::clone(&self.whole), site);
            let mut pieces = PieceSet::all(self.whole.geometry().piece_count());
            // Before it is hashed, so that what changes meanwhile does not fit.
            let paths = (0..self.whole.files().len()).map(|index| files.path(index as u32));
            let looks: Vec<_> = paths.map(|path| Look::at(&path)).collect();
            for (file, look) in self.whole.files().iter().zip(&looks) {
                // What is no file (a pipe, say) is never opened.
                if look.is_none() {
                    pieces.remove_range(self.whole.geometry().pieces(file.range.clone()));
                }
            }
            let pieces: Vec<_> = pieces.iter().collect();
            let pieces = hash_pieces(&files, &self.metainfo, &pieces, hashed_bytes);
            if !pieces.is_empty() {
                let (kind, files) = (Kind::Copy(directory), Arc::new(vec![files]));
                let pieces = Mutex::new(pieces);
                let place = Arc::new(Lies { kind, mark: None, pieces, files, looks });
                self.places.lock().unwrap_or_else(PoisonError::into_inner).push(place);
            }
        }
    }

    /// All verified pieces, as they were last looked at.
    pub fn pieces(&self) -> PieceSet {
        let mut pieces = PieceSet::none(self.whole.geometry().piece_count());
        self.places().iter().for_each(|place| pieces.insert_all(&place.pieces()));
        pieces
    }

    /// Reads bytes of one verified piece.
    ///
    /// # Errors
    /// The piece is not there, or not any more.
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

    /// The files of copies that have changed since this was asked last.
    pub fn new_changes(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether one of the files of a copy that hold this range is not what was hashed. Its pieces are let go then.
    fn has_changed(&self, place: &Lies, range: Range<u64>) -> bool {
        let mut has_changed = false;
        for segment in self.whole.segments(range) {
            let Place::File { file, .. } = segment.place else { continue };
            let index = file as usize;
            let (Some(was), [files]) =
                (place.looks.get(index).copied().flatten(), &place.files[..])
            else {
                continue;
            };
            let path = files.path(file);
            if Look::at(&path) == Some(was) {
                continue;
            }
            has_changed = true;
            let mut pieces = place.pieces();
            let before = pieces.len();
            if let Some(file) = self.whole.files().get(index) {
                pieces.remove_range(self.whole.geometry().pieces(file.range.clone()));
            }
            // Reads that were under way beside the first one find the pieces gone.
            if pieces.len() < before {
                self.is_less.store(true, Ordering::Release);
                self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(path);
            }
        }
        has_changed
    }

    fn places(&self) -> Vec<Arc<Lies>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn mark(&self, kind: &Kind) -> Option<Mark> {
        let path = match kind {
            Kind::Data(id) => self.store.stamp_path(id),
            Kind::Partial(id) => self.store.record_path(id),
            Kind::Copy(_) => return None,
        };
        let file = std::fs::metadata(path).ok()?;
        Some(Mark { length: file.len(), created: file.created().ok() })
    }

    /// `known` is what the place was before.
    fn place(&self, kind: Kind, mark: Option<Mark>, known: Option<&Arc<Lies>>) -> Lies {
        let count = self.whole.geometry().piece_count();
        let reading = |directory: PathBuf| {
            LayoutFiles::for_reading(Arc::clone(&self.whole), Site::In(directory))
        };
        let created = |mark: Option<Mark>| mark.and_then(|mark| mark.created);
        let (pieces, files) = match &kind {
            Kind::Data(id) => {
                let site = Site::In(self.store.files_path(id));
                let stamp = Stamp::read(&self.store.stamp_path(id));
                let pieces = match stamp.filter(|stamp| stamp.matches(&site)) {
                    Some(stamp) => self.stamped(&stamp),
                    None => PieceSet::none(count),
                };
                (pieces, Arc::new(vec![reading(self.store.files_path(id))]))
            }
            Kind::Partial(id) => {
                let files = match known.filter(|known| created(known.mark) == created(mark)) {
                    Some(known) => Arc::clone(&known.files),
                    None => {
                        let partial = self.store.partial_path(id).join("files");
                        Arc::new(vec![reading(partial), reading(self.store.files_path(id))])
                    }
                };
                (self.recorded(id, &files), files)
            }
            Kind::Copy(_) => (PieceSet::none(count), Arc::default()),
        };
        Lies { kind, mark, pieces: Mutex::new(pieces), files, looks: Vec::new() }
    }

    /// The pieces that lie wholly in stamped files.
    fn stamped(&self, stamp: &Stamp) -> PieceSet {
        let geometry = self.whole.geometry();
        let mut pieces = PieceSet::all(geometry.piece_count());
        let paths: std::collections::HashSet<_> = stamp.paths().collect();
        for file in self.whole.files() {
            if !paths.contains(file.path.as_path()) {
                pieces.remove_range(geometry.pieces(file.range.clone()));
            }
        }
        pieces
    }

    /// The recorded pieces. After another boot none: whoever goes on hashes them, and begins a new record.
    fn recorded(&self, id: &str, files: &[LayoutFiles]) -> PieceSet {
        let geometry = self.whole.geometry();
        let recorded = Record::read(&self.store.record_path(id), id, geometry.piece_count());
        let mut pieces = recorded.pieces;
        if !recorded.same_boot {
            return PieceSet::none(geometry.piece_count());
        }
        if id != self.infohash.to_string() {
            // Of a selection, bytes of other files lie in its scratch file.
            pieces.retain(|piece| self.lies_in_files(piece, files));
        }
        pieces
    }

    fn lies_in_files(&self, piece: PieceIndex, files: &[LayoutFiles]) -> bool {
        let mut segments = self.whole.segments(self.whole.geometry().range(piece));
        segments.all(|segment| match segment.place {
            Place::File { file, .. } => files.iter().any(|files| files.path(file).is_file()),
            Place::Scratch { .. } | Place::Zeros => true,
        })
    }
}

impl Lies {
    fn pieces(&self) -> MutexGuard<'_, PieceSet> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    /// Whether a file says what there is.
    fn is_marked(&self) -> bool {
        !matches!(self, Kind::Copy(_))
    }
}

impl Store {
    /// The torrents that the store keeps.
    pub fn torrents(&self) -> Vec<Infohash> {
        let entries = std::fs::read_dir(self.root.join("torrents")).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(".torrent")?.parse().ok()).collect()
    }
}
