//! Metainfo (BEP 3): the `.torrent` file, read into files, pieces and sources.
//!
//! Floor 1, pure: bytes in, [`Metainfo`] out. What comes from outside is bounded before it is used:
//! the bytes are scanned iteratively first (see [`crate::bencode`]), lengths are added with overflow
//! checks, and paths are judged by [`paths`] before anyone joins them to a directory.
//!
//! Invariants of a [`Metainfo`]: its infohash is the SHA-1 of the raw `info` span; there is one
//! 20-byte hash for each piece of its geometry; no path leaves the torrent's own directory.

mod paths;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde_bencode::value::Value;

use crate::bencode::{self, Limits};
use crate::error::{Error, ErrorKind};
use crate::geometry::{Geometry, PieceIndex};
use crate::hash::Sha1;
use crate::infohash::Infohash;

pub use paths::check_portable;

/// The largest `.torrent` that is read: 2,500,000 pieces of hashes and 100,000 files fit.
pub const MAX_TORRENT_BYTES: usize = 64 << 20;

/// What lies outside of `info` is anyone's who hands the torrent on: no more of it is believed than is of use.
const MAX_TIERS: usize = 32;
const MAX_TRACKERS_PER_TIER: usize = 16;
const MAX_WEB_SEEDS: usize = 64;
const OUTER: Limits = Limits { max_bytes: 1 << 20, max_depth: 4, max_values: 20_000 };

/// Of a file that is no torrent, so much is shown.
const SHOWN_BYTES: usize = 20;

const LIMITS: Limits =
    Limits { max_bytes: MAX_TORRENT_BYTES, max_depth: 16, max_values: 6_000_000 };

/// A torrent's metainfo, checked.
#[derive(Clone, Debug)]
pub struct Metainfo {
    pub infohash: Infohash,
    /// The suggested name: of the file, or of the directory that holds all files.
    pub name: Vec<u8>,
    /// Whether the torrent has a `files` key: even with one file it is a directory then.
    pub multi: bool,
    pub files: Vec<TorrentFile>,
    pub geometry: Geometry,
    piece_hashes: Vec<u8>,
    /// Tiers of trackers (BEP 12), as they stand: empty and odd URLs are the tracker room's matter.
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19), without the empty strings that real torrents hold.
    pub web_seeds: Vec<String>,
}

/// A file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorrentFile {
    /// Its path's components below the torrent's name, raw; empty for a single-file torrent.
    pub path: Vec<Vec<u8>>,
    /// Where it begins in the torrent's stream, in bytes.
    pub offset: u64,
    pub length: u64,
    /// BEP 47: zeros that align the next file; neither fetched nor stored.
    pub pad: bool,
}

impl TorrentFile {
    /// The file's bytes in the torrent's stream.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.offset..self.offset + self.length
    }
}

impl Metainfo {
    /// The infohash of a `.torrent`, of which nothing else is looked at than its structure.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`] for what is no bencode, or has no `info`.
    pub fn infohash_of(torrent: &[u8]) -> Result<Infohash, Error> {
        let scan = scan(torrent)?;
        let span = scan.top_level(b"info").ok_or_else(|| damaged("it has no `info` dictionary"))?;
        Ok(Infohash::from_bytes(Sha1::digest(&torrent[span])))
    }

