//! Passkeys in a `.torrent`: private sites embed them in tracker URLs to identify the downloader.

use super::{Metainfo, scan};
use crate::error::Error;
use crate::url::{Passkey, Url};

/// A `.torrent` without its passkeys.
#[derive(Debug)]
pub struct Shareable {
    /// Identical to the original except for the changed URLs.
    pub bytes: Vec<u8>,
    /// The original URLs from which a passkey was removed.
    pub removed: Vec<Url>,
    /// URLs whose passkey cannot be removed.
    pub fixed: Vec<Url>,
}

impl Metainfo {
    /// Removes passkeys from all URLs of a `.torrent`. `info` is left alone, because it is the
    /// dataset's identity.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Metainfo`] if the bytes are not bencode.
    pub fn without_passkeys(torrent: &[u8]) -> Result<Shareable, Error> {
        let scan = scan(torrent)?;
        let mut found = Shareable { bytes: Vec::new(), removed: Vec::new(), fixed: Vec::new() };
        let mut copied = 0;
        let mut entries = scan.root().entries();
        while let (Some(key), Some(value)) = (entries.next(), entries.next()) {
            if key.bytes() == Some(b"info") {
                continue;
            }
            let mut open = vec![value];
            let mut texts = Vec::new();
            while let Some(node) = open.pop() {
                open.extend(node.list().into_iter().flatten());
                open.extend(node.entries());
                texts.extend(node.bytes().map(|text| (node.span(), text)));
            }
            texts.sort_by_key(|(span, _)| span.start);
            for (span, text) in texts {
                let Ok(text) = std::str::from_utf8(text) else { continue };
                let url = Url::from(text);
                match url.passkey() {
                    Passkey::None => {}
                    Passkey::Fixed => add(&mut found.fixed, url),
                    Passkey::InQuery(without) => {
                        found.bytes.extend_from_slice(&torrent[copied..span.start]);
                        let without = without.exposed();
                        let text = format!("{}:{without}", without.len());
                        found.bytes.extend_from_slice(text.as_bytes());
                        copied = span.end;
                        add(&mut found.removed, url);
                    }
                }
            }
        }
        found.bytes.extend_from_slice(&torrent[copied..]);
        Ok(found)
    }
}

fn add(urls: &mut Vec<Url>, url: Url) {
    if !urls.contains(&url) {
        urls.push(url);
    }
}
