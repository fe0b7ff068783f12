//! The paths of a layout in sorted order, so that the entries of a directory are adjacent.
//!
//! A torrent may have a million files below a long name, so paths are computed when they are
//! needed.

use std::path::{Path, PathBuf};

use crate::torrent::metainfo::{Components, Metainfo};

/// The files and links of a [`super::Layout`], sorted by their components.
pub struct SortedPaths<'l> {
    metainfo: &'l Metainfo,
    /// Indices in [`Metainfo::files`].
    files: Vec<u32>,
}

impl<'l> SortedPaths<'l> {
    pub(super) fn new(metainfo: &'l Metainfo, mut files: Vec<u32>) -> SortedPaths<'l> {
        let components = |index: &u32| components(metainfo, *index);
        // Most torrents list their files in order.
        if !files.is_sorted_by_key(components) {
            files.sort_unstable_by(|a, b| Ord::cmp(&components(a), &components(b)));
        }
        SortedPaths { metainfo, files }
    }

    /// The paths below the torrent's name.
    pub fn components(&self) -> impl Iterator<Item = Components<'l>> {
        self.files.iter().map(|index| components(self.metainfo, *index))
    }

    /// The torrent's name, with which all paths begin.
    pub fn root_name(&self) -> &'l [u8] {
        self.metainfo.stored_name()
    }

    /// The paths below the directory that contains the torrent's own layout.
    pub fn iter(&self) -> impl Iterator<Item = PathBuf> {
        let files = self.files.iter().filter_map(|index| self.metainfo.files.get(*index as usize));
        files.map(|file| self.metainfo.layout_path(file))
    }

    /// Whether one of the paths is equal to `path` or below it.
    pub fn has(&self, path: &Path) -> bool {
        self.first(path, &|first, path| first == path || first.is_below(path))
    }

    /// Whether one of the paths is equal to `path`.
    #[cfg(feature = "engine")]
    pub fn contains(&self, path: &Path) -> bool {
        self.first(path, &|first, path| first == path)
    }

    /// Whether the first entry that is not sorted before `path` satisfies `is_it`.
    fn first(&self, path: &Path, is_it: &dyn Fn(Components<'_>, Components<'_>) -> bool) -> bool {
        let Ok(below) = path.strip_prefix(self.metainfo.root_path()) else { return false };
        let names: Vec<&[u8]> = below.iter().map(|name| name.as_encoded_bytes()).collect();
        let encoded = Components::encode(&names);
        let path = Components::of(&encoded);
        let first = self.files.partition_point(|index| components(self.metainfo, *index) < path);
        let first = self.files.get(first).map(|index| components(self.metainfo, *index));
        first.is_some_and(|first| is_it(first, path))
    }
}

fn components(metainfo: &Metainfo, index: u32) -> Components<'_> {
    metainfo.files.get(index as usize).map(|file| metainfo.components(file)).unwrap_or_default()
}
