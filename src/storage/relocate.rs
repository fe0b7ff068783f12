//! Moves directories and files, even if they cannot be renamed.
//!
//! A rename fails with EXDEV across file systems (`data` may be a link to a larger disk) and for
//! directories of a lower overlay layer: in a container, all of the image's. Then the directory is
//! copied beside its new path, synced, renamed, and removed last. Within one file system the copy
//! consists of hard links.

use std::io;
use std::path::{Path, PathBuf};

use super::fs::{
    CopyMode, beside, copy, copy_tree, move_entry, remove_entry, remove_tree, sync_parent,
    sync_tree,
};

/// Moves a directory to a path where nothing exists. At every moment the complete directory is at
/// one of the two paths.
///
/// # Errors
/// Of the rename or the copy; then nothing is at `to`.
pub fn move_directory(from: &Path, to: &Path) -> io::Result<()> {
    match rename(from, to) {
        Err(why) if why.kind() == io::ErrorKind::CrossesDevices => {}
        other => return other,
    }
    let workplace = to.parent().unwrap_or(to);
    let copied = beside(to);
    let moved = copy_tree(from, &copied, workplace)
        .and_then(|()| step(sync_tree(&copied)))
        .and_then(|()| rename(&copied, to))
        .and_then(|()| sync_parent(to));
    if let Err(why) = moved {
        let _ = remove_tree(&copied); // the first error is the one that is reported
        return Err(why);
    }
    // A failure leaves only what a later cleanup removes.
    let _ = remove_tree(from);
    step(Ok(()))
}

/// Moves a directory out of its place in one step, and returns its new path. If it cannot be
/// renamed, it is removed file by file instead.
///
/// # Errors
/// Of the rename or the removal; a missing directory is not an error.
pub fn set_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    let aside = beside(path);
    match rename(path, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) if why.kind() == io::ErrorKind::CrossesDevices => {
            step(remove_tree(path)).map(|()| None)
        }
        Err(why) => Err(why),
    }
}

/// Moves a file with its permissions, replacing an existing one. The original is removed only once
/// its copy would survive a power cut.
///
/// # Errors
/// Of the rename or the copy.
pub fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match rename(from, to) {
        Err(why) if why.kind() == io::ErrorKind::CrossesDevices => {
            step(copy(from, to, CopyMode::Same, to.parent().unwrap_or(to))?);
            step(sync_parent(to)?);
            remove_entry(from)
        }
        other => other,
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    if super::stops::is_elsewhere(from) {
        return Err(io::ErrorKind::CrossesDevices.into());
    }
    step(move_entry(from, to))
}

/// Marks the end of a step. Tests stop here, as if the process had been killed.
pub fn step<T>(done: T) -> T {
    #[cfg(test)]
    super::stops::step();
    done
}
