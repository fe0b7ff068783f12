//! Names that a file system treats as the same: case, composed accents, Windows' short names. The
//! rules differ per file system and even per directory (APFS, NTFS, ext4 with casefold), so nothing
//! here folds names: it inspects what was created.
//!
//! The first creation of a file is exclusive, and before files are published each name of the
//! layout must have its own directory entry. Otherwise one of two files would be lost silently.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::Site;
use super::fs::{self, remove_tree};
use crate::error::{Error, ErrorKind, printable};
use crate::plan::{Layout, SortedPaths};
use crate::torrent::metainfo::os_path;

/// Checks that each name in a layout has its own directory entry. Hard links to the same bytes are
/// separate entries. Missing files and entries that are not of the layout do not matter.
///
/// # Errors
/// [`ErrorKind::Disk`], with the paths that are the same here.
pub(super) fn check(site: &Site, layout: &Layout) -> Result<(), Error> {
    match site.has_root(layout) {
        true => compare(site, &layout.sorted_paths(&|_| true), false),
        false => Ok(()),
    }
}

/// Does the same for a directory that is ours alone: all links must exist, and the files for which
/// `is_there` returns true, by index in [`Layout::files`]. Entries that are not of the layout are
/// removed.
///
/// # Errors
/// [`ErrorKind::Disk`], also for a missing file and for an entry that cannot be removed.
pub(super) fn check_all(
    site: &Site,
    layout: &Layout,
    is_there: &dyn Fn(u32) -> bool,
) -> Result<(), Error> {
    compare(site, &layout.sorted_paths(is_there), true)
}

fn compare(site: &Site, paths: &SortedPaths<'_>, ours: bool) -> Result<(), Error> {
    // The listing of the base directory, then those of the current path's directories, outermost
    // first.
    let mut open = vec![Listing::read(site, Path::new(""), ours)?];
    let mut before = None;
    for path in paths.components() {
        // Number of leading names shared with the previous path: the listings of those directories
        // are open.
        let known = before.map_or(0, |before| 1 + path.common(before));
        before = Some(path);
        while open.len() > known + 1 {
            open.pop().map_or(Ok(()), |listing| listing.close(site, ours))?;
        }
        let mut names = std::iter::once(paths.root_name()).chain(path).skip(known).peekable();
        while let Some(name) = names.next() {
            let name = os_path(name.to_vec());
            let Some(listing) = open.last_mut() else { break };
            listing.find(name.as_os_str(), site, paths, ours)?;
            if names.peek().is_some() {
                let below = listing.directory.join(name);
                open.push(Listing::read(site, &below, ours)?);
            }
        }
    }
    open.into_iter().rev().try_for_each(|listing| listing.close(site, ours))
}

/// The entries of a directory, sorted, and which of them belong to the torrent.
struct Listing {
    /// Path in the layout.
    directory: PathBuf,
    names: Vec<OsString>,
    is_ours: Vec<bool>,
    /// Indices by identity; filled only if a name is not listed as it was created.
    entries: Option<HashMap<FileIdentity, usize>>,
}

impl Listing {
    fn read(site: &Site, directory: &Path, ours: bool) -> Result<Listing, Error> {
        let place = site.path(directory);
        if ours {
            check_directory(&place)?;
        }
        let read = std::fs::read_dir(&place).and_then(|entries| {
            entries.map(|entry| entry.map(|it| it.file_name())).collect::<io::Result<Vec<_>>>()
        });
        let mut names = match read {
            // Whoever needs the directory reports a file in its place. Not every system has a
            // distinct error for that.
            Err(why)
                if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
                    || place.is_file() =>
            {
                Vec::new()
            }
            other => other.map_err(|why| Error::disk("list", &place, &why))?,
        };
        names.sort_unstable();
        let is_ours = vec![false; names.len()];
        Ok(Listing { directory: directory.to_owned(), names, is_ours, entries: None })
    }

