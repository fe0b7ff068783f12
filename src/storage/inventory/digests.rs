//! SHA-256 of existing files: finds those that differ from their pins, for `verify`, and computes
//! pins for `vendor` (feature `engine`).

use crate::error::Error;
use crate::mutex::Mutex;
use crate::storage::pins::{BUFFER_BYTES, Pins, pinned, sha256_of};
use crate::storage::{Site, parallel};
use crate::torrent::metainfo::Metainfo;

/// Returns the pinned files whose SHA-256 differs or that cannot be read. Hashes in parallel.
///
/// # Errors
/// For a pin on a file that the torrent does not have.
pub(super) fn broken_among(
    dataset: &Site,
    metainfo: &Metainfo,
    pins: &Pins,
) -> Result<Vec<String>, Error> {
    let pinned = pinned(metainfo, pins)?;
    let found = Mutex::new(Vec::new());
    parallel::each(pinned.len(), &|index, buffer| {
        let (file, path, pin) = &pinned[index];
        buffer.resize(BUFFER_BYTES, 0);
        let sha256 = sha256_of(&dataset.path(&metainfo.layout_path(file)), buffer);
        if sha256.ok() != Some(*pin) {
            found.lock().push(path.clone());
        }
        Ok(())
    })?;
    Ok(found.into_inner())
}

/// Returns the SHA-256 of files of a dataset, given by their indices in the torrent.
///
/// # Errors
/// [`crate::ErrorKind::Disk`] for a file that cannot be read.
pub fn digests(dataset: &Site, metainfo: &Metainfo, files: &[u32]) -> Result<Pins, Error> {
    let digests = Mutex::new(Pins::new());
    parallel::each(files.len(), &|index, buffer| {
        let file = metainfo.files.get(files[index] as usize);
        let Some(file) = file.filter(|file| !file.is_link()) else { return Ok(()) };
        let place = dataset.path(&metainfo.layout_path(file));
        buffer.resize(BUFFER_BYTES, 0);
        let digest = sha256_of(&place, buffer).map_err(|why| Error::disk("read", &place, &why))?;
        let mut digests = digests.lock();
        digests.insert(metainfo.display_path(file), digest);
        Ok(())
    })?;
    Ok(digests.into_inner())
}
