//! All that is wrong with data that is there, file by file: for `verify`, which only looks (feature `cli`).

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::check::Existing;
use super::elsewhere::Found;
use super::files::LayoutFiles;
use super::pins::{self, Pins};
use super::{Site, Store};
use crate::error::Error;
use crate::geometry::PieceIndex;
use crate::infohash::Infohash;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::plan::{Layout, Place};

/// So many strangers are named; a directory may hold anything.
const MAX_EXTRA: usize = 1_000;

/// What was found of a dataset.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    /// What is wrong, in the torrent's order of files; none where all is right.
    pub faults: Vec<Fault>,
    /// What lies below the torrent's directory, by its path there, and does not belong to the dataset: no fault.
    pub extra: Vec<PathBuf>,
}

/// A file that is not as it should be.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Below the torrent's own directory, as messages name it; not yet fit for a terminal.
    pub file: String,
    pub path: PathBuf,
    /// What it should have.
    pub length_bytes: u64,
    pub kind: FaultKind,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It is not there.
    Missing,
    /// A directory, or something else, lies there.
    NotAFile,
    /// The system says so.
    Unreadable(String),
    /// It has so many bytes.
    Length(u64),
    /// Pieces with a wrong SHA-1: their bytes in this file, neighbours as one.
    Damaged(Vec<Range<u64>>),
    /// Bytes whose piece cannot be checked: the rest of it, in another file, is not there.
    Unchecked(Vec<Range<u64>>),
    /// Its pieces are right, and its SHA-256 is not the pinned one.
    Pin,
}

impl Damage {
    /// What is wrong where a dataset of the store lies; that was hashed.
    ///
    /// # Errors
    /// Of a pin on a file that the torrent does not have.
    pub fn of_existing(
        existing: &Existing,
        store: &Store,
        id: &str,
        metainfo: &Metainfo,
        pins: &Pins,
    ) -> Result<Damage, Error> {
        let (site, files) = (store.files_path(id).into(), &existing.files);
        let stamp = store.last_stamp(id).unwrap_or_default();
        let digested: Vec<_> = stamp.fragments.iter().map(|(piece, _)| *piece).collect();
        let layout = files.layout();
        Look { site: &site, files, layout, metainfo, digested: &digested }
            .damage(&existing.good, pins)
    }

    /// The same, of a copy that lies elsewhere.
    ///
    /// # Errors
    /// As above.
    pub fn of_copy(found: &Found, pins: &Pins) -> Result<Damage, Error> {
        let Found { site, files, layout, metainfo, fragments, pieces, .. } = found;
        let digested: Vec<_> = fragments.iter().map(|(piece, _)| *piece).collect();
        Look { site, files, layout, metainfo, digested: &digested }.damage(pieces, pins)
    }

    pub fn is_none(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What is looked at. `files` are those of the pieces, of which `layout` holds the selected ones.
struct Look<'a> {
    site: &'a Site,
    files: &'a LayoutFiles,
    layout: &'a Layout,
    metainfo: &'a Metainfo,
    /// Pieces of which a part is kept that has a digest of its own in the stamp.
    digested: &'a [PieceIndex],
}

/// Of each file, parts.
type Parts = Vec<Vec<Range<u64>>>;

impl Look<'_> {
    fn damage(&self, right: &PieceSet, pins: &Pins) -> Result<Damage, Error> {
        let (damaged, unchecked) = self.of_pieces(right);
        let mut faults = Vec::new();
        let ranges = damaged.into_iter().zip(unchecked);
        for (file, (damaged, unchecked)) in self.layout.files().iter().zip(ranges) {
            let kinds = [
                wrong_with(&self.site.path(&file.path), file.length()),
                Some(FaultKind::Damaged(damaged)),
                Some(FaultKind::Unchecked(unchecked)),
            ];
            let none = |kind: &FaultKind| match kind {
                FaultKind::Damaged(parts) | FaultKind::Unchecked(parts) => parts.is_empty(),
                _ => false,
            };
            for kind in kinds.into_iter().flatten().filter(|kind| !none(kind)) {
                faults.push(self.fault(file.torrent_file, kind));
            }
        }
        let broken = pins::broken_among(self.site, self.metainfo, pins)?;
        for file in self.layout.files() {
            let fault = self.fault(file.torrent_file, FaultKind::Pin);
            if broken.contains(&fault.file) && faults.iter().all(|it| it.path != fault.path) {
                faults.push(fault);
            }
        }
        Ok(Damage { faults, extra: self.extra() })
    }

    fn fault(&self, torrent_file: u32, kind: FaultKind) -> Fault {
        let file = &self.metainfo.files[torrent_file as usize]; // the layout is made from these
        Fault {
            file: self.metainfo.display_path(file),
            path: self.site.path(&self.metainfo.layout_path(file)),
            length_bytes: file.length,
            kind,
        }
    }

