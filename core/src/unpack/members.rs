//! Decides which members of an archive are wanted, and where each is stored.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{cannot_unpack, first_bytes, shown};
use crate::error::{Error, printable};
use crate::manifest::{FileGlob, is_meant};
use crate::torrent::metainfo::{Platform, check_member};

/// The globs of `members`, and which of them have matched.
#[derive(Debug)]
pub struct MemberGlobs<'a> {
    globs: &'a [FileGlob],
    used: Vec<AtomicBool>,
    /// For each glob, what was probably meant, and whether that would have matched.
    meant: Vec<Vec<(FileGlob, AtomicBool)>>,
}

/// Context of an archive that is being unpacked.
#[derive(Debug)]
pub struct Members<'a> {
    /// The archive's name in messages.
    archive: &'a str,
    /// The path that the archive is replaced by, below the tree's root, with `/`; empty if it is
    /// the root itself.
    directory: &'a [u8],
    globs: &'a MemberGlobs<'a>,
    strip: usize,
}

impl<'a> MemberGlobs<'a> {
    pub fn new(globs: &'a [FileGlob]) -> MemberGlobs<'a> {
        MemberGlobs {
            globs,
            used: globs.iter().map(|_| AtomicBool::new(false)).collect(),
            meant: globs.iter().map(|_| Vec::new()).collect(),
        }
    }

    /// Also notes, for each glob that begins with this name, the glob that was probably meant: the
    /// same without it.
    pub fn below(mut self, root: &[u8]) -> MemberGlobs<'a> {
        let root = [String::from_utf8_lossy(root).into_owned()];
        let meant = |glob: &FileGlob| glob.below(&root).into_iter().map(|it| (it, false.into()));
        self.meant = self.globs.iter().map(|glob| meant(glob).collect()).collect();
        self
    }

    /// Whether a path of the tree is wanted.
    fn mean(&self, path: &[u8]) -> bool {
        if self.globs.is_empty() {
            return true;
        }
        let path = String::from_utf8_lossy(path);
        for ((glob, used), meant) in self.globs.iter().zip(&self.used).zip(&self.meant) {
            if used.load(Ordering::Relaxed) {
                continue;
            }
            used.fetch_or(glob.covers(&path), Ordering::Relaxed);
            meant.iter().for_each(|(glob, would_be)| {
                would_be.fetch_or(glob.covers(&path), Ordering::Relaxed);
            });
        }
        is_meant(self.globs, &path)
    }

    /// Returns the first glob that matched nothing, and what was probably meant by it.
    pub fn unused(&self) -> Option<(&FileGlob, Option<&FileGlob>)> {
        let mut all = self.globs.iter().zip(&self.used).zip(&self.meant);
        let ((glob, _), meant) = all.find(|((_, used), _)| !used.load(Ordering::Relaxed))?;
        let meant = meant.iter().find(|(_, would_be)| would_be.load(Ordering::Relaxed));
        Some((glob, meant.map(|(glob, _)| glob)))
    }
}

impl<'a> Members<'a> {
    pub fn new(
        archive: &'a str,
        directory: &'a [u8],
        globs: &'a MemberGlobs<'a>,
        strip: u32,
    ) -> Members<'a> {
        Members { archive, directory, globs, strip: strip as usize }
    }

    pub(super) fn directory(&self) -> &'a [u8] {
        self.directory
    }

    /// Returns a member's path below the tree's root; `None` if it is not wanted.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Archive`] for a path that leaves its directory or cannot be stored on
    /// this platform.
    pub(super) fn place(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(path) = normal(&mut components(name)) else {
            let why = "its path leaves the archive's directory";
            return Err(self.refused(name, why));
        };
        let Some(path) = self.below(&path).filter(|path| self.globs.mean(path)) else {
            return Ok(None);
        };
        let path_components: Vec<_> = path.split(|byte| *byte == b'/').collect();
        match check_member(&path_components, Platform::HERE) {
            Ok(()) => Ok(Some(path)),
            Err(why) => Err(self.refused(name, &format!("its path {why}"))),
        }
    }

    /// Returns the path of a hard link's target, whether it is wanted or not.
    pub(super) fn place_of_target(&self, name: &[u8]) -> Option<Vec<u8>> {
        normal(&mut components(name)).and_then(|path| self.below(&path))
    }

    /// Returns the path that a symbolic link named `name` with this `text` leads to; `None` if that
    /// is not in the archive's directory.
    pub(super) fn place_of_link(&self, name: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        if text.first() == Some(&b'/') || text.contains(&0) {
            return None;
        }
        let own: Vec<_> = components(name).collect();
        let directory = own.get(..own.len().saturating_sub(1)).unwrap_or_default();
        let mut path = Vec::new();
        for component in directory.iter().copied().chain(components(text)) {
            match component {
                b".." => drop(path.pop()?),
                component => path.push(component),
            }
        }
        self.below(&path)
    }

    /// Maps a path in the archive to one in the tree; `None` if `strip` leaves nothing of it.
    fn below(&self, path: &[&[u8]]) -> Option<Vec<u8>> {
        let kept = path.get(self.strip..).filter(|kept| !kept.is_empty())?;
        let mut place = self.directory.to_vec();
        for component in kept {
            if !place.is_empty() {
                place.push(b'/');
            }
            place.extend_from_slice(component);
        }
        Some(place)
    }

    /// The error for an archive that cannot be read further.
    pub(super) fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        cannot_unpack(self.archive).why(printable(&why.to_string()))
    }

    /// The error for a member that cannot be read.
    pub(super) fn member_failed(&self, name: &[u8], why: &dyn std::fmt::Display) -> Error {
        cannot_unpack(self.archive).why(format!(
            "its member `{}`: {}",
            shown(name),
            printable(&why.to_string())
        ))
    }

    /// The error for a member that is refused; the help says how to leave it out.
    pub(super) fn refused(&self, name: &[u8], why: &str) -> Error {
        let error = self.member_failed(name, &why);
        let place = self.place_of_target(name);
        let glob = place
            .and_then(|place| String::from_utf8(place).ok())
            .filter(|place| !place.chars().any(char::is_control));
        match glob {
            Some(place) => {
                let glob = FileGlob::excluding(&place);
                error.help(format!("to leave it out, add {glob:?} to `members` of `unpack`"))
            }
            None => error,
        }
    }

    /// The error for content that does not match the archive's name.
    pub(super) fn odd_content(&self, expected: &str, begin: &[u8]) -> Error {
        self.failed(&format!("its content is not {expected}: {}", first_bytes(begin)))
            .help("to leave it packed, list the other archives in `archives` of `unpack`")
    }
}

/// Returns the components of a path, without empty ones and `.`. An absolute path is taken as one
/// below the root.
fn components(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| *byte == b'/').filter(|it| !matches!(*it, b"" | b"."))
}

/// Collects the components; `None` if one of them is `..`.
fn normal<'n>(path: &mut dyn Iterator<Item = &'n [u8]>) -> Option<Vec<&'n [u8]>> {
    path.map(|component| (component != b"..").then_some(component)).collect()
}
