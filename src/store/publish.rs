//! From verified pieces to a dataset in its place.

use std::io;
use std::path::Path;

use super::check::{self, Existing};
use super::fs::{
    beside, copy_tree, remove_tree, set_read_only, sync_directory, sync_file, sync_parent,
};
use super::partial::Partial;
use super::pins::{self, Pins};
use super::{Stamp, Store};
use crate::error::{Error, ErrorKind};
use crate::geometry::PieceIndex;
use crate::metainfo::Metainfo;
use crate::plan::Layout;

impl Partial {
    /// Checks the pins, syncs, renames into place, stamps. All needed pieces are verified.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not hold: nothing is published, and what was fetched is
    /// kept. [`ErrorKind::Disk`] otherwise.
    pub fn publish(&self, pins: &Pins) -> Result<(), Error> {
        self.bring_all()?;
        self.files.create_empty()?;
        let directory = self.store.partial_path(&self.id);
        let files = directory.join("files");
        let place = |in_layout: &Path| match self.files.home() {
            // What was right in a user's directory has stayed there.
            Some(home) if !files.join(in_layout).exists() => home.path(in_layout),
            _ => files.join(in_layout),
        };
        pins::check_at(&place, &self.metainfo, pins)?;
        if let Some(place) = &self.store.directory {
            self.sync()?;
            self.move_in(place)?;
            self.store.leave_directory(&self.id, self.metainfo.infohash);
            return Ok(());
        }
        let fragments = self.fragments()?;
        self.files.sync_and_seal()?;
        let place = self.store.files_path(&self.id);
        let failed = |why: io::Error| Error::disk("publish", &place, &why);
        sync_tree(&directory.join("files")).map_err(failed)?;
        self.swap_in().map_err(failed)?;
        stamp(&self.store, &self.id, self.layout(), fragments, pins)
    }

    /// Puts the new files into their place; damaged data that lies there goes.
    fn swap_in(&self) -> io::Result<()> {
        let place = self.store.files_path(&self.id);
        let dataset = self.store.data_path(&self.id);
        std::fs::create_dir_all(&dataset)?;
        match std::fs::remove_file(self.store.stamp_path(&self.id)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let old = beside(&place);
        let had_data = match std::fs::rename(&place, &old) {
            Ok(()) => true,
            Err(why) if why.kind() == io::ErrorKind::NotFound => false,
            Err(why) => return Err(why),
        };
        std::fs::rename(self.store.partial_path(&self.id).join("files"), &place)?;
        sync_directory(&dataset)?;
        sync_parent(&dataset)?;
        if had_data {
            let _ = remove_tree(&old); // the stamp's writer tries once more
        }
        Ok(())
    }

    /// Digests of what is kept of pieces that are not kept whole. The piece is verified once more in the same
    /// pass over its bytes, so that the digest is of verified bytes.
    fn fragments(&self) -> Result<Vec<(u32, [u8; 20])>, Error> {
        let layout = self.layout();
        let pieces: Vec<_> =
            layout.needed().iter().filter(|piece| !layout.is_kept(*piece)).collect();
        let counted = std::sync::atomic::AtomicU64::new(0);
        let good = check::hash_pieces(&self.files, &self.metainfo, &pieces, &counted);
        pieces
            .into_iter()
            .map(|piece| {
                let path = self.store.partial_path(&self.id);
                let kept = check::hash_kept(&self.files, piece)
                    .map_err(|why| Error::disk("read", &path, &why))?;
                if good.contains(piece) {
                    return Ok((piece, kept));
                }
                Err(Error::new(
                    ErrorKind::Disk,
                    format!("{} changed while it was being fetched", path.display()),
                )
                .why(format!(
                    "piece {piece} was verified, and what the disk holds now is something else"
                ))
                .help(format!("check the disk, remove {} and build again", path.display())))
            })
            .collect()
    }
}

impl Store {
    /// Takes a complete dataset over from another store, by link or copy; `None` where that does not have it (any
    /// more: another process may be repairing it).
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not hold: nothing is published then. [`ErrorKind::Disk`].
    pub fn copy_from(
        &self,
        other: &Store,
        id: &str,
        metainfo: &Metainfo,
        pins: &Pins,
    ) -> Result<Option<()>, Error> {
        let Some(theirs) = other.present(id) else { return Ok(None) };
        let (place, dataset) = (self.files_path(id), self.data_path(id));
        let failed = |why: io::Error| Error::disk("copy the dataset to", &place, &why);
        std::fs::create_dir_all(&dataset).map_err(failed)?;
        let copy = beside(&place);
        match copy_tree(&other.files_path(id), &copy, &dataset).and_then(|()| sync_tree(&copy)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                let _ = remove_tree(&copy); // half a copy, of no use
                return Ok(None);
            }
            other => other.map_err(failed)?,
        }
        pins::check(&copy.as_path().into(), metainfo, pins)?;
        let renamed = remove_tree(&place)
            .and_then(|()| std::fs::rename(&copy, &place))
            .and_then(|()| sync_directory(&dataset));
        renamed.map_err(failed)?;
        let mut stamp = Stamp::of(&place.into(), theirs.paths().map(std::path::PathBuf::from))?;
        (stamp.fragments, stamp.pins) = (theirs.fragments, pins.clone().into_iter().collect());
        stamp.write(&self.stamp_path(id))?;
        self.remove_leftovers(id);
        Ok(Some(()))
    }

