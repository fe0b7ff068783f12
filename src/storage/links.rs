//! Symbolic links of a torrent (BEP 47). They are created last, when all files exist.
//!
//! A link has no bytes, so no hash covers it: its text is computed from the layout (see
//! [`crate::plan::SelectedLink`]). In the store a link must have exactly that text, since stores
//! are moved; elsewhere a link is right if it leads to the same file.

use std::io;
use std::path::Path;

use super::Site;
use super::fs::{self, symlink};
use crate::error::Error;
use crate::plan::{Layout, SelectedLink};

/// Checks that a directory supports symbolic links, before anything is downloaded.
pub(super) fn probe(directory: &Path, layout: &Layout) -> Result<(), Error> {
    if !layout.has_links() {
        return Ok(());
    }
    let path = fs::beside(&directory.join("link"));
    let made = symlink(Path::new("files"), &path).and_then(|()| fs::remove_entry(&path));
    made.map_err(|why| {
        Error::disk("create a symbolic link in", directory, &why)
            .help("the torrent has symbolic links: use a file system that supports them, or exclude them with `files`")
    })
}

/// Whether all links exist with the exact text that the store uses.
pub(super) fn are_exact(site: &Site, layout: &Layout) -> bool {
    layout.links().all(|(path, link)| is_exact(&site.path(&path), link))
}

pub(super) fn is_exact(path: &Path, link: &SelectedLink) -> bool {
    std::fs::read_link(path).is_ok_and(|text| text == link.text)
}

/// Whether a link of a copy leads to the right file of the same copy.
pub(super) fn is_right(site: &Site, path: &Path, link: &SelectedLink) -> bool {
    let path = site.path(path);
    is_exact(&path, link)
        || (std::fs::read_link(&path).is_ok()
            && path.canonicalize().is_ok_and(|found| {
                site.path(&link.target).canonicalize().is_ok_and(|target| found == target)
            }))
}

/// Whether all links of a copy lead to the right files.
pub(super) fn are_right(site: &Site, layout: &Layout) -> bool {
    layout.links().all(|(path, link)| is_right(site, &path, link))
}

/// Creates a link, replacing an existing file or link.
pub(super) fn replace(text: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_entry(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => symlink(text, path),
    }
}
