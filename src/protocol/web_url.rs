//! The URL of a torrent's file on a web seed (BEP 19).
//!
//! A seed of a single file is the file's URL, or, where it ends in `/`, the directory that holds it. A
//! seed of a folder is the parent of the folder. Which of the two a torrent is, its `files` key says.
//!
//! Components are bytes, and are encoded from them: all but RFC 3986's unreserved characters, so
//! that `#`, `?`, `%` and names in any old encoding reach the server. The seed's own URL was encoded
//! by whoever wrote it; only what no URL may hold (spaces are common) is mended.
//! A seed with a query is appended to like any other, as libtorrent and Transmission do:
//! `…/get?file=` is how such a seed is meant. A fragment would swallow what is appended, and is cut.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode, utf8_percent_encode};

use super::UNRESERVED;

#[cfg(test)]
mod tests;

/// What may not stand in a URL as it is. `%` may: the URL is encoded already.
const NO_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The URLs of a torrent's files on one seed.
#[derive(Clone, Debug)]
pub struct FileUrls {
    /// The URL as far as it is the same for all files.
    base: String,
    multi: bool,
}

impl FileUrls {
    /// `name` is the torrent's; `multi`, whether it is a folder.
    pub fn new(seed: &str, multi: bool, name: &[u8]) -> FileUrls {
        let seed = seed.trim().split('#').next().unwrap_or_default();
        let mut base: String = utf8_percent_encode(seed, NO_URL).collect();
        let directory = base.ends_with('/');
        // `…?file=` ends in the middle of a value: a slash would make the path absolute.
        let in_query = base.contains('?') && base.ends_with('=');
        if multi && !directory && !in_query {
            base.push('/');
        }
        if multi || directory {
            base.push_str(&component(name));
        }
        FileUrls { base, multi }
    }

    /// `path` is the file's below the torrent's name, which a torrent of a single file does not have.
    ///
    /// Components are taken as they are: that none is empty or `..` is checked where the torrent is read.
    pub fn of(&self, path: &[Vec<u8>]) -> String {
        let mut url = self.base.clone();
        for part in path.iter().filter(|_| self.multi) {
            url.push('/');
            url.push_str(&component(part));
        }
        url
    }
}

fn component(bytes: &[u8]) -> Cow<'_, str> {
    percent_encode(bytes, UNRESERVED).into()
}
