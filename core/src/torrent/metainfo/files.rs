//! The file table of a torrent. A torrent of 64 MiB can have a million files, so paths are decoded
//! only on demand: a file stores where its components are in the raw `info`.

use std::collections::HashSet;

use super::paths::PathFlaw;
use super::{damaged, paths, unsafe_path};
use crate::error::Error;
use crate::torrent::bencode::Node;

/// A file of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TorrentFile {
    /// The path's components; empty in a single-file torrent.
    pub(super) path: Span,
    /// The offset of the file's first byte in the torrent's stream.
    pub offset: u64,
    pub length: u64,
    pub kind: FileKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Data,
    /// Zeros that align the next file (BEP 47); neither fetched nor stored. Marked by an attribute
    /// or, by programs older than the attribute, by the file's name.
    Pad,
    /// An empty file that represents a directory: its path ends in an empty component, or other
    /// files are below it.
    Directory,
    /// A symbolic link (BEP 47). It holds no bytes, whatever its `length` says.
    Link(LinkTarget),
}

/// The stated target of a link: unchecked components, all of which name something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTarget(pub(super) Option<Span>);

impl TorrentFile {
    /// Creates the only file of a single-file torrent.
    pub(super) fn single(length: u64) -> TorrentFile {
        TorrentFile { path: Span::default(), offset: 0, length, kind: FileKind::Data }
    }

    /// Returns the file's bytes in the torrent's stream.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.offset..self.offset + self.length
    }

    pub fn is_link(&self) -> bool {
        matches!(self.kind, FileKind::Link(_))
    }

    pub fn is_pad(&self) -> bool {
        self.kind == FileKind::Pad
    }

    /// Whether the entry is a file or link, which can be selected and listed.
    pub fn is_listed(&self) -> bool {
        matches!(self.kind, FileKind::Data | FileKind::Link(_))
    }
}

/// A range of consecutive bencoded strings in the raw `info`; offsets beyond its end refer to
/// [`FileTable::rewritten`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    begin: u32,
    end: u32,
}

impl Span {
    /// The strings of a list in `info`, as offsets into `info`.
    fn of(list: Node<'_>, info: Node<'_>) -> Span {
        let begin = list.begin() - info.begin() + 1; // the list is inside `info`, and its first byte is `l`
        Span { begin: begin as u32, end: (begin + list.inside().len()) as u32 }
    }

    pub(super) fn components<'i>(self, info: &'i [u8], rewritten: &'i [u8]) -> Components<'i> {
        let (begin, end) = (self.begin as usize, self.end as usize);
        let found = match begin.checked_sub(info.len()) {
            Some(begin) => rewritten.get(begin..end - info.len()),
            None => info.get(begin..end),
        };
        Components(found.unwrap_or_default())
    }
}

/// The raw components of a path.
///
/// Stored as bencoded strings, which is cheap to keep and to compare: paths below the same
/// directory share a byte prefix, and no other path has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Components<'a>(&'a [u8]);

impl<'a> Components<'a> {
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Creates a path from the result of [`Components::encode`] or [`Components::encoded`].
    pub fn of(encoded: &'a [u8]) -> Components<'a> {
        Components(encoded)
    }

    pub fn encode(path: &[&[u8]]) -> Vec<u8> {
        let mut encoded = Vec::new();
        for component in path {
            encoded.extend_from_slice(format!("{}:", component.len()).as_bytes());
            encoded.extend_from_slice(component);
        }
        encoded
    }

    /// Returns the bencoded strings, for [`Components::of`].
    pub fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// Whether the path is inside this directory, at any depth.
    pub fn is_below(self, directory: Components<'_>) -> bool {
        self.0.len() > directory.0.len() && self.0.starts_with(directory.0)
    }

    /// An upper bound for the length of the joined components, separators included.
    pub fn joined_bytes(self) -> usize {
        self.0.len() // each component has a length and a colon before it
    }

    /// Returns the components separated by `/`.
    pub fn joined(self) -> Vec<u8> {
        let mut joined = Vec::with_capacity(self.joined_bytes());
        for component in self {
            if !joined.is_empty() {
                joined.push(b'/');
            }
            joined.extend_from_slice(component);
        }
        joined
    }

    /// Returns how many leading components both paths share.
    pub fn common(mut self, mut other: Components<'_>) -> usize {
        let mut depth = 0;
        while let (Some(one), Some(two)) = (self.next(), other.next()) {
            if one != two {
                break;
            }
            depth += 1;
        }
        depth
    }
}

impl<'a> Iterator for Components<'a> {
    type Item = &'a [u8];

