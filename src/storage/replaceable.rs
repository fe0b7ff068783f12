//! Decides which existing files in a user's directory may be replaced.
//!
//! A file belongs to the dataset if it has a run of right bytes that nobody can guess: see
//! `evidence.rs`. A file that contains only zeros counts as absent: other clients allocate files
//! before they download them. A file is foreign if a piece entirely within it is wrong and nothing
//! shows that the file is the dataset's, or if it is shorter than a piece and has the wrong length.
//! Foreign files stay, and the download fails before it begins. A file that cannot be judged, since
//! pieces extend into other files, is compared with the downloaded bytes. With `overwrite`
//! foreign files are replaced. Directories, and anything else that is not a file, never are.

pub(super) mod conflicts;
mod evidence;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use self::conflicts::{Conflict, Conflicts};
use self::evidence::{is_blank, is_same};
use super::claims::{ClaimKind, Claims, PathClaim};
use super::directory::WORKPLACE;
use super::files::LayoutFiles;
use super::fs::FileFingerprint;
use super::links;
use super::local_copy::LocalCopy;
use super::site::Site;
use crate::error::{Error, ErrorKind, printable};
use crate::plan::{Layout, PlacedFile, SegmentPlace, SelectedLink};
use crate::torrent::geometry::BLOCK_BYTES;
use crate::torrent::metainfo::{Components, check_visible, is_same_name};

/// Examines what exists in `directory` at the paths of the dataset. `existing` has the pieces that
/// are right.
///
/// # Errors
/// [`ErrorKind::Metainfo`] for paths that are hidden or that other programs act on;
/// [`ErrorKind::Disk`] for foreign files and other conflicts.
pub(super) fn survey(
    directory: &Path,
    overwrite: bool,
    layout: &Layout,
    existing: Option<&LocalCopy>,
) -> Result<Claims, Error> {
    check_names(layout, overwrite)?;
    let mut conflicts = Conflicts::default();
    let mut claims = Claims::new();
    if !Site::from(directory).has_root(layout) {
        return Ok(claims);
    }
    let mut parents = Parents { directory, known: Vec::new(), absent: None };
    for (index, file) in (0_u32..).zip(layout.files()) {
        match parents.exist(&file.path()) {
            Ok(true) => {}
            Ok(false) => continue,
            Err((path, why)) => {
                conflicts.add(path, why);
                continue;
            }
        }
        let path = directory.join(file.path());
        match claim(&path, index, &file, overwrite, layout, existing) {
            Ok(Some(claim)) => drop(claims.insert(index, claim)),
            Ok(None) => {}
            Err(why) => conflicts.add(path, why),
        }
    }
    for (path, link) in layout.links() {
        match parents.exist(&path) {
            Ok(true) => link_conflict(directory, overwrite, &path, link)
                .into_iter()
                .for_each(|why| conflicts.add(directory.join(&path), why)),
            Ok(false) => {}
            Err((path, why)) => conflicts.add(path, why),
        }
    }
    for folder in layout.folders() {
        // Passes a path in the folder, so that the folder itself is checked as a parent.
        if let Err((path, why)) = parents.exist(&folder.join("file")) {
            conflicts.add(path, why);
        }
    }
    conflicts.result(directory).map(|()| claims)
}

/// Returns what keeps a symbolic link of the dataset from being created.
fn link_conflict(
    directory: &Path,
    overwrite: bool,
    path: &Path,
    link: &SelectedLink,
) -> Option<Conflict> {
    let place = directory.join(path);
    let found = match std::fs::symlink_metadata(&place) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return None,
        Err(why) => return Some(Conflict::Unreadable(why.to_string())),
        Ok(found) => found,
    };
    let is_link = found.file_type().is_symlink();
    match () {
        () if is_link && links::is_right(&directory.into(), path, link) => None,
        () if found.is_dir() => Some(Conflict::Directory),
        () if !is_link && !found.is_file() => Some(Conflict::Special),
        () if overwrite => None,
        () if is_link => Some(Conflict::Link),
        // Clients without support for links create an empty file instead.
        () if found.len() == 0 => None,
        () => Some(Conflict::Foreign),
    }
}

/// Checks that a symbolic link may be created now.
///
/// # Errors
/// [`ErrorKind::Disk`] for a conflicting entry that was created meanwhile.
pub(super) fn check_link(
    directory: &Path,
    overwrite: bool,
    path: &Path,
    link: &SelectedLink,
) -> Result<(), Error> {
    let mut conflicts = Conflicts::default();
    if let Some(why) = link_conflict(directory, overwrite, path, link) {
        conflicts.add(directory.join(path), why);
    }
    conflicts.result(directory)
}

