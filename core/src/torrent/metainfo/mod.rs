//! Metainfo (BEP 3): parses a `.torrent` file into files, pieces and sources.
//!
//! Layer 1, pure: bytes in, [`Metainfo`] out. All input is bounded before it is used: the bytes are
//! scanned iteratively first (see [`crate::torrent::bencode`]), lengths are added with overflow
//! checks, and [`paths`] checks every path before it is joined to a directory.
//!
//! Invariants of a [`Metainfo`]: its infohash is the SHA-1 of the raw `info` span; it has one
//! 20-byte hash for each piece of its geometry; no path leaves the torrent's own directory.

#[cfg(feature = "engine")]
pub mod about;
mod files;
mod hidden;
#[cfg(any(test, feature = "engine"))]
pub mod passkeys;
pub mod paths;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "seed")]
use crate::error::printable;
use crate::error::{Error, ErrorKind};
use crate::hash::Sha1;
use crate::origin::TorrentOrigin;
use crate::torrent::bencode::{self, Limits, Node};
use crate::torrent::geometry::{Geometry, PieceIndex};
use crate::torrent::infohash::Infohash;
use crate::url::{self, Url};
use files::{FILE_KEYS, FileTable, length_of};

pub use files::{Components, FileKind, LinkTarget, TorrentFile};
pub use hidden::{check_visible, is_same_name};
#[cfg(feature = "unpack")]
pub use paths::check_member;
pub use paths::{
    OddPath, Platform, check_given_name, check_storable, check_storable_name, storable_name,
};

use paths::PathFlaw;

/// The largest `.torrent` that is read: 2,500,000 piece hashes and 100,000 files fit.
pub const MAX_TORRENT_BYTES: usize = 64 << 20;

/// The largest `info` that is accepted from peers: wrapped as a `.torrent` with trackers, it must
/// fit into [`MAX_TORRENT_BYTES`].
pub const MAX_INFO_BYTES: usize = MAX_TORRENT_BYTES - (1 << 20);
/// Limit for the trackers in a wrapped `.torrent`.
const MAX_WRAPPED_BYTES: usize = 1 << 19;

/// Anyone who passes a torrent on can change what is outside of `info`, so it is limited to what is
/// useful.
const MAX_TIERS: usize = 256;
const MAX_TRACKERS_PER_TIER: usize = 64;
const MAX_URLS_OF_LIST: usize = 1_024;
const MAX_TRACKER_BYTES: usize = 2 << 10;
const MAX_WEB_SEEDS: usize = 64;
#[cfg(feature = "dht")]
const MAX_DHT_NODES: usize = 16;
#[cfg(feature = "dht")]
const MAX_HOST_BYTES: usize = 255;
const MAX_COMMENT_BYTES: usize = 16 << 10;

/// How many bytes of a file that is not a torrent an error message shows.
const SHOWN_BYTES: usize = 20;

/// Each value takes 16 bytes while a torrent is read: at most 92 MiB, for a torrent crafted to
/// reach the limit.
pub const LIMITS: Limits = Limits { max_bytes: MAX_TORRENT_BYTES, max_values: 6_000_000 };

/// The checked metainfo of a torrent.
#[derive(Clone, Debug)]
pub struct Metainfo {
    pub infohash: Infohash,
    /// The suggested name: of the single file, or of the directory that holds all files.
    pub name: Vec<u8>,
    /// The name on disk, if it differs from the torrent's own name.
    renamed: Option<Vec<u8>>,
    /// Replaces a `name` that is not a valid file name: empty, `..`, or containing `/`.
    stand_in: Option<Vec<u8>>,
    /// Whether the torrent has a `files` key: then it is a directory, even with a single file.
    pub multi: bool,
    pub files: Arc<Vec<TorrentFile>>,
    pub geometry: Geometry,
    /// The raw `info`, whose SHA-1 is the infohash. Paths and piece hashes are read from it.
    info: Arc<Vec<u8>>,
    /// Encoded paths that differ from those in `info`; see [`FileTable`].
    rewritten_paths: Arc<Vec<u8>>,
    /// The byte range of the piece hashes in `info`.
    piece_hashes: Range<usize>,
    /// Whether peers may come only from the torrent's trackers and from the user (BEP 27).
    pub private: bool,
    /// Tiers of trackers (BEP 12), unfiltered: `protocol::tracker` handles empty and invalid URLs.
    pub trackers: Vec<Vec<Url>>,
    /// Web seeds (BEP 19), without the empty strings that occur in real torrents.
    pub web_seeds: Vec<Url>,
    /// DHT nodes (BEP 5) as `host:port`.
    #[cfg(feature = "dht")]
    pub dht_nodes: Vec<String>,
    /// Where the `.torrent` comes from; [`Metainfo::parse`] leaves the default.
    pub origin: TorrentOrigin,
}

