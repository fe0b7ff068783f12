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

use percent_encoding::{
    AsciiSet, CONTROLS, percent_decode_str, percent_encode, utf8_percent_encode,
};

use super::UNRESERVED;
use crate::url::Url;

#[cfg(test)]
mod tests;

/// What may not stand in a URL as it is. `%` may: the URL is encoded already.
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

/// The URLs of a torrent's files on one seed. What people name is not always what BEP 19 means: so there may be further forms, which
/// are tried in turn.
#[derive(Clone, Debug)]
pub struct FileUrls {
    forms: Vec<UrlForm>,
}

#[derive(Clone, Debug)]
struct UrlForm {
    /// The URL as far as it is the same for all files.
    base: Url,
    /// The file's path follows.
    is_folder: bool,
}

impl FileUrls {
    /// `name` is the torrent's; `multi`, whether it is a folder.
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
            // The folder or file itself was named, and not where it is.
            if ends_in_name {
                forms.push(form(bare, multi));
            }
        } else {
            forms.push(form(&url, false));
            // Where it is was named, without a slash behind it.
            if !ends_in_name && !has_query {
                forms.push(form(&below, false));
            }
        }
        FileUrls { forms }
    }

    /// The same for a folder of one file, of which the file's own URL may have been named.
    pub fn of_one_file(mut self, seed: &Url) -> FileUrls {
        let file = seed.exposed().trim().split('#').next().unwrap_or_default();
        if self.forms.iter().any(|form| form.is_folder) && !file.ends_with('/') {
            let base: String = utf8_percent_encode(file, NO_URL).collect();
            self.forms.push(UrlForm { base: base.into(), is_folder: false });
        }
        self
    }

    /// How many forms there are.
    pub fn forms(&self) -> usize {
        self.forms.len()
    }

    /// The file's URL, in one of the forms; the first one is BEP 19's. `path` is the file's below the torrent's name, which a torrent of
    /// a single file does not have.
    ///
    /// Components are taken as they are: that none is empty or `..` is checked where the torrent is read.
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
