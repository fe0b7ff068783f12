//! The stamp: marks a dataset as complete, and allows a cheap check that it still is.
//!
//! A text file with one line per fact, so that people can read it and a warm build parses it
//! quickly:
//!
//! ```text
//! academictorrents stamp 1
//! place <path of a copy that is not in the store>
//! file <length> <mtime, nanoseconds since 1970> <path below files/>
//! digest <sha256 of a file>: only for trees, in the order of the files
//! link <its text> <path below files/>
//! fragment <piece> <sha1 of the piece's kept bytes>
//! sha256 <pin that was checked> <path as the manifest names it>
//! end
//! ```
//! Paths are percent-encoded where a line cannot contain them. The stamp's own mtime is always
//! 2000-01-01, so that Cargo, which compares it with the build script's last run, never considers
//! it newer.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs::{File, FileTimes, Metadata};
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::pins::Pins;
use super::{Site, fs};
use crate::error::Error;
use crate::hash::{hex, unhex};
use crate::plan::{Layout, PlacedFile, Selection};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::{Metainfo, os_path};

/// The stamp of a torrent of 64 MiB is smaller, even with all paths escaped.
const MAX_BYTES: u64 = 1 << 30;

/// A line has at most two paths, with all of their bytes escaped.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// Bytes read and written at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// 2000-01-01T00:00:00Z in seconds since 1970.
pub(super) const BACKDATED: u64 = 946_684_800;

/// What was verified: each file's size and time, and digests of the kept parts of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Where the files are, if not beside the stamp: see `elsewhere.rs`.
    pub(super) place: Option<PathBuf>,
    files: StampedFiles,
    /// SHA-256 of each file; empty except for trees of unpacked archives.
    pub(super) digests: Vec<[u8; 32]>,
    /// Symbolic links: their paths and their texts.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// For pieces that the selection keeps in part: the SHA-1 of the kept bytes, so that they can
    /// be checked again.
    pub fragments: Vec<(PieceIndex, [u8; 20])>,
    /// The manifest's pins that were checked.
    pub pins: Vec<(String, [u8; 32])>,
}

/// The stamped files, compactly: there may be a million, whose paths all begin with the torrent's
/// name, which may be long, so it is stored once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct StampedFiles {
    /// The first component of the first path, with a separator; empty for a single file.
    top: Vec<u8>,
    /// The paths, concatenated; those below `top` without it.
    paths: Vec<u8>,
    files: Vec<StampedFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StampedFile {
    length: u64,
    modified_nanos: u128,
    /// Where its path ends in `paths`; a stamp has at most 1 GiB, so this fits.
    path_end: u32,
    is_below_top: bool,
}

impl StampedFiles {
    fn push(&mut self, path: &Path, length: u64, modified_nanos: u128) {
        let path = &*slashed(path);
        if self.files.is_empty() {
            let separator = path.iter().position(|byte| *byte == b'/');
            self.top = path[..separator.map_or(0, |at| at + 1)].to_vec();
        }
        let below = path.strip_prefix(&self.top[..]);
        self.paths.extend_from_slice(below.unwrap_or(path));
        self.files.push(StampedFile {
            length,
            modified_nanos,
            path_end: self.paths.len() as u32,
            is_below_top: below.is_some(),
        });
    }

    fn iter(&self) -> impl Iterator<Item = (PathBuf, StampedFile)> {
        let mut begin = 0;
        self.files.iter().map(move |file| {
            let end = file.path_end as usize;
            let below = self.paths.get(begin..end).unwrap_or_default();
            begin = end;
            let top = if file.is_below_top { &self.top[..] } else { &[] };
            (os_path([top, below].concat()), *file)
        })
    }
}

impl Stamp {
    /// The first line, with the format version.
    pub const HEADER: &str = "academictorrents stamp 1";

    /// Stamps these files in their current state.
    pub(super) fn of(site: &Site, files: impl Iterator<Item = PathBuf>) -> Result<Stamp, Error> {
        let mut stamp = Stamp::default();
        for path in files {
            let whole = site.path(&path);
            let metadata =
                std::fs::metadata(&whole).map_err(|why| Error::disk("read", &whole, &why))?;
            stamp.files.push(&path, metadata.len(), nanos(&metadata));
        }
        Ok(stamp)
    }

    /// Reads a stamp; `None` if it does not exist or is damaged: then the data is hashed again.
    pub fn read(path: &Path) -> Option<Stamp> {
        let file = fs::open(path).ok()?;
        if file.metadata().ok()?.len() > MAX_BYTES {
            return None;
        }
        Stamp::parse(&mut BufReader::with_capacity(BUFFER_BYTES, file.take(MAX_BYTES)))
    }

