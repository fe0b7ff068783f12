//! The projects that used datasets of a store, read from the notes in [`crate::storage::roots`]
//! (feature `engine`).

use std::path::PathBuf;
use std::time::SystemTime;

use crate::storage::Store;
use crate::storage::roots::{HEADER, read};

/// A project that used datasets of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The note's path.
    pub file: PathBuf,
    /// The project's Cargo.toml, which may no longer exist.
    pub manifest: PathBuf,
    /// Ids of all datasets that it ever used.
    pub ids: Vec<String>,
    /// Accurate to a day.
    pub last_use: Option<SystemTime>,
}

impl Store {
    /// Returns the known projects, sorted by manifest path.
    pub fn roots(&self) -> Vec<Root> {
        let entries = std::fs::read_dir(self.roots_path()).into_iter().flatten().flatten();
        let mut roots: Vec<Root> = entries.filter_map(|entry| self.root_at(entry.path())).collect();
        roots.sort_by(|a, b| a.manifest.cmp(&b.manifest));
        roots
    }

    fn root_at(&self, file: PathBuf) -> Option<Root> {
        let (text, last_use) = read(&file)?;
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return None;
        }
        let manifest = crate::storage::stamp::unescape(lines.next()?.strip_prefix("manifest ")?)?;
        if !manifest.is_absolute() || self.root_path(&manifest) != file {
            return None;
        }
        let ids = lines.filter_map(|line| line.strip_prefix("id "));
        let ids = ids
            .filter(|id| crate::storage::ids::infohash_in(id).is_some())
            .map(str::to_owned)
            .collect();
        Some(Root { file, manifest, ids, last_use })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::roots::MAX_BYTES;
    use std::path::Path;

    const ID: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";

    /// The path, and its form in a note.
    const MANIFEST: [&str; 2] = match cfg!(windows) {
        true => ["C:/a b/%\n/Cargo.toml", "C:/a b/%25%0A/Cargo.toml"],
        false => ["/a b/%\n/Cargo.toml", "/a b/%25%0A/Cargo.toml"],
    };

    fn note(store: &Store, ids: &[&str], now: SystemTime) {
        store.note_root(Path::new(MANIFEST[0]), &mut ids.iter().copied(), now).unwrap();
    }

    #[test]
    fn a_root_has_the_manifest_and_all_ids_that_were_noted() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        store.create().unwrap();
        let other = format!("{ID}-0123456789abcdef");
        note(&store, &[ID], SystemTime::now());
        note(&store, &[&other], SystemTime::now());
        let roots = store.roots();
        assert_eq!(roots.len(), 1);
        assert_eq!(roots[0].manifest, Path::new(MANIFEST[0]));
        assert_eq!(roots[0].ids, [ID, &other]);
    }

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
        check(&text(&format!("academictorrents root 2\nmanifest {}\n", MANIFEST[1])), 0);
        check(&text(&format!("{HEADER}\nmanifest {}\n", MANIFEST[1])), 1);
        // A note of another manifest, and one with a relative path.
        check(&text(&format!("{HEADER}\nmanifest {}s\nid {ID}\n", MANIFEST[1])), 0);
        check(&text(&format!("{HEADER}\nmanifest Cargo.toml\nid {ID}\n")), 0);
        check(&[right.clone(), vec![b'\n'; MAX_BYTES as usize]].concat(), 0);
        // Ids that would lead out of the store, and a truncated one.
        let odd = "id ../../x\nid \nid 323a\nid ";
        std::fs::write(&file, [&right, odd.as_bytes(), ID.as_bytes(), b"-0123"].concat()).unwrap();
        assert_eq!(store.roots()[0].ids, [ID]);
        // A damaged note is written anew.
        std::fs::write(&file, "academic").unwrap();
        note(&store, &[ID], SystemTime::now());
        assert_eq!(std::fs::read(&file).unwrap(), right);
        // A note under another name is ignored, and so is a directory under the note's name.
        std::fs::rename(&file, file.with_file_name("0000000000000000")).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert_eq!(store.roots(), []);
    }
}