    /// Relies on the scan, which has verified that the bytes are complete strings.
    fn next(&mut self) -> Option<&'a [u8]> {
        let digit = |byte: &u8| usize::from(byte.wrapping_sub(b'0'));
        // Build scripts are compiled without optimization, where a loop over a few digits would
        // cost more than everything else here.
        let (length, rest) = match self.0 {
            [one, b':', rest @ ..] => (digit(one), rest),
            [ten, one, b':', rest @ ..] => (digit(ten) * 10 + digit(one), rest),
            bytes => {
                let end = bytes.iter().position(|byte| *byte == b':')?;
                let (digits, rest) = bytes.split_at_checked(end)?;
                let add = |sum: usize, byte| sum.checked_mul(10).map(|sum| sum + digit(byte));
                (digits.iter().try_fold(0, add)?, rest.get(1..)?)
            }
        };
        let (component, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(component)
    }
}

/// The files of a torrent.
#[derive(Debug, Default)]
pub(super) struct FileTable {
    pub(super) files: Vec<TorrentFile>,
    /// Encoded paths that differ from those in `info`: without their empty components.
    pub(super) rewritten: Vec<u8>,
    pub(super) total_bytes: u64,
}

impl FileTable {
    /// Returns where the strings of a list are, leaving out components that name nothing.
    /// `is_split`: the components are not those of the list.
    fn span(
        &mut self,
        list: Node<'_>,
        components: &[&[u8]],
        is_split: bool,
        info: Node<'_>,
    ) -> Span {
        let names = |component: &&&[u8]| paths::names_something(component);
        if !is_split && components.iter().all(|component| names(&component)) {
            return Span::of(list, info);
        }
        let path: Vec<_> = components.iter().filter(names).copied().collect();
        let begin = info.raw().len() + self.rewritten.len();
        self.rewritten.extend_from_slice(&Components::encode(&path));
        // The rewritten path is shorter than twice the list, and `info` is shorter than 64 MiB.
        Span { begin: begin as u32, end: (info.raw().len() + self.rewritten.len()) as u32 }
    }

    /// Marks empty files as directories if other files are below them.
    fn mark_directories(&mut self, info: &[u8]) {
        let path = |file: &TorrentFile| file.path.components(info, &self.rewritten).encoded();
        let is_empty = |file: &&TorrentFile| file.length == 0 && file.kind == FileKind::Data;
        let empty: HashSet<&[u8]> = self.files.iter().filter(is_empty).map(path).collect();
        if empty.is_empty() {
            return;
        }
        let (mut directories, mut before) = (HashSet::new(), &[][..]);
        for file in &self.files {
            let encoded = path(file);
            let mut components = Components::of(encoded);
            let mut directory = &[][..];
            // Files of the same directory are mostly adjacent, so known prefixes are skipped.
            while components.next().is_some() && !components.is_empty() {
                let length = encoded.len() - components.encoded().len();
                directory = encoded.get(..length).unwrap_or_default();
                if !before.starts_with(directory) && empty.contains(directory) {
                    directories.insert(directory.to_vec());
                }
            }
            before = directory;
        }
        for file in &mut self.files {
            let path = file.path.components(info, &self.rewritten).encoded();
            if file.length == 0 && file.kind == FileKind::Data && directories.contains(path) {
                file.kind = FileKind::Directory;
            }
        }
    }
}

/// The values of an entry of `files` that are used.
struct Entry<'a> {
    attributes: Option<Node<'a>>,
    length: Option<Node<'a>>,
    /// The list that names the file.
    path: Option<Node<'a>>,
    link_target: Option<Node<'a>>,
}

/// The keys of an entry that a download depends on.
pub(super) const FILE_KEYS: [&[u8]; 5] =
    [b"path", b"path.utf-8", b"length", b"attr", b"symlink path"];

impl<'a> Entry<'a> {
    /// In one pass, since a torrent can have a million files.
    fn of(file: Node<'a>) -> Entry<'a> {
        let [path, utf8_path, length, attributes, link_target] = file.get_all(&FILE_KEYS);
        Entry {
            attributes,
            length,
            path: utf8_path.filter(|path| is_utf8_path(*path)).or(path),
            link_target,
        }
    }

    fn is(&self, attribute: u8) -> bool {
        contains(self.attributes, attribute)
    }

    /// The path's components; `None` for a value that is not a string.
    fn strings(&self) -> impl Iterator<Item = Option<&'a [u8]>> {
        self.path.and_then(Node::list).into_iter().flatten().map(Node::bytes)
    }

    /// A pad file that is also marked as a link counts as a pad file.
    fn kind(&self, path: &[&[u8]], all: &mut FileTable, info: Node<'_>) -> FileKind {
        if self.is(b'p') || is_named_pad(path) {
            return FileKind::Pad;
        }
        if !self.is(b'l') {
            return FileKind::Data;
        }
        let target = self.link_target.and_then(|target| {
            let mut components = target.list()?.map(Node::bytes).collect::<Option<Vec<_>>>()?;
            // The text of the link, not split.
            let is_split = match components[..] {
                [text] => {
                    components.clear();
                    add_component(text, &mut components, true)
                }
                _ => false,
            };
            // An absolute path that was split at `/`: it is kept as it is, and refused.
            let is_absolute = components.len() > 1 && components.first()?.is_empty();
            Some(match is_absolute {
                true => Span::of(target, info),
                false => all.span(target, &components, is_split, info),
            })
        });
        FileKind::Link(LinkTarget(target))
    }
}

