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

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::fs::atomic_write;
use super::stamp::escape;
use super::{Store, digest_name};
use crate::error::Error;

const HEADER: &str = "academictorrents root 1";

/// Of a hundred thousand ids no manifest knows.
const MAX_BYTES: u64 = 1 << 20;

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
            let directory = self.roots_path();
            std::fs::create_dir_all(&directory)
                .map_err(|why| Error::disk("create the store's directory", &directory, &why))?;
            return atomic_write(&path, text.as_bytes());
        }
        let Some(modified) = modified else { return Ok(()) };
        // One from the future is a wrong clock's.
        if now.duration_since(modified).is_ok_and(|age| age < FRESH) {
            return Ok(());
        }
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(now))
            .map_err(|why| Error::disk("write", &path, &why))
    }

    pub(super) fn roots_path(&self) -> PathBuf {
        self.root.join("roots")
    }

    fn root_path(&self, manifest: &Path) -> PathBuf {
        self.roots_path().join(digest_name(manifest.as_os_str().as_encoded_bytes()))
    }
}

/// The text and the mtime, in one look; `None` where it says nothing.
fn read(path: &Path) -> Option<(String, Option<SystemTime>)> {
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return None;
    }
    let mut text = String::with_capacity(metadata.len() as usize + 1); // one read, and one that finds the end
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    // The last line of a file that was cut short is none.
    text.truncate(text.rfind('\n')? + 1);
    Some((text, metadata.modified().ok()))
}

/// A project that used datasets of the store.
#[cfg(feature = "cli")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Where it is noted.
    pub file: PathBuf,
    /// Its Cargo.toml, which may be gone.
    pub manifest: PathBuf,
    /// Of the datasets that it ever used.
    pub ids: Vec<String>,
    /// To a day.
    pub last_use: Option<SystemTime>,
}

#[cfg(feature = "cli")]
impl Store {
    /// The projects that are known, in order of their manifests.
    pub fn roots(&self) -> Vec<Root> {
        let entries = std::fs::read_dir(self.roots_path()).into_iter().flatten().flatten();
        let mut roots: Vec<Root> = entries.filter_map(|entry| self.root_at(entry.path())).collect();
        roots.sort_by(|a, b| a.manifest.cmp(&b.manifest));
        roots
    }

    fn root_at(&self, file: PathBuf) -> Option<Root> {
        // A pipe would be waited for.
        if !std::fs::metadata(&file).ok()?.is_file() {
            return None;
        }
        let (text, last_use) = read(&file)?;
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return None;
        }
        let manifest = super::stamp::unescape(lines.next()?.strip_prefix("manifest ")?)?;
        if !manifest.is_absolute() || self.root_path(&manifest) != file {
            return None;
        }
        let ids = lines.filter_map(|line| line.strip_prefix("id "));
        let ids = ids.filter(|id| super::infohash_in(id).is_some()).map(str::to_owned).collect();
        Some(Root { file, manifest, ids, last_use })
    }
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
        #[cfg(feature = "cli")]
        {
            let roots = store.roots();
            assert_eq!(roots.len(), 1);
            assert_eq!(roots[0].manifest, Path::new("/a b/%\n/Cargo.toml"));
            assert_eq!(roots[0].ids, [ID, &other]);
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn lies_and_damage_say_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        store.create().unwrap();
        note(&store, &[ID], SystemTime::now());
        let file = store.roots()[0].file.clone();
        let right = std::fs::read(&file).unwrap();
        let check = |bytes: &[u8], expected: usize| {
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(store.roots().len(), expected, "{}", bytes.escape_ascii());
        };
        check(&right, 1);
        let text = |text: &str| text.as_bytes().to_vec();
        check(b"", 0);
        check(&[0xff; 100], 0);
        check(&text("academictorrents root 2\nmanifest /a b/%25%0A/Cargo.toml\n"), 0);
        // Of another manifest; a relative one.
        check(&text(&format!("{HEADER}\nmanifest /etc/passwd\nid {ID}\n")), 0);
        check(&text(&format!("{HEADER}\nmanifest Cargo.toml\nid {ID}\n")), 0);
        check(&[right.clone(), vec![b'\n'; MAX_BYTES as usize]].concat(), 0);
        // Ids that lead elsewhere, and one that was cut short.
        let odd = "id ../../x\nid \nid 323a\nid ";
        std::fs::write(&file, [&right, odd.as_bytes(), ID.as_bytes(), b"-0123"].concat()).unwrap();
        assert_eq!(store.roots()[0].ids, [ID]);
        // Damaged, it is written anew.
        std::fs::write(&file, "academic").unwrap();
        note(&store, &[ID], SystemTime::now());
        assert_eq!(std::fs::read(&file).unwrap(), right);
        // In its own file name it may not be a directory, nor may another's name hold it.
        std::fs::rename(&file, file.with_file_name("0000000000000000")).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert_eq!(store.roots(), []);
    }
}