    /// Of each selected file, the bytes of wrong pieces, and those of pieces that lack something elsewhere; nothing that lies
    /// behind the file's end.
    fn of_pieces(&self, right: &PieceSet) -> (Parts, Parts) {
        let count = self.layout.files().len();
        let (mut damaged, mut unchecked) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        let mut wrong = self.layout.needed();
        wrong.remove_all(right);
        if wrong.is_empty() {
            return (damaged, unchecked);
        }
        let site = |file| self.site.path(&self.metainfo.layout_path(file));
        let there = |file| std::fs::metadata(site(file)).ok().filter(std::fs::Metadata::is_file);
        let lengths = self.metainfo.files.iter().map(|file| there(file).map_or(0, |it| it.len()));
        let lengths: Vec<u64> = lengths.collect();
        for piece in wrong.iter() {
            let range = self.layout.geometry().range(piece);
            let is_there = |layout: &Layout, scratch: bool| {
                layout.segments(range.clone()).all(|part| match part.place {
                    Place::Zeros => true,
                    Place::Scratch { .. } => scratch,
                    Place::File { .. } => {
                        let end = part.file_offset + (part.range.end - part.range.start);
                        lengths[part.torrent_file as usize] >= end
                    }
                })
            };
            let of_stamp = self.digested.contains(&piece) && is_there(self.layout, true);
            let was_checked = of_stamp || is_there(self.files.layout(), false);
            for part in self.layout.segments(range.clone()) {
                let Place::File { file, offset } = part.place else { continue };
                let end = offset + (part.range.end - part.range.start);
                let bytes = offset..end.min(lengths[part.torrent_file as usize]);
                if bytes.start < bytes.end {
                    let parts = if was_checked { &mut damaged } else { &mut unchecked };
                    add(&mut parts[file as usize], bytes);
                }
            }
        }
        (damaged, unchecked)
    }

    /// What is no file of the torrent, below its own directory.
    fn extra(&self) -> Vec<PathBuf> {
        let mut extra = Vec::new();
        if self.metainfo.multi {
            let name = self.layout.files().first().and_then(|file| file.path.iter().next());
            let root = self.site.path(Path::new(name.unwrap_or_default()));
            let known = self.layout.files().iter().map(|file| self.site.path(&file.path));
            let known: HashSet<PathBuf> = known.collect();
            walk(&root, &mut |path| {
                if !known.contains(&path) && extra.len() < MAX_EXTRA {
                    extra.extend(path.strip_prefix(&root).map(Path::to_owned));
                }
            });
        }
        extra.sort();
        extra
    }
}

fn wrong_with(path: &Path, length: u64) -> Option<FaultKind> {
    match std::fs::metadata(path) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Some(FaultKind::Missing),
        Err(why) => Some(FaultKind::Unreadable(why.to_string())),
        Ok(found) if !found.is_file() => Some(FaultKind::NotAFile),
        Ok(found) if found.len() != length => Some(FaultKind::Length(found.len())),
        Ok(_) => {
            let opened = std::fs::File::open(path);
            opened.err().map(|why| FaultKind::Unreadable(why.to_string()))
        }
    }
}

/// Adds bytes that come behind those that are there: neighbours are one.
fn add(parts: &mut Vec<Range<u64>>, bytes: Range<u64>) {
    match parts.last_mut() {
        Some(last) if last.end == bytes.start => last.end = bytes.end,
        _ => parts.push(bytes),
    }
}

/// All that is no directory below this one; links are not followed.
fn walk(directory: &Path, found: &mut dyn FnMut(PathBuf)) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), found),
            _ => found(entry.path()),
        }
    }
}

impl Store {
    /// The ids of all that is complete, or was.
    pub fn all_ids(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join("data")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_id = |name: &String| {
            name.get(..40).is_some_and(|start| start.parse::<Infohash>().is_ok())
                && name.get(40..).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let mut ids: Vec<String> = names.filter(is_id).collect();
        ids.sort();
        ids
    }

    /// The paths of a dataset's files, in the torrent's layout: by its stamp; where there is none, what lies there.
    pub fn stored_paths(&self, id: &str) -> Vec<PathBuf> {
        if let Some(stamp) = self.last_stamp(id) {
            return stamp.paths().map(Path::to_owned).collect();
        }
        let (root, mut paths) = (self.files_path(id), Vec::new());
        walk(&root, &mut |path| paths.extend(path.strip_prefix(&root).map(Path::to_owned)));
        paths
    }

    /// Says of a torrent's other selections that they are not complete, where they have one of these damaged files under another name of
    /// the same inode; gives their ids. The lock is held.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn unstamp_links(
        &self,
        infohash: Infohash,
        id: &str,
        damage: &Damage,
    ) -> Result<Vec<String>, Error> {
        let mut unstamped = Vec::new();
        for other in self.selections(infohash).into_iter().filter(|other| other != id) {
            let (mine, theirs) = (self.files_path(id), self.files_path(&other));
            let linked = |fault: &Fault| {
                let below = fault.path.strip_prefix(&mine);
                below.is_ok_and(|below| is_same(&fault.path, &theirs.join(below)))
            };
            if self.stamp_path(&other).exists() && damage.faults.iter().any(linked) {
                self.remove_stamp(&other)?;
                unstamped.push(other);
            }
        }
        Ok(unstamped)
    }
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let inode = |path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    inode(one).is_some_and(|one| inode(other) == Some(one))
}

/// Nothing tells here: hashing once more does no harm.
#[cfg(not(unix))]
fn is_same(_one: &Path, other: &Path) -> bool {
    other.exists()
}
