//! File locks: `flock` on Unix, `LockFileEx` on Windows.
//!
//! Since Rust 1.89 std has the same calls, so processes that use those are excluded too. The
//! traits' functions are called by their full paths, since std's methods have some of the same
//! names and inherent methods hide a trait's.

use std::fs::File;
use std::io;

/// Locks a file exclusively; false if another process holds a lock on it.
///
/// # Errors
/// If the file system does not support locks.
pub fn try_lock(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    return locked(fs2::FileExt::try_lock_exclusive(file));
    #[cfg(windows)]
    return locked(fs4::FileExt::try_lock(file).map_err(io::Error::from));
}

/// Takes a shared lock on a file; false if another process holds an exclusive one.
///
/// # Errors
/// As for [`try_lock`].
pub fn try_lock_shared(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    return locked(fs2::FileExt::try_lock_shared(file));
    #[cfg(windows)]
    return locked(fs4::FileExt::try_lock_shared(file).map_err(io::Error::from));
}

/// Releases a lock.
///
/// # Errors
/// Of the system.
pub fn unlock(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    return fs2::FileExt::unlock(file);
    #[cfg(windows)]
    return fs4::FileExt::unlock(file);
}

fn locked(tried: io::Result<()>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(why) => Err(why),
    }
}
