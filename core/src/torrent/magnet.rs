//! Magnet links (BEP 9, 53): the torrent that a link names, and sources for it.
//!
//! Layer 0, on top of `infohash`. Links are pasted from web pages, so order, case, repetition and
//! unknown keys do not matter, and invalid sources are skipped. The torrent and the selected files
//! are never guessed: an invalid value for them is an error. All lengths are bounded.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind};
use crate::torrent::infohash::Infohash;
use crate::url::{ENCODED_MAGNET, MAGNET, Url, begins, is_http, magnet_query, masked, pasted};

#[cfg(test)]
mod tests;

const MAX_LINK_BYTES: usize = 64 << 10;
const MAX_TRACKERS: usize = 32;
const MAX_WEB_SEEDS: usize = 32;
const MAX_TORRENTS: usize = 4;
const MAX_PEERS: usize = 64;
const MAX_PLACE_BYTES: usize = 2 << 10;
const MAX_RANGES: usize = 4_096;
const MAX_NAME_CHARS: usize = 100;

/// A parsed magnet link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// The link, without what was copied along with it, and not encoded as a whole.
    pub link: Url,
    pub infohash: Infohash,
    /// `dn`: a printable, short name to use until a better one is known.
    pub name: Option<String>,
    /// `tr`: each tracker is a tier of its own.
    pub trackers: Vec<Url>,
    /// `ws`, and `as` that does not end in `.torrent`: HTTP and HTTPS URLs.
    pub web_seeds: Vec<Url>,
    /// `xs`, and `as` that ends in `.torrent`: HTTP and HTTPS URLs of the `.torrent`.
    pub torrents: Vec<Url>,
    /// `x.pe`: `host:port`.
    pub peers: Vec<String>,
    /// `so`: the selected files, as first and last index (from 0) of each range; empty for all
    /// files.
    pub files: Vec<(u32, u32)>,
}

impl Magnet {
    /// Whether the text is meant as a magnet link, which may be percent-encoded as a whole.
    pub fn is_one(text: &str) -> bool {
        let text = pasted(text);
        begins(text, MAGNET) || begins(text, ENCODED_MAGNET)
    }

    /// Returns the name for messages when the user gave no other.
    pub fn shown_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.infohash.to_string())
    }

    /// Parses a link. The whole link, or its values, may be percent-encoded once more.
    ///
    /// # Errors
    /// Why the link cannot be used, in words that follow "it": not a magnet link, too long, no v1
    /// infohash, two different infohashes, an invalid `so`.
    pub fn parse(link: &str) -> Result<Magnet, Error> {
        let link = pasted(link);
        if !Magnet::is_one(link) {
            return Err(odd("does not begin with `magnet:?`"));
        }
        if link.len() > MAX_LINK_BYTES {
            return Err(odd(format!(
                "has {} bytes, over the limit of {MAX_LINK_BYTES}",
                link.len()
            )));
        }
        let is_encoded = begins(link, ENCODED_MAGNET) || !link.contains('=');
        let link = match is_encoded {
            true => percent_decode_str(link).decode_utf8_lossy(),
            false => link.into(),
        };
        let Some(query) = magnet_query(&link) else {
            return Err(odd("has no `?` after `magnet:`"));
        };
        let query = query.split('#').next().unwrap_or_default();
        let mut infohash: Option<Infohash> = None;
        let mut is_v2 = false;
        let mut name = None;
        let (mut trackers, mut web_seeds, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        let mut torrents = Vec::new();
        let mut files = Vec::new();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = decoded(value);
            let value = value.trim();
            match &*base_of(key) {
                "xt" => match topic(value) {
                    Topic::V1(digits) => {
                        // Invalid digits are quoted in the error message, so they must be printable
                        // and short. They may contain a URL, for example behind `;` instead of `&`.
                        let plain = |c: &char| !c.is_control();
                        let digits = masked(digits);
                        let digits: String = digits.chars().filter(plain).take(80).collect();
                        let found: Infohash = digits
                            .parse()
                            .map_err(|why: Error| odd(format!("has an invalid `xt`: {why}")))?;
                        if infohash.is_some_and(|before| before != found) {
                            return Err(odd("names two torrents (`xt=urn:btih:` twice)"));
                        }
                        infohash = Some(found);
                    }
                    Topic::V2 => is_v2 = true,
                    Topic::Other => {}
                },
                "dn" => name = name.or_else(|| shown(value)),
                "tr" => add(&mut trackers, value, MAX_TRACKERS, |url| url.contains("://")),
                "ws" => add(&mut web_seeds, value, MAX_WEB_SEEDS, is_http),
                // "Acceptable source": some writers mean the `.torrent`, others a web seed.
                "as" if is_torrent(value) => add(&mut torrents, value, MAX_TORRENTS, is_http),
                "as" => add(&mut web_seeds, value, MAX_WEB_SEEDS, is_http),
                "xs" => add(&mut torrents, value, MAX_TORRENTS, is_http),
                "x.pe" => add(&mut peers, value, MAX_PEERS, is_peer),
                "so" => read_numbers(value, &mut files)?,
                _ => {}
            }
        }
        let Some(infohash) = infohash else {
            return Err(odd(match is_v2 {
                true => {
                    "has only a v2 infohash (`xt=urn:btmh:`), and v2-only torrents are not supported"
                }
                false => "has no infohash (`xt=urn:btih:`)",
            }));
        };
        let link = Url::from(&*link);
        Ok(Magnet { link, infohash, name, trackers, web_seeds, torrents, peers, files })
    }
}

