//! Publishes a dataset into a user's directory.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::files::FileOrigin;
use super::folded_names;
use super::fs::{self, sync_directory, sync_file, sync_tree};
use super::links;
use super::parallel;
use super::partial::Partial;
use super::relocate::move_file;
use super::replaceable;
use super::site::on_disk;
use super::user_files::UserFiles;
use crate::error::{Error, ErrorKind};

impl Partial {
    /// Moves downloaded and repaired files to their final paths and syncs them. All pieces are
    /// verified.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], also if a conflicting file was created or changed meanwhile;
    /// such a conflict is found before any file is moved.
    pub(super) fn move_in(&self, home: &UserFiles) -> Result<(), Error> {
        let directory = &home.directory;
        let from = self.store.partial_path(&self.id).join("files");
        let failed = |path: &Path, why: &io::Error| Error::disk("move the data to", path, why);
        let name = self.layout().root_path();
        let place = on_disk(&directory.path, &name);
        let site = directory.path.as_path().into();
        folded_names::check(&site, self.layout())?;
        let settle =
            || replaceable::settle(&self.files, &directory.path, directory.overwrite, &home.claims);
        self.sync(&settle()?)?;
        // If nothing exists there yet, a single rename suffices, unless it crosses file systems.
        let moved = home.claims.is_empty()
            && std::fs::symlink_metadata(&place).is_err()
            && match fs::move_entry(&on_disk(&from, &name), &place) {
                Err(why) if why.kind() == io::ErrorKind::CrossesDevices => false,
                other => other.map(|()| true).map_err(|why| failed(&place, &why))?,
            };
        if !moved {
            // Compared again, since syncing takes a while.
            let stay = settle()?;
            for (index, file) in (0_u32..).zip(self.layout().files()) {
                let (from, to) =
                    (on_disk(&from, &file.path()), on_disk(&directory.path, &file.path()));
                if !stay.contains(&index) && fs::file_at(&from).is_some() {
                    let parent = to.parent().unwrap_or(&directory.path);
                    std::fs::create_dir_all(parent)
                        .and_then(|()| move_file(&from, &to))
                        .map_err(|why| failed(&to, &why))?;
                }
            }
            // The user's directory may fold names even if the workplace does not.
            folded_names::check(&site, self.layout())?;
        }
        for folder in self.layout().folders().filter(|_| !moved) {
            let to = on_disk(&directory.path, &folder);
            std::fs::create_dir_all(&to).map_err(|why| failed(&to, &why))?;
        }
        for (path, link) in self.layout().links() {
            let to = on_disk(&directory.path, &path);
            if !moved && !links::is_right(&site, &path, link) {
                replaceable::check_link(&directory.path, directory.overwrite, &path, link)?;
                let parent = to.parent().unwrap_or(&directory.path);
                std::fs::create_dir_all(parent)
                    .and_then(|()| links::replace(&link.text, &to))
                    .map_err(|why| failed(&to, &why))?;
            }
        }
        let synced = if place.is_dir() { sync_tree(&place) } else { Ok(()) };
        synced.and_then(|()| sync_directory(&directory.path)).map_err(|why| failed(&place, &why))
    }

    /// Whether files of the user's would be moved when bytes for them arrive.
    pub fn would_move_files(&self) -> bool {
        self.files.home().is_some_and(|home| !home.lock().is_empty())
    }

    /// Also moves the waiting files for which no bytes arrived: only their length is wrong.
    pub(super) fn bring_all(&self) -> Result<(), Error> {
        let Some(home) = self.files.home() else { return Ok(()) };
        let waiting: Vec<u32> = home.lock().keys().copied().collect();
        waiting.into_iter().try_for_each(|index| {
            let failed = |why| Error::disk("write", &self.files.path(index), &why);
            if self.files.bring(index).map_err(failed)? {
                self.files.set_origin(index, Some(FileOrigin::Ours));
            }
            Ok(())
        })
    }

    /// Syncs all files that are about to leave the workplace.
    fn sync(&self, stay: &BTreeSet<u32>) -> Result<(), Error> {
        self.files.close();
        parallel::each(self.layout().file_count(), &|index, _| {
            if stay.contains(&(index as u32)) || self.files.origin(index as u32).is_none() {
                return Ok(()); // it was right and stays in place
            }
            let path = self.files.path(index as u32);
            let (_, metadata) = sync_file(&path).map_err(|why| Error::disk("sync", &path, &why))?;
            if self.layout().file(index as u32).is_some_and(|file| file.length() != metadata.len())
            {
                let what = format!("{} changed while it was being fetched", path.display());
                return Err(Error::new(ErrorKind::Disk, what));
            }
            Ok(())
        })
    }
}