    /// Whether each file still has its stamped size and time. The fraction of a second may have
    /// been lost in an archive. Files and directories may be symbolic links.
    pub fn matches(&self, site: &Site) -> bool {
        self.fits(site, |path| std::fs::metadata(path).ok())
    }

    /// Does the same for a store's own dataset, whose files are below `data`: each must be a
    /// regular file, and no directory on the way may be a symbolic link. `data` itself may be one.
    pub fn matches_own(&self, data: PathBuf, files: PathBuf) -> bool {
        let mut below = fs::Below::new(data);
        self.fits(&files.into(), |path| below.file(path))
    }

    /// `look` returns a file's metadata. A stamp without files never matches: each dataset has one.
    fn fits(&self, site: &Site, mut look: impl FnMut(&Path) -> Option<Metadata>) -> bool {
        let says = |(path, text): &(PathBuf, PathBuf)| {
            std::fs::read_link(site.path(path)).is_ok_and(|found| found == *text)
        };
        !self.files.files.is_empty()
            && self.links.iter().all(says)
            && self.files.iter().all(|(path, file)| {
                look(&site.path(&path)).is_some_and(|metadata| {
                    metadata.is_file()
                        && metadata.len() == file.length
                        && is_time(nanos(&metadata), file.modified_nanos)
                })
            })
    }

    /// Whether all these pins were checked.
    pub fn holds(&self, pins: &Pins) -> bool {
        pins.iter()
            .all(|(path, pin)| self.pins.iter().any(|(known, held)| known == path && held == pin))
    }

    pub(super) fn lengths(&self) -> impl Iterator<Item = u64> {
        self.files.files.iter().map(|file| file.length)
    }

    /// Returns the paths of the stamped symbolic links, below the directory with the torrent's
    /// layout.
    pub fn link_paths(&self) -> impl Iterator<Item = &Path> {
        self.links.iter().map(|(path, _)| path.as_path())
    }

    /// Returns the paths of the stamped files, below the directory with the torrent's layout.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|(path, _)| path)
    }

    /// Returns those of `files` that are stamped. Both must be in the torrent's order.
    pub(super) fn among<'a>(
        &'a self,
        files: impl Iterator<Item = PlacedFile<'a>>,
    ) -> impl Iterator<Item = PlacedFile<'a>> {
        let mut paths = self.paths().peekable();
        files.filter(move |file| paths.next_if_eq(&file.path()).is_some())
    }

    /// Whether all files and links of a selection are stamped. Both are in the torrent's order.
    pub fn has_all(&self, metainfo: &Metainfo, selection: &Selection) -> bool {
        let (mut files, mut links) = (self.paths(), self.link_paths());
        selection.files().iter().filter_map(|index| metainfo.files.get(*index as usize)).all(
            |file| {
                let path = metainfo.layout_path(file);
                if file.is_link() {
                    links.any(|link| link == path)
                } else {
                    files.any(|file| file == path)
                }
            },
        )
    }

    /// Whether the stamped files are exactly those of a layout, with their lengths. Both are in the
    /// torrent's order.
    pub(super) fn is_of(&self, layout: &Layout) -> bool {
        self.files().eq(layout.files().map(|file| (file.path(), file.length())))
    }

    /// Returns the paths of the stamped files, and their lengths in bytes.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        self.files.iter().map(|(path, file)| (path, file.length))
    }

    /// Returns the first component of all paths: the torrent's `name`.
    pub fn name(&self) -> Option<PathBuf> {
        self.paths().next()?.iter().next().map(PathBuf::from)
    }

    /// Writes the stamp, backdated, with an atomic rename.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let backdated = UNIX_EPOCH + Duration::from_secs(BACKDATED);
        let has_no_times = Cell::new(false);
        let prepare = |file: &File| {
            let set = file.set_times(FileTimes::new().set_modified(backdated));
            has_no_times.set(set.as_ref().is_err_and(fs::is_not_supported));
            set
        };
        let written = fs::keep_stream(path, BUFFER_BYTES, &|out| self.encode(out), prepare);
        written.map_err(|why| match (Error::disk("write", path, &why), has_no_times.get()) {
            (error, false) => error,
            (error, true) => error
                .why("its file system does not allow setting file times, by which Cargo detects changed data")
                .help("store the dataset on another file system, such as a local disk: set ACADEMICTORRENTS_STORE"),
        })
    }

    /// Writes the stamp's text.
    ///
    /// # Errors
    /// Of writing.
    pub fn encode(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", Stamp::HEADER)?;
        if let Some(place) = &self.place {
            writeln!(out, "place {}", escape(place))?;
        }
        for (path, file) in self.files.iter() {
            writeln!(
                out,
                "file {} {} {}",
                file.length,
                file.modified_nanos,
                escape_bytes(&slashed(&path))
            )?;
        }
        for digest in &self.digests {
            writeln!(out, "digest {}", hex(digest))?;
        }
        for (path, target) in &self.links {
            // A space ends the target, so its own spaces are escaped.
            let target = escape(target).replace(' ', "%20");
            writeln!(out, "link {target} {}", escape_bytes(&slashed(path)))?;
        }
        for (piece, sha1) in &self.fragments {
            writeln!(out, "fragment {piece} {}", crate::Infohash::from_bytes(*sha1))?;
        }
        for (path, sha256) in &self.pins {
            writeln!(out, "sha256 {} {}", hex(sha256), escape(Path::new(path)))?;
        }
        out.write_all(b"end\n")
    }

    /// Reads what [`Stamp::encode`] wrote.
    pub fn parse(text: &mut dyn BufRead) -> Option<Stamp> {
        let (mut stamp, mut line) = (Stamp::default(), Vec::new());
        if next_line(text, &mut line)? != Stamp::HEADER {
            return None;
        }
        loop {
            let line = next_line(text, &mut line)?;
            // The last line distinguishes a complete stamp from one that a full disk truncated.
            if line == "end" {
                let has_all = [0, stamp.files.files.len()].contains(&stamp.digests.len());
                let is_over = text.fill_buf().is_ok_and(<[u8]>::is_empty);
                return (has_all && is_over).then_some(stamp);
            }
            let (kind, rest) = line.split_once(' ')?;
            match kind {
                "place" => stamp.place = Some(unescape(rest)?),
                "file" => {
                    let (length, rest) = rest.split_once(' ')?;
                    let (modified, path) = rest.split_once(' ')?;
                    let (length, modified) = (length.parse().ok()?, modified.parse().ok()?);
                    stamp.files.push(&path_below(path)?, length, modified);
                }
                "digest" => stamp.digests.push(unhex(rest)?),
                "link" => {
                    let (target, path) = rest.split_once(' ')?;
                    stamp.links.push((path_below(path)?, unescape(target)?));
                }
                "fragment" => {
                    let (piece, sha1) = rest.split_once(' ')?;
                    let sha1: crate::Infohash = sha1.parse().ok()?;
                    stamp.fragments.push((piece.parse().ok()?, *sha1.as_bytes()));
                }
                "sha256" => {
                    let (hex, path) = rest.split_once(' ')?;
                    stamp.pins.push((unescape(path)?.to_str()?.to_owned(), unhex(hex)?));
                }
                _ => return None,
            }
        }
    }
}

