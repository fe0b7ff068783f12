//! The URL of a torrent's file on a web seed (BEP 19).
//!
//! For a single-file torrent, the seed is the file's URL or, if it ends in `/`, that of the
//! directory that contains the file. For a torrent with a `files` key, the seed is the URL of the
//! parent of the torrent's folder.
//!
//! Path components are bytes and are percent-encoded as such, except for RFC 3986's unreserved
//! characters, so `#`, `?`, `%` and names in any legacy encoding reach the server. The seed's own
//! URL is already encoded; only characters that no URL may contain (spaces are common) are encoded.
//! Paths are appended even to a seed with a query, as libtorrent and Transmission do, because
//! `…/get?file=` is meant that way. A fragment would swallow the appended path, so it is removed.

use std::borrow::Cow;

use percent_encoding::{
    AsciiSet, CONTROLS, percent_decode_str, percent_encode, utf8_percent_encode,
};

use super::UNRESERVED;
use crate::url::Url;

#[cfg(test)]
mod tests;

/// Characters that must not occur in a URL. `%` is not one of them: the URL is already encoded.
pub const NO_URL: &AsciiSet = &CONTROLS
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

/// The URLs of a torrent's files on one seed. Seeds do not always follow BEP 19, so there may be
/// alternative forms, which are tried in turn.
#[derive(Clone, Debug)]
pub struct FileUrls {
    forms: Vec<UrlForm>,
}

#[derive(Clone, Debug)]
struct UrlForm {
    /// The part of the URL that all files share.
    base: Url,
    /// Whether the file's path is appended.
    is_folder: bool,
}

impl FileUrls {
    /// `name` is the torrent's name; `multi` tells whether the torrent is a folder.
    pub fn new(seed: &Url, multi: bool, name: &[u8]) -> FileUrls {
        let seed = seed.exposed().trim().split('#').next().unwrap_or_default();
        let url: String = utf8_percent_encode(seed, NO_URL).collect();
        let directory = url.ends_with('/');
        let bare = url.trim_end_matches('/');
        let has_query = url.contains('?');
        let path = bare.split_once("://").map_or(bare, |(_, rest)| rest);
        let last = path.rsplit_once('/').map_or("", |(_, last)| last);
        let ends_in_name = !has_query && percent_decode_str(last).eq(name.iter().copied());
        // `…?file=` ends in the middle of a value: a slash would make the path absolute.
        let in_query = has_query && url.ends_with('=');
        let slash = if directory || in_query { "" } else { "/" };
        let below = [&url, slash, &component(name)].concat();
        let form = |base: &str, is_folder| UrlForm { base: base.into(), is_folder };
        let mut forms = Vec::new();
        if multi || directory {
            forms.push(form(&below, multi));
            // The seed may be the URL of the folder or file itself, rather than of its parent.
            if ends_in_name {
                forms.push(form(bare, multi));
            }
        } else {
            forms.push(form(&url, false));
            // The seed may be the URL of the parent, without a trailing slash.
            if !ends_in_name && !has_query {
                forms.push(form(&below, false));
            }
        }
        FileUrls { forms }
    }

    /// Adds the form for a folder with one file, whose seed may be the URL of that file.
    pub fn of_one_file(mut self, seed: &Url) -> FileUrls {
        let file = seed.exposed().trim().split('#').next().unwrap_or_default();
        if self.forms.iter().any(|form| form.is_folder) && !file.ends_with('/') {
            let base: String = utf8_percent_encode(file, NO_URL).collect();
            self.forms.push(UrlForm { base: base.into(), is_folder: false });
        }
        self
    }

    /// Returns the number of forms.
    pub fn forms(&self) -> usize {
        self.forms.len()
    }

    /// Returns the file's URL in one of the forms; the first form is BEP 19's. `path` is the file's
    /// path below the torrent's name; empty for a single-file torrent.
    ///
    /// Components are not checked here: parsing the torrent has already rejected empty ones and
    /// `..`.
    pub fn in_form<'p>(&self, form: usize, path: impl Iterator<Item = &'p [u8]>) -> Url {
        let Some(form) = self.forms.get(form).or(self.forms.first()) else { return Url::default() };
        let mut url = form.base.exposed().to_owned();
        for part in path.filter(|_| form.is_folder) {
            url.push('/');
            url.push_str(&component(part));
        }
        url.into()
    }
}

fn component(bytes: &[u8]) -> Cow<'_, str> {
    percent_encode(bytes, UNRESERVED).into()
}
