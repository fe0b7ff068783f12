//! A generated torrent and its bytes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha1::Digest as _;

use super::bencode::B;

/// A dataset: its files, its piece length and the contents of its .torrent.
#[derive(Clone, Debug)]
pub struct Dataset {
    name: Vec<u8>,
    multi: bool,
    given: Vec<(Vec<Vec<u8>>, Vec<u8>)>,
    /// Symbolic links (BEP 47): path, target relative to the torrent's root, and a `length`, which
    /// readers must ignore.
    links: Vec<(String, String, Option<i64>)>,
    piece_length: usize,
    padding: Option<Padding>,
    private: bool,
    /// The .torrent's keys outside of `info`.
    outer: B,
    made: OnceLock<Made>,
}

/// Pad files: their path, and whether `attr` marks them as pad files (BEP 47).
#[derive(Clone, Debug)]
struct Padding {
    path: Option<String>,
    marked: bool,
}

/// A file in the torrent's stream. The path of a single-file torrent's file is empty: its name is
/// the torrent's name.
#[derive(Clone, Debug)]
pub struct File {
    pub path: Vec<Vec<u8>>,
    pub start: u64,
    pub length: u64,
    /// A pad file (BEP 47): part of the stream, but not written to disk.
    pub pad: bool,
}

/// Values derived from the other fields on first use.
#[derive(Clone, Debug)]
struct Made {
    files: Vec<File>,
    stream: Arc<Vec<u8>>,
    info: B,
    infohash: [u8; 20],
}

