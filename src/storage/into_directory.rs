//! Copies an unpacked tree from the store into a user's directory (feature `unpack`).
//!
//! Existing files with the same bytes stay. All conflicts are found before anything is written, and
//! are reported as for a dataset: see `replaceable.rs`. The copies belong to the user and are
//! writable.

use std::io;
use std::path::{Path, PathBuf};

use super::directory::{Directory, WORKPLACE};
use super::fs::{self, CopyMode};
use super::parallel::{self, DiskWork};
use super::replaceable::conflicts::{Conflict, Conflicts};
use super::{Stamp, folded_names, links, pins};
use crate::error::{Error, ErrorKind, printable};
use crate::torrent::metainfo::{check_visible, is_same_name};

/// Copies the tree with this stamp, whose files are in `files`, into a directory.
///
/// # Errors
/// [`ErrorKind::Disk`], for conflicts and for a tree that changes meanwhile, among others;
/// [`ErrorKind::Archive`] for names that other programs act on; [`ErrorKind::Stopped`].
pub fn copy_tree_into(
    stamp: &Path,
    files: &Path,
    directory: &Directory,
    work: DiskWork<'_>,
) -> Result<(), Error> {
    let Some(stamp) = Stamp::read(stamp) else {
        let what = format!("{} was removed while it was being copied", files.display());
        return Err(Error::new(ErrorKind::Disk, what));
    };
    let all: Vec<PathBuf> = stamp.paths().collect();
    let mut every = all.iter().map(PathBuf::as_path).chain(stamp.link_paths());
    every.try_for_each(|path| check_name(path, directory.overwrite))?;
    let (mut conflicts, mut missing) = (Conflicts::default(), Vec::new());
    let mut buffer = vec![0; pins::BUFFER_BYTES];
    for ((path, length), digest) in stamp.files().zip(&stamp.digests) {
        work.goes_on()?;
        let place = directory.path.join(&path);
        let mut is_same = || {
            let found = std::fs::metadata(&place).is_ok_and(|found| found.len() == length);
            found && pins::sha256_of(&place, &mut buffer).is_ok_and(|found| found == *digest)
        };
        match in_the_way(&directory.path, &path) {
            None => missing.push((path, true)),
            Some((_, Conflict::Foreign)) if is_same() => {}
            // Left by a run that was killed.
            Some((_, Conflict::Foreign)) if is_empty(&place) => missing.push((path, false)),
            Some((_, why)) if directory.overwrite && why.can_be_forced() => {
                missing.push((path, false));
            }
            Some((place, why)) => conflicts.add(place, why),
        }
    }
    let mut missing_links = Vec::new();
    for (path, text) in &stamp.links {
        let place = directory.path.join(path);
        if std::fs::read_link(&place).is_ok_and(|found| found == *text) {
            continue;
        }
        match in_the_way(&directory.path, path) {
            None => missing_links.push((place, text)),
            Some((_, why)) if directory.overwrite && why.can_be_forced() => {
                missing_links.push((place, text));
            }
            Some((place, why)) => conflicts.add(place, why),
        }
    }
    conflicts.result(&directory.path)?;
    let site = directory.path.as_path().into();
    for (path, is_new) in &missing {
        let place = directory.path.join(path);
        let failed = |why: &io::Error| Error::disk("copy a file to", &place, why);
        fs::create_parents(&directory.path, &place).map_err(|why| failed(&why))?;
        let created = if *is_new { fs::create_new(&place).map(drop) } else { Ok(()) };
        created.map_err(|why| {
            // The file system takes this name and that of another file of the tree for one.
            let others = &mut all.iter().filter(|other| *other != path).cloned();
            match folded_names::taken_by(&site, path, others) {
                Some(twins) => folded_names::same_name(&directory.path, &twins),
                None => failed(&why),
            }
        })?;
    }
    parallel::each(missing.len(), &|index, _| {
        work.goes_on()?;
        let Some((path, _)) = missing.get(index) else { return Ok(()) };
        let (from, place) = (files.join(path), directory.path.join(path));
        copy(&from, &place).map_err(|why| Error::disk("copy a file to", &place, &why))
    })?;
    for (place, text) in missing_links {
        let failed = |why: io::Error| Error::disk("create the symbolic link", &place, &why);
        fs::create_parents(&directory.path, &place).map_err(failed)?;
        links::replace(text, &place).map_err(failed)?;
    }
    Ok(())
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
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to, CopyMode::New, to.parent().unwrap_or(to))?;
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
