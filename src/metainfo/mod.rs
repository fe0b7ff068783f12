//! Metainfo (BEP 3): the `.torrent` file, read into files, pieces and sources.
//!
//! Floor 1, pure: bytes in, [`Metainfo`] out. What comes from outside is bounded before it is used:
//! the bytes are scanned iteratively first (see [`crate::bencode`]), lengths are added with overflow
//! checks, and paths are judged by [`paths`] before anyone joins them to a directory.
//!
//! Invariants of a [`Metainfo`]: its infohash is the SHA-1 of the raw `info` span; there is one
//! 20-byte hash for each piece of its geometry; no path leaves the torrent's own directory.

#[cfg(feature = "cli")]
mod about;
mod paths;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde_bencode::value::Value;

use crate::bencode::{self, Limits, Node};
use crate::error::{Error, ErrorKind};
use crate::geometry::{Geometry, PieceIndex};
use crate::hash::Sha1;
use crate::infohash::Infohash;

pub use paths::check_portable;

/// The largest `.torrent` that is read: 2,500,000 pieces of hashes and 100,000 files fit.
pub const MAX_TORRENT_BYTES: usize = 64 << 20;

/// The largest `info` that is taken from peers: as a `.torrent`, with trackers, it must fit into the limit.
pub const MAX_INFO_BYTES: usize = MAX_TORRENT_BYTES - (1 << 20);

/// What lies outside of `info` is anyone's who hands the torrent on: no more of it is believed than is of use.
const MAX_TIERS: usize = 32;
const MAX_TRACKERS_PER_TIER: usize = 16;
const MAX_TRACKER_BYTES: usize = 2 << 10;
const MAX_WEB_SEEDS: usize = 64;
const MAX_COMMENT_BYTES: usize = 16 << 10;
const OUTER: Limits = Limits { max_bytes: 1 << 20, max_depth: 4, max_values: 20_000 };

/// Of a file that is no torrent, so much is shown.
const SHOWN_BYTES: usize = 20;

