//! File-system work that the other files of this module share.

mod file_lock;
mod in_use;
mod open;

use std::collections::hash_map::RandomState;
use std::fs::{File, Permissions};
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

/// By what a file is known to be the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileFingerprint {
    length: u64,
    modified: Option<SystemTime>,
}

impl FileFingerprint {
    /// How a file is now; nothing where it is none.
    pub(super) fn at(path: &Path) -> Option<FileFingerprint> {
        let file = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(FileFingerprint { length: file.len(), modified: file.modified().ok() })
    }
}

/// Writes a file so that a reader sees the old bytes or all of the new, also after a power cut.
///
/// # Errors
/// [`crate::ErrorKind::Disk`].
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    atomic_write_with(path, bytes, |_| Ok(()))
}

/// [`atomic_write`], with something done to the file before it appears.
///
/// # Errors
/// As above.
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

/// Writes a file of the store's as [`atomic_write_with`] does; what is in its way and holds nothing is removed.
///
/// # Errors
/// Of writing; where something else is in its place, what.
pub fn keep(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    write_with(path, &|file| file.write_all(bytes), prepare, rename)
}

/// The same, of what is written in blocks, so that it is never in memory as a whole.
///
/// # Errors
/// As above.
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

/// A new file, which stops before it is longer than this process may write.
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
        let _ = remove_entry(&temporary); // the error that is told is the first one
    })
}

/// Gives a file of the store's its name. An empty directory that has it is removed: see [`clear`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match move_entry(from, to) {
        Err(_) if clear(to) => move_entry(from, to),
        Err(why) => Err(obstacle(to, false).unwrap_or(why)),
        done => done,
    }
}

/// A name in the same directory that no other thread, process, container or host uses, and that nobody can guess.
pub fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static RANDOM: OnceLock<RandomState> = OnceLock::new();
    // Its keys come from the system's randomness. `fastrand` starts from the time and the thread, and in each container the process is
    // number 1: two of them have had the same name.
    let random = RANDOM.get_or_init(RandomState::new);
    let number = random.hash_one((std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(format!(".tmp-{number:016x}"))
}

/// Makes a rename or a new entry in the parent directory last through a power cut.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// Makes a file survive a power cut, and returns its length.
pub fn sync_file(path: &Path) -> io::Result<u64> {
    // For writing where that is Windows, which syncs through no other handle. Elsewhere also a read-only file can be synced.
    let (file, metadata) = open_with_metadata(path, cfg!(windows))?;
    file.sync_all()?;
    Ok(metadata.len())
}

/// Makes a file last through a power cut, and read-only. In a store that a group shares, a file of another member stays as it is,
/// and so does any file where the file system has no permissions.
pub fn sync_and_seal(path: &Path) -> io::Result<()> {
    if cfg!(windows) {
        set_read_only(path, false)?;
    }
    sync_file(path)?;
    match set_read_only(path, true) {
        Err(why) if is_not_supported(&why) => Ok(()),
        other => other,
    }
}

/// Whether a file's permissions or times cannot be set, while its bytes can be written: they are somebody else's, or the file
/// system has none.
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
#[cfg(all(unix, feature = "unpack"))]
pub fn is_executable(file: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.permissions().mode() & 0o111 != 0
}

/// Here a file's name says that.
#[cfg(all(not(unix), feature = "unpack"))]
pub fn is_executable(_file: &std::fs::Metadata) -> bool {
    false
}

/// Lets those execute a file who may read it.
#[cfg(all(unix, feature = "unpack"))]
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

/// Here a file's name says that.
#[cfg(all(not(unix), feature = "unpack"))]
pub fn make_executable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Windows has no handle on a directory that could be synced; its file systems journal names.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Directories hold the names: they are synced too.
pub fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_directory(directory)
}

/// Makes the file at `to` the same as `from`: a hard link, else a copy. The result is read-only. The directory of `to` is there.
///
/// # Errors
/// Of the copy; of a `from` that is not a regular file.
pub fn link_or_copy(from: &Path, to: &Path, workplace: &Path) -> io::Result<()> {
    if std::fs::hard_link(from, to).is_ok() {
        // A symbolic link gets a second name as it is. What is another user's and writable is not linked either: whoever wrote to the
        // link would write to both.
        match set_read_only(to, true) {
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => remove_entry(to)?,
            other => {
                return other.inspect_err(|_| {
                    let _ = remove_entry(to); // the error that is told is the first one
                });
            }
        }
    }
    obstacle(from, false).map_or(Ok(()), Err)?;
    copy(from, to, CopyMode::ReadOnly, workplace)
}