impl Metainfo {
    pub fn with_origin(mut self, origin: TorrentOrigin) -> Metainfo {
        self.origin = origin;
        self
    }

    /// Returns the infohash of a `.torrent`, checking nothing but the bencode structure.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`] if the bytes are not bencode or have no `info`.
    pub fn infohash_of(torrent: &[u8]) -> Result<Infohash, Error> {
        let scan = scan(torrent)?;
        let info = info_of(&scan)?;
        Ok(Infohash::from_bytes(Sha1::digest(info.raw())))
    }

    /// Returns the raw `info` dictionary, which peers send for a magnet link (BEP 9).
    pub fn raw_info(&self) -> &[u8] {
        &self.info
    }

    /// Returns the `comment`. Like everything outside of `info`, it is covered by no hash: anyone
    /// may have written it.
    pub fn comment_of(torrent: &[u8]) -> Option<String> {
        let scan = scan(torrent).ok()?;
        let comment = scan.root().get(b"comment").and_then(Node::bytes)?;
        let comment = comment.get(..MAX_COMMENT_BYTES).unwrap_or(comment);
        Some(String::from_utf8_lossy(comment).into_owned())
    }

    /// Returns the license stated in a `.torrent`. No BEP defines a key for it; both spellings are
    /// in use.
    pub fn license_of(torrent: &[u8]) -> Option<String> {
        let scan = scan(torrent).ok()?;
        text_of(scan.root(), &[b"license", b"licence"])
    }

    /// Builds a `.torrent` from a raw `info` dictionary and tiers of trackers (BEP 12).
    pub fn wrap(info: &[u8], tiers: &[Vec<Url>]) -> Vec<u8> {
        let text = |text: &str| format!("{}:{text}", text.len());
        let fits = |url: &&Url| url.exposed().len() <= MAX_TRACKER_BYTES;
        let mut torrent = b"d".to_vec();
        let mut list = String::new();
        for tier in tiers.iter().take(MAX_TIERS) {
            let urls = tier.iter().filter(fits).take(MAX_TRACKERS_PER_TIER);
            let urls: String = urls.map(|url| text(url.exposed())).collect();
            let has_room = list.len() + urls.len() <= MAX_WRAPPED_BYTES;
            if !urls.is_empty() && has_room {
                list += &format!("l{urls}e");
            }
        }
        if let Some(first) = tiers.iter().flatten().find(fits) {
            let head = format!("8:announce{}13:announce-listl{list}e", text(first.exposed()));
            torrent.extend_from_slice(head.as_bytes());
        }
        torrent.extend_from_slice(b"4:info");
        torrent.extend_from_slice(info);
        torrent.push(b'e');
        torrent
    }

