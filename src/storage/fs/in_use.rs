//! Renames and removals that Windows refuses where Unix does not: of read-only files, and while
//! another program has the file open, such as a virus scanner or an indexer that reads each new
//! file for a moment.
//!
//! On Windows a read-only file loses that attribute first, unless the file system can ignore it;
//! and what fails because a file is in use is retried for a second, as Cargo and rustup do.
//! Elsewhere these are std's functions.

use std::io;
use std::path::Path;

/// Renames an entry. An existing file at `to` is replaced, even if it is read-only.
///
/// # Errors
/// Of the rename.
pub fn move_entry(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(windows)]
    return windows::move_entry(from, to);
    #[cfg(not(windows))]
    std::fs::rename(from, to)
}

/// Removes a file, even a read-only one, or a symbolic link. Other hard links to the file stay
/// read-only.
///
/// # Errors
/// Of the removal; `NotFound` if there is no such entry.
pub fn remove_entry(path: &Path) -> io::Result<()> {
    #[cfg(windows)]
    return windows::remove_entry(path);
    #[cfg(not(windows))]
    std::fs::remove_file(path)
}

/// Removes a directory and everything in it. A missing directory is not an error.
///
/// # Errors
/// Of the removal.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    #[cfg(windows)]
    let removed = windows::remove_tree(path);
    #[cfg(not(windows))]
    let removed = std::fs::remove_dir_all(path);
    match removed {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

#[cfg(windows)]
mod windows {
    use std::fs::{File, Metadata, Permissions};
    use std::io;
    use std::os::windows::fs::{FileTypeExt as _, OpenOptionsExt as _};
    use std::path::Path;
    use std::time::Duration;

    /// Number of retries. The pauses are 1 ms, 2 ms and so on, doubling each time: a second in
    /// total.
    const PAUSES: u32 = 10;

    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    const LOCK_VIOLATION: i32 = 33;
    /// A removed file keeps its name until every handle to it is closed.
    const DIR_NOT_EMPTY: i32 = 145;
    const DELETE_PENDING: i32 = 303;

    pub(super) fn move_entry(from: &Path, to: &Path) -> io::Result<()> {
        patiently(&mut std::thread::sleep, &mut || match std::fs::rename(from, to) {
            Err(why) if is_denied(&why) => match std::fs::symlink_metadata(to) {
                Ok(found) if is_read_only(&found) => {
                    remove_read_only(to)?;
                    std::fs::rename(from, to)
                }
                // A directory stays in the way, so retrying would not help.
                Ok(found) if found.is_dir() => Err(io::Error::other(why)),
                _ => Err(why),
            },
            other => other,
        })
    }

    pub(super) fn remove_entry(path: &Path) -> io::Result<()> {
        patiently(&mut std::thread::sleep, &mut || match std::fs::remove_file(path) {
            Err(why) if is_denied(&why) => match std::fs::symlink_metadata(path) {
                Ok(found) if found.file_type().is_symlink_dir() => std::fs::remove_dir(path),
                Ok(found) if is_read_only(&found) => remove_read_only(path),
                Ok(found) if found.is_dir() => Err(io::Error::other(why)),
                _ => Err(why),
            },
            other => other,
        })
    }

    pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
        patiently(&mut std::thread::sleep, &mut || match std::fs::remove_dir_all(path) {
            Err(why) if is_denied(&why) => {
                remove_read_only_files(path)?;
                std::fs::remove_dir_all(path)
            }
            other => other,
        })
    }

    /// Repeats `work` while it fails because a file is in use.
    pub(super) fn patiently(
        pause: &mut dyn FnMut(Duration),
        work: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        for exponent in 0..PAUSES {
            match work() {
                Err(why) if is_in_use(&why) => pause(Duration::from_millis(1 << exponent)),
                done => return done,
            }
        }
        work()
    }

    fn is_denied(why: &io::Error) -> bool {
        why.raw_os_error() == Some(ACCESS_DENIED)
    }

    /// A directory cannot be renamed while a file in it is open; the error is ACCESS_DENIED.
    fn is_in_use(why: &io::Error) -> bool {
        const ALL: [i32; 5] =
            [ACCESS_DENIED, SHARING_VIOLATION, LOCK_VIOLATION, DIR_NOT_EMPTY, DELETE_PENDING];
        why.raw_os_error().is_some_and(|code| ALL.contains(&code))
    }

    fn is_read_only(found: &Metadata) -> bool {
        found.is_file() && found.permissions().readonly()
    }

    /// The attribute belongs to the file, not the name, so it is restored afterwards for the other
    /// names.
    fn remove_read_only(path: &Path) -> io::Result<()> {
        const READ_AND_WRITE_ATTRIBUTES: u32 = 0x180;
        const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        let mut options = File::options();
        options.access_mode(READ_AND_WRITE_ATTRIBUTES).custom_flags(OPEN_REPARSE_POINT);
        let file = options.open(path)?;
        let before = file.metadata()?.permissions();
        file.set_permissions(writable(before.clone()))?;
        let removed = std::fs::remove_file(path);
        let restored = file.set_permissions(before);
        removed.and(restored)
    }

    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "this platform has a single read-only attribute"
    )]
    fn writable(mut permissions: Permissions) -> Permissions {
        permissions.set_readonly(false);
        permissions
    }

    fn remove_read_only_files(directory: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let found = std::fs::symlink_metadata(entry.path())?;
            if found.is_dir() {
                remove_read_only_files(&entry.path())?;
            } else if is_read_only(&found) {
                remove_read_only(&entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fs::set_read_only;

    /// A directory with a read-only file `a`, which has a second name, `other`.
    fn sealed() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        std::fs::write(path("a"), "a").unwrap();
        std::fs::hard_link(path("a"), path("other")).unwrap();
        set_read_only(&path("a"), true).unwrap();
        directory
    }

    #[track_caller]
    fn assert_other_is_sealed(directory: &Path) {
        let other = directory.join("other");
        assert_eq!(std::fs::read(&other).unwrap(), b"a");
        assert!(std::fs::metadata(&other).unwrap().permissions().readonly());
    }

    #[test]
    fn a_read_only_file_is_removed_and_its_other_name_stays_as_it_is() {
        let directory = sealed();
        remove_entry(&directory.path().join("a")).unwrap();
        assert!(!directory.path().join("a").exists());
        assert_other_is_sealed(directory.path());
        let gone = remove_entry(&directory.path().join("a")).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_read_only_file_is_replaced_and_its_other_name_stays_as_it_is() {
        let directory = sealed();
        let (new, path) = (directory.path().join("new"), directory.path().join("a"));
        std::fs::write(&new, "new").unwrap();
        move_entry(&new, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(!new.exists());
        assert_other_is_sealed(directory.path());
    }

    #[test]
    fn a_tree_with_read_only_files_is_removed_and_their_other_names_stay_as_they_are() {
        let directory = sealed();
        let tree = directory.path().join("tree/below");
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::rename(directory.path().join("a"), tree.join("a")).unwrap();
        std::fs::write(tree.join("b"), "b").unwrap();
        remove_tree(&directory.path().join("tree")).unwrap();
        assert!(!directory.path().join("tree").exists());
        assert_other_is_sealed(directory.path());
        remove_tree(&directory.path().join("tree")).unwrap();
    }

    /// A junction redirects as a symbolic link does, and any user may create one.
    #[cfg(windows)]
    #[test]
    fn a_junction_is_a_link_and_nothing_behind_it_is_removed_or_written() {
        use super::super::{Below, create_parents, obstacle, open_or_create, remove};
        let directory = sealed();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(path("outside/d")).unwrap();
        std::fs::write(path("outside/d/precious"), "mine").unwrap();
        let make = |at: &str| {
            let mut shell = std::process::Command::new("cmd");
            shell.args(["/c", "mklink", "/J"]).arg(path(at)).arg(path("outside"));
            assert!(shell.output().unwrap().status.success() && path(at).join("d").is_dir());
        };
        std::fs::create_dir(path("tree")).unwrap();
        make("tree/junction");
        assert!(obstacle(&path("tree/junction"), true).is_some());
        assert!(create_parents(&path("tree"), &path("tree/junction/d/new")).is_err());
        assert!(Below::new(path("tree")).file(&path("tree/junction/d/precious")).is_none());
        remove_tree(&path("tree")).unwrap();
        assert!(!path("tree").exists());
        // In place of a file.
        make("file");
        drop(open_or_create(&path("file")).unwrap());
        make("other-file");
        remove(&path("other-file")).unwrap();
        assert!(std::fs::symlink_metadata(path("other-file")).is_err());
        assert_eq!(std::fs::read(path("outside/d/precious")).unwrap(), b"mine");
    }

    /// Another program closes the file while we wait.
    #[cfg(windows)]
    #[test]
    fn a_file_that_is_open_elsewhere_is_removed_once_it_is_closed() {
        use std::os::windows::fs::OpenOptionsExt as _;
        const SHARE_READ: u32 = 1;
        let directory = sealed();
        let path = directory.path().join("new");
        std::fs::write(&path, "new").unwrap();
        let open = || std::fs::File::options().read(true).share_mode(SHARE_READ).open(&path);
        let mut remove = || std::fs::remove_file(&path);
        let (mut opened, mut pauses) = (Some(open().unwrap()), 0);
        let mut pause = |_| {
            pauses += 1;
            if pauses == 3 {
                drop(opened.take());
            }
        };
        windows::patiently(&mut pause, &mut remove).unwrap();
        assert_eq!((pauses, path.exists()), (3, false));
        // The wait is bounded.
        std::fs::write(&path, "new").unwrap();
        let (held, mut waited) = (open().unwrap(), std::time::Duration::ZERO);
        let error = windows::patiently(&mut |pause| waited += pause, &mut remove).unwrap_err();
        assert!(error.raw_os_error().is_some() && path.exists());
        assert_eq!(waited, std::time::Duration::from_millis(1023));
        drop(held);
    }
}
