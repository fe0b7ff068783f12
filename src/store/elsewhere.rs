//! Copies of a dataset that are not the store's: used where they lie, and only ever read.
//!
//! ```text
//! <store>/v1/elsewhere/<id>/<digest of the place>    stamp of a copy that was verified there
//! ```
//! A copy may be on read-only media, or another user's, and its owner may change it at any time. So it is hashed before
//! it is used, and its stamp lies in the user's own store; the stamp is taken before the hashing, so that what changed
//! meanwhile does not fit it. Nothing is linked from there: pieces of a copy that is not whole are copied, and each is
//! hashed on its way.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::check::{BUFFER_BYTES, any_is_there, hash_kept, hash_pieces};
use super::fault;
use super::files::LayoutFiles;
use super::parallel;
use super::partial::Partial;
use super::pins::{self, Pins};
use super::{Site, Stamp, Store, WRITABLE, digest_name, remove_if_there};
use crate::error::Error;
use crate::geometry::PieceIndex;
use crate::hash::Sha1;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::plan::{Layout, Selection};

impl Store {
    /// The stamp of a copy that lies elsewhere.
    pub fn elsewhere_path(&self, id: &str, site: &Site) -> PathBuf {
        let kind: &[u8] = match site {
            Site::In(_) => b"in\0",
            Site::At(_) => b"at\0",
        };
        let name = digest_name(&[kind, site.named().as_os_str().as_encoded_bytes()].concat());
        self.root.join("elsewhere").join(id).join(name)
    }

    /// The stamp of a copy that was verified where it lies, where each of its files is still as it was then.
    pub fn present_elsewhere(&self, id: &str, site: &Site) -> Option<Stamp> {
        let stamp = Stamp::read(&self.elsewhere_path(id, site))?;
        let is_its_own = stamp.place.as_deref() == Some(site.named());
        (is_its_own && stamp.matches(site)).then_some(stamp)
    }

    /// Says that a copy is not complete: it was found damaged.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_stamp_elsewhere(&self, id: &str, site: &Site) -> Result<(), Error> {
        remove_if_there(&self.elsewhere_path(id, site))
    }
}

/// What lies at a place under the names of a dataset.
#[derive(Debug)]
pub struct Found {
    pub(super) site: Site,
    pub(super) metainfo: Arc<Metainfo>,
    pub(super) layout: Arc<Layout>,
    /// All files of the torrent: what was not selected may hold the rest of a piece.
    pub(super) files: LayoutFiles,
    /// Digests by another store's stamp, of pieces that it kept in part.
    pub(super) fragments: Vec<(PieceIndex, [u8; 20])>,
    /// Needed pieces whose files are all there; once they were hashed, those that are right.
    pub(super) pieces: PieceSet,
    hashed: bool,
    /// Of all selected files, where each is there and has its length.
    stamp: Option<Stamp>,
}

impl Found {
    /// Looks for the files, and reads none. `fragments` are those of the stamp where the place is a store's.
    pub fn look(
        site: &Site,
        metainfo: &Arc<Metainfo>,
        layout: &Arc<Layout>,
        fragments: Vec<(PieceIndex, [u8; 20])>,
    ) -> Found {
        let whole = Arc::new(Layout::new(metainfo, &Selection::all(metainfo)));
        let files = LayoutFiles::for_reading(whole, site.clone());
        let none = PieceSet::none(layout.geometry().piece_count());
        let mut found = Found {
            site: site.clone(),
            metainfo: Arc::clone(metainfo),
            layout: Arc::clone(layout),
            files,
            fragments,
            pieces: none,
            hashed: false,
            stamp: None,
        };
        if !any_is_there(&found.files) {
            return found;
        }
        let mut pieces = layout.needed();
        for (index, file) in found.files.layout().files().iter().enumerate() {
            let its_own = layout.geometry().pieces(file.range.clone());
            let is_needed =
                pieces.next_from(its_own.start).is_some_and(|piece| piece < its_own.end);
            // What is no file (a pipe, say) is never opened.
            if is_needed && !found.files.path(index as u32).is_file() {
                pieces.remove_range(its_own);
            }
        }
        found.stamp = Stamp::of(site, layout.files().iter().map(|file| file.path.clone()))
            .ok()
            .filter(|stamp| {
                stamp.lengths().zip(layout.files()).all(|(found, file)| found == file.length())
                    && stamp.matches(site)
            });
        if found.stamp.is_some() {
            let fragments = found.fragments.iter().map(|(piece, _)| *piece);
            pieces.extend(fragments.filter(|piece| layout.needed().contains(*piece)));
        }
        found.pieces = pieces;
        found
    }

    /// Whether there is anything at all.
    pub fn is_something(&self) -> bool {
        self.stamp.is_some() || !self.pieces.is_empty()
    }

    /// Whether all files are there with their lengths: whether hashing may show that it is complete.
    pub fn may_be_complete(&self) -> bool {
        self.stamp.is_some() && self.pieces.len() == self.layout.needed().len()
    }

