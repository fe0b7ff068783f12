//! Checks that a store's file system provides what datasets need, for `doctor` (feature `engine`).
//! Hashes nothing.

mod access;

use std::fs::FileTimes;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

pub use self::access::Access;
use crate::storage::Store;
use crate::storage::fs::{self, beside, remove_tree, set_read_only, sync_directory};

/// Results of trying file-system operations in a temporary directory.
#[derive(Debug)]
pub struct Trial {
    /// Where they were tried: the store, or its nearest existing ancestor.
    pub place: PathBuf,
    /// Writing, syncing and renaming a file.
    pub writes: io::Result<()>,
    /// Whether a second handle finds a lock held.
    pub locks: io::Result<()>,
    pub hard_links: io::Result<()>,
    /// Whether a file keeps the time that was set.
    pub times: io::Result<()>,
    /// The system's name for the file system.
    pub file_system: Option<String>,
    pub free_bytes: Option<u64>,
}

impl Store {
    /// Tries the operations that datasets need.
    pub fn try_out(&self) -> Trial {
        // A file in place of a directory shows when creating a directory in it fails.
        let is_there = |path: &&Path| std::fs::symlink_metadata(path).is_ok();
        let place = self.root.ancestors().find(is_there).unwrap_or(Path::new("/"));
        let directory = beside(&place.join("trial"));
        let made = std::fs::create_dir(&directory);
        let within = |work: fn(&Path) -> io::Result<()>| match &made {
            Ok(()) => work(&directory),
            Err(why) => Err(io::Error::new(why.kind(), why.to_string())),
        };
        let trial = Trial {
            writes: within(write),
            locks: within(lock),
            hard_links: within(hard_link),
            times: within(keep_time),
            file_system: file_system(place),
            free_bytes: fs::free_bytes(place),
            place: place.to_owned(),
        };
        let _ = remove_tree(&directory); // if it cannot be removed, `writes` has failed as well
        trial
    }
}

fn write(directory: &Path) -> io::Result<()> {
    let (first, second) = (directory.join("a"), directory.join("b"));
    let mut file = fs::create_new(&first)?;
    file.write_all(b"academictorrents")?;
    file.sync_all()?;
    drop(file);
    fs::move_entry(&first, &second)?;
    sync_directory(directory)?;
    set_read_only(&second, true)?;
    let read = std::fs::read(&second)?;
    let is_right = read == b"academictorrents";
    if is_right {
        Ok(())
    } else {
        Err(io::Error::other("data read back differs from the data written"))
    }
}

fn lock(directory: &Path) -> io::Result<()> {
    let path = directory.join("lock");
    let (one, other) = (fs::create_new(&path)?, fs::open_to_write(&path)?);
    if !fs::try_lock(&one)? {
        return Err(io::Error::other("a new file is locked already"));
    }
    match fs::try_lock(&other)? {
        false => Ok(()),
        true => Err(io::Error::other("a lock does not exclude other processes")),
    }
}

fn hard_link(directory: &Path) -> io::Result<()> {
    let (one, other) = (directory.join("one"), directory.join("other"));
    fs::create_new(&one)?;
    std::fs::hard_link(&one, &other)?;
    std::fs::metadata(&other).map(drop)
}

fn keep_time(directory: &Path) -> io::Result<()> {
    let file = fs::create_new(&directory.join("time"))?;
    let time = UNIX_EPOCH + Duration::from_secs(crate::storage::stamp::BACKDATED);
    file.set_times(FileTimes::new().set_modified(time))?;
    let kept = file.metadata()?.modified()? == time;
    if kept { Ok(()) } else { Err(io::Error::other("a file's time is not preserved")) }
}

/// Returns the type of the file system that a directory is on, from Linux's mount table; `None`
/// elsewhere.
fn file_system(place: &Path) -> Option<String> {
    let place = place.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    kind_of(&mounts, &place)
}

/// Returns the type of the mount whose mount point is nearest above the path; of several at the
/// same point, the last.
fn kind_of(mounts: &str, place: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        // Spaces and tabs are octal escapes.
        let point = before.split(' ').nth(4)?.replace("\\040", " ").replace("\\011", "\t");
        let kind = after.split(' ').next()?;
        place.starts_with(&point).then(|| (Path::new(&point).iter().count(), kind.to_owned()))
    };
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_on_the_mount_nearest_above_it() {
        let mounts = "22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw\n\
                      25 22 8:1 /x /srv rw - ext4 /dev/sda1 rw\n\
                      26 25 0:30 / /srv/a\\040b rw shared:2 master:3 - nfs4 server:/ rw\n\
                      odd\n27 22 0:5 / /srvs rw - tmpfs none rw\n";
        let check = |place: &str, kind: &str| {
            assert_eq!(kind_of(mounts, Path::new(place)).as_deref(), Some(kind), "{place}");
        };
        check("/", "overlay");
        check("/var/store", "overlay");
        check("/srv/me/.cache", "ext4");
        check("/srv/a b/store", "nfs4");
        check("/srvs/me", "tmpfs");
        assert_eq!(kind_of("", Path::new("/")), None);
    }

    #[test]
    fn a_trial_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let trial = Store::at(&directory.path().join("not/yet")).try_out();
        assert_eq!(trial.place, directory.path());
        for done in [trial.writes, trial.locks, trial.hard_links, trial.times] {
            done.unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
