//! The resume record: lists the pieces of a partial dataset that are worth checking.
//!
//! A header line, then the index of each piece, 4 bytes big-endian, appended after the piece's
//! bytes were written. Nothing is synced, and the disk may have changed since. So the record is
//! never evidence: a later process hashes each piece that it lists. Records of version 1, whose
//! header had a boot id, are read in the same way.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::fs;
use crate::mutex::Mutex;
use crate::torrent::geometry::PieceIndex;

const MAGIC: &str = "academictorrents record ";

/// Room for 16 million indexes.
const MAX_BYTES: u64 = 64 << 20;

/// An open record, shared by the workers.
#[derive(Debug)]
pub struct ResumeRecord {
    /// `None` once it is closed.
    file: Mutex<Option<File>>,
}

impl ResumeRecord {
    /// Returns the pieces that are recorded at `path`, in order, if the record is of this torrent
    /// and selection (`id`). Indexes may be out of range.
    pub fn read(path: &Path, id: &str) -> Vec<PieceIndex> {
        let bytes = fs::read(path, MAX_BYTES).unwrap_or_default();
        ResumeRecord::parse(&bytes, id).unwrap_or_default()
    }

    fn parse(bytes: &[u8], id: &str) -> Option<Vec<PieceIndex>> {
        let (header, indexes) =
            bytes.split_at_checked(bytes.iter().position(|it| *it == b'\n')?)?;
        let header = std::str::from_utf8(header).ok()?.strip_prefix(MAGIC)?;
        let (_, recorded_id) = header.rsplit_once(' ')?;
        let indexes = indexes.get(1..)?.chunks_exact(4).filter_map(|index| index.try_into().ok());
        (recorded_id == id).then(|| indexes.map(PieceIndex::from_be_bytes).collect())
    }

    /// Begins a new record of these pieces, replacing the old one.
    pub fn begin(
        path: &Path,
        id: &str,
        pieces: impl Iterator<Item = PieceIndex>,
    ) -> io::Result<ResumeRecord> {
        let mut bytes = format!("{MAGIC}2 {id}\n").into_bytes();
        pieces.for_each(|piece| bytes.extend_from_slice(&piece.to_be_bytes()));
        let temporary = fs::beside(path);
        let written = fs::create_new(&temporary).and_then(|mut file| file.write_all(&bytes));
        written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            let _ = fs::remove_entry(&temporary); // the first error is the one that is reported
        })?;
        let file = fs::open_to_append(path)?;
        Ok(ResumeRecord { file: Mutex::new(Some(file)) })
    }

    /// Appends a verified piece whose bytes are written. Does nothing once the record is closed.
    pub fn append(&self, piece: PieceIndex) -> io::Result<()> {
        self.file.lock().as_mut().map_or(Ok(()), |file| file.write_all(&piece.to_be_bytes()))
    }

    /// Updates the record's mtime, which shows processes that wait for the lock that this one is
    /// alive.
    pub fn touch(&self, now: std::time::SystemTime) {
        if let Some(file) = &*self.file.lock() {
            let _ = file.set_modified(now); // on failure waiting processes still see appended pieces
        }
    }

    /// Closes the file before it is removed: Windows can remove neither an open file nor its
    /// directory.
    pub fn close(&self) {
        self.file.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_torn_or_foreign_record_gives_what_can_be_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let record = ResumeRecord::begin(&path, "id", [1, 5].into_iter()).unwrap();
        record.append(7).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\0\0").unwrap();
        let pieces = |id| ResumeRecord::read(&path, id);
        assert_eq!(pieces("id"), [1, 5, 7]);
        assert_eq!(pieces("other"), [0_u32; 0]);
        for damage in ["", "\n", "academictorrents record 2\n", "\u{e9}", "x x x\n\0\0\0\0"] {
            std::fs::write(&path, damage).unwrap();
            assert_eq!(pieces("id"), [0_u32; 0], "{damage:?}");
        }
    }

    #[test]
    fn a_record_that_cannot_begin_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        std::fs::create_dir_all(path.join("below")).unwrap();
        ResumeRecord::begin(&path, "id", [1].into_iter()).unwrap_err();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_record_of_version_1_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        std::fs::write(&path, b"academictorrents record 1 some-boot id\n\0\0\0\x03").unwrap();
        assert_eq!(ResumeRecord::read(&path, "id"), [3]);
    }
}