/// Classifies what exists at the path of a file.
fn claim(
    path: &Path,
    index: u32,
    file: &PlacedFile<'_>,
    overwrite: bool,
    layout: &Layout,
    existing: Option<&LocalCopy>,
) -> Result<Option<PathClaim>, Conflict> {
    let found = match std::fs::symlink_metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|why| Conflict::Unreadable(why.to_string()))?,
    };
    let is_link = found.file_type().is_symlink();
    if !found.is_file() && !is_link {
        return Err(if found.is_dir() { Conflict::Directory } else { Conflict::Special });
    }
    let fingerprint = FileFingerprint::at(path);
    let of_kind = |kind| Ok(fingerprint.map(|fingerprint| PathClaim { kind, fingerprint }));
    let right = |piece| existing.is_some_and(|it| it.pieces.contains(piece));
    if existing.is_some_and(|it| it.has_file(index)) {
        return of_kind(ClaimKind::Right);
    }
    if is_link && !overwrite {
        return Err(Conflict::Link);
    }
    let pieces = layout.geometry().pieces(file.range());
    let has_length = found.len() == file.length();
    let is_short = file.length() < u64::from(layout.geometry().piece_bytes().max(BLOCK_BYTES));
    let unreadable = |why: io::Error| Conflict::Unreadable(why.to_string());
    let mut right_ones = pieces.clone().filter(|piece| right(*piece));
    let is_ours = match overwrite {
        true => right_ones.next().is_some(),
        false if is_short && !has_length => false,
        false => evidence::is_ours(path, file, layout, right_ones).map_err(unreadable)?,
    };
    if is_ours {
        return of_kind(ClaimKind::Damaged);
    }
    if overwrite || is_blank(path).map_err(unreadable)? {
        return of_kind(ClaimKind::Replaceable);
    }
    let lies_in_it = |piece| {
        let mut parts = layout.segments(layout.geometry().range(piece));
        parts.all(|part| match part.place {
            SegmentPlace::File { file, .. } => file == index,
            SegmentPlace::Scratch { .. } => false,
            SegmentPlace::Zeros => true,
        })
    };
    // Its own pieces may be right without showing whose it is: short, or of one repeated byte.
    let may_be_right = |piece| right(piece) || !lies_in_it(piece);
    if has_length && !pieces.is_empty() && pieces.clone().all(may_be_right) {
        return of_kind(ClaimKind::Unknown);
    }
    Err(Conflict::Foreign)
}

/// Checks that the dataset's names may be created in a user's directory.
fn check_names(layout: &Layout, overwrite: bool) -> Result<(), Error> {
    let unsafe_path = |path: Components<'_>, why: &str| {
        let path = layout.path_of(path).display().to_string();
        Error::new(ErrorKind::Metainfo, "the torrent is not safe to download into a directory")
            .why(format!("its path `{}` {why}", printable(&path)))
    };
    let root = layout.root_name();
    let mut before = None;
    for path in layout.created() {
        if before.is_none() && is_same_name(root, WORKPLACE) {
            let why = format!("is in `{WORKPLACE}`, which is reserved for unfinished downloads");
            return Err(unsafe_path(path, &why).help("download it into the store"));
        }
        if overwrite {
            return Ok(());
        }
        // Directories shared with the previous path have been checked.
        let known = before.map_or(0, |before| 1 + path.common(before));
        before = Some(path);
        let names = std::iter::once(root).chain(path);
        check_visible(&mut names.enumerate().skip(known)).map_err(|why| {
            unsafe_path(
                path,
                &format!("{why}: Git, Cargo, shells and other programs act on such files"),
            )
            .help("if you trust the torrent, use `--force` (`Get::overwrite(true)`)")
            .help("or download it into the store, or leave these paths out with `files`")
        })?;
    }
    Ok(())
}

/// The directories that the files need.
struct Parents<'a> {
    directory: &'a Path,
    /// Components of the last path that is known to exist and to consist of directories.
    known: Vec<OsString>,
    /// A directory below `known` that does not exist.
    absent: Option<OsString>,
}