/// Pseudorandom bytes, reproducible from the seed.
pub fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(1);
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        out.extend((word ^ (word >> 31)).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// The SHA-1 of the encoded `info` dictionary.
pub fn infohash_of(info: &B) -> [u8; 20] {
    sha1::Sha1::digest(info.write()).into()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Dataset {
    /// A single-file torrent (`info` has `length`).
    pub fn single(name: &str, bytes: impl Into<Vec<u8>>) -> Dataset {
        Dataset::new(name.as_bytes(), false, vec![(Vec::new(), bytes.into())])
    }

    /// A multi-file torrent (`info` has `files`); `/` separates the parts of a path.
    pub fn multi<'a, T: Into<Vec<u8>>>(
        name: &str,
        files: impl IntoIterator<Item = (&'a str, T)>,
    ) -> Dataset {
        let files = files.into_iter().map(|(path, bytes)| {
            (path.split('/').map(|part| part.as_bytes().to_vec()).collect(), bytes.into())
        });
        Dataset::new(name.as_bytes(), true, files.collect())
    }

    /// A multi-file torrent with raw names, which may be invalid: not UTF-8, empty, `..`, with a
    /// slash.
    pub fn multi_raw(name: &[u8], files: Vec<(Vec<Vec<u8>>, Vec<u8>)>) -> Dataset {
        Dataset::new(name, true, files)
    }

    fn new(name: &[u8], multi: bool, given: Vec<(Vec<Vec<u8>>, Vec<u8>)>) -> Dataset {
        Dataset {
            name: name.to_vec(),
            multi,
            given,
            links: Vec::new(),
            piece_length: 32 << 10,
            padding: None,
            private: false,
            outer: B::Dict(Vec::new()),
            made: OnceLock::new(),
        }
    }

    /// Default: 32 KiB, which is two blocks.
    pub fn piece_length(mut self, bytes: usize) -> Dataset {
        self.piece_length = bytes;
        self.made = OnceLock::new();
        self
    }

    /// Adds pad files (BEP 47) after all files but the last, so that each file begins on a piece
    /// boundary.
    pub fn padded(self) -> Dataset {
        self.padded_as(Some(".pad/{}"), true)
    }

    /// Like [`Dataset::padded`], with this path, in which `{}` is the length, or with none;
    /// `marked` sets `attr`.
    pub fn padded_as(mut self, path: Option<&str>, marked: bool) -> Dataset {
        self.padding = Some(Padding { path: path.map(str::to_owned), marked });
        self.made = OnceLock::new();
        self
    }

    /// Adds a symbolic link (BEP 47) after all files.
    pub fn link(mut self, path: &str, target: &str, length: Option<i64>) -> Dataset {
        self.links.push((path.to_owned(), target.to_owned(), length));
        self.made = OnceLock::new();
        self
    }

    pub fn private(mut self) -> Dataset {
        self.private = true;
        self.made = OnceLock::new();
        self
    }

    /// Sets a key of the .torrent outside of `info`.
    pub fn outer(mut self, key: &str, value: B) -> Dataset {
        self.outer = self.outer.with(key, value);
        self
    }

    pub fn comment(self, text: &str) -> Dataset {
        self.outer("comment", B::bytes(text))
    }

    pub fn announce(self, url: &str) -> Dataset {
        self.outer("announce", B::bytes(url))
    }

    /// Tracker tiers (BEP 12).
    pub fn announce_list(self, tiers: &[&[&str]]) -> Dataset {
        let tiers = tiers.iter().map(|tier| B::list(tier.iter().map(B::bytes)));
        self.outer("announce-list", B::list(tiers))
    }

    /// Web seeds (BEP 19), as a list.
    pub fn url_list<T: AsRef<str>>(self, urls: impl IntoIterator<Item = T>) -> Dataset {
        self.outer("url-list", B::list(urls.into_iter().map(|url| B::bytes(url.as_ref()))))
    }

    /// A single web seed as a plain string, which BEP 19 also allows.
    pub fn url_string(self, url: &str) -> Dataset {
        self.outer("url-list", B::bytes(url))
    }

    pub fn torrent(&self) -> Vec<u8> {
        self.torrent_with_info(self.info())
    }

    /// The .torrent with another `info`, such as `dataset.info().with("name", B::bytes(".."))`;
    /// [`infohash_of`] returns its infohash.
    pub fn torrent_with_info(&self, info: B) -> Vec<u8> {
        self.outer.clone().with("info", info).write()
    }

    pub fn info(&self) -> B {
        self.made().info.clone()
    }

    pub fn info_bytes(&self) -> Vec<u8> {
        self.made().info.write()
    }

    pub fn infohash(&self) -> [u8; 20] {
        self.made().infohash
    }

    pub fn infohash_hex(&self) -> String {
        hex(&self.infohash())
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    pub fn is_multi(&self) -> bool {
        self.multi
    }

    /// All files concatenated, including pad files: the bytes that the pieces divide.
    pub fn stream(&self) -> Arc<Vec<u8>> {
        self.made().stream.clone()
    }

    pub fn piece_bytes(&self) -> usize {
        self.piece_length
    }

    pub fn piece_count(&self) -> usize {
        self.stream().len().div_ceil(self.piece_length)
    }

    /// The files' positions in the stream, including pad files.
    pub fn layout(&self) -> &[File] {
        &self.made().files
    }

    /// Path and content of each file without pad files. Paths are relative to the torrent's root;
    /// the path of a single file is the torrent's name.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let path = |path: &[Vec<u8>]| match path {
            [] => String::from_utf8_lossy(&self.name).into_owned(),
            parts => String::from_utf8_lossy(&parts.join(&b'/')).into_owned(),
        };
        self.given.iter().map(|(parts, bytes)| (path(parts), bytes.clone())).collect()
    }

    /// Writes `<dir>/<name>`, or `<dir>/<name>/<path>` for a multi-file torrent.
    pub fn write_to(&self, dir: &Path) {
        for (parts, bytes) in &self.given {
            let path = self.path_in(dir, parts);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    }

    /// Writes a directory mirror: `<dir>/<infohash>.torrent` and the files below
    /// `<dir>/<infohash>/`.
    pub fn write_mirror(&self, dir: &Path) {
        let data = dir.join(self.infohash_hex());
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.with_extension("torrent"), self.torrent()).unwrap();
        self.write_to(&data);
    }

    /// Asserts that the dataset is at `path`: the single file, or the root directory of a
    /// multi-file torrent.
    #[track_caller]
    pub fn assert_at(&self, path: &Path) {
        for (parts, bytes) in &self.given {
            let path = parts.iter().fold(path.to_path_buf(), |path, part| path.join(os(part)));
            let found = std::fs::read(&path).unwrap_or_else(|why| panic!("{path:?}: {why}"));
            if found == *bytes {
                continue;
            }
            let differs = found.iter().zip(bytes).position(|(left, right)| left != right);
            panic!(
                "{path:?} has {} of {} bytes, and differs at {differs:?}",
                found.len(),
                bytes.len()
            );
        }
    }

    fn path_in(&self, dir: &Path, parts: &[Vec<u8>]) -> PathBuf {
        let mut path = dir.to_path_buf();
        for part in std::iter::once(&self.name).chain(parts) {
            // A hostile name must not lead out of the test's directory.
            assert!(!part.is_empty() && part != b".." && !part.contains(&b'/'), "{part:?}");
            path.push(os(part));
        }
        path
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let (files, stream) = self.lay_out();
            let info = self.make_info(&files, &stream);
            Made { infohash: infohash_of(&info), files, stream: Arc::new(stream), info }
        })
    }

    fn lay_out(&self) -> (Vec<File>, Vec<u8>) {
        let (mut files, mut stream) = (Vec::new(), Vec::new());
        for (at, (path, bytes)) in self.given.iter().enumerate() {
            let (start, length) = (stream.len() as u64, bytes.len() as u64);
            files.push(File { path: path.clone(), start, length, pad: false });
            stream.extend(bytes);
            let fill = stream.len().next_multiple_of(self.piece_length) - stream.len();
            if let Some(padding) = &self.padding
                && fill > 0
                && at + 1 < self.given.len()
            {
                let path = padding.path.as_deref().unwrap_or_default();
                let path = path.replace("{}", &fill.to_string());
                let path = path.split('/').map(|part| part.as_bytes().to_vec()).collect();
                let start = stream.len() as u64;
                files.push(File { path, start, length: fill as u64, pad: true });
                stream.resize(stream.len() + fill, 0);
            }
        }
        (files, stream)
    }

    fn make_info(&self, files: &[File], stream: &[u8]) -> B {
        let pieces = stream.chunks(self.piece_length).map(|piece| sha1::Sha1::digest(piece).into());
        let pieces: Vec<[u8; 20]> = pieces.collect();
        let info = B::dict::<&str>([])
            .with("name", B::bytes(&self.name))
            .with("piece length", B::Int(i64::try_from(self.piece_length).unwrap()))
            .with("pieces", B::bytes(pieces.concat()));
        let info = if self.private { info.with("private", B::Int(1)) } else { info };
        let length = |file: &File| B::Int(i64::try_from(file.length).unwrap());
        if !self.multi {
            return info.with("length", length(&files[0]));
        }
        let entries = files.iter().map(|file| {
            let path = B::list(file.path.iter().map(B::bytes));
            let entry = B::dict([("length", length(file)), ("path", path)]);
            match &self.padding {
                Some(padding) if file.pad => {
                    let entry = match padding.path {
                        Some(_) => entry,
                        None => entry.without("path"),
                    };
                    if padding.marked { entry.with("attr", B::bytes("p")) } else { entry }
                }
                _ => entry,
            }
        });
        let links = self.links.iter().map(|(path, target, length)| {
            let list = |path: &str| B::list(path.split('/').map(B::bytes));
            let link = B::dict([
                ("attr", B::bytes("l")),
                ("path", list(path)),
                ("symlink path", list(target)),
            ]);
            length.iter().fold(link, |link, length| link.with("length", B::Int(*length)))
        });
        info.with("files", B::list(entries.chain(links)))
    }
}

#[cfg(unix)]
fn os(part: &[u8]) -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(part.to_vec())
}

#[cfg(not(unix))]
fn os(part: &[u8]) -> std::ffi::OsString {
    String::from_utf8_lossy(part).into_owned().into()
}