    /// Parses a `.torrent`.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`], naming the key that is missing or wrong.
    pub fn parse(torrent: &[u8]) -> Result<Metainfo, Error> {
        let scan = scan(torrent)?;
        let info = info_of(&scan)?;
        let infohash = Infohash::from_bytes(Sha1::digest(info.raw()));
        let outer = |key| scan.root().get(key);
        if !info.is_dict() {
            return Err(damaged("`info` is not a dictionary"));
        }
        check_exact(&scan, info)?;
        let pieces = info.get(b"pieces");
        let is_v2 = info.get(b"meta version").or(info.get(b"file tree")).is_some();
        let is_v1 = info.get(b"files").or(info.get(b"length")).is_some();
        let has_pieces = pieces.is_some_and(|pieces| is_v1 || pieces.bytes() != Some(b""));
        if is_v2 && !has_pieces {
            return Err(damaged(
                "it is a BitTorrent v2-only torrent (BEP 52): it has no v1 pieces",
            )
            .help("use a v1 or hybrid torrent of the dataset"));
        }
        let name = name_of(info).ok_or_else(|| damaged("`name` is missing or not a string"))?;
        let is_name = paths::check_component(name).is_ok();
        let list = info.get(b"files");
        let FileTable { files, rewritten, total_bytes } = match list {
            Some(list) => files::read_files(list, info)?,
            None if files::contains(info.get(b"attr"), b'l') => {
                let why = "its only file is a symbolic link (BEP 47) without a target";
                return Err(damaged(why).help("use another torrent of the dataset"));
            }
            None => {
                let length = length_of(info.get(b"length"), "length")?;
                let files = vec![TorrentFile::single(length)];
                FileTable { files, rewritten: Vec::new(), total_bytes: length }
            }
        };
        let piece_bytes = length_of(info.get(b"piece length"), "piece length")?;
        let geometry = u32::try_from(piece_bytes)
            .ok()
            .and_then(|piece_bytes| Geometry::new(total_bytes, piece_bytes))
            .ok_or_else(|| {
                damaged(format!(
                    "a piece length of {piece_bytes} bytes is invalid for {total_bytes} bytes in total"
                ))
            })?;
        let (pieces, piece_hashes) = pieces
            .and_then(|pieces| Some((pieces, pieces.bytes()?)))
            .ok_or_else(|| damaged("`pieces` is missing or not a string"))?;
        // The raw string is a length prefix followed by exactly these bytes.
        let hashes_begin = pieces.begin() + pieces.raw().len() - piece_hashes.len() - info.begin();
        if piece_hashes.len() as u64 != u64::from(geometry.piece_count()) * 20 {
            return Err(damaged(format!(
                "`pieces` has {} bytes, but {} pieces need {}",
                piece_hashes.len(),
                geometry.piece_count(),
                u64::from(geometry.piece_count()) * 20
            )));
        }
        Ok(Metainfo {
            infohash,
            name: name.to_vec(),
            renamed: None,
            stand_in: (!is_name).then(|| storable_name(name).into_bytes()),
            multi: list.is_some(),
            files: Arc::new(files),
            geometry,
            info: Arc::new(info.raw().to_vec()),
            rewritten_paths: Arc::new(rewritten),
            piece_hashes: hashes_begin..hashes_begin + piece_hashes.len(),
            private: info.get(b"private").and_then(Node::int).is_some_and(|private| private != 0),
            trackers: trackers(outer(b"announce-list"), outer(b"announce")),
            web_seeds: web_seeds(outer(b"url-list")),
            #[cfg(feature = "dht")]
            dht_nodes: dht_nodes(outer(b"nodes")),
            origin: TorrentOrigin::default(),
        })
    }

    /// Returns an error if the torrent is not the declared one.
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

    /// Returns the SHA-1 that the piece must have; `None` for a piece that does not exist.
    pub fn piece_hash(&self, piece: PieceIndex) -> Option<[u8; 20]> {
        let hashes = self.info.get(self.piece_hashes.clone()).unwrap_or_default();
        hashes.chunks_exact(20).nth(piece as usize)?.try_into().ok()
    }

    /// Returns the DHT nodes, each with the party that named it.
    #[cfg(feature = "dht")]
    pub fn named_dht_nodes(&self) -> Vec<(crate::address::NamedBy, String)> {
        self.dht_nodes.iter().map(|node| (self.origin.named_by(), node.clone())).collect()
    }

    /// Returns the torrent's name in printable form.
    #[cfg(feature = "seed")]
    pub fn shown_name(&self) -> String {
        printable(&String::from_utf8_lossy(&self.name))
    }

    /// Returns the same torrent with another name on disk; `None` restores its own.
    pub fn renamed(mut self, name: Option<&str>) -> Metainfo {
        self.renamed = name.map(|name| name.as_bytes().to_vec()).filter(|name| *name != self.name);
        self
    }