/// Parses a path that stays below its directory: whoever can write to a store could otherwise name
/// any file of ours.
fn path_below(text: &str) -> Option<PathBuf> {
    let path = unescape(text)?;
    let mut components = path.components();
    let is_below = components.all(|it| matches!(it, Component::Normal(_)));
    (is_below && !path.as_os_str().is_empty()).then_some(path)
}

/// Reads the next line into the buffer; `None` if it is not terminated, or too long.
fn next_line<'a>(text: &mut dyn BufRead, line: &'a mut Vec<u8>) -> Option<&'a str> {
    line.clear();
    text.take(MAX_LINE_BYTES).read_until(b'\n', line).ok()?;
    std::str::from_utf8(line.strip_suffix(b"\n")?).ok()
}

/// Returns nanoseconds since 1970; 0 for earlier times and if the file system does not provide the
/// time.
fn nanos(metadata: &Metadata) -> u128 {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Whether `found` is the stamped time, or that time in whole seconds, as GNU tar's own format and
/// the layers of container images keep it. A file gets such a time only if somebody sets it, except
/// on file systems that count in seconds, where the stamped time has no fraction either.
fn is_time(found: u128, stamped: u128) -> bool {
    const SECOND: u128 = 1_000_000_000;
    found == stamped || found == stamped - stamped % SECOND
}

const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');

pub(super) fn escape(path: &Path) -> String {
    escape_bytes(path.as_os_str().as_encoded_bytes()).to_string()
}

fn escape_bytes(bytes: &[u8]) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::percent_encode(bytes, ESCAPED)
}

/// Returns a path below `files/` with `/` as separator on every platform: other systems may read
/// the same store.
fn slashed(path: &Path) -> Cow<'_, [u8]> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if !cfg!(windows) || !bytes.contains(&b'\\') {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect())
}

pub(super) fn unescape(text: &str) -> Option<PathBuf> {
    if !text.contains('%') {
        return Some(PathBuf::from(text));
    }
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }
    #[cfg(not(unix))]
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests;