    /// Reads a `.torrent`.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`], saying which key is missing or wrong.
    pub fn parse(torrent: &[u8]) -> Result<Metainfo, Error> {
        let scan = scan(torrent)?;
        let span = scan.top_level(b"info").ok_or_else(|| damaged("it has no `info` dictionary"))?;
        let infohash = Infohash::from_bytes(Sha1::digest(&torrent[span.clone()]));
        // Each key by its span: what else a torrent holds costs no memory.
        let value = |key: &[u8]| {
            scan.top_level(key).and_then(|span| bencode::decode(&torrent[span], &OUTER).ok())
        };
        let (announce, announce_list) = (value(b"announce"), value(b"announce-list"));
        let web_seeds = value(b"url-list");
        let Ok(Value::Dict(mut info)) = bencode::decode(&torrent[span], &LIMITS) else {
            return Err(damaged("`info` is not a dictionary"));
        };
        if info.contains_key(b"meta version".as_slice()) && !info.contains_key(b"pieces".as_slice())
        {
            return Err(damaged(
                "it is a BitTorrent v2-only torrent (BEP 52): it has no v1 pieces",
            )
            .help("use a v1 or hybrid torrent of the dataset"));
        }
        let name = match info.remove(b"name".as_slice()) {
            Some(Value::Bytes(name)) => name,
            _ => return Err(damaged("`name` is missing or not a string")),
        };
        paths::check_component(&name).map_err(|why| unsafe_path(&name, &why))?;
        let multi = info.contains_key(b"files".as_slice());
        let files = if multi {
            read_files(info.remove(b"files".as_slice()))?
        } else {
            let length = length_of(info.get(b"length".as_slice()), "length")?;
            vec![TorrentFile { path: Vec::new(), offset: 0, length, pad: false }]
        };
        let total = files.last().map_or(0, |last| last.offset + last.length);
        let piece_bytes = length_of(info.get(b"piece length".as_slice()), "piece length")?;
        let geometry = u32::try_from(piece_bytes)
            .ok()
            .and_then(|piece_bytes| Geometry::new(total, piece_bytes))
            .ok_or_else(|| {
                damaged(format!(
                    "a piece length of {piece_bytes} bytes for {total} bytes in all cannot be"
                ))
            })?;
        let Some(Value::Bytes(piece_hashes)) = info.remove(b"pieces".as_slice()) else {
            return Err(damaged("`pieces` is missing or not a string"));
        };
        if piece_hashes.len() as u64 != u64::from(geometry.piece_count()) * 20 {
            return Err(damaged(format!(
                "`pieces` has {} bytes, and {} pieces need {}",
                piece_hashes.len(),
                geometry.piece_count(),
                u64::from(geometry.piece_count()) * 20
            )));
        }
        Ok(Metainfo {
            infohash,
            name,
            multi,
            files,
            geometry,
            piece_hashes,
            trackers: trackers(announce_list.as_ref(), announce.as_ref()),
            web_seeds: strings(web_seeds.as_ref(), MAX_WEB_SEEDS),
        })
    }

    /// Refuses a torrent that is not the one declared.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`], naming both infohashes.
    pub fn expect(self, declared: Infohash) -> Result<Metainfo, Error> {
        if self.infohash == declared {
            Ok(self)
        } else {
            Err(not_declared(declared, self.infohash))
        }
    }

    /// The SHA-1 that the piece must have; `None` for a piece that is not there.
    pub fn piece_hash(&self, piece: PieceIndex) -> Option<[u8; 20]> {
        self.piece_hashes.as_chunks().0.get(piece as usize).copied()
    }

    /// The file's place below the directory that holds the torrent's own layout.
    pub fn layout_path(&self, file: &TorrentFile) -> PathBuf {
        let mut path = PathBuf::from(os_name(&self.name));
        path.extend(file.path.iter().map(|component| os_name(component)));
        path
    }

    /// The file's path as globs, pins and messages name it: below the torrent's directory, `/` between
    /// components; a single file's name.
    pub fn display_path(&self, file: &TorrentFile) -> String {
        if file.path.is_empty() {
            return String::from_utf8_lossy(&self.name).into_owned();
        }
        String::from_utf8_lossy(&file.path.join(&b'/')).into_owned()
    }
}

/// Scans a `.torrent`; of what is none it says what it probably is.
fn scan(torrent: &[u8]) -> Result<bencode::Scan<'_>, Error> {
    let again = "download it again, from the dataset's page at the catalogue: \
                 `/download/<infohash>.torrent` below the catalogue's address";
    let begin = torrent.trim_ascii_start();
    match begin.first() {
        Some(b'd') => {}
        None => return Err(damaged("this is not a .torrent: it is empty").help(again)),
        Some(first) => {
            let line = begin.split(u8::is_ascii_control).next().unwrap_or_default();
            let shown = line.get(..SHOWN_BYTES).unwrap_or(line).escape_ascii();
            let page = if *first == b'<' { ": a web page was saved or sent instead" } else { "" };
            let why = format!("this is not a .torrent: it begins with `{shown}`{page}");
            return Err(damaged(why).help(again));
        }
    }
    bencode::scan(torrent, &LIMITS).map_err(|why| {
        if why.is_cut_short() {
            damaged(format!("the file is cut short: {why}")).help(again)
        } else {
            damaged(why.to_string())
        }
    })
}

