//! The manifest's SHA-256 pins: checked before a dataset is published, and when pins are added to
//! an existing one.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::sha256::Sha256;
use super::{Site, Stamp, Store, parallel};
use crate::error::{Error, ErrorKind};
use crate::hash::hex;
use crate::torrent::metainfo::{Metainfo, TorrentFile};

/// SHA-256 by file, named as [`Metainfo::display_path`] does.
pub type Pins = BTreeMap<String, [u8; 32]>;

/// Bytes read at a time.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

impl Store {
    /// Checks pins on an existing dataset, and records them in its stamp so that they are checked
    /// only once.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not match.
    pub fn pin(
        &self,
        id: &str,
        stamp: &mut Stamp,
        metainfo: &Metainfo,
        pins: &Pins,
    ) -> Result<(), Error> {
        check(&self.files_path(id).into(), metainfo, pins)?;
        stamp.pins.extend(pins.clone());
        stamp.write(&self.stamp_path(id))
    }
}

/// Checks pins on the files of a dataset, in parallel.
pub(super) fn check(dataset: &Site, metainfo: &Metainfo, pins: &Pins) -> Result<(), Error> {
    check_at(&|in_layout| dataset.path(in_layout), metainfo, pins)
}

/// Does the same; `place` maps a file's path in the layout to its path on disk.
pub(super) fn check_at(
    place: &(dyn Fn(&Path) -> PathBuf + Sync),
    metainfo: &Metainfo,
    pins: &Pins,
) -> Result<(), Error> {
    if pins.is_empty() {
        return Ok(());
    }
    let pinned = pinned(metainfo, pins)?;
    parallel::each(pinned.len(), &|index, buffer| {
        let (file, path, pin) = &pinned[index];
        let place = place(&metainfo.layout_path(file));
        buffer.resize(BUFFER_BYTES, 0);
        let found = sha256_of(&place, buffer).map_err(|why| Error::disk("read", &place, &why))?;
        if found == *pin { Ok(()) } else { Err(broken(path, pin, &found)) }
    })
}

/// A file, its name and its pin.
pub(super) type Pinned<'a> = (&'a TorrentFile, String, [u8; 32]);

pub(super) fn pinned<'a>(metainfo: &'a Metainfo, pins: &Pins) -> Result<Vec<Pinned<'a>>, Error> {
    // Builds each file's name once, however many pins there are.
    let mut unknown = pins.clone();
    let mut pinned = Vec::new();
    for file in metainfo.files.iter() {
        if let Some((path, pin)) = unknown.remove_entry(&metainfo.display_path(file)) {
            pinned.push((file, path, pin));
        }
    }
    if let Some(path) = unknown.keys().next() {
        return Err(Error::new(
            ErrorKind::Manifest,
            format!("`sha256` pins `{path}`, which the torrent does not have"),
        ));
    }
    Ok(pinned)
}

pub(super) fn sha256_of(path: &Path, buffer: &mut [u8]) -> io::Result<[u8; 32]> {
    let mut file = std::fs::File::open(path)?;
    let mut sha256 = Sha256::new();
    loop {
        match file.read(buffer)? {
            0 => return Ok(sha256.finish()),
            read => sha256.update(&buffer[..read]),
        }
    }
}

fn broken(path: &str, pin: &[u8; 32], found: &[u8; 32]) -> Error {
    Error::new(ErrorKind::Verification, format!("`{path}` does not match the pinned SHA-256"))
        .why(format!("pinned: {}", hex(pin)))
        .why(format!("found:  {}", hex(found)))
        .why("its pieces match the torrent's SHA-1s, so the pin is wrong or was made for another torrent")
        .help("ask the dataset's publisher before you change the pin")
}
