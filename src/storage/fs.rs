//! File-system operations shared by the storage module.

mod file_lock;
mod in_use;
mod open;

use std::collections::hash_map::RandomState;
use std::fs::{File, Metadata, Permissions};
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

pub use file_lock::*;
pub use in_use::{move_entry, remove_entry, remove_tree};
pub use open::*;

use super::file_size;
use crate::error::Error;

/// Length and modification time of a file, which identify it as the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileFingerprint {
    pub(super) length: u64,
    modified: Option<SystemTime>,
}

impl FileFingerprint {
    /// Returns a file's current fingerprint; `None` if there is no regular file.
    pub(super) fn at(path: &Path) -> Option<FileFingerprint> {
        let file = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some(FileFingerprint { length: file.len(), modified: file.modified().ok() })
    }
}

/// Writes a file atomically: a reader sees the old content or all of the new, even after a power
/// cut.
///
/// # Errors
/// [`crate::ErrorKind::Disk`].
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    atomic_write_with(path, bytes, |_| Ok(()))
}

/// Does the same as [`atomic_write`], and calls `prepare` on the file before it appears under its
/// name.
///
/// # Errors
/// As for [`atomic_write`].
pub fn atomic_write_with(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), Error> {
    let rename = |from: &Path, to: &Path| {
        move_entry(from, to).map_err(|why| obstacle(to, false).unwrap_or(why))
    };
    write_with(path, &|file| file.write_all(bytes), prepare, rename)
        .map_err(|why| Error::disk("write", path, &why))
}

/// Writes a store file as [`atomic_write_with`] does. A symbolic link or an empty directory at its
/// path is removed.
///
/// # Errors
/// Of writing; names whatever else is at the path.
pub fn keep(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    write_with(path, &|file| file.write_all(bytes), prepare, rename)
}

/// Does the same as [`keep`] for content that is written in blocks, so that it is never in memory
/// as a whole.
///
/// # Errors
/// As for [`keep`].
pub fn keep_stream(
    path: &Path,
    block_bytes: usize,
    write: &dyn Fn(&mut dyn io::Write) -> io::Result<()>,
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let write = |file: &mut Limited| {
        let mut buffered = io::BufWriter::with_capacity(block_bytes, file);
        write(&mut buffered)?;
        buffered.flush()
    };
    write_with(path, &write, prepare, rename)
}

/// A new file that refuses to grow beyond this process's file size limit.
struct Limited {
    file: File,
    length: u64,
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        file_size::check(self.length + bytes.len() as u64)?;
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn write_with(
    path: &Path,
    write: &dyn Fn(&mut Limited) -> io::Result<()>,
    prepare: impl FnOnce(&File) -> io::Result<()>,
    rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = beside(path);
    let written = create_new(&temporary).and_then(|file| {
        let mut limited = Limited { file, length: 0 };
        write(&mut limited)?;
        prepare(&limited.file)?;
        limited.file.sync_all()
    });
    let renamed = written.and_then(|()| rename(&temporary, path));
    renamed.and_then(|()| sync_parent(path)).inspect_err(|_| {
        let _ = remove_entry(&temporary); // the first error is the one that is reported
    })
}

/// Renames a store file. Removes an obstacle at `to` that holds nothing: see [`clear`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match move_entry(from, to) {
        Err(_) if clear(to) => move_entry(from, to),
        Err(why) => Err(obstacle(to, false).unwrap_or(why)),
        done => done,
    }
}