/// Reads the `files` list.
pub(super) fn read_files(list: Node<'_>, info: Node<'_>) -> Result<FileTable, Error> {
    let list = list.list().ok_or_else(|| damaged("`files` is not a list"))?;
    let mut offset = 0_u64;
    let (mut all, mut components) = (FileTable::default(), Vec::new());
    for file in list {
        if !file.is_dict() {
            return Err(damaged("an entry of `files` is not a dictionary"));
        }
        let entry = Entry::of(file);
        // A value that is not a string counts as an empty component here.
        components.clear();
        let mut is_split = false;
        for component in entry.strings() {
            is_split |= add_component(component.unwrap_or_default(), &mut components, false);
        }
        let mut kind = entry.kind(&components, &mut all, info);
        let length = match kind {
            FileKind::Link(_) => 0,
            FileKind::Pad if entry.is(b'l') => 0,
            _ => length_of(entry.length, "length")?,
        };
        let path = match kind {
            // Pad files are not stored, so their paths are not needed.
            FileKind::Pad => Span::default(),
            FileKind::Data | FileKind::Directory | FileKind::Link(_) => {
                let path = entry.path.filter(|path| path.list().is_some());
                let path =
                    path.ok_or_else(|| damaged("a file's `path` is missing or not a list"))?;
                if entry.strings().any(|string| string.is_none()) {
                    return Err(damaged("a file's `path` contains a value that is not a string"));
                }
                if kind == FileKind::Data
                    && length == 0
                    && components.last().is_none_or(|last| !paths::names_something(last))
                {
                    kind = FileKind::Directory;
                }
                match paths::check_path(&components) {
                    // The torrent's root directory.
                    Err(PathFlaw::Empty) if kind == FileKind::Directory => {}
                    checked => {
                        checked.map_err(|why| unsafe_path(&components.join(&b'/'), &why))?;
                    }
                }
                all.span(path, &components, is_split, info)
            }
        };
        all.files.push(TorrentFile { path, offset, length, kind });
        offset = offset
            .checked_add(length)
            .ok_or_else(|| damaged("its files are longer than 2^64 bytes"))?;
    }
    if all.files.is_empty() {
        return Err(damaged("`files` is empty"));
    }
    all.total_bytes = offset;
    all.mark_directories(info.raw());
    Ok(all)
}

/// Whether the value of `attr` contains this attribute (BEP 47).
pub(super) fn contains(attributes: Option<Node<'_>>, attribute: u8) -> bool {
    attributes.and_then(Node::bytes).is_some_and(|all| all.contains(&attribute))
}

/// Whether `path.utf-8`, which programs that write `path` in a legacy encoding add, is a valid path.
fn is_utf8_path(path: Node<'_>) -> bool {
    let Some(list) = path.list() else { return false };
    let mut components = Vec::new();
    for text in list {
        let Some(text) = text.bytes() else { return false };
        add_component(text, &mut components, false);
    }
    components.iter().all(|text| std::str::from_utf8(text).is_ok())
        && paths::check_path(&components).is_ok()
}

/// Adds a component to a path. Programs that do not split paths write several as one: `d/a.csv`. One
/// that is absolute, leads upwards where that is not allowed, or makes the path too long is not
/// split, and refused. Returns whether it was split.
fn add_component<'a>(component: &'a [u8], path: &mut Vec<&'a [u8]>, may_lead_up: bool) -> bool {
    let parts = || component.split(|byte| *byte == b'/');
    let is_split = component.contains(&b'/')
        && !component.starts_with(b"/")
        // Also limits the memory for parts that are empty.
        && path.len() + component.len() <= paths::MAX_PATH_BYTES
        && (may_lead_up || parts().all(|part| part != b".."));
    match is_split {
        true => path.extend(parts()),
        false => path.push(component),
    }
    is_split
}

/// BitComet's pad files, and the directory that holds those of its later versions.
const PAD_FILE: &[u8] = b"_____padding_file_";
const PAD_DIRECTORY: &[u8] = b".____padding_file";

/// Whether the path is one that only pad files have.
fn is_named_pad(path: &[&[u8]]) -> bool {
    path.split_last().is_some_and(|(name, directories)| {
        name.starts_with(PAD_FILE) || directories.contains(&PAD_DIRECTORY)
    })
}

/// Returns the required non-negative integer under a key.
pub(super) fn length_of(value: Option<Node<'_>>, key: &str) -> Result<u64, Error> {
    let length = value.and_then(Node::int);
    let length = length.ok_or_else(|| damaged(format!("`{key}` is missing or not a number")))?;
    u64::try_from(length).map_err(|_| damaged(format!("`{key}` is negative: {length}")))
}