    /// Finds the entry of a name and marks it as the torrent's.
    fn find(
        &mut self,
        name: &OsStr,
        site: &Site,
        paths: &SortedPaths<'_>,
        must_be_there: bool,
    ) -> Result<(), Error> {
        if let Ok(at) = self.names.binary_search_by(|it| it.as_os_str().cmp(name)) {
            self.is_ours[at] = true;
            return Ok(());
        }
        // An empty directory has no other form of the name either.
        if self.names.is_empty() && !must_be_there {
            return Ok(());
        }
        let (path, place) = (self.directory.join(name), site.path(&self.directory));
        let on_disk = site.path(&path);
        let identity = match identity(&on_disk) {
            Ok(identity) => identity,
            Err(why) if must_be_there => return Err(Error::disk("publish", &on_disk, &why)),
            Err(_) => return Ok(()),
        };
        // The entry is listed under another name: either the file system's form of this name, or
        // the name of another file.
        let entries = self.entries.get_or_insert_with(|| {
            let entries = self.names.iter().enumerate();
            entries.filter_map(|(at, it)| Some((identity_of(&place.join(it))?, at))).collect()
        });
        let Some(at) = entries.get(&identity).copied() else { return Ok(()) };
        let other = self.directory.join(&self.names[at]);
        if !paths.has(&other) && !self.is_ours[at] {
            self.is_ours[at] = true;
            return Ok(());
        }
        let twin = taken_by(site, &path, &mut paths.iter());
        Err(same_name(&place, &twin.unwrap_or((path, other))))
    }

    /// Removes the entries that are not the torrent's, if the directory is `ours`.
    fn close(self, site: &Site, ours: bool) -> Result<(), Error> {
        if !ours {
            return Ok(());
        }
        let place = site.path(&self.directory);
        check_directory(&place)?;
        for (name, _) in self.names.iter().zip(&self.is_ours).filter(|(_, is_ours)| !**is_ours) {
            let path = place.join(name);
            let removed = match std::fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => remove_tree(&path),
                Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
                _ => fs::remove_entry(&path),
            };
            removed.map_err(|why| Error::disk("remove", &path, &why))?;
        }
        Ok(())
    }
}

/// Refuses a symbolic link in place of one of our directories: its target is not ours to list or to
/// clean up.
///
/// # Errors
/// [`ErrorKind::Disk`].
fn check_directory(place: &Path) -> Result<(), Error> {
    match std::fs::symlink_metadata(place) {
        Ok(found) if found.is_symlink() => {
            let why = fs::obstacle(place, true).unwrap_or(io::ErrorKind::NotADirectory.into());
            Err(Error::disk("list", place, &why))
        }
        _ => Ok(()),
    }
}

/// Returns this path (or a directory above it) and the one of `paths` (or a directory of theirs)
/// that has the same entry, for a file that could not be created. A file may collide with a
/// directory.
pub(super) fn taken_by(
    site: &Site,
    path: &Path,
    paths: &mut dyn Iterator<Item = PathBuf>,
) -> Option<(PathBuf, PathBuf)> {
    let above: Vec<&Path> = path.ancestors().filter(|it| !it.as_os_str().is_empty()).collect();
    let mine = above.iter().filter_map(|it| Some((*it, identity_of(&site.path(it))?)));
    let mine: Vec<_> = mine.collect();
    for other in paths {
        let theirs = other.ancestors().take_while(|it| !above.contains(it));
        for other in theirs.filter(|it| !it.as_os_str().is_empty()) {
            let Some(theirs) = identity_of(&site.path(other)) else { continue };
            if let Some((mine, _)) = mine.iter().find(|(_, mine)| *mine == theirs) {
                return Some(((*mine).to_owned(), other.to_owned()));
            }
        }
    }
    None
}

/// The error for two paths of a torrent that the file system takes for one.
pub(super) fn same_name(place: &Path, (path, twin): &(PathBuf, PathBuf)) -> Error {
    let shown = |path: &Path| printable(&path.display().to_string());
    let what = format!(
        "the file system of {} cannot store both `{}` and `{}`",
        place.display(),
        shown(path),
        shown(twin)
    );
    Error::new(ErrorKind::Disk, what)
        .why("it treats these names as the same, so one file would replace the other")
        .help("leave one of them out with `files`, or store the dataset on a file system that distinguishes such names")
}

/// Identifies a directory entry's file: equal for two names of the same entry and for hard links.
#[cfg(unix)]
type FileIdentity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<FileIdentity> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).map(|it| (it.dev(), it.ino()))
}

/// The path in the file system's own spelling.
#[cfg(not(unix))]
type FileIdentity = PathBuf;

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<FileIdentity> {
    path.canonicalize()
}

fn identity_of(path: &Path) -> Option<FileIdentity> {
    identity(path).ok()
}