impl Parents<'_> {
    /// Whether all directories of a file exist.
    fn exist(&mut self, file: &Path) -> Result<bool, (PathBuf, Conflict)> {
        let names: Vec<&OsStr> = file.parent().map(|it| it.iter().collect()).unwrap_or_default();
        // Files of one directory are mostly adjacent, so it is examined once.
        let same = self.known.iter().zip(&names).take_while(|(known, name)| known == *name).count();
        if same < self.known.len() {
            self.known.truncate(same);
            self.absent = None;
        }
        if self.absent.is_some() && self.absent.as_deref() == names.get(same).copied() {
            return Ok(false);
        }
        let mut path = self.directory.to_owned();
        path.extend(&self.known);
        for name in names.into_iter().skip(same) {
            path.push(name);
            let kind = match std::fs::symlink_metadata(&path) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => {
                    self.absent = Some(name.to_owned());
                    return Ok(false);
                }
                Err(why) => return Err((path, Conflict::Unreadable(why.to_string()))),
                Ok(found) => found.file_type(),
            };
            if kind.is_symlink() {
                return Err((path, Conflict::LinkedDirectory));
            }
            if !kind.is_dir() {
                return Err((path, Conflict::NoDirectory));
            }
            self.known.push(name.to_owned());
            self.absent = None;
        }
        Ok(true)
    }
}

/// Compares the downloaded files with what exists now, before anything is replaced. Returns the
/// files that stay because they have the right bytes.
///
/// # Errors
/// [`ErrorKind::Disk`] for a file that was changed since it was hashed, and for one that turned out
/// to be foreign.
pub(super) fn settle(
    files: &LayoutFiles,
    directory: &Path,
    overwrite: bool,
    claims: &Claims,
) -> Result<BTreeSet<u32>, Error> {
    let layout = files.layout();
    let (mut conflicts, mut same) = (Conflicts::default(), BTreeSet::new());
    if claims.is_empty() && !Site::from(directory).has_root(layout) {
        return Ok(same);
    }
    let mut different = Vec::new();
    let mut parents = Parents { directory, known: Vec::new(), absent: None };
    for (index, file) in (0_u32..).zip(layout.files()) {
        let claim = claims.get(&index);
        match parents.exist(&file.path()) {
            Ok(false) if claim.is_none() => continue,
            Ok(_) => {}
            Err((path, why)) => {
                conflicts.add(path, why);
                continue;
            }
        }
        let path = directory.join(file.path());
        let is_unchanged = |fingerprint| FileFingerprint::at(&path) == Some(fingerprint);
        match claim {
            Some(PathClaim { kind: ClaimKind::Right, fingerprint }) => {
                same.insert(index);
                if !is_unchanged(*fingerprint) {
                    conflicts.add(path, Conflict::Changed);
                }
            }
            _ if overwrite || std::fs::symlink_metadata(&path).is_err() => {}
            Some(claim) if !is_unchanged(claim.fingerprint) => {
                conflicts.add(path, Conflict::Changed)
            }
            Some(PathClaim { kind: ClaimKind::Unknown, .. }) => {
                let compared = is_same(&files.path(index), &path);
                if compared.map_err(|why| Error::disk("read", &path, &why))? {
                    same.insert(index);
                } else {
                    different.push((index, file, path));
                }
            }
            Some(_) => {}
            None => conflicts.add(path, Conflict::Changed),
        }
    }
    let is_here = || {
        let is_damaged = |claim: &PathClaim| claim.kind == ClaimKind::Damaged;
        claims.values().any(is_damaged)
            || evidence::are_ours(directory, same.iter().filter_map(|index| layout.file(*index)))
    };
    let is_here = !different.is_empty() && is_here();
    for (index, file, path) in different {
        if !is_here || !is_damage(layout, index, &file, claims, &same) {
            conflicts.add(path, Conflict::Foreign);
        }
    }
    conflicts.result(directory).map(|()| same)
}

/// Whether a file with different bytes is a damaged one of the dataset, given that the dataset is
/// here: all files that its pieces extend into existed, and one of them is right.
fn is_damage(
    layout: &Layout,
    index: u32,
    file: &PlacedFile<'_>,
    claims: &Claims,
    same: &BTreeSet<u32>,
) -> bool {
    let mut any_right = false;
    for piece in layout.geometry().pieces(file.range()) {
        for part in layout.segments(layout.geometry().range(piece)) {
            let neighbor = match part.place {
                SegmentPlace::File { file, .. } if file != index => file,
                SegmentPlace::File { .. } | SegmentPlace::Zeros => continue,
                SegmentPlace::Scratch { .. } => return false,
            };
            match claims.get(&neighbor).map(|claim| claim.kind) {
                None | Some(ClaimKind::Replaceable) => return false,
                Some(ClaimKind::Unknown) => any_right |= same.contains(&neighbor),
                Some(ClaimKind::Right | ClaimKind::Damaged) => any_right = true,
            }
        }
    }
    any_right
}
