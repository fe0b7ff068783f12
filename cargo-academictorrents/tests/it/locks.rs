//! The store's locks and std's, which earlier versions of the library used, exclude each other.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use academictorrents::engine::storage::Store;

use crate::cli_fixture::CliFixture;

fn opened(path: &Path) -> File {
    File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

#[test]
fn our_locks_and_those_of_std_exclude_each_other() {
    let cli = CliFixture::new();
    let infohash = "5".repeat(40);
    let (store, lock) =
        (Store::at(&cli.path("store")), cli.path(&format!("store/v1/locks/{infohash}.lock")));
    let infohash = infohash.parse().unwrap();
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let theirs = opened(&lock);

    // Closing a file releases its lock. std's `unlock` fails under Wine, which reports an
    // unexpected error.
    let ours = store.try_lock(infohash).unwrap().unwrap();
    assert!(matches!(theirs.try_lock(), Err(TryLockError::WouldBlock)));
    assert!(matches!(theirs.try_lock_shared(), Err(TryLockError::WouldBlock)));
    drop(ours);

    theirs.try_lock().unwrap();
    assert!(store.try_lock(infohash).unwrap().is_err());
    assert!(store.locked(infohash).is_some());
    drop(theirs);

    // A shared lock does not block another reader.
    let theirs = opened(&lock);
    theirs.try_lock_shared().unwrap();
    assert!(store.locked(infohash).is_none());
    assert!(store.try_lock(infohash).unwrap().is_err());
    drop(theirs);
    assert!(store.try_lock(infohash).unwrap().is_ok());
}