    /// Whether the name on disk differs from the torrent's own.
    pub fn is_renamed(&self) -> bool {
        self.renamed.is_some()
    }

    /// Returns the name on disk: of the single file, or of the directory that holds all files.
    pub fn stored_name(&self) -> &[u8] {
        self.renamed.as_deref().unwrap_or(self.own_name())
    }

    /// Returns the torrent's own name, or its replacement if that is not a valid file name.
    fn own_name(&self) -> &[u8] {
        self.stand_in.as_ref().unwrap_or(&self.name)
    }

    /// Returns the two names that users sometimes prepend to paths that are already relative to the
    /// torrent's root: the torrent's own name, and its name on disk.
    pub fn root_names(&self) -> [String; 2] {
        [self.own_name(), self.stored_name()].map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Checks that a platform can store the torrent's name on disk.
    ///
    /// # Errors
    /// The name, and the reason.
    pub fn check_stored_name(&self, on: Platform) -> Result<(), OddPath> {
        match (&self.renamed, &self.stand_in) {
            (Some(name), _) => check_storable_name(name, on),
            // The replacement only makes such a torrent readable. It is never used on disk unless
            // the user chooses it as the name.
            (None, Some(_)) => paths::check_own_name(&self.name),
            (None, None) => check_storable_name(&self.name, on),
        }
    }

    pub fn root_path(&self) -> PathBuf {
        os_path(self.stored_name().to_vec())
    }

    /// Returns the file's path below the torrent's name; empty for a single-file torrent.
    pub fn components(&self, file: &TorrentFile) -> Components<'_> {
        file.path.components(&self.info, &self.rewritten_paths)
    }

    /// Returns the stated target of a link, as components below the torrent's root; `None` if the
    /// torrent states none.
    pub fn link_target(&self, target: LinkTarget) -> Option<Components<'_>> {
        target.0.map(|target| target.components(&self.info, &self.rewritten_paths))
    }

    /// Returns the file's path below the directory that holds the dataset.
    pub fn layout_path(&self, file: &TorrentFile) -> PathBuf {
        self.path_of(self.components(file))
    }

    /// Joins the torrent's name on disk and a path below it.
    pub fn path_of(&self, components: Components<'_>) -> PathBuf {
        path_below(self.stored_name(), components)
    }

    /// Returns the file's path in a mirror, below the directory that holds the torrent's own
    /// layout. If this platform cannot store the torrent's own name, which on Windows might even be
    /// a path, the mirror uses the name on disk.
    pub fn path_in_mirror(&self, file: &TorrentFile) -> PathBuf {
        let own = self.own_name();
        let is_storable = check_storable_name(own, Platform::HERE).is_ok();
        path_below(if is_storable { own } else { self.stored_name() }, self.components(file))
    }

    /// Returns the bytes of [`Metainfo::display_path`], which need not be UTF-8.
    pub fn named_path(&self, file: &TorrentFile) -> Vec<u8> {
        let components = self.components(file);
        if components.is_empty() { self.own_name().to_vec() } else { components.joined() }
    }

    /// Returns the file's path as globs, pins and messages write it: below the torrent's directory,
    /// with `/` between components. For a single-file torrent it is the file's name.
    pub fn display_path(&self, file: &TorrentFile) -> String {
        match String::from_utf8(self.named_path(file)) {
            Ok(path) => path,
            Err(other) => String::from_utf8_lossy(other.as_bytes()).into_owned(),
        }
    }
}

/// Returns the first non-empty text under one of these keys; each is looked up outside of `info`
/// first, then inside.
fn text_of(root: Node<'_>, keys: &[&[u8]]) -> Option<String> {
    let text = |key: &&[u8]| {
        let node = root.get(key).or_else(|| root.get(b"info")?.get(key))?;
        let bytes = node.bytes()?;
        let bytes = bytes.get(..MAX_COMMENT_BYTES).unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes).trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    };
    keys.iter().find_map(text)
}