    /// Hashes the pieces. Runs on the current rayon pool.
    pub fn hash(&mut self, hashed_bytes: &AtomicU64) {
        let pieces: Vec<_> = self.pieces.iter().collect();
        self.pieces = hash_pieces(&self.files, &self.metainfo, &pieces, hashed_bytes);
        if !self.fragments.is_empty() {
            let site = self.site.clone();
            let kept = LayoutFiles::for_reading(Arc::clone(&self.layout), site);
            let right = self.fragments.iter().filter(|(piece, sha1)| {
                pieces.binary_search(piece).is_ok()
                    && hash_kept(&kept, *piece).is_ok_and(|found| found == *sha1)
            });
            self.pieces.extend(right.map(|(piece, _)| *piece));
        }
        self.hashed = true;
        self.files.close();
    }

    /// Whether each piece was hashed and is right.
    pub fn is_complete(&self) -> bool {
        self.hashed && self.may_be_complete()
    }

    /// Stamps the complete copy in `store`, after its pins were checked; false where it changed since it was looked at.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Verification`] for a pin that does not hold; [`crate::ErrorKind::Disk`] of the store.
    pub fn stamp(&self, store: &Store, id: &str, pins: &Pins) -> Result<bool, Error> {
        pins::check(&self.site, &self.metainfo, pins)?;
        let Some(stamp) = self.stamp.as_ref().filter(|stamp| stamp.matches(&self.site)) else {
            return Ok(false);
        };
        let mut stamp = stamp.clone();
        stamp.place = Some(self.site.named().to_owned());
        stamp.pins = pins.clone().into_iter().collect();
        let path = store.elsewhere_path(id, &self.site);
        if let Some(directory) = path.parent() {
            let failed = |why: io::Error| {
                Error::disk("create the store's directory", directory, &why).help(WRITABLE)
            };
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        stamp.write(&path).map(|()| true)
    }

    /// Pieces that may be right; once they were hashed, those that are.
    pub fn pieces(&self) -> &PieceSet {
        &self.pieces
    }

    pub fn is_hashed(&self) -> bool {
        self.hashed
    }

    /// How much of it is there, and what is wrong first, for a message.
    pub fn summary(&self) -> String {
        let place = self.site.named().display();
        if !self.is_something() {
            return match std::fs::metadata(self.site.named()) {
                Err(why) => format!("{place}: {why}"),
                Ok(_) => format!("{place}: nothing of it is there"),
            };
        }
        if !self.hashed && self.may_be_complete() {
            return format!("{place}: not all of it is right");
        }
        let fault = self.fault();
        if self.hashed {
            let (right, needed) = (self.pieces.len(), self.layout.needed().len());
            format!("{place}: {right} of {needed} pieces are right; {fault}")
        } else {
            format!("{place}: {fault}")
        }
    }

    /// What is wrong first: a file that is not as the torrent says, else a piece.
    pub fn fault(&self) -> String {
        fault::first(&self.site, &self.files, &self.layout, &self.metainfo, &self.pieces)
    }
}

impl Partial {
    /// Copies those of the wanted pieces that a copy elsewhere has; each is hashed on its way, and recorded. Gives
    /// the pieces. Runs on the current rayon pool.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`] of the partial dataset; what cannot be read from the copy is not taken.
    pub fn take(
        &self,
        found: &Found,
        wanted: &PieceSet,
        copied_bytes: &AtomicU64,
    ) -> Result<PieceSet, Error> {
        let pieces: Vec<_> = wanted.iter().filter(|piece| found.pieces.contains(*piece)).collect();
        let geometry = found.layout.geometry();
        let taken = Mutex::new(PieceSet::none(geometry.piece_count()));
        let result = parallel::each(pieces.len(), &|index, buffer| {
            buffer.resize(BUFFER_BYTES, 0);
            if self.take_piece(found, pieces[index], buffer)? {
                taken.lock().unwrap_or_else(PoisonError::into_inner).insert(pieces[index]);
            }
            copied_bytes.fetch_add(geometry.len(pieces[index]).into(), Ordering::Relaxed);
            Ok(())
        });
        found.files.close();
        result.map(|()| taken.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_piece(
        &self,
        found: &Found,
        piece: PieceIndex,
        buffer: &mut [u8],
    ) -> Result<bool, Error> {
        let range = found.layout.geometry().range(piece);
        let (mut at, mut sha1) = (range.start, Sha1::new());
        while at < range.end {
            let length = (range.end - at).min(buffer.len() as u64) as usize;
            let part = &mut buffer[..length];
            if found.files.read(at, part).is_err() {
                return Ok(false);
            }
            sha1.update(part);
            self.write(at, part)?;
            at += length as u64;
        }
        let is_right = Some(sha1.finish()) == self.metainfo.piece_hash(piece);
        if is_right {
            self.verified(piece)?;
        }
        Ok(is_right)
    }
}

#[cfg(feature = "cli")]
impl Found {
    pub fn site(&self) -> &Site {
        &self.site
    }

    pub(super) fn is_right(&self, piece: PieceIndex) -> bool {
        self.hashed && self.pieces.contains(piece)
    }

    /// Whether all files are still as they were when they were looked at.
    pub(super) fn is_unchanged(&self) -> bool {
        self.stamp.as_ref().is_some_and(|stamp| stamp.matches(&self.site))
    }

    /// Bytes of the pieces that may be right; once they were hashed, of those that are.
    pub fn bytes(&self) -> u64 {
        let geometry = self.layout.geometry();
        self.pieces.iter().map(|piece| u64::from(geometry.len(piece))).sum()
    }

    /// Whether each selected file is there and has its length.
    pub fn has_all_files(&self) -> bool {
        self.stamp.is_some()
    }
}
