//! Recording which project uses which datasets of the store.

use std::path::Path;
use std::time::SystemTime;

use crate::engine::dataset::Provided;
use crate::storage::Store;

impl Provided {
    /// The store's name for torrent and selection, taken from the stamp's directory. Also valid for
    /// a copy elsewhere.
    pub fn id(&self) -> Option<&str> {
        id_of(&self.stamp)
    }

    /// The IDs of the dataset and, if it was unpacked, of its archives.
    fn ids(&self) -> impl Iterator<Item = &str> {
        let archive = self.archive.as_ref().and_then(|archive| id_of(&archive.stamp));
        self.id().into_iter().chain(archive)
    }
}

fn id_of(stamp: &Path) -> Option<&str> {
    stamp.parent()?.file_name()?.to_str()
}

/// Records in the user's store what this manifest uses. Failures, such as a read-only store, are
/// ignored: `gc` keeps what it knows nothing about. Without a manifest `used` is not evaluated,
/// because that may read a torrent.
pub fn note_use(shared: &Store, manifest: Option<&Path>, used: &mut dyn Iterator<Item = Provided>) {
    if let Some(manifest) = manifest.filter(|manifest| manifest.is_absolute()) {
        let used: Vec<_> = used.collect();
        let ids = &mut used.iter().flat_map(Provided::ids);
        let _ = shared.note_root(manifest, ids, SystemTime::now());
    }
}