    /// What is left of earlier attempts is of no use to anyone; a failure to remove it is none of the build's.
    fn remove_leftovers(&self, id: &str) {
        let _ = remove_tree(&self.partial_path(id));
        let _ = std::fs::remove_file(self.old_stamp_path(id));
        for entry in std::fs::read_dir(self.data_path(id)).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp-") {
                let _ = remove_tree(&entry.path());
            }
        }
    }
}

impl Existing {
    /// Stamps data that was found complete in its place, without a stamp that fitted. It is synced first: who
    /// copied it may not have done that. In a directory of the user's there is nothing to be done.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not hold; [`ErrorKind::Disk`].
    pub fn stamp(
        &self,
        store: &Store,
        id: &str,
        metainfo: &Metainfo,
        pins: &Pins,
    ) -> Result<(), Error> {
        pins::check(&store.files_path(id).into(), metainfo, pins)?;
        if store.directory.is_some() {
            store.leave_directory(id, metainfo.infohash);
            return Ok(());
        }
        for index in 0..self.files.layout().files().len() as u32 {
            let path = self.files.path(index);
            let failed = |why: io::Error| Error::disk("sync", &path, &why);
            set_read_only(&path, false).and_then(|()| sync_file(&path)).map_err(failed)?;
            set_read_only(&path, true).map_err(failed)?;
        }
        let place = store.files_path(id);
        sync_tree(&place).map_err(|why| Error::disk("sync", &place, &why))?;
        stamp(store, id, self.files.layout(), self.fragments.clone(), pins)
    }
}

/// The last step: what lies there is complete.
fn stamp(
    store: &Store,
    id: &str,
    layout: &Layout,
    fragments: Vec<(PieceIndex, [u8; 20])>,
    pins: &Pins,
) -> Result<(), Error> {
    let place = store.files_path(id);
    let mut stamp =
        Stamp::of(&place.as_path().into(), layout.files().iter().map(|file| file.path.clone()))?;
    if let Some(file) =
        layout.files().iter().zip(stamp.lengths()).find(|(file, length)| file.length() != *length)
    {
        return Err(Error::new(
            ErrorKind::Disk,
            format!("{} changed while it was being published", place.display()),
        )
        .why(format!(
            "{} has {} bytes, and {} are right",
            file.0.path.display(),
            file.1,
            file.0.length()
        )));
    }
    (stamp.fragments, stamp.pins) = (fragments, pins.clone().into_iter().collect());
    stamp.write(&store.stamp_path(id))?;
    store.remove_leftovers(id);
    Ok(())
}

/// Directories hold the names: they are synced too.
pub(super) fn sync_tree(directory: &std::path::Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_directory(directory)
}