/// Decodes a value. An infohash, URL or peer has a `:`; if it is encoded even now, it was encoded
/// once more than it should be.
fn decoded(value: &str) -> Cow<'_, str> {
    let once = percent_decode_str(value).decode_utf8_lossy();
    let is_encoded = !once.contains(':') && (once.contains("%3A") || once.contains("%3a"));
    match is_encoded {
        true => Cow::Owned(percent_decode_str(&once).decode_utf8_lossy().into_owned()),
        false => once,
    }
}

/// Returns the key without the number that distinguishes repeated keys (`tr.1`), and without the
/// `amp;` that remains when a link is copied from HTML source (`&amp;`).
fn base_of(key: &str) -> String {
    let key = key.strip_prefix("amp;").unwrap_or(key).to_ascii_lowercase();
    match key.rsplit_once('.') {
        Some((base, number)) if number.bytes().all(|b| b.is_ascii_digit()) => base.to_owned(),
        _ => key,
    }
}

enum Topic<'a> {
    V1(&'a str),
    V2,
    Other,
}

fn topic(urn: &str) -> Topic<'_> {
    let after = |prefix: &str| {
        let start = urn.get(..prefix.len())?;
        if start.eq_ignore_ascii_case(prefix) { urn.get(prefix.len()..) } else { None }
    };
    match (after("urn:btih:"), after("urn:btmh:")) {
        (Some(digits), _) => Topic::V1(pasted(digits)),
        (None, Some(_)) => Topic::V2,
        (None, None) => Topic::Other,
    }
}

/// Adds a source if it is valid and not yet present.
fn add<T>(places: &mut Vec<T>, place: &str, most: usize, is_one: impl Fn(&str) -> bool)
where
    T: for<'a> From<&'a str> + for<'a> PartialEq<&'a str>,
{
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let fits = !place.is_empty() && place.len() <= MAX_PLACE_BYTES && !place.contains(odd);
    if fits && places.len() < most && is_one(place) && !places.iter().any(|it| *it == place) {
        places.push(place.into());
    }
}

/// Whether the URL's path ends like that of a `.torrent`.
fn is_torrent(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.to_ascii_lowercase().ends_with(".torrent")
}

fn is_peer(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Creates an error that continues a sentence about "it", the link.
fn odd(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Manifest, what)
}

/// Reads file numbers and ranges, separated by commas (BEP 53).
fn read_numbers(value: &str, files: &mut Vec<(u32, u32)>) -> Result<(), Error> {
    for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            (Ok(first), Ok(last)) if first <= last => (first, last),
            _ => {
                let shown: String = masked(part).chars().take(20).collect();
                let why = format!("has an invalid `so`: `{shown}` is not a file number or range");
                return Err(odd(why));
            }
        };
        if files.len() >= MAX_RANGES {
            return Err(odd(format!("has more than {MAX_RANGES} file numbers in `so`")));
        }
        files.push(range);
    }
    Ok(())
}

/// Makes an untrusted name printable on one line; `None` if nothing remains.
fn shown(name: &str) -> Option<String> {
    let plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let name = name.replace('+', " ");
    let name: String = name.chars().filter(plain).take(MAX_NAME_CHARS).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
