//! The resume record: which pieces of a partial dataset were verified.
//!
//! A header line with the boot id, then the index of each verified piece, 4 bytes big-endian, appended after
//! the piece's bytes were written. The data is not synced piece by piece: the page cache outlives a killed
//! process, and after another boot the recorded pieces are hashed again. So the record may name a piece whose
//! bytes a power cut took, and never one that is trusted then.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;

use super::fs::boot_id;
use crate::geometry::PieceIndex;
use crate::pieces::PieceSet;

const MAGIC: &str = "academictorrents record 1";

/// An open record, shared by the workers.
#[derive(Debug)]
pub struct Record {
    file: Mutex<File>,
}

/// What an earlier process left.
#[derive(Debug)]
pub struct Recorded {
    pub pieces: PieceSet,
    /// Written since this machine booted: the pieces' bytes are where they were written.
    pub same_boot: bool,
}

impl Record {
    /// Reads what is recorded at `path`, if it is of this torrent and selection (`id`).
    pub fn read(path: &Path, id: &str, piece_count: u32) -> Recorded {
        let mut recorded = Recorded { pieces: PieceSet::none(piece_count), same_boot: false };
        let bytes = std::fs::read(path).unwrap_or_default();
        if let Some((boot, indexes)) = Record::parse(&bytes, id) {
            recorded.pieces.extend(indexes.iter().map(|index| PieceIndex::from_be_bytes(*index)));
            recorded.same_boot = boot_id().is_some_and(|now| now == boot);
        }
        recorded
    }

    /// The boot id, and the indexes.
    fn parse<'b>(bytes: &'b [u8], id: &str) -> Option<(&'b str, &'b [[u8; 4]])> {
        let (header, indexes) =
            bytes.split_at_checked(bytes.iter().position(|it| *it == b'\n')?)?;
        let header = std::str::from_utf8(header).ok()?.strip_prefix(MAGIC)?;
        let (boot, recorded_id) = header.trim_start().split_once(' ')?;
        (recorded_id == id).then_some((boot, indexes.get(1..)?.as_chunks().0))
    }

    /// Begins a new record of these pieces in the place of the old one.
    pub fn begin(
        path: &Path,
        id: &str,
        pieces: impl Iterator<Item = PieceIndex>,
    ) -> io::Result<Record> {
        let boot = boot_id().unwrap_or_else(|| "unknown".to_owned());
        let mut bytes = format!("{MAGIC} {boot} {id}\n").into_bytes();
        pieces.for_each(|piece| bytes.extend_from_slice(&piece.to_be_bytes()));
        let temporary = super::fs::beside(path);
        std::fs::write(&temporary, bytes)?;
        std::fs::rename(&temporary, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Record { file: Mutex::new(file) })
    }

    /// Appends a verified piece whose bytes are written.
    pub fn append(&self, piece: PieceIndex) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(&piece.to_be_bytes())
    }

    /// Tells a process that waits for the lock that this one lives: the record's mtime moves.
    pub fn touch(&self, now: std::time::SystemTime) {
        let file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = file.set_modified(now); // a file system that cannot: the waiting one sees pieces being appended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_foreign_record_gives_what_can_be_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let record = Record::begin(&path, "id", [1, 5].into_iter()).unwrap();
        record.append(7).unwrap();
        record.append(100).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\0\0").unwrap();
        let pieces = |id| Record::read(&path, id, 50).pieces.iter().collect::<Vec<_>>();
        assert_eq!(pieces("id"), [1, 5, 7]);
        assert_eq!(pieces("other"), [0_u32; 0]);
        assert_eq!(Record::read(&path, "id", 50).same_boot, boot_id().is_some());
        for damage in ["", "\n", "academictorrents record 1\n", "\u{e9}", "x x x\n\0\0\0\0"] {
            std::fs::write(&path, damage).unwrap();
            assert_eq!(pieces("id"), [0_u32; 0], "{damage:?}");
        }
    }

    #[test]
    fn a_record_from_another_boot_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        std::fs::write(&path, b"academictorrents record 1 another-boot id\n\0\0\0\x03").unwrap();
        let recorded = Record::read(&path, "id", 50);
        assert!(!recorded.same_boot && recorded.pieces.contains(3));
    }
}
