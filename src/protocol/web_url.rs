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

/// The URL of one file. `name` is the torrent's; `path` the file's below it, which a torrent of a
/// single file (`multi` false) does not have.
///
/// Components are taken as they are: that none is empty or `..` is checked where the torrent is read.
pub fn file_url(seed: &str, multi: bool, name: &[u8], path: &[Vec<u8>]) -> String {
    let seed = seed.trim().split('#').next().unwrap_or_default();
    let mut url: String = utf8_percent_encode(seed, NO_URL).collect();
    let directory = url.ends_with('/');
    if !multi {
        if directory {
            url.push_str(&component(name));
        }
        return url;
    }
    // `…?file=` ends in the middle of a value: a slash would make the path absolute.
    let in_query = url.contains('?') && url.ends_with('=');
    if !directory && !in_query {
        url.push('/');
    }
    url.push_str(&component(name));
    for part in path {
        url.push('/');
        url.push_str(&component(part));
    }
    url
}

fn component(bytes: &[u8]) -> Cow<'_, str> {
    percent_encode(bytes, UNRESERVED).into()
}
