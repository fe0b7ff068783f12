//! File-system work that the other files of this room share.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::error::Error;

/// By what a file is known to be the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    length: u64,
    modified: Option<SystemTime>,
}

impl Look {
    /// How a file is now; nothing where it is none.
    pub(super) fn at(path: &Path) -> Option<Look> {
        let file = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Look { length: file.len(), modified: file.modified().ok() })
    }
}

/// Writes a file so that a reader sees the old bytes or all of the new, also after a power cut.
///
/// # Errors
/// [`crate::ErrorKind::Disk`].
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    atomic_write_with(path, bytes, |_| Ok(()))
}

/// Writes files into a directory of the user's, which is created where it is not there; each as [`atomic_write`] does.
///
/// # Errors
/// [`crate::ErrorKind::Disk`].
#[cfg(feature = "cli")]
pub fn write_files<'a>(
    directory: &Path,
    files: impl Iterator<Item = (PathBuf, &'a [u8])>,
) -> Result<Vec<PathBuf>, Error> {
    let help = "name a directory that you can write to";
    std::fs::create_dir_all(directory)
        .map_err(|why| Error::disk("create the directory", directory, &why).help(help))?;
    let write = |(path, bytes): (PathBuf, &[u8])| {
        atomic_write(&path, bytes).map_err(|error| error.help(help))?;
        Ok(path)
    };
    files.map(write).collect()
}

/// [`atomic_write`], with something done to the file before it appears.
pub fn atomic_write_with(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), Error> {
    let temporary = beside(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        prepare(&file)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path));
    renamed.and_then(|()| sync_parent(path)).map_err(|why| {
        let _ = std::fs::remove_file(&temporary); // the error that is told is the first one
        Error::disk("write", path, &why)
    })
}

/// A name in the same directory that no other thread or process uses.
pub fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = format!(".tmp-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    path.with_file_name(unique)
}

/// Makes a rename or a new entry in the parent directory last through a power cut.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// Makes a writable file last through a power cut.
pub fn sync_file(path: &Path) -> io::Result<()> {
    // For writing, since Windows syncs through no other handle.
    File::options().write(true).open(path)?.sync_all()
}

/// Makes a file last through a power cut, and read-only; one that is read-only has both behind it.
pub fn sync_and_seal(path: &Path) -> io::Result<()> {
    let read_only = |path| std::fs::metadata(path).is_ok_and(|it| it.permissions().readonly());
    let file = match File::options().write(true).open(path) {
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied && read_only(path) => {
            return Ok(());
        }
        other => other?,
    };
    let mut permissions = file.metadata()?.permissions();
    if permissions.readonly() {
        return Ok(());
    }
    file.sync_all()?;
    writable(&mut permissions, false);
    file.set_permissions(permissions)
}

/// Windows has no handle on a directory that could be synced; its file systems journal names.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Makes the file at `to` the same as `from`: a hard link, else a copy. The result is read-only.
///
/// # Errors
/// Of the copy.
pub fn link_or_copy(from: &Path, to: &Path, workplace: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if std::fs::hard_link(from, to).is_ok() {
        return set_read_only(to, true);
    }
    copy(from, to, true, workplace)
}

/// Copies a file. It appears at `to` whole, with its permission: a read-only file is taken for a complete one, so
/// a copy that was cut short must never be there under its name. Until then it lies in `workplace`, which is not
/// published.
///
/// # Errors
/// Of the copy.
pub fn copy(from: &Path, to: &Path, read_only: bool, workplace: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let temporary = beside(&workplace.join("copy"));
    // `std::fs::copy` reflinks where the file system can (copy_file_range, clonefile, CopyFileEx).
    let copied = std::fs::copy(from, &temporary)
        .and_then(|_| set_read_only(&temporary, false))
        .and_then(|()| sync_file(&temporary))
        .and_then(|()| set_read_only(&temporary, read_only))
        .and_then(|()| std::fs::rename(&temporary, to));
    if copied.is_err() {
        let _ = std::fs::remove_file(&temporary); // the error that is told is the first one
    }
    copied
}

/// Copies or links all files below `from` to `to`.
///
/// # Errors
/// Of reading a directory or of a copy.
pub fn copy_tree(from: &Path, to: &Path, workplace: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, workplace)?;
        } else {
            link_or_copy(&entry.path(), &target, workplace)?;
        }
    }
    Ok(())
}

/// Switches a file's write permission. On Unix it is switched for all, as `chmod a-w` and `chmod u+w` do.
pub fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    if permissions.readonly() == read_only {
        return Ok(());
    }
    writable(&mut permissions, !read_only);
    std::fs::set_permissions(path, permissions)
}

#[cfg(unix)]
fn writable(permissions: &mut Permissions, writable: bool) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = permissions.mode();
    permissions.set_mode(if writable { mode | 0o200 } else { mode & !0o222 });
}

#[cfg(not(unix))]
fn writable(permissions: &mut Permissions, writable: bool) {
    permissions.set_readonly(!writable);
}

/// Removes a directory and all in it; one that is not there is no error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// What tells this boot of the machine from others: data that was written and not synced is still in the
/// page cache while it is the same. `None` where the platform does not say.
pub fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}
