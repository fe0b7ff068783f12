//! Opens and creates the store's files.
//!
//! A store may be shared, and whoever can write to it could make us read or write a file of their
//! choice, or block on a pipe. So nothing here follows a symbolic link, and only regular files are
//! opened.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Opens a store file for reading.
///
/// # Errors
/// Of opening it; for anything but a regular file, names what it is and says to remove it.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(File::options().read(true), path)
}

/// Does the same for reading and writing an existing file.
///
/// # Errors
/// As for [`open`].
pub fn open_to_write(path: &Path) -> io::Result<File> {
    open_with(File::options().read(true).write(true), path)
}

/// Does the same for appending to an existing file.
///
/// # Errors
/// As for [`open`].
pub fn open_to_append(path: &Path) -> io::Result<File> {
    open_with(File::options().append(true), path)
}

/// Does the same for a lock file, which is created if it does not exist. A symbolic link or an
/// empty directory in its place is removed. On Windows nobody can remove or rename the file while
/// it is open.
///
/// # Errors
/// As for [`open`].
pub fn open_or_create(path: &Path) -> io::Result<File> {
    let open = || open_with(keep_name(File::options().read(true).write(true).create(true)), path);
    match open() {
        Err(_) if clear(path) => open(),
        other => other,
    }
}

/// Creates a file that must not exist.
///
/// # Errors
/// `AlreadyExists` if any entry has the name, even a dangling symbolic link.
pub fn create_new(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).open(path)
}

/// Does the same for a file that no other user can read.
///
/// # Errors
/// As for [`create_new`].
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Reads a small store file.
///
/// # Errors
/// As for [`open`]; `FileTooLarge` if the file is larger than `max_bytes`.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    if length > max_bytes {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(length as usize + 1); // one read, and one to find the end
    Read::by_ref(&mut file).take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the metadata of a regular file; `None` for anything else, including a symbolic link.
pub fn file_at(path: &Path) -> Option<std::fs::Metadata> {
    std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)
}

/// Opens a file and returns it with its metadata as of that moment.
///
/// # Errors
/// As for [`open`].
pub fn open_with_metadata(path: &Path, to_write: bool) -> io::Result<(File, std::fs::Metadata)> {
    look_and_open(File::options().read(true).write(to_write), path)
}

fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    look_and_open(options, path).map(|(file, _)| file)
}

fn look_and_open(options: &mut OpenOptions, path: &Path) -> io::Result<(File, std::fs::Metadata)> {
    match no_follow(options).open(path).and_then(|file| Ok((file.metadata()?, file))) {
        Ok((metadata, file)) if metadata.is_file() => Ok((file, metadata)),
        Ok(_) => Err(obstacle(path, false).unwrap_or(io::ErrorKind::InvalidInput.into())),
        Err(why) => Err(obstacle(path, false).unwrap_or(why)),
    }
}

/// `O_NONBLOCK`, since opening a pipe would block before its type can be checked.
#[cfg(unix)]
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
}

/// `FILE_FLAG_OPEN_REPARSE_POINT`: opens the link itself, which is not a regular file.
#[cfg(windows)]
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::windows::fs::OpenOptionsExt as _;
    options.custom_flags(0x0020_0000)
}

/// On Unix an open file can be removed or renamed.
#[cfg(unix)]
fn keep_name(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// `FILE_SHARE_READ` and `FILE_SHARE_WRITE`, without `FILE_SHARE_DELETE`.
#[cfg(windows)]
fn keep_name(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::windows::fs::OpenOptionsExt as _;
    options.share_mode(1 | 2)
}

/// Returns an error that names the entry in place of a store file or directory; `None` if the entry
/// has the right type or does not exist.
pub fn obstacle(path: &Path, for_directory: bool) -> Option<io::Error> {
    let found = std::fs::symlink_metadata(path).ok()?.file_type();
    let (is_right, wanted) = match for_directory {
        true => (found.is_dir(), "a directory"),
        false => (found.is_file(), "a file"),
    };
    let what = match found {
        _ if is_right => return None,
        found if found.is_symlink() => "a symbolic link",
        found if found.is_dir() => "a directory",
        found if found.is_file() => "a file",
        _ => "not a regular file",
    };
    let path = path.display();
    Some(io::Error::other(format!("{path} is {what} where {wanted} is expected: remove it")))
}

/// Returns the error of a directory that could not be created with those above it. If an entry is in
/// the way, which may be a symbolic link, names it. It may be a file of the user's, so the message
/// does not say to remove it.
pub fn obstacle_above(path: &Path, why: io::Error) -> io::Error {
    use io::ErrorKind::{AlreadyExists, NotADirectory, NotFound};
    // Anything else, such as a denied permission, is the reason itself.
    if !matches!(why.kind(), AlreadyExists | NotADirectory | NotFound) {
        return why;
    }
    let exists = |it: &&Path| std::fs::symlink_metadata(it).is_ok();
    let Some(found) = path.ancestors().find(exists) else { return why };
    let what = match std::fs::metadata(found) {
        Ok(entry) if entry.is_dir() => return why,
        Ok(_) => "not a directory",
        Err(of_link) if of_link.kind() == NotFound => {
            "a symbolic link to a directory that does not exist"
        }
        Err(of_link) => return of_link,
    };
    io::Error::other(format!("{} is {what}", found.display()))
}

/// Whether the entry at `path` belongs to a user other than us and root.
#[cfg(unix)]
pub fn is_of_a_stranger(path: &Path, found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let is_us = |us: io::Result<std::fs::Metadata>| us.is_ok_and(|us| us.uid() == found.uid());
    // Std has no call for our user id. Linux has it in /proc, for most processes; a new file has it
    // everywhere.
    let probe = || {
        let probe = super::beside(path);
        let us = create_new(&probe).and_then(|file| file.metadata());
        let _ = super::remove_entry(&probe); // an empty file
        us
    };
    found.uid() != 0 && !is_us(std::fs::metadata("/proc/self")) && !is_us(probe())
}

/// Returns why a symbolic link is not followed: it belongs neither to us nor to root. `None` if
/// `path` is not such a link.
#[cfg(unix)]
pub fn link_of_a_stranger(path: &Path) -> Option<io::Error> {
    use std::os::unix::fs::MetadataExt as _;
    let link = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_symlink)?;
    if !is_of_a_stranger(path, &link) {
        return None;
    }
    let (path, owner) = (path.display(), link.uid());
    Some(io::Error::other(format!(
        "{path} is a symbolic link of another user ({owner}): remove it, or create it yourself"
    )))
}