/// Each value takes 24 bytes while a torrent is read: less than 300 MiB, for a torrent that is made for that.
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
    /// Length of the raw `info`, of which the infohash is the SHA-1.
    pub info_bytes: u64,
    piece_hashes: Vec<u8>,
    /// Peers may come from its trackers and from the user alone (BEP 27).
    pub private: bool,
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
        let info = info_of(&scan)?;
        Ok(Infohash::from_bytes(Sha1::digest(info.raw())))
    }

    /// The raw `info` of a `.torrent`, where it is this one's: what a magnet link's infohash stands for (BEP 9).
    pub fn raw_info(&self, torrent: &[u8]) -> Option<Vec<u8>> {
        let scan = scan(torrent).ok()?;
        let info = info_of(&scan).ok()?.raw();
        (Infohash::from_bytes(Sha1::digest(info)) == self.infohash).then(|| info.to_vec())
    }

    /// What the makers wrote about it, or whoever handed it on: outside of `info`, no hash covers it.
    pub fn comment_of(torrent: &[u8]) -> Option<String> {
        let scan = scan(torrent).ok()?;
        let comment = scan.root().get(b"comment").and_then(Node::bytes)?;
        let comment = comment.get(..MAX_COMMENT_BYTES).unwrap_or(comment);
        Some(String::from_utf8_lossy(comment).into_owned())
    }

    /// A `.torrent` of a raw `info` dictionary, with these trackers (BEP 12).
    pub fn wrap(info: &[u8], tiers: &[Vec<String>]) -> Vec<u8> {
        let text = |text: &str| format!("{}:{text}", text.len());
        let fits = |url: &&String| url.len() <= MAX_TRACKER_BYTES;
        let mut torrent = b"d".to_vec();
        let mut list = String::new();
        for tier in tiers.iter().take(MAX_TIERS) {
            let urls = tier.iter().filter(fits).take(MAX_TRACKERS_PER_TIER);
            let urls: String = urls.map(|url| text(url)).collect();
            if !urls.is_empty() {
                list += &format!("l{urls}e");
            }
        }
        if let Some(first) = tiers.iter().flatten().find(fits) {
            let head = format!("8:announce{}13:announce-listl{list}e", text(first));
            torrent.extend_from_slice(head.as_bytes());
        }
        torrent.extend_from_slice(b"4:info");
        torrent.extend_from_slice(info);
        torrent.push(b'e');
        torrent
    }

    /// Reads a `.torrent`.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`], saying which key is missing or wrong.
    pub fn parse(torrent: &[u8]) -> Result<Metainfo, Error> {
        let scan = scan(torrent)?;
        let info = info_of(&scan)?;
        let infohash = Infohash::from_bytes(Sha1::digest(info.raw()));
        // Few and of many forms: they are decoded.
        let value = |key| {
            let node: Node<'_> = scan.root().get(key)?;
            bencode::decode(node.raw(), &OUTER).ok()
        };
        let (announce, announce_list) = (value(b"announce"), value(b"announce-list"));
        let web_seeds = value(b"url-list");
        if !info.is_dict() {
            return Err(damaged("`info` is not a dictionary"));
        }
        let pieces = info.get(b"pieces");
        if info.get(b"meta version").is_some() && pieces.is_none() {
            return Err(damaged(
                "it is a BitTorrent v2-only torrent (BEP 52): it has no v1 pieces",
            )
            .help("use a v1 or hybrid torrent of the dataset"));
        }
        let name = info.get(b"name").and_then(Node::bytes);
        let name = name.ok_or_else(|| damaged("`name` is missing or not a string"))?;
        paths::check_component(name).map_err(|why| unsafe_path(name, &why))?;
        let list = info.get(b"files");
        let files = match list {
            Some(list) => read_files(list)?,
            None => {
                let length = length_of(info, "length")?;
                vec![TorrentFile { path: Vec::new(), offset: 0, length, pad: false }]
            }
        };
        let total = files.last().map_or(0, |last| last.offset + last.length);
        let piece_bytes = length_of(info, "piece length")?;
        let geometry = u32::try_from(piece_bytes)
            .ok()
            .and_then(|piece_bytes| Geometry::new(total, piece_bytes))
            .ok_or_else(|| {
                damaged(format!(
                    "a piece length of {piece_bytes} bytes for {total} bytes in all cannot be"
                ))
            })?;
        let piece_hashes = pieces.and_then(Node::bytes);
        let piece_hashes =
            piece_hashes.ok_or_else(|| damaged("`pieces` is missing or not a string"))?;
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
            name: name.to_vec(),
            multi: list.is_some(),
            files,
            geometry,
            info_bytes: info.raw().len() as u64,
            piece_hashes: piece_hashes.to_vec(),
            private: info.get(b"private").and_then(Node::int).is_some_and(|private| private != 0),
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
    let again =
        "download it again: https://academictorrents.com/download/<infohash>.torrent has it";
    let begin = torrent.trim_ascii_start();
    match begin.first() {
        Some(b'd') => {}
        None => return Err(damaged("this is not a .torrent: it is empty").help(again)),
        Some(first) => {
            let line = begin.split(u8::is_ascii_control).next().unwrap_or_default();
            let shown = line.get(..SHOWN_BYTES).unwrap_or(line).escape_ascii();
            let page = if *first == b'<' { ", as a web page does" } else { "" };
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

fn info_of<'s>(scan: &'s bencode::Scan<'_>) -> Result<Node<'s>, Error> {
    scan.root().get(b"info").ok_or_else(|| damaged("it has no `info` dictionary"))
}

fn read_files(list: Node<'_>) -> Result<Vec<TorrentFile>, Error> {
    let list = list.list().ok_or_else(|| damaged("`files` is not a list"))?;
    let mut offset = 0_u64;
    let mut files = Vec::new();
    for file in list {
        if !file.is_dict() {
            return Err(damaged("an entry of `files` is not a dictionary"));
        }
        let length = length_of(file, "length")?;
        let attr = file.get(b"attr").and_then(Node::bytes);
        let pad = attr.is_some_and(|attr| attr.contains(&b'p'));
        let components = file.get(b"path").and_then(Node::list);
        let components =
            components.ok_or_else(|| damaged("a file's `path` is missing or not a list"))?;
        let mut path = Vec::new();
        for component in components {
            let component = component.bytes();
            path.push(
                component
                    .ok_or_else(|| damaged("a file's `path` holds something that is not a string"))?
                    .to_vec(),
            );
        }
        if !pad {
            paths::check_path(&path).map_err(|why| unsafe_path(&path.join(&b'/'), &why))?;
        }
        files.push(TorrentFile { path, offset, length, pad });
        offset = offset
            .checked_add(length)
            .ok_or_else(|| damaged("its files are longer than 2^64 bytes"))?;
    }
    if files.is_empty() {
        return Err(damaged("`files` is empty"));
    }
    Ok(files)
}

/// The number under a key, which must be there.
fn length_of(dict: Node<'_>, key: &str) -> Result<u64, Error> {
    let length = dict.get(key.as_bytes()).and_then(Node::int);
    let length = length.ok_or_else(|| damaged(format!("`{key}` is missing or not a number")))?;
    u64::try_from(length).map_err(|_| damaged(format!("`{key}` is negative: {length}")))
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
