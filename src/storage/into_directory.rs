//! Copies an unpacked tree from the store into a user's directory (feature `unpack`).
//!
//! Existing files with the same bytes stay. All conflicts are found before anything is written, and
//! are reported as for a dataset: see `replaceable.rs`. The copies belong to the user and are
//! writable. Until a copy is complete, it is in the directory's workplace.

use std::io;
use std::path::{Path, PathBuf};

use super::directory::{Directory, WORKPLACE};
use super::fs::{self, CopyMode, FileFingerprint};
use super::parallel::{self, DiskWork};
use super::replaceable::conflicts::{Conflict, Conflicts};
use super::{Stamp, folded_names, links, pins};
use crate::error::{Error, ErrorKind, printable};
use crate::mutex::Mutex;
use crate::torrent::metainfo::{check_visible, is_same_name};

/// A tree in the store that is copied into a user's directory.
#[derive(Clone, Copy, Debug)]
pub struct TreeCopy<'a> {
    pub id: &'a str,
    pub stamp: &'a Path,
    /// Where its files are in the store.
    pub files: &'a Path,
    pub directory: &'a Directory,
}

/// What a directory has of a tree, at one moment.
pub struct TreeLook {
    stamp: Stamp,
    /// Of each file with the tree's bytes.
    same: Vec<Option<FileFingerprint>>,
    missing: Missing,
}

impl TreeLook {
    /// Whether the directory has all of the tree.
    pub fn is_complete(&self) -> bool {
        self.missing.files.is_empty() && self.missing.links.is_empty()
    }
}

/// What a directory lacks of a tree.
#[derive(Default)]
struct Missing {
    /// Files, and whether nothing has their name.
    files: Vec<(PathBuf, bool)>,
    /// Symbolic links with their texts.
    links: Vec<(PathBuf, PathBuf)>,
}

impl TreeCopy<'_> {
    /// Looks what the directory has of the tree, and hashes it. Writes nothing. Files that have not
    /// changed since the look `before` are not hashed again.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`], for conflicts, among others; [`ErrorKind::Archive`] for names that other
    /// programs act on; [`ErrorKind::Stopped`].
    pub fn look(&self, before: Option<&TreeLook>, work: DiskWork<'_>) -> Result<TreeLook, Error> {
        let stamp = Stamp::read(self.stamp).ok_or_else(|| {
            let what = format!("{} was removed while it was being copied", self.files.display());
            Error::new(ErrorKind::Disk, what)
        })?;
        let before = before.filter(|it| it.stamp == stamp).map(|it| &*it.same);
        let (missing, same) = self.missing(&stamp, before.unwrap_or_default(), work)?;
        Ok(TreeLook { stamp, same, missing })
    }

    /// Copies what the directory lacks. The caller holds the directory's lock, and looked `before`.
    ///
    /// # Errors
    /// As for [`TreeCopy::look`]; also for a tree that changes meanwhile.
    pub fn run(&self, before: &TreeLook, work: DiskWork<'_>) -> Result<(), Error> {
        let look = self.look(Some(before), work);
        let done = look.and_then(|it| self.copy(&it.stamp, &it.missing, work));
        self.directory.leave_tree(self.id);
        done
    }

    /// Returns what the directory lacks, and the files that it has. `before` has those that were
    /// hashed before.
    fn missing(
        &self,
        stamp: &Stamp,
        before: &[Option<FileFingerprint>],
        work: DiskWork<'_>,
    ) -> Result<(Missing, Vec<Option<FileFingerprint>>), Error> {
        let directory = self.directory;
        for path in stamp.paths() {
            check_name(&path, directory.overwrite)?;
        }
        stamp.link_paths().try_for_each(|path| check_name(path, directory.overwrite))?;
        let (mut conflicts, mut missing) = (Conflicts::default(), Missing::default());
        let files: Vec<_> = stamp.files().zip(&stamp.digests).collect();
        let same = Mutex::new(vec![None; files.len()]);
        parallel::each(files.len(), &|index, buffer| {
            work.goes_on()?;
            let ((path, length), digest) = &files[index];
            let Some((place, Conflict::Foreign)) = in_the_way(&directory.path, path) else {
                return Ok(());
            };
            let found = FileFingerprint::at(&place).filter(|found| found.length == *length);
            let mut is_same = || {
                buffer.resize(pins::BUFFER_BYTES, 0);
                pins::sha256_of(&place, buffer).is_ok_and(|found| found == **digest)
            };
            if found.is_some() && (before.get(index) == Some(&found) || is_same()) {
                same.lock()[index] = found;
            }
            Ok(())
        })?;
        let same = same.into_inner();
        for (((path, _), _), same) in files.into_iter().zip(&same) {
            let place = directory.path.join(&path);
            match in_the_way(&directory.path, &path) {
                None => missing.files.push((path, true)),
                Some((_, Conflict::Foreign)) if same.is_some() => {}
                // Left by a run that was killed.
                Some((_, Conflict::Foreign)) if is_empty(&place) => {
                    missing.files.push((path, false));
                }
                Some((_, why)) if directory.overwrite && why.can_be_forced() => {
                    missing.files.push((path, false));
                }
                Some((place, why)) => conflicts.add(place, why),
            }
        }
        for (path, text) in &stamp.links {
            let place = directory.path.join(path);
            if std::fs::read_link(&place).is_ok_and(|found| found == *text) {
                continue;
            }
            match in_the_way(&directory.path, path) {
                None => missing.links.push((place, text.clone())),
                Some((_, why)) if directory.overwrite && why.can_be_forced() => {
                    missing.links.push((place, text.clone()));
                }
                Some((place, why)) => conflicts.add(place, why),
            }
        }
        conflicts.result(&directory.path).map(|()| (missing, same))
    }

    fn copy(&self, stamp: &Stamp, missing: &Missing, work: DiskWork<'_>) -> Result<(), Error> {
        let directory = &self.directory.path;
        let site = directory.as_path().into();
        for (path, is_new) in &missing.files {
            let place = directory.join(path);
            let failed = |why: &io::Error| Error::disk("copy a file to", &place, why);
            fs::create_parents(directory, &place).map_err(|why| failed(&why))?;
            let created = if *is_new { fs::create_new(&place).map(drop) } else { Ok(()) };
            created.map_err(|why| {
                // The file system takes this name and that of another file of the tree for one.
                let others = &mut stamp.paths().filter(|other| other != path);
                match folded_names::taken_by(&site, path, others) {
                    Some(twins) => folded_names::same_name(directory, &twins),
                    None => failed(&why),
                }
            })?;
        }
        let workplace = self.directory.workplace.partial_path(self.id);
        self.directory.workplace.create_directory(&workplace.join("copy"))?;
        parallel::each(missing.files.len(), &|index, _| {
            work.goes_on()?;
            let Some((path, _)) = missing.files.get(index) else { return Ok(()) };
            let (from, place) = (self.files.join(path), directory.join(path));
            copy(&from, &place, &workplace)
                .map_err(|why| Error::disk("copy a file to", &place, &why))
        })?;
        for (place, text) in &missing.links {
            let failed = |why: io::Error| Error::disk("create the symbolic link", place, &why);
            fs::create_parents(directory, place).map_err(failed)?;
            links::replace(text, place).map_err(failed)?;
        }
        Ok(())
    }
}