/// Returns a name in the same directory that no other thread, process, container or host uses and
/// that cannot be guessed.
pub fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static RANDOM: OnceLock<RandomState> = OnceLock::new();
    // `RandomState`'s keys come from the system's randomness. `fastrand` is seeded with the time
    // and the thread, and in a container the process id is often 1: two containers have had the
    // same name.
    let random = RANDOM.get_or_init(RandomState::new);
    let number = random.hash_one((std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(format!(".tmp-{number:016x}"))
}

/// Makes a rename or a new entry in the parent directory survive a power cut.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        // The parent of a relative path's only component.
        Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// Syncs a file to disk.
pub fn sync_file(path: &Path) -> io::Result<(File, Metadata)> {
    // Windows needs a handle opened for writing to sync. Elsewhere a read-only file can be synced
    // too.
    let (file, metadata) = open_with_metadata(path, cfg!(windows))?;
    file.sync_all()?;
    Ok((file, metadata))
}

/// Syncs a file to disk and makes it read-only. In a store shared by a group another member's file
/// keeps its permissions, and so does any file on a file system without permissions.
pub fn sync_and_seal(path: &Path) -> io::Result<()> {
    if cfg!(windows) {
        set_read_only(path, false)?;
    }
    let (file, metadata) = sync_file(path)?;
    match seal(&file, &metadata, true) {
        Err(why) if is_not_supported(&why) => Ok(()),
        other => other,
    }
}

/// Whether the error means that a file's permissions or times cannot be set although its bytes can
/// be written: the file belongs to another user, or the file system does not store them.
pub fn is_not_supported(why: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(why.kind(), PermissionDenied | Unsupported | InvalidInput)
}

/// Makes an open file writable for its owner.
pub fn make_writable(file: &File, mut permissions: Permissions) -> io::Result<()> {
    writable(&mut permissions, true);
    file.set_permissions(permissions)
}

/// Whether anyone may execute a file.
#[cfg(unix)]
pub fn is_executable(file: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.permissions().mode() & 0o111 != 0
}

/// On this platform a file's name decides that.
#[cfg(not(unix))]
pub fn is_executable(_file: &Metadata) -> bool {
    false
}

/// Lets everyone who may read a file execute it.
#[cfg(unix)]
pub fn make_executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = file.metadata()?.permissions();
    let mode = permissions.mode();
    permissions.set_mode(mode | (mode & 0o444) >> 2);
    match file.set_permissions(permissions) {
        Err(why) if is_not_supported(&why) => Ok(()),
        other => other,
    }
}

/// On this platform a file's name decides that.
#[cfg(not(unix))]
pub fn make_executable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Syncs a directory. Windows cannot sync a directory handle; its file systems journal names.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Sets the modification time of a directory.
///
/// # Errors
/// If the directory belongs to another user, for example.
#[cfg(feature = "engine")]
pub fn set_directory_time(directory: &Path, time: SystemTime) -> io::Result<()> {
    let mut options = File::options();
    #[cfg(not(windows))]
    options.read(true);
    // `FILE_WRITE_ATTRIBUTES`, and `FILE_FLAG_BACKUP_SEMANTICS`, without which no directory is opened.
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        options.access_mode(0x100).custom_flags(0x0200_0000);
    }
    options.open(directory)?.set_modified(time)
}

/// Syncs a directory and all directories below it, since directories hold the names.
pub fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_directory(directory)
}

/// Makes the file at `to` the same as `from`: a hard link, else a copy. The result is read-only, and
/// executable if the original is. The directory of `to` must exist.
///
/// # Errors
/// Of the copy; if `from` is not a regular file.
pub fn link_or_copy(from: &Path, to: &Path, workplace: &Path) -> io::Result<()> {
    if hard_link(from, to).is_ok() {
        // Hard-linking a symbolic link links the link itself. Another user's writable file is
        // copied rather than linked: writing to one name would change both.
        match set_read_only(to, true) {
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => remove_entry(to)?,
            other => {
                return other.inspect_err(|_| {
                    let _ = remove_entry(to); // the first error is the one that is reported
                });
            }
        }
    }
    obstacle(from, false).map_or(Ok(()), Err)?;
    copy(from, to, CopyMode::ReadOnly { is_ours: true }, workplace)
}

fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    if super::stops::is_elsewhere(from) {
        return Err(io::ErrorKind::CrossesDevices.into());
    }
    std::fs::hard_link(from, to)
}

/// The permissions of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// Those of a new file.
    New,
    /// Those of a new file, without write permission. A copy of a store's own file is executable if
    /// the original is. Other directories may be on a file system without permissions (vfat, NTFS),
    /// where every file is executable.
    ReadOnly { is_ours: bool },
    /// Those of the original. The copy is private until it has them.
    Same,
}

/// Copies a file. The copy appears at `to` complete and with its permissions: a read-only file is
/// taken for a complete one, so a truncated copy must never have that name. Until then it is in
/// `workplace`, which is not published. The directory of `to` must exist.
///
/// # Errors
/// Of the copy.
pub fn copy(from: &Path, to: &Path, mode: CopyMode, workplace: &Path) -> io::Result<()> {
    let original = std::fs::metadata(from)?;
    file_size::check(original.len())?;
    let temporary = beside(&workplace.join("copy"));
    let copied = copy_bytes(from, &temporary, mode)
        .and_then(|file| {
            match mode {
                CopyMode::New | CopyMode::ReadOnly { .. } => seal(&file, &file.metadata()?, false)?,
                CopyMode::Same => file.set_permissions(original.permissions())?,
            }
            if mode == (CopyMode::ReadOnly { is_ours: true }) && is_executable(&original) {
                make_executable(&file)?;
            }
            file.sync_all()?;
            match mode {
                CopyMode::ReadOnly { .. } => seal(&file, &file.metadata()?, true),
                CopyMode::New | CopyMode::Same => Ok(()),
            }
        })
        .and_then(|()| rename(&temporary, to));
    if copied.is_err() {
        let _ = remove_entry(&temporary); // the first error is the one that is reported
    }
    copied
}

