//! Passkeys in a `.torrent`: private sites embed them in tracker URLs to identify the downloader.

use std::collections::HashSet;

use super::{Metainfo, scan};
use crate::error::Error;
use crate::url::{Passkey, Url, several};

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
        // A torrent may have millions of URLs.
        let mut known = HashSet::new();
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
                let (mut kept, mut kept_until, mut at) = (String::new(), 0, 0);
                for url in several(text) {
                    at += text[at..].find(url.exposed()).unwrap_or_default();
                    let end = at + url.exposed().len();
                    match url.passkey() {
                        Passkey::None => {}
                        Passkey::Fixed => {
                            found.fixed.extend(known.insert(url.clone()).then_some(url));
                        }
                        Passkey::InQuery(without) => {
                            kept += &text[kept_until..at];
                            kept += without.exposed();
                            kept_until = end;
                            found.removed.extend(known.insert(url.clone()).then_some(url));
                        }
                    }
                    at = end;
                }
                if kept_until > 0 {
                    kept += &text[kept_until..];
                    found.bytes.extend_from_slice(&torrent[copied..span.start]);
                    found.bytes.extend_from_slice(format!("{}:{kept}", kept.len()).as_bytes());
                    copied = span.end;
                }
            }
        }
        found.bytes.extend_from_slice(&torrent[copied..]);
        Ok(found)
    }
}