/// On this platform std does not report a link's owner.
#[cfg(not(unix))]
pub fn link_of_a_stranger(_path: &Path) -> Option<io::Error> {
    None
}

/// Removes an obstacle in place of a store file if it holds no data: a symbolic link, whose target
/// stays, or an empty directory, which containers create for mount points. Returns whether one was
/// removed.
pub(super) fn clear(path: &Path) -> bool {
    match std::fs::symlink_metadata(path).map(|it| it.file_type()) {
        Ok(found) if found.is_symlink() => super::remove_entry(path).is_ok(),
        Ok(found) if found.is_dir() => std::fs::remove_dir(path).is_ok(),
        _ => false,
    }
}

/// Removes a store file, or an obstacle in its place that holds no data. A missing file is not an
/// error.
///
/// # Errors
/// Of the removal; names whatever else is at the path.
pub fn remove(path: &Path) -> io::Result<()> {
    match super::remove_entry(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound || clear(path) => Ok(()),
        Err(why) => Err(obstacle(path, false).unwrap_or(why)),
        done => done,
    }
}

/// Whether a directory is below `base`, and neither it nor a directory between the two is a
/// symbolic link.
pub fn is_below(base: &Path, directory: &Path) -> bool {
    let steps = directory.ancestors().take_while(|it| *it != base);
    directory.starts_with(base) && steps.into_iter().all(|it| obstacle(it, true).is_none())
}

/// Examines files below a directory and follows no symbolic link on the way from there.
pub struct Below {
    /// Directory of the last file. No directory from the base to here is a symbolic link.
    known: PathBuf,
}

impl Below {
    /// `base` itself may be a symbolic link.
    pub fn new(base: PathBuf) -> Below {
        Below { known: base }
    }

    /// Returns the metadata of a regular file; `None` for anything else, including a symbolic link.
    /// Costs one `stat`, and one more for each directory that was not on the last file's path.
    pub fn file(&mut self, path: &Path) -> Option<std::fs::Metadata> {
        let parent = path.parent()?;
        if parent.as_os_str() != self.known.as_os_str() {
            let mut new = parent.ancestors().take_while(|it| !self.known.starts_with(it));
            if new.any(|it| obstacle(it, true).is_some()) {
                return None;
            }
            self.known = parent.to_owned();
        }
        file_at(path)
    }
}

/// Removes symbolic links in place of the directories of these paths, which are below `base`. Their
/// targets belong to somebody else: nothing may be written or removed there.
///
/// # Errors
/// Of removing a link.
pub fn remove_linked_directories(
    base: &Path,
    paths: &mut dyn Iterator<Item = PathBuf>,
) -> io::Result<()> {
    let mut known = base.to_owned();
    for path in paths {
        let Some(parent) = path.parent().filter(|it| it.as_os_str() != known.as_os_str()) else {
            continue; // neighboring files share their directory
        };
        let mut new: Vec<_> = parent.ancestors().take_while(|it| !known.starts_with(it)).collect();
        new.reverse();
        for directory in new {
            if std::fs::symlink_metadata(directory).is_ok_and(|it| it.is_symlink()) {
                remove(directory)?;
            }
        }
        known = parent.to_owned();
    }
    Ok(())
}

/// Creates the directories `below` in `base`, none of which may be a symbolic link. `base` and the
/// directories above it may be links.
///
/// # Errors
/// Of creating one; names whatever else is at its path.
pub fn create_directories(base: &Path, below: &Path) -> io::Result<()> {
    let mut directory = base.to_owned();
    for component in below {
        directory.push(component);
        match std::fs::create_dir(&directory) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                obstacle(&directory, true).map_or(Ok(()), Err)?;
            }
            other => other?,
        }
    }
    Ok(())
}

/// Does the same for the directories of a file. `base` is created if necessary, and may be a link.
///
/// # Errors
/// As for [`create_directories`].
pub fn create_parents(base: &Path, path: &Path) -> io::Result<()> {
    let below = path.parent().and_then(|parent| parent.strip_prefix(base).ok());
    std::fs::create_dir_all(base)?;
    create_directories(base, below.unwrap_or(Path::new("")))
}