#[cfg(unix)]
fn os_name(name: &[u8]) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStrExt as _;
    std::ffi::OsStr::from_bytes(name).to_owned()
}

#[cfg(not(unix))]
fn os_name(name: &[u8]) -> std::ffi::OsString {
    // `check_portable` has refused names that are not UTF-8 where they would be written.
    String::from_utf8_lossy(name).into_owned().into()
}

fn read_files(files: Option<Value>) -> Result<Vec<TorrentFile>, Error> {
    let Some(Value::List(list)) = files else {
        return Err(damaged("`files` is not a list"));
    };
    if list.is_empty() {
        return Err(damaged("`files` is empty"));
    }
    let mut offset = 0_u64;
    let mut files = Vec::with_capacity(list.len());
    for file in list {
        let Value::Dict(mut file) = file else {
            return Err(damaged("an entry of `files` is not a dictionary"));
        };
        let length = length_of(file.get(b"length".as_slice()), "length")?;
        let pad = matches!(file.get(b"attr".as_slice()), Some(Value::Bytes(attr)) if attr.contains(&b'p'));
        let Some(Value::List(components)) = file.remove(b"path".as_slice()) else {
            return Err(damaged("a file's `path` is missing or not a list"));
        };
        let mut path = Vec::with_capacity(components.len());
        for component in components {
            match component {
                Value::Bytes(component) => path.push(component),
                _ => return Err(damaged("a file's `path` holds something that is not a string")),
            }
        }
        if !pad {
            paths::check_path(&path).map_err(|why| unsafe_path(&path.join(&b'/'), &why))?;
        }
        files.push(TorrentFile { path, offset, length, pad });
        offset = offset
            .checked_add(length)
            .ok_or_else(|| damaged("its files are longer than 2^64 bytes"))?;
    }
    Ok(files)
}

fn length_of(value: Option<&Value>, key: &str) -> Result<u64, Error> {
    match value {
        Some(Value::Int(length)) => {
            u64::try_from(*length).map_err(|_| damaged(format!("`{key}` is negative: {length}")))
        }
        _ => Err(damaged(format!("`{key}` is missing or not a number"))),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bytes(bytes) => {
            Some(String::from_utf8_lossy(bytes).trim().to_owned()).filter(|text| !text.is_empty())
        }
        _ => None,
    }
}

/// A string, or a list of strings, the first so many; what is empty or no string is passed over.
fn strings(value: Option<&Value>, most: usize) -> Vec<String> {
    match value {
        Some(Value::List(list)) => list.iter().filter_map(text).take(most).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// BEP 12: `announce-list` takes the place of `announce` where it names any tracker.
fn trackers(announce_list: Option<&Value>, announce: Option<&Value>) -> Vec<Vec<String>> {
    let tiers: Vec<_> = match announce_list {
        Some(Value::List(tiers)) => tiers
            .iter()
            .map(|tier| strings(Some(tier), MAX_TRACKERS_PER_TIER))
            .filter(|tier| !tier.is_empty())
            .take(MAX_TIERS)
            .collect(),
        _ => Vec::new(),
    };
    if tiers.is_empty() {
        return strings(announce, 1).into_iter().map(|url| vec![url]).collect();
    }
    tiers
}

/// The error for a torrent that is not the one declared.
pub fn not_declared(declared: Infohash, found: Infohash) -> Error {
    Error::new(ErrorKind::Metainfo, "the torrent is not the declared one")
        .why(format!("declared infohash: {declared}"))
        .why(format!("this torrent's:    {found}"))
        .help(
            "correct one of the two: `infohash` in the manifest, or the file that `torrent` names",
        )
}

fn damaged(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Metainfo, "the torrent cannot be used").why(why)
}

fn unsafe_path(path: &[u8], why: &str) -> Error {
    Error::new(ErrorKind::Metainfo, "the torrent is not safe to store")
        .why(format!("its path `{}` {why}", path.escape_ascii()))
        .help("such a torrent is malformed or hostile: ask for another torrent of the dataset")
}
