//! Publishes verified pieces as a complete dataset.

use std::io;
use std::path::Path;

use super::check;
use super::fs::{
    self, beside, copy_tree, remove_tree, sync_and_seal, sync_directory, sync_parent, sync_tree,
};
use super::local_copy::LocalCopy;
use super::parallel::DiskWork;
use super::partial::Partial;
use super::pins::{self, Pins};
use super::relocate::{move_directory, set_aside, step};
use super::site::on_disk;
use super::target::Target;
use super::{Stamp, Store, folded_names, links};
use crate::error::{Error, ErrorKind};
use crate::plan::Layout;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::Metainfo;

impl Partial {
    /// Checks the pins, syncs, renames into place, and stamps. All needed pieces are verified.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not match: nothing is published, and the
    /// downloaded data is kept. [`ErrorKind::Disk`] otherwise.
    pub fn publish(&self, pins: &Pins) -> Result<(), Error> {
        self.bring_all()?;
        self.files.finish()?;
        self.files.create_links()?;
        self.files.check_names()?;
        self.files.create_folders()?;
        let directory = self.store.partial_path(&self.id);
        let files = directory.join("files");
        let place = |in_layout: &Path| match self.files.home() {
            // Files that were right in a user's directory have stayed there.
            Some(home) if !on_disk(&files, in_layout).exists() => home.path(in_layout),
            _ => on_disk(&files, in_layout),
        };
        pins::check_at(&place, &self.metainfo, pins)?;
        if let Some(home) = self.files.home() {
            self.move_in(home)?;
            self.record.close();
            home.directory.leave(&self.id, self.metainfo.infohash);
            return Ok(());
        }
        let fragments = step(self.fragments()?);
        step(self.files.sync_and_seal()?);
        let place = self.store.files_path(&self.id);
        let failed = |why: io::Error| self.store.failed("publish", &place, &why);
        sync_tree(&directory.join("files")).map_err(failed)?;
        step(());
        self.store.create_directory(&place)?;
        self.store.swap_in(&self.id).map_err(failed)?;
        self.record.close();
        stamp(&self.store, &self.id, self.layout(), fragments, pins)
    }

    /// Returns digests of the kept part of pieces that are not kept whole. Each piece is verified
    /// once more, so that the digest is of verified bytes.
    fn fragments(&self) -> Result<Vec<(u32, [u8; 20])>, Error> {
        let layout = self.layout();
        let pieces: Vec<_> =
            layout.needed().iter().filter(|piece| !layout.is_kept(*piece)).collect();
        let counted = std::sync::atomic::AtomicU64::new(0);
        let edge = |piece| {
            let at = self.edges.binary_search_by_key(&piece, |(edge, _)| *edge).ok()?;
            self.edges.get(at).map(|(_, kept)| *kept)
        };
        let here: Vec<_> = pieces.iter().copied().filter(|piece| edge(*piece).is_none()).collect();
        let good =
            check::hash_pieces(&self.files, &self.metainfo, &here, DiskWork::counting(&counted))?;
        pieces
            .into_iter()
            .map(|piece| {
                let path = self.store.partial_path(&self.id);
                let kept = check::hash_kept(&self.files, piece)
                    .map_err(|why| Error::disk("read", &path, &why))?;
                if good.contains(piece) || edge(piece) == Some(kept) {
                    return Ok((piece, kept));
                }
                Err(Error::new(
                    ErrorKind::Disk,
                    format!("{} changed while it was being fetched", path.display()),
                )
                .why(format!(
                    "piece {piece} was verified, but the disk now contains different data"
                ))
                .help(format!("check the disk, remove {} and build again", path.display())))
            })
            .collect()
    }
}

impl Store {
    /// Moves new files, of a dataset or a tree, to their final path. Damaged data there is removed.
    pub(super) fn swap_in(&self, id: &str) -> io::Result<()> {
        let place = self.files_path(id);
        let dataset = self.data_path(id);
        fs::remove(&self.stamp_path(id))?;
        step(());
        let old = set_aside(&place)?;
        move_directory(&self.partial_path(id).join("files"), &place)?;
        sync_directory(&dataset)?;
        sync_parent(&dataset)?;
        if let Some(old) = old {
            let _ = remove_tree(&old); // `remove_leftovers` tries again after stamping
        }
        step(());
        Ok(())
    }

