//! Notes which project uses which datasets, for `cargo academictorrents gc`.
//!
//! ```text
//! <store>/v1/roots/<digest of the manifest's path>
//!
//! academictorrents root 1
//! manifest <its path>
//! id <of a dataset that a build of it used>
//! ```
//! A build adds ids and removes none: which datasets it asks for depends on the enabled features.
//! `gc` finds out whether the manifest still declares them. The file's mtime is the last use,
//! accurate to a day, so a warm build reads one small file and writes nothing.
//!
//! Anyone who can write to the store can write false notes, just as they could remove the data. So
//! a note counts only if its file name matches its manifest path; a damaged or oversized note is
//! ignored, and datasets without a note are kept.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::stamp::escape;
use super::{Store, digest_name, fs};
use crate::error::Error;

pub(super) const HEADER: &str = "academictorrents root 1";

/// Room for more ids than any manifest has.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The mtime is updated if it is older than this.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// Notes that a manifest uses these datasets, unless that is noted already. The path must be
    /// absolute.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], for example in a read-only store; builds ignore it.
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
            // If the store does not exist, nothing in it is used; copies elsewhere (`LOAD_PATH`)
            // are not ours to collect.
            if !self.root.is_dir() {
                return Ok(());
            }
            self.create_directory(&path)?;
            return self.keep(&path, text.as_bytes());
        }
        let Some(modified) = modified else { return Ok(()) };
        // An mtime in the future comes from a wrong clock, and is corrected.
        if now.duration_since(modified).is_ok_and(|age| age < FRESH) {
            return Ok(());
        }
        fs::open_to_write(&path)
            .and_then(|file| file.set_modified(now))
            .map_err(|why| Error::disk("write", &path, &why))
    }

    /// Whether any note contains this id, even if its manifest no longer declares it.
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

/// Reads a note's text and mtime; `None` if there is no usable note.
pub(super) fn read(path: &Path) -> Option<(String, Option<SystemTime>)> {
    let file = fs::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if metadata.len() > MAX_BYTES {
        return None;
    }
    let mut text = String::with_capacity(metadata.len() as usize + 1); // one read, and one to find the end
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    // The last line of a truncated file is ignored.
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
        // With other features enabled the project uses another dataset: both are noted.
        let other = format!("{ID}-0123456789abcdef");
        note(&store, &[&other], now);
        assert_eq!(begun(&path).1, format!("{}id {other}\n", first.1));
    }
}
