//! Which project uses which datasets: what `cargo academictorrents gc` goes by.
//!
//! ```text
//! <store>/v1/roots/<digest of the manifest's path>
//!
//! academictorrents root 1
//! manifest <its path>
//! id <of a dataset that a build of it used>
//! ```
//! A build adds ids, and takes none away: which datasets it asks for depends on the features that are on. Whether the
//! manifest still declares them is found out by whoever collects. The file's mtime is the last use, to a day, so that a warm
//! build reads one small file and writes nothing.
//!
//! Anyone who can write to the store can write lies here, as they could remove the data. So nothing is believed but a file
//! that has the name that its manifest gives it; what is damaged or too large says nothing, and what nothing is said of is
//! kept.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::stamp::escape;
use super::{Store, digest_name, fs};
use crate::error::Error;

pub(super) const HEADER: &str = "academictorrents root 1";

/// Of a hundred thousand ids no manifest knows.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The mtime is moved when it is older.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// Notes that a manifest uses these datasets, where that is not there yet. The path is absolute.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], in a store that is read-only, say: to a build it does not matter.
    pub fn note_root(
        &self,
        manifest: &Path,
        ids: &mut dyn Iterator<Item = &str>,
        now: SystemTime,
    ) -> Result<(), Error> {
        let path = self.root_path(manifest);
        let begin = format!("{HEADER}\nmanifest {}\n", escape(manifest));
        let (mut text, modified) = match read(&path) {
            Some((text, modified)) if text.starts_with(&begin) => (text, modified),
            _ => (begin, None),
        };
        let known = text.len();
        for id in ids {
            let line = format!("id {id}");
            if !text.lines().any(|known| known == line) {
                text += &line;
                text.push('\n');
            }
        }
        if text.len() > known {
            // Of a store that is not there nothing is used: what is elsewhere (LOAD_PATH) is not ours to collect.
            if !self.root.is_dir() {
                return Ok(());
            }
            self.create_directory(&path)?;
            return self.keep(&path, text.as_bytes());
        }
        let Some(modified) = modified else { return Ok(()) };
        // One from the future is a wrong clock's.
        if now.duration_since(modified).is_ok_and(|age| age < FRESH) {
            return Ok(());
        }
        fs::open_to_write(&path)
            .and_then(|file| file.set_modified(now))
            .map_err(|why| Error::disk("write", &path, &why))
    }

    /// Whether any manifest is noted that used this, whether it still does or not.
    #[cfg(feature = "unpack")]
    pub fn is_noted(&self, id: &str) -> bool {
        let line = format!("id {id}");
        let notes = std::fs::read_dir(self.roots_path()).into_iter().flatten().flatten();
        let mut texts = notes.filter_map(|note| read(&note.path()));
        texts.any(|(text, _)| text.lines().any(|known| known == line))
    }

    pub(super) fn roots_path(&self) -> PathBuf {
        self.root.join("roots")
    }

    pub(super) fn root_path(&self, manifest: &Path) -> PathBuf {
        self.roots_path().join(digest_name(manifest.as_os_str().as_encoded_bytes()))
    }
}

/// The text and the mtime, in one look; `None` where it says nothing.
pub(super) fn read(path: &Path) -> Option<(String, Option<SystemTime>)> {
    let file = fs::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if metadata.len() > MAX_BYTES {
        return None;
    }
    let mut text = String::with_capacity(metadata.len() as usize + 1); // one read, and one that finds the end
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    // The last line of a file that was cut short is none.
    text.truncate(text.rfind('\n')? + 1);
    Some((text, metadata.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
    const DAY: Duration = FRESH;

    fn modified(path: &Path) -> SystemTime {
        std::fs::metadata(path).unwrap().modified().unwrap()
    }

    fn note(store: &Store, ids: &[&str], now: SystemTime) {
        store.note_root(Path::new("/a b/%\n/Cargo.toml"), &mut ids.iter().copied(), now).unwrap();
    }

    #[test]
    fn a_root_is_written_once_and_its_time_moves_once_a_day() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let now = SystemTime::now();
        note(&store, &[ID], now);
        assert!(!store.root().exists());
        store.create().unwrap();
        note(&store, &[], now);
        assert!(!store.roots_path().exists());
        note(&store, &[ID], now);
        let path = store.root_path(Path::new("/a b/%\n/Cargo.toml"));
        let begun = |path: &Path| (modified(path), std::fs::read_to_string(path).unwrap());
        let first = begun(&path);
        assert_eq!(first.1, format!("{HEADER}\nmanifest /a b/%25%0A/Cargo.toml\nid {ID}\n"));
        note(&store, &[ID], first.0 + DAY / 2);
        assert_eq!(begun(&path), first);
        note(&store, &[ID], first.0 + DAY);
        assert_eq!(begun(&path), (first.0 + DAY, first.1.clone()));
        note(&store, &[ID], first.0);
        assert_eq!(modified(&path), first.0, "a time in the future stayed");
        // With other features on it asks for another: both are used.
        let other = format!("{ID}-0123456789abcdef");
        note(&store, &[&other], now);
        assert_eq!(begun(&path).1, format!("{}id {other}\n", first.1));
    }
}
