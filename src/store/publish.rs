//! From verified pieces to a dataset in its place.

use std::io;

use super::check::{self, Existing};
use super::fs::{beside, copy_tree, remove_tree, set_read_only, sync_directory, sync_parent};
use super::partial::Partial;
use super::{Stamp, Store};
use crate::error::{Error, ErrorKind};
use crate::hash::Sha256;
use crate::manifest::Request;
use crate::metainfo::Metainfo;
use crate::plan::Layout;

impl Partial {
    /// Checks the pins, syncs, renames into place, stamps. All needed pieces are verified.
    ///
    /// # Errors
    /// [`ErrorKind::Verification`] for a pin that does not hold: nothing is published, and what was fetched is
    /// kept. [`ErrorKind::Disk`] otherwise.
    pub fn publish(&self, request: &Request) -> Result<Stamp, Error> {
        self.files.create_empty()?;
        self.check_pins(request)?;
        let fragments = self.fragments()?;
        self.files.sync_and_seal()?;
        let directory = self.store.partial_path(&self.id);
        let place = self.store.files_path(&self.id);
        let failed = |why: io::Error| Error::disk("publish", &place, &why);
        sync_tree(&directory.join("files")).map_err(failed)?;
        self.swap_in().map_err(failed)?;
        let stamp = stamp(&self.store, &self.id, self.layout(), fragments)?;
        // What is left is of no use to anyone; a failure to remove it is none of the build's.
        let _ = remove_tree(&directory);
        Ok(stamp)
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
            let _ = remove_tree(&old); // `gc` finds what is left
        }
        Ok(())
    }

    fn check_pins(&self, request: &Request) -> Result<(), Error> {
        use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
        let pins: Vec<_> = request.sha256.iter().collect();
        pins.par_iter().try_for_each(|(path, pin)| check_pin(self, path, pin))
    }

    /// Digests of what is kept of pieces that are not kept whole. The piece is verified once more in the same
    /// pass over its bytes, so that the digest is of verified bytes.
    fn fragments(&self) -> Result<Vec<(u32, [u8; 20])>, Error> {
        let layout = self.layout();
        let pieces: Vec<_> =
            check::needed(layout).into_iter().filter(|piece| !layout.is_kept(*piece)).collect();
        let counted = std::sync::atomic::AtomicU64::new(0);
        let good = check::hash_pieces(&self.files, &self.metainfo, &pieces, &counted);
        pieces
            .into_iter()
            .map(|piece| {
                let path = self.store.partial_path(&self.id);
                let kept = check::hash_kept(&self.files, piece)
                    .map_err(|why| Error::disk("read", &path, &why))?;
                if good.contains(&piece) {
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
    /// Takes a complete dataset over from another store, by link or copy; `None` where that does not have it.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`].
    pub fn copy_from(&self, other: &Store, id: &str) -> Result<Option<Stamp>, Error> {
        let Some(theirs) = other.present(id) else { return Ok(None) };
        let (place, dataset) = (self.files_path(id), self.data_path(id));
        let failed = |why: io::Error| Error::disk("copy the dataset to", &place, &why);
        std::fs::create_dir_all(&dataset).map_err(failed)?;
        let copy = beside(&place);
        let copied = copy_tree(&other.files_path(id), &copy, &dataset)
            .and_then(|()| sync_tree(&copy))
            .and_then(|()| remove_tree(&place))
            .and_then(|()| std::fs::rename(&copy, &place))
            .and_then(|()| sync_directory(&dataset));
        if let Err(why) = copied {
            let _ = remove_tree(&copy); // the error that is told is the first one
            return Err(failed(why));
        }
        let mut stamp = Stamp::of(&place, theirs.paths().map(std::path::PathBuf::from))?;
        stamp.fragments = theirs.fragments;
        stamp.write(&self.stamp_path(id))?;
        Ok(Some(stamp))
    }
}

impl Existing {
    /// Stamps data that was found complete in its place, without a stamp that fitted.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`].
    pub fn stamp(&self, store: &Store, id: &str) -> Result<Stamp, Error> {
        for index in 0..self.files.layout().files().len() as u32 {
            let path = self.files.path(index);
            set_read_only(&path, true).map_err(|why| Error::disk("make read-only", &path, &why))?;
        }
        stamp(store, id, self.files.layout(), self.fragments.clone())
    }
}

fn stamp(
    store: &Store,
    id: &str,
    layout: &Layout,
    fragments: Vec<(u32, [u8; 20])>,
) -> Result<Stamp, Error> {
    let paths = layout.files().iter().map(|file| file.path.clone());
    let mut stamp = Stamp::of(&store.files_path(id), paths)?;
    stamp.fragments = fragments;
    stamp.write(&store.stamp_path(id))?;
    Ok(stamp)
}

/// Directories hold the names: they are synced too.
fn sync_tree(directory: &std::path::Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_directory(directory)
}

/// The file of a layout that a pin names.
fn pinned(metainfo: &Metainfo, layout: &Layout, path: &str) -> Option<u32> {
    let is_it = |file: &crate::plan::PlacedFile| {
        metainfo
            .files
            .get(file.torrent_file as usize)
            .is_some_and(|file| metainfo.display_path(file) == path)
    };
    layout.files().iter().position(is_it).map(|index| index as u32)
}

fn check_pin(partial: &Partial, path: &str, pin: &[u8; 32]) -> Result<(), Error> {
    use std::io::Read as _;
    let Some(index) = pinned(&partial.metainfo, partial.layout(), path) else {
        return Err(Error::new(ErrorKind::Manifest, format!("`sha256` pins `{path}`, which is not among the selected files"))
            .help("name the file by its path below the torrent's own directory; a single file by its name"));
    };
    let whole = partial.files.path(index);
    let failed = |why: io::Error| Error::disk("read", &whole, &why);
    let mut file = std::fs::File::open(&whole).map_err(failed)?;
    let (mut sha256, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            read => sha256.update(&buffer[..read]),
        }
    }
    let found = sha256.finish();
    if found == *pin {
        return Ok(());
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Err(Error::new(ErrorKind::Verification, format!("`{path}` does not have the pinned SHA-256"))
        .why(format!("pinned: {}", hex(pin)))
        .why(format!("found:  {}", hex(&found)))
        .why("its pieces have the SHA-1s that the torrent gives: either the pin is wrong, or the torrent is not the one that was pinned")
        .help("compare with the dataset's publisher before you change the pin"))
}