/// Copies the bytes, in the file system if it can (`copy_file_range`).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn copy_bytes(from: &Path, to: &Path, mode: CopyMode) -> io::Result<File> {
    let create = if mode == CopyMode::Same { create_private } else { create_new };
    let (mut from, mut to) = (File::open(from)?, create(to)?);
    io::copy(&mut from, &mut to)?;
    Ok(to)
}

/// Does the same. On these platforms std creates the file itself (`clonefile`, `CopyFileEx`), with
/// the permissions of the original; nobody can guess its temporary name.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn copy_bytes(from: &Path, to: &Path, _mode: CopyMode) -> io::Result<File> {
    std::fs::copy(from, to)?;
    set_read_only(to, false)?;
    open_to_write(to)
}

/// Recreates the tree below `from` at `to`: files by link or copy, symbolic links as they are.
///
/// # Errors
/// Of reading a directory or of a copy.
pub fn copy_tree(from: &Path, to: &Path, workplace: &Path) -> io::Result<()> {
    match std::fs::create_dir(to) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            obstacle(to, true).map_or(Ok(()), Err)?;
        }
        made => made?,
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, workplace)?;
        } else if kind.is_symlink() {
            symlink(&std::fs::read_link(entry.path())?, &target)?;
        } else {
            link_or_copy(&entry.path(), &target, workplace)?;
        }
    }
    Ok(())
}

/// Sets or clears a file's write permission. On Unix it is cleared for everyone and set for the
/// owner, as `chmod a-w` and `chmod u+w` do.
///
/// # Errors
/// If the file is another user's or not a regular file.
#[cfg(unix)]
pub fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    let (file, metadata) = open_with_metadata(path, false)?;
    seal(&file, &metadata, read_only)
}

/// On this platform a read handle cannot change permissions.
#[cfg(not(unix))]
pub fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    obstacle(path, false).map_or(Ok(()), Err)?;
    let mut permissions = std::fs::metadata(path)?.permissions();
    if permissions.readonly() == read_only {
        return Ok(());
    }
    writable(&mut permissions, !read_only);
    std::fs::set_permissions(path, permissions)
}

/// Does the same for an open file.
fn seal(file: &File, metadata: &Metadata, read_only: bool) -> io::Result<()> {
    let mut permissions = metadata.permissions();
    if permissions.readonly() == read_only {
        return Ok(());
    }
    writable(&mut permissions, !read_only);
    file.set_permissions(permissions)
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

/// Whether a group is meant to share a directory: it is group-writable and setgid, so new entries
/// belong to the group.
#[cfg(unix)]
pub fn is_shared(directory: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    const SETGID_AND_WRITABLE: u32 = 0o2020;
    let mode = std::fs::metadata(directory).map_or(0, |it| it.permissions().mode());
    mode & SETGID_AND_WRITABLE == SETGID_AND_WRITABLE
}

/// On this platform directories have no setgid bit.
#[cfg(not(unix))]
pub fn is_shared(_directory: &Path) -> bool {
    false
}

/// Whether a file that an earlier process left may be written in place. A read-only file or one
/// with further names may share its bytes with complete data; a file of another member of the group
/// that shares the store may not be writable.
///
/// # Errors
/// Of reading its metadata.
pub fn may_be_written(left: &Path) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(left)?;
    let is_alone = found.is_file() && !found.permissions().readonly() && is_its_only_name(&found);
    let is_denied = |why: &io::Error| why.kind() == io::ErrorKind::PermissionDenied;
    Ok(is_alone && !open_to_write(left).is_err_and(|why| is_denied(&why)))
}

#[cfg(unix)]
fn is_its_only_name(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.nlink() == 1
}

/// Std has no stable way to count a file's links on this platform. Links to complete data are
/// read-only.
#[cfg(not(unix))]
fn is_its_only_name(_found: &Metadata) -> bool {
    true
}

/// Returns the bytes available to us on the file system of this directory.
pub fn free_bytes(directory: &Path) -> Option<u64> {
    #[cfg(unix)]
    return fs2::available_space(directory).ok();
    #[cfg(windows)]
    return fs4::available_space(directory).ok();
}

/// Creates a symbolic link.
#[cfg(unix)]
pub fn symlink(text: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(text, path)
}

/// On this platform selections with links are refused.
#[cfg(not(unix))]
pub fn symlink(_text: &Path, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
