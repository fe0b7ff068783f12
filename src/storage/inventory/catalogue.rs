//! Cached catalog documents: its database and its records. Used only by the command line.
//!
//! A cached document is a single file, so it is never incomplete: first the headers of the server's
//! reply (`etag: …`), one per line, then an empty line and the body. Its mtime is when the document
//! was last known to be current.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::error::Error;
use crate::storage::digest_name;
use crate::storage::{Store, WRITABLE, fs};
use crate::url::Url;

/// Limit for the kept headers, which are two short ones.
const MAX_HEAD_BYTES: u64 = 4 << 10;

/// A cached document of a catalog.
#[derive(Debug)]
pub struct Kept {
    pub head: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When it was last known to be current.
    pub at: SystemTime,
}

impl Store {
    /// Returns the cached document of this name if there is one of at most `max_bytes`.
    pub fn kept_document(&self, catalogue: &Url, name: &str, max_bytes: u64) -> Option<Kept> {
        let file = fs::open(&self.document_path(catalogue, name)).ok()?;
        let at = file.metadata().ok()?.modified().ok()?;
        let limit = max_bytes.saturating_add(MAX_HEAD_BYTES);
        let mut bytes = Vec::new();
        let count = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
        if count as u64 > limit {
            return None;
        }
        let head = String::from_utf8(bytes.drain(..end + 2).collect()).ok()?;
        let head = head.lines().filter_map(|line| line.split_once(": "));
        let head = head.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Kept { head, body: bytes, at })
    }

    /// Caches a document, replacing an older version.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn keep_document(
        &self,
        catalogue: &Url,
        name: &str,
        head: &[(String, String)],
        body: &[u8],
    ) -> Result<(), Error> {
        self.create()?;
        let path = self.document_path(catalogue, name);
        self.create_directory(&path)?;
        // The first line is for people: the directory's name does not show the catalog.
        let mut bytes = format!("from: {catalogue}\n").into_bytes();
        for (name, value) in head {
            bytes.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        self.keep(&path, &bytes)
    }

    /// Notes that a cached document is still current.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn note_document(&self, catalogue: &Url, name: &str, now: SystemTime) -> Result<(), Error> {
        let path = self.document_path(catalogue, name);
        fs::open_to_write(&path)
            .and_then(|file| file.set_modified(now))
            .map_err(|why| Error::disk("note the time of", &path, &why).help(WRITABLE))
    }

    fn document_path(&self, catalogue: &Url, name: &str) -> PathBuf {
        let digest = digest_name(catalogue.exposed().as_bytes());
        self.root.join("catalogue").join(digest).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_kept_for_its_catalogue_with_what_was_said_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let (here, name) = (&Url::from("https://a.example"), "database.xml");
        assert!(store.kept_document(here, name, 100).is_none());
        let head = vec![("etag".to_owned(), "\"1: 2\"".to_owned())];
        store.keep_document(here, name, &head, b"a\n\nb").unwrap();
        let kept = store.kept_document(here, name, 100).unwrap();
        assert_eq!(kept.body, b"a\n\nb");
        assert!(kept.head.contains(&head[0]), "{:?}", kept.head);
        assert!(store.kept_document(&"https://b.example".into(), name, 100).is_none());
        let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        store.note_document(here, name, then).unwrap();
        assert_eq!(store.kept_document(here, name, 100).unwrap().at, then);
        // A longer document is not returned.
        store.keep_document(here, name, &[], &vec![b'x'; 10_000]).unwrap();
        assert!(store.kept_document(here, name, 100).is_none());
        // Nor is one without headers.
        std::fs::write(store.document_path(here, name), b"<rss/>").unwrap();
        assert!(store.kept_document(here, name, 100).is_none());
    }
}
