//! Lists a torrent's files for `info`, one at a time because there may be a million.

use academictorrents::engine::error::printable;
use academictorrents::engine::torrent::{Components, FileKind, Metainfo, TorrentFile, directories};

use crate::torrent;

/// A file or directory.
pub(super) struct Listed {
    /// In a list, the path below the torrent's directory; in a tree, the name. For a single-file
    /// torrent, the file's name.
    pub(super) name: String,
    /// For a directory, the sum of all files below it.
    pub(super) bytes: u64,
    /// The number of directories above it.
    pub(super) depth: usize,
    /// For a directory, how many files are below it; `None` for a file.
    pub(super) files: Option<usize>,
    /// For a symbolic link, its target as in the torrent: a path below the torrent's directory.
    pub(super) link: Option<String>,
}

/// A file, and the remaining components of its path.
struct Rest<'a> {
    path: Components<'a>,
    name: &'a [u8],
    file: &'a TorrentFile,
}

/// Returns all files in the torrent's order.
pub(super) fn files(metainfo: &Metainfo) -> impl Iterator<Item = Listed> {
    let path = |file| printable(&metainfo.display_path(file));
    torrent::files(metainfo).map(move |file| listed(metainfo, file, path(file), 0))
}

/// Passes the lines of the file tree to `line`, until it returns `false`. Directories are sorted by
/// name and precede files. Returns the number of all lines.
pub(super) fn tree(metainfo: &Metainfo, line: &mut dyn FnMut(Listed) -> bool) -> u64 {
    let rest = |file| Rest { path: metainfo.components(file), name: &[], file };
    let mut files: Vec<_> = torrent::files(metainfo).map(rest).collect();
    let name = metainfo.shown_name();
    if !metainfo.multi {
        files.iter().all(|it| line(listed(metainfo, it.file, name.clone(), 0)));
        return files.len() as u64;
    }
    let mut paths: Vec<_> = files.iter().map(|file| file.path).collect();
    let lines = files.len() as u64 + 1 + directories(&mut paths).0;
    drop(paths);
    if line(folder(name, &files, 0)) {
        branch(metainfo, &mut files, 1, line);
    }
    lines
}

/// Lists what is below one directory. Returns `false` once `line` has.
fn branch(
    metainfo: &Metainfo,
    files: &mut [Rest<'_>],
    depth: usize,
    line: &mut dyn FnMut(Listed) -> bool,
) -> bool {
    for it in files.iter_mut() {
        it.name = it.path.next().unwrap_or_default();
    }
    // Directories first, by name; files in the torrent's order.
    files.sort_by_key(|it| match it.path.is_empty() {
        true => (true, &[][..]),
        false => (false, it.name),
    });
    let is_folder = |it: &Rest<'_>| !it.path.is_empty();
    let twins = |a: &Rest<'_>, b: &Rest<'_>| is_folder(a) && is_folder(b) && a.name == b.name;
    files.chunk_by_mut(twins).all(|below| {
        let Some(first) = below.first() else { return true };
        let name = printable(&String::from_utf8_lossy(first.name));
        if first.path.is_empty() {
            return line(listed(metainfo, first.file, name, depth));
        }
        line(folder(name, below, depth)) && branch(metainfo, below, depth + 1, line)
    })
}

fn listed(metainfo: &Metainfo, file: &TorrentFile, name: String, depth: usize) -> Listed {
    let link = match file.kind {
        FileKind::Link(target) => {
            let target = metainfo.link_target(target).unwrap_or_default().joined();
            Some(printable(&String::from_utf8_lossy(&target)))
        }
        FileKind::Data | FileKind::Directory | FileKind::Pad => None,
    };
    Listed { name, bytes: file.length, depth, files: None, link }
}

fn folder(name: String, files: &[Rest<'_>], depth: usize) -> Listed {
    let bytes = files.iter().fold(0_u64, |sum, it| sum.saturating_add(it.file.length));
    Listed { name, bytes, depth, files: Some(files.len()), link: None }
}