/// The permissions of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// Those of a new file.
    New,
    /// Those of a new file that nobody may write to.
    ReadOnly,
    /// Those of the original. Nobody else can read the copy before it has them.
    Same,
}

/// Copies a file. It appears at `to` whole, with its permissions: a read-only file is taken for a
/// complete one, so a copy that was cut short must never be there under its name. Until then it lies in `workplace`, which is
/// not published. The directory of `to` is there.
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
                CopyMode::New | CopyMode::ReadOnly => seal(&file, false)?,
                CopyMode::Same => file.set_permissions(original.permissions())?,
            }
            file.sync_all()?;
            if mode == CopyMode::ReadOnly { seal(&file, true) } else { Ok(()) }
        })
        .and_then(|()| rename(&temporary, to));
    if copied.is_err() {
        let _ = remove_entry(&temporary); // the error that is told is the first one
    }
    copied
}

/// The file system makes the copy where it can (`copy_file_range`).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn copy_bytes(from: &Path, to: &Path, mode: CopyMode) -> io::Result<File> {
    let create = if mode == CopyMode::Same { create_private } else { create_new };
    let (mut from, mut to) = (File::open(from)?, create(to)?);
    io::copy(&mut from, &mut to)?;
    Ok(to)
}

/// The same; it wants to create the file itself (`clonefile`, `CopyFileEx`), under a name that nobody can guess, and with the
/// permissions of the original.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn copy_bytes(from: &Path, to: &Path, _mode: CopyMode) -> io::Result<File> {
    std::fs::copy(from, to)?;
    set_read_only(to, false)?;
    open_to_write(to)
}

/// Copies or links all files below `from` to `to`.
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

/// Switches a file's write permission. On Unix it is switched for all, as `chmod a-w` and `chmod u+w` do.
///
/// # Errors
/// Of a file that is not ours, and of what is not a regular file.
#[cfg(unix)]
pub fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    seal(&open(path)?, read_only)
}

/// Here a handle for reading may not do it.
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

/// The same, of an open file.
fn seal(file: &File, read_only: bool) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
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

/// Whether a group is meant to share a directory: it may write there, and what is created there is the group's.
#[cfg(unix)]
pub fn is_shared(directory: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    const SETGID_AND_WRITABLE: u32 = 0o2020;
    let mode = std::fs::metadata(directory).map_or(0, |it| it.permissions().mode());
    mode & SETGID_AND_WRITABLE == SETGID_AND_WRITABLE
}

/// Groups have no directories of their own here.
#[cfg(not(unix))]
pub fn is_shared(_directory: &Path) -> bool {
    false
}

/// Whether a file that an earlier process left can be written where it is. One that is read-only or has further names may share its
/// bytes with complete data; one of another member of a group that shares the store may be closed to us.
///
/// # Errors
/// Of looking at it.
pub fn may_be_written(left: &Path) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(left)?;
    let is_alone = found.is_file() && !found.permissions().readonly() && is_its_only_name(&found);
    let is_denied = |why: &io::Error| why.kind() == io::ErrorKind::PermissionDenied;
    Ok(is_alone && !open_to_write(left).is_err_and(|why| is_denied(&why)))
}

#[cfg(unix)]
fn is_its_only_name(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.nlink() == 1
}

/// There is no stable way to count a file's links here. What is linked from complete data is read-only.
#[cfg(not(unix))]
fn is_its_only_name(_found: &std::fs::Metadata) -> bool {
    true
}

/// What is free for us where this directory is.
pub fn free_bytes(directory: &Path) -> Option<u64> {
    #[cfg(unix)]
    return fs2::available_space(directory).ok();
    #[cfg(windows)]
    return fs4::available_space(directory).ok();
}

/// Makes a symbolic link.
#[cfg(unix)]
pub fn symlink(text: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(text, path)
}

/// Selections with links are refused.
#[cfg(not(unix))]
pub fn symlink(_text: &Path, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