/// Scans a `.torrent`. If the bytes are something else, the error says what they probably are.
fn scan(torrent: &[u8]) -> Result<bencode::Scan<'_>, Error> {
    let again = "download it again from https://academictorrents.com/download/<infohash>.torrent";
    let begin = torrent.get(bencode::before(torrent)..).unwrap_or_default();
    match begin.first() {
        Some(b'd') => {}
        None => return Err(damaged("this is not a .torrent: it is empty").help(again)),
        Some(_) => {
            let line = begin.split(u8::is_ascii_control).next().unwrap_or_default();
            let shown = line.get(..SHOWN_BYTES).unwrap_or(line).escape_ascii();
            let (as_what, help) = match begin {
                [b'<', ..] => (", as a web page does", again),
                [0x1f, 0x8b, ..] => (", as a file compressed with gzip does", "decompress it"),
                _ => ("", again),
            };
            let why = format!("this is not a .torrent: it begins with `{shown}`{as_what}");
            return Err(damaged(why).help(help));
        }
    }
    bencode::scan(torrent, &LIMITS).map_err(|why| {
        if why.is_cut_short() {
            damaged(format!("the file is truncated: {why}")).help(again)
        } else {
            damaged(why.to_string())
        }
    })
}

fn path_below(name: &[u8], components: Components<'_>) -> PathBuf {
    let mut path = Vec::with_capacity(name.len() + 1 + components.joined_bytes());
    path.extend_from_slice(name);
    for component in components {
        path.push(b'/');
        path.extend_from_slice(component);
    }
    os_path(path)
}

/// Converts a path whose components are separated by `/`.
#[cfg(unix)]
pub fn os_path(path: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(path).into()
}

#[cfg(not(unix))]
pub fn os_path(path: Vec<u8>) -> PathBuf {
    // `check_storable` rejects non-UTF-8 names before anything is written.
    String::from_utf8_lossy(&path).split('/').collect()
}

/// Returns the `info` dictionary. A second one is an error: the file would describe two torrents.
fn info_of<'s>(scan: &'s bencode::Scan<'_>) -> Result<Node<'s>, Error> {
    let info = scan.root().get(b"info").ok_or_else(|| damaged("it has no `info` dictionary"))?;
    let keys = scan.root().entries().step_by(2);
    match keys.filter(|key| key.bytes() == Some(b"info")).nth(1) {
        Some(twin) => Err(damaged(format!("`info` occurs twice, at byte {}", twin.begin()))),
        None => Ok(info),
    }
}

/// Returns the torrent's own name. Programs that write `name` in a legacy encoding add a UTF-8
/// version.
fn name_of(info: Node<'_>) -> Option<&[u8]> {
    let is_text = |name: &&[u8]| std::str::from_utf8(name).is_ok();
    let utf8 = info.get(b"name.utf-8").and_then(Node::bytes).filter(is_text);
    utf8.filter(|name| paths::check_component(name).is_ok())
        .or_else(|| info.get(b"name").and_then(Node::bytes))
}

/// The keys of `info` that a download depends on.
const INFO_KEYS: [&[u8]; 8] =
    [b"attr", b"name", b"name.utf-8", b"files", b"length", b"piece length", b"pieces", b"private"];

/// Rejects an `info` that another program may interpret differently. Deviations in other keys are
/// harmless: such keys are either ignored or read only by programs that know them.
fn check_exact(scan: &bencode::Scan<'_>, info: Node<'_>) -> Result<(), Error> {
    if scan.is_exact() {
        return Ok(());
    }
    let files = info.get(b"files").and_then(Node::list);
    let files = files.into_iter().flatten().map(|file| (file, &FILE_KEYS[..]));
    for (dict, keys) in std::iter::once((info, &INFO_KEYS[..])).chain(files) {
        let mut entries = dict.entries();
        while let (Some(key), Some(value)) = (entries.next(), entries.next()) {
            let Some(name) = key.bytes().filter(|name| keys.contains(name)) else { continue };
            // Entries of `files` may contain unknown keys, so each entry is checked by itself.
            let value = Some(value).filter(|_| name != b"files");
            if let Some(why) =
                [Some(key), value].into_iter().flatten().find_map(|it| scan.oddity(it))
            {
                return Err(damaged(format!("`{}` in `info`: {why}", name.escape_ascii())));
            }
        }
    }
    Ok(())
}