    /// Copies or links a complete dataset from another store; `None` if that store does not have
    /// it, or no longer: another process may be repairing it. Of its stamp only what agrees with
    /// `layout` is trusted.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not match: nothing is published then.
    /// [`ErrorKind::Disk`].
    pub fn copy_from(
        &self,
        other: &Store,
        id: &str,
        (metainfo, layout): (&Metainfo, &Layout),
        pins: &Pins,
    ) -> Result<Option<()>, Error> {
        let Some(theirs) = other.present(id) else { return Ok(None) };
        let (place, dataset) = (self.files_path(id), self.data_path(id));
        let failed = |why: io::Error| Error::disk("copy the dataset to", &place, &why);
        self.create_directory(&place)?;
        let copy = beside(&place);
        let moved = || {
            match copy_tree(&other.files_path(id), &copy, &dataset).and_then(|()| sync_tree(&copy))
            {
                Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(false),
                other => other.map_err(failed)?,
            }
            // Checked again, since copying takes a while and the stamp does not cover later changes.
            let is_as_stamped = other.is_as_stamped(id, &theirs) && theirs.is_of(layout);
            if !is_as_stamped || !is_whole(&copy, layout) {
                return Ok(false);
            }
            let copied = copy.as_path().into();
            folded_names::check_all(&copied, layout, &|_| true)?;
            pins::check(&copied, metainfo, pins)?;
            let renamed = remove_tree(&place)
                .and_then(|()| fs::move_entry(&copy, &place))
                .and_then(|()| sync_directory(&dataset));
            renamed.map(|()| true).map_err(failed)
        };
        let moved = moved();
        if !matches!(moved, Ok(true)) {
            let _ = remove_tree(&copy); // the first error is the one that is reported
        }
        if !moved? {
            return Ok(None);
        }
        stamp(self, id, layout, theirs.fragments, pins)?;
        Ok(Some(()))
    }

    /// Removes what earlier attempts left. A failure is ignored: it does not affect the build.
    pub(super) fn remove_leftovers(&self, id: &str) {
        let _ = remove_tree(&self.partial_path(id));
        let _ = fs::remove(&self.old_stamp_path(id));
        for entry in std::fs::read_dir(self.data_path(id)).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp-") {
                let _ = remove_tree(&entry.path());
            }
        }
    }
}

impl LocalCopy {
    /// Stamps data that was found complete in place, without a matching stamp. It is synced first,
    /// since whoever copied it may not have done so. A user's directory gets no stamp.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not match; [`ErrorKind::Disk`].
    pub fn stamp(&self, target: Target<'_>, id: &str, pins: &Pins) -> Result<(), Error> {
        pins::check(&self.site, &self.metainfo, pins)?;
        let place = self.site.named();
        if self.unchanged().is_none() {
            let what = format!("{} changed while it was being hashed", place.display());
            return Err(Error::new(ErrorKind::Disk, what)
                .help("try again when no other program writes to it"));
        }
        let store = match target {
            Target::Store(store) => store,
            Target::Directory(directory) => {
                directory.leave(id, self.metainfo.infohash);
                return Ok(());
            }
        };
        folded_names::check(&self.site, &self.layout)?;
        for file in self.layout.files() {
            let path = self.site.path(&file.path());
            sync_and_seal(&path).map_err(|why| Error::disk("sync", &path, &why))?;
        }
        sync_tree(place).map_err(|why| Error::disk("sync", place, &why))?;
        stamp(store, id, &self.layout, self.checked_fragments(), pins)
    }
}

/// Whether a copy has all files with their lengths, and all symbolic links as the store creates
/// them. None of its directories may be a link.
fn is_whole(copy: &Path, layout: &Layout) -> bool {
    let mut below = fs::Below::new(copy.to_owned());
    let mut has = |path: &Path, length| below.file(path).is_some_and(|it| it.len() == length);
    layout.files().all(|file| has(&on_disk(copy, &file.path()), file.length()))
        && links::are_exact(&copy.into(), layout)
}

/// Writes the stamp, the last step: from now on the dataset is complete.
fn stamp(
    store: &Store,
    id: &str,
    layout: &Layout,
    fragments: Vec<(PieceIndex, [u8; 20])>,
    pins: &Pins,
) -> Result<(), Error> {
    let place = store.files_path(id);
    let mut stamp = Stamp::of(&place.as_path().into(), layout.files().map(|file| file.path()))?;
    if let Some(file) =
        layout.files().zip(stamp.lengths()).find(|(file, length)| file.length() != *length)
    {
        return Err(Error::new(
            ErrorKind::Disk,
            format!("{} changed while it was being published", place.display()),
        )
        .why(format!(
            "{} has {} bytes instead of {}",
            file.0.path().display(),
            file.1,
            file.0.length()
        )));
    }
    (stamp.fragments, stamp.pins) = (fragments, pins.clone().into_iter().collect());
    stamp.links = layout.links().map(|(path, link)| (path, link.text.clone())).collect();
    stamp.write(&store.stamp_path(id))?;
    step(());
    store.remove_leftovers(id);
    Ok(())
}
