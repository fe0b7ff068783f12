//! Copies of a dataset outside the store (`LOAD_PATH`, `PATH_<NAME>`): used in place and only read.
//!
//! ```text
//! <store>/v1/elsewhere/<id>/<digest of the place>    stamp of a copy that was verified there
//! ```
//! A copy may be on read-only media or belong to another user, who may change it at any time. So it
//! is hashed before it is used, and its stamp is kept in the user's own store. The stamp is taken
//! before the hashing, so that a file that changes meanwhile does not match it. Files are never
//! hard-linked from a copy: the pieces of an incomplete copy are copied, and each is hashed on the
//! way.

use std::path::PathBuf;

use super::check::BUFFER_BYTES;
use super::local_copy::LocalCopy;
use super::parallel::{self, DiskWork};
use super::partial::Partial;
use super::pins::{self, Pins};
use super::{Site, Stamp, Store, digest_name, remove_if_there};
use crate::error::Error;
use crate::hash::Sha1;
use crate::mutex::Mutex;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

impl Store {
    /// Returns the path of the stamp of a copy outside the store.
    pub fn elsewhere_path(&self, id: &str, site: &Site) -> PathBuf {
        let kind: &[u8] = match site {
            Site::In(_) => b"in\0",
            Site::At(_) => b"at\0",
        };
        let name = digest_name(&[kind, site.named().as_os_str().as_encoded_bytes()].concat());
        self.root.join("elsewhere").join(id).join(name)
    }

    /// Returns the stamp of a copy that was verified in place, if each of its files is unchanged
    /// since.
    pub fn present_elsewhere(&self, id: &str, site: &Site) -> Option<Stamp> {
        let stamp = Stamp::read(&self.elsewhere_path(id, site))?;
        let is_its_own = stamp.place.as_deref() == Some(site.named());
        (is_its_own && stamp.matches(site)).then_some(stamp)
    }

    /// Removes the stamp of a copy that was found damaged.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_stamp_elsewhere(&self, id: &str, site: &Site) -> Result<(), Error> {
        remove_if_there(&self.elsewhere_path(id, site))
    }
}

impl LocalCopy {
    /// Whether the hashed copy is complete and has not changed since. Checks the pins of a complete
    /// copy: in a damaged one, they are not to blame.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Verification`] for a wrong pin.
    pub fn is_right(&self, pins: &Pins) -> Result<bool, Error> {
        if !self.is_complete() {
            return Ok(false);
        }
        pins::check(&self.site, &self.metainfo, pins)?;
        Ok(self.unchanged().is_some())
    }

    /// Checks the pins of the complete copy and stamps it in `store`. Returns false if the copy
    /// changed since it was examined.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Verification`] for a wrong pin; [`crate::ErrorKind::Disk`] of the store.
    pub fn stamp_elsewhere(&self, store: &Store, id: &str, pins: &Pins) -> Result<bool, Error> {
        pins::check(&self.site, &self.metainfo, pins)?;
        let Some(mut stamp) = self.unchanged().cloned() else { return Ok(false) };
        stamp.place = Some(self.site.named().to_owned());
        stamp.pins = pins.clone().into_iter().collect();
        let path = store.elsewhere_path(id, &self.site);
        store.create_directory(&path)?;
        stamp.write(&path).map(|()| true)
    }
}

impl Partial {
    /// Copies the `wanted` pieces that the copy has, hashing each on the way. Records and returns
    /// the right ones.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`] of the partial dataset; pieces that cannot be read from the copy
    /// are skipped. [`crate::ErrorKind::Stopped`].
    pub fn take(
        &self,
        found: &LocalCopy,
        wanted: &PieceSet,
        work: DiskWork<'_>,
    ) -> Result<PieceSet, Error> {
        let pieces: Vec<_> = wanted.iter().filter(|piece| found.pieces.contains(*piece)).collect();
        let geometry = found.layout.geometry();
        let taken = Mutex::new(PieceSet::none(geometry.piece_count()));
        let result = parallel::each(pieces.len(), &|index, buffer| {
            work.goes_on()?;
            buffer.resize(BUFFER_BYTES, 0);
            if self.take_piece(found, pieces[index], buffer)? {
                taken.lock().insert(pieces[index]);
            }
            work.did(found.layout.bytes_of_piece(pieces[index]));
            Ok(())
        });
        found.files.close();
        result.map(|()| taken.into_inner())
    }

    fn take_piece(
        &self,
        found: &LocalCopy,
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