fn text(value: Node<'_>) -> Option<String> {
    let text = String::from_utf8_lossy(value.bytes()?).trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// Reads the web seeds from a string or from nested lists, up to the limit.
fn web_seeds(value: Option<Node<'_>>) -> Vec<Url> {
    let mut urls = value.map(urls_in).unwrap_or_default();
    // Printing a URL parses it several times, and no server accepts a URL of several megabytes.
    urls.retain(|url| url.exposed().len() <= 4 * MAX_TRACKER_BYTES);
    urls.truncate(MAX_WEB_SEEDS);
    urls
}

/// Reads the list of hosts and ports (BEP 5); invalid entries are skipped.
#[cfg(feature = "dht")]
fn dht_nodes(nodes: Option<Node<'_>>) -> Vec<String> {
    let node = |node: Node<'_>| {
        let mut parts = node.list()?;
        let host = std::str::from_utf8(parts.next()?.bytes()?).ok()?.trim();
        let port = u16::try_from(parts.next()?.int()?).ok().filter(|port| *port > 0)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let is_host = !host.is_empty() && host.len() <= MAX_HOST_BYTES && host.chars().all(fits);
        let is_v6 = host.contains(':');
        is_host.then(|| if is_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    };
    let nodes = nodes.and_then(Node::list).into_iter().flatten().filter_map(node);
    nodes.take(MAX_DHT_NODES).collect()
}

/// Reads the trackers: `announce-list` replaces `announce` if it names any tracker (BEP 12). A
/// string in place of a tier counts as a tier.
fn trackers(announce_list: Option<Node<'_>>, announce: Option<Node<'_>>) -> Vec<Vec<Url>> {
    let mut tiers = [announce_list, announce].into_iter().flatten().map(tiers);
    tiers.find(|tiers| !tiers.is_empty()).unwrap_or_default()
}

fn tiers(value: Node<'_>) -> Vec<Vec<Url>> {
    let tiers: Box<dyn Iterator<Item = Vec<Url>> + '_> = match value.list() {
        Some(list) => Box::new(list.map(urls_in).flat_map(|tier| {
            // A long tier is split, so that no tracker is lost to the limit per tier.
            let parts = tier.chunks(MAX_TRACKERS_PER_TIER).map(<[Url]>::to_vec);
            parts.collect::<Vec<_>>()
        })),
        None => Box::new(urls_in(value).into_iter().map(|url| vec![url])),
    };
    tiers.filter(|tier| !tier.is_empty()).take(MAX_TIERS).collect()
}

/// Returns the URLs of a string, which may have several, or of the strings in arbitrarily nested
/// lists, up to the limit; other values are skipped.
fn urls_in(value: Node<'_>) -> Vec<Url> {
    let of_text = |value: Node<'_>| {
        let text = text(value).filter(|it| it.len() <= MAX_TRACKERS_PER_TIER * MAX_TRACKER_BYTES);
        text.map(|text| url::several(&text)).unwrap_or_default()
    };
    let Some(list) = value.list() else { return of_text(value) };
    let (mut urls, mut open) = (Vec::new(), vec![list]);
    while let Some(list) = open.last_mut() {
        let Some(value) = list.next() else {
            open.pop();
            continue;
        };
        match value.list() {
            Some(list) => open.push(list),
            None => urls.extend(of_text(value)),
        }
        if urls.len() >= MAX_URLS_OF_LIST {
            break;
        }
    }
    urls.truncate(MAX_URLS_OF_LIST);
    urls
}

/// Creates the error for a torrent that is not the declared one.
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

fn unsafe_path(path: &[u8], why: &PathFlaw) -> Error {
    Error::new(ErrorKind::Metainfo, "the torrent is not safe to store")
        .why(format!("its path `{}` {why}", paths::shown(path)))
        .help("the torrent is malformed or malicious: use another torrent of the dataset")
}