/// Checks that a file may have this name in a user's directory.
fn check_name(path: &Path, overwrite: bool) -> Result<(), Error> {
    let names = || path.iter().map(|name| name.as_encoded_bytes());
    let refused = |why: String| {
        let path = printable(&path.display().to_string());
        Error::new(ErrorKind::Archive, "the archive is not safe to unpack into a directory")
            .why(format!("its path `{path}` {why}"))
    };
    if names().next().is_some_and(|root| is_same_name(root, WORKPLACE)) {
        let why = format!("is in `{WORKPLACE}`, which is reserved for unfinished downloads");
        return Err(refused(why).help("unpack it into the store"));
    }
    match check_visible(&mut names().enumerate()) {
        Err(why) if !overwrite => {
            Err(refused(format!("{why}: Git, Cargo, shells and other programs act on such files"))
                .help("if you trust the archive, use `--force` (`Get::overwrite(true)`)")
                .help("or unpack it into the store, or leave these paths out with `members`"))
        }
        _ => Ok(()),
    }
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.len() == 0)
}

/// Copies a store file for the user: writable, and executable if the original is.
fn copy(from: &Path, to: &Path, workplace: &Path) -> io::Result<()> {
    match fs::copy(from, to, CopyMode::New, workplace) {
        // Another file system is mounted below the directory.
        Err(why) if why.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to, CopyMode::New, to.parent().unwrap_or(to))?;
        }
        other => other?,
    }
    match fs::is_executable(&std::fs::metadata(from)?) {
        true => fs::make_executable(&fs::open_to_write(to)?),
        false => Ok(()),
    }
}

/// Returns what is at a file's path, or in place of one of its directories.
fn in_the_way(directory: &Path, path: &Path) -> Option<(PathBuf, Conflict)> {
    let mut place = directory.to_owned();
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        place.push(name);
        let found = match std::fs::symlink_metadata(&place) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return None,
            Err(why) => return Some((place, Conflict::Unreadable(why.to_string()))),
            Ok(found) => found.file_type(),
        };
        let conflict = match (names.peek().is_some(), found) {
            (true, found) if found.is_dir() => continue,
            (true, found) if found.is_symlink() => Conflict::LinkedDirectory,
            (true, _) => Conflict::NoDirectory,
            (false, found) if found.is_symlink() => Conflict::Link,
            (false, found) if found.is_dir() => Conflict::Directory,
            (false, found) if found.is_file() => Conflict::Foreign,
            (false, _) => Conflict::Special,
        };
        return Some((place, conflict));
    }
    None
}
