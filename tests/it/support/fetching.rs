//! A shared store in which another user's process is fetching.

use std::fs::{File, rename};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::swarm::Dataset;

/// A shared store that another process has locked to fetch the dataset.
pub struct Fetching {
    store: PathBuf,
    /// The store whose data is moved into the shared store at the end.
    complete: PathBuf,
    infohash: String,
    lock: File,
}

impl Fetching {
    /// `complete` is a store that has the dataset; `store` gets its .torrent and a held lock, but
    /// no data.
    pub fn begin(complete: &Path, store: &Path, dataset: &Dataset) -> Fetching {
        let (complete, infohash) = (complete.join("v1"), dataset.infohash_hex());
        let store = store.join("v1");
        for directory in ["data", "torrents", "locks", "partial"] {
            std::fs::create_dir_all(store.join(directory)).unwrap();
        }
        let torrent = format!("torrents/{infohash}.torrent");
        std::fs::copy(complete.join(&torrent), store.join(&torrent)).unwrap();
        let lock = File::create(store.join(format!("locks/{infohash}.lock"))).unwrap();
        #[expect(
            clippy::incompatible_msrv,
            reason = "the locks of the standard library and ours must exclude each other"
        )]
        lock.lock().unwrap();
        Fetching { store, complete, infohash, lock }
    }

    /// Asserts for 300 ms that the reader keeps waiting, then completes the dataset and unlocks.
    pub fn complete(self, mut has_done_else: impl FnMut() -> bool) {
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(300) {
            assert!(!has_done_else(), "the second process did not wait");
            std::thread::sleep(Duration::from_millis(10));
        }
        let data = Path::new("data").join(&self.infohash);
        rename(self.complete.join(&data), self.store.join(&data)).unwrap();
        drop(self.lock); // std's `unlock` fails under Wine
    }
}
