//! Reports all faults of stored data, file by file, for `verify` (feature `engine`). Repairs
//! nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::digests;
use crate::error::Error;
use crate::plan::{Layout, SegmentPlace};
use crate::storage::Store;
use crate::storage::file_fault::FileFault;
use crate::storage::local_copy::LocalCopy;
use crate::storage::pins::Pins;

/// Limit for listed extra files; a directory may contain anything.
const MAX_EXTRA: usize = 1_000;

/// The result of verifying a dataset.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// What is wrong, in the torrent's order of files; empty if everything is right.
    pub faults: Vec<FaultyFile>,
    /// Entries below the torrent's directory that do not belong to the dataset, by path below it.
    /// They are not faults.
    pub extra: Vec<PathBuf>,
}

/// A file that is not as it should be.
#[derive(Clone, Debug)]
pub struct FaultyFile {
    /// Path below the torrent's own directory, as messages name it; not yet escaped for a terminal.
    pub file: String,
    pub path: PathBuf,
    /// The length that it should have.
    pub length_bytes: u64,
    pub fault: FileFault,
}

/// Parts of damaged files, by index in [`Layout::files`].
type DamagedRanges = BTreeMap<u32, Vec<Range<u64>>>;

impl LocalCopy {
    /// Returns all faults of a hashed copy.
    ///
    /// # Errors
    /// For a pin on a file that the torrent does not have.
    pub fn report(&self, pins: &Pins) -> Result<VerifyReport, Error> {
        let (mut damaged, mut unchecked) = self.wrong_parts();
        let mut faults = Vec::new();
        let broken = digests::broken_among(&self.site, &self.metainfo, pins)?;
        let mut pinned = Vec::new();
        for (index, file) in (0..).zip(self.layout.files()) {
            let kinds = [
                FileFault::of_file(&self.site.path(&file.path()), file.length()),
                damaged.remove(&index).map(FileFault::Damaged),
                unchecked.remove(&index).map(FileFault::Unchecked),
            ];
            let known = faults.len();
            let kinds = kinds.into_iter().flatten();
            faults.extend(kinds.map(|fault| self.faulty(file.torrent_file, fault)));
            if faults.len() == known && !broken.is_empty() {
                let fault = self.faulty(file.torrent_file, FileFault::Pin);
                pinned.extend(broken.contains(&fault.file).then_some(fault));
            }
        }
        faults.append(&mut pinned);
        for (path, link) in self.layout.links() {
            let fault = FileFault::of_link(&self.site, &path, link);
            faults.extend(fault.map(|fault| self.faulty(link.torrent_file, fault)));
        }
        Ok(VerifyReport { faults, extra: self.extra() })
    }

    fn faulty(&self, torrent_file: u32, fault: FileFault) -> FaultyFile {
        let file = &self.metainfo.files[torrent_file as usize]; // the layout is made from these
        FaultyFile {
            file: self.metainfo.display_path(file),
            path: self.site.path(&self.metainfo.layout_path(file)),
            length_bytes: file.length,
            fault,
        }
    }

    /// Returns, for each selected file, the ranges of wrong pieces and those of pieces that could
    /// not be checked since another file lacks its part. Ranges end at the end of the existing
    /// file.
    fn wrong_parts(&self) -> (DamagedRanges, DamagedRanges) {
        let (mut damaged, mut unchecked) = (DamagedRanges::new(), DamagedRanges::new());
        let mut wrong = self.layout.needed();
        wrong.remove_all(&self.pieces);
        // Consecutive parts and pieces are mostly of the same file, so its length is cached.
        let mut last = (u32::MAX, 0);
        let mut length = |file: u32| {
            if last.0 != file {
                let found = self.metainfo.files.get(file as usize);
                let path = found.map(|file| self.site.path(&self.metainfo.layout_path(file)));
                let found = path.and_then(|path| std::fs::metadata(path).ok());
                last = (file, found.filter(std::fs::Metadata::is_file).map_or(0, |it| it.len()));
            }
            last.1
        };
        for piece in wrong.iter() {
            let range = self.layout.geometry().range(piece);
            let mut is_there = |layout: &Layout, scratch: bool| {
                layout.segments(range.clone()).all(|part| match part.place {
                    SegmentPlace::Zeros => true,
                    SegmentPlace::Scratch { .. } => scratch,
                    SegmentPlace::File { .. } => {
                        let end = part.file_offset + (part.range.end - part.range.start);
                        length(part.torrent_file) >= end
                    }
                })
            };
            let has_digest = self.fragments.iter().any(|(digested, _)| *digested == piece);
            let was_checked =
                has_digest && is_there(&self.layout, true) || is_there(self.files.layout(), false);
            for part in self.layout.segments(range.clone()) {
                let SegmentPlace::File { file, offset } = part.place else { continue };
                let end = offset + (part.range.end - part.range.start);
                let bytes = offset..end.min(length(part.torrent_file));
                if bytes.start < bytes.end {
                    let parts = if was_checked { &mut damaged } else { &mut unchecked };
                    add(parts.entry(file).or_default(), bytes);
                }
            }
        }
        (damaged, unchecked)
    }

    /// Returns the entries below the torrent's own directory that are not of the torrent.
    fn extra(&self) -> Vec<PathBuf> {
        let mut extra = Vec::new();
        if self.metainfo.multi {
            let name = self.layout.root_path();
            let root = self.site.path(&name);
            let known = self.layout.sorted_paths(&|_| true);
            walk(&root, &mut |path| {
                let Ok(below) = path.strip_prefix(&root) else { return };
                if extra.len() < MAX_EXTRA && !known.contains(&name.join(below)) {
                    extra.push(below.to_owned());
                }
            });
        }
        extra.sort();
        extra
    }
}

impl VerifyReport {
    pub fn is_none(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns the paths of the faulty files below this directory.
    pub fn damaged_below(&self, directory: &Path) -> Vec<PathBuf> {
        let below =
            |fault: &FaultyFile| fault.path.strip_prefix(directory).ok().map(Path::to_owned);
        self.faults.iter().filter_map(below).collect()
    }
}

/// Appends a range behind the existing ones, merging it with an adjacent last one.
fn add(parts: &mut Vec<Range<u64>>, bytes: Range<u64>) {
    match parts.last_mut() {
        Some(last) if last.end == bytes.start => last.end = bytes.end,
        _ => parts.push(bytes),
    }
}

/// Visits everything below a directory except directories. Symbolic links are not followed.
fn walk(directory: &Path, found: &mut dyn FnMut(PathBuf)) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), found),
            _ => found(entry.path()),
        }
    }
}

impl Store {
    /// Returns the paths of a dataset's files in the torrent's layout: from its stamp, or, without
    /// one, from its directory.
    pub fn stored_paths(&self, id: &str) -> Vec<PathBuf> {
        if let Some(stamp) = self.last_stamp(id) {
            return stamp.paths().chain(stamp.link_paths().map(Path::to_owned)).collect();
        }
        let (root, mut paths) = (self.files_path(id), Vec::new());
        walk(&root, &mut |path| paths.extend(path.strip_prefix(&root).map(Path::to_owned)));
        paths
    }
}
