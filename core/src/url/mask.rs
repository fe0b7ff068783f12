//! Decides which parts of a URL may be shown.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{begins, is_udp, pasted};

/// Replaces a secret.
pub(super) const MASK: &str = "…";

/// Query parameters whose values may be shown.
const HARMLESS: [&str; 11] = [
    "dir", "download", "export", "file", "filename", "format", "infohash", "lang", "name", "path",
    "version",
];

/// A query without `=` may be shown as a word up to this length.
const MAX_WORD_BYTES: usize = 12;

pub const MAGNET: &str = "magnet:";

/// How a magnet link begins that is percent-encoded as a whole.
pub const ENCODED_MAGNET: &str = "magnet%3A";

/// Characters that must be encoded in the parameter of a magnet link.
const IN_MAGNET: &AsciiSet = &CONTROLS.add(b' ').add(b'&').add(b'#').add(b'%').add(b'+');

/// Masks every URL and magnet link in a text. Masking a second time changes nothing.
pub fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains("://") && next_magnet(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut sink = Sink::default();
    let mut rest = text;
    while let Some(start) = next_url(rest) {
        let (before, url) = rest.split_at(start);
        sink.shown.push_str(before);
        let mut end = url.find(ends).unwrap_or(url.len());
        // A login that is not percent-encoded may contain any character.
        if let Some(at) = stray_login(url) {
            end = end.max(at + url[at..].find(ends).unwrap_or(url.len() - at));
        }
        let (url, behind) = url.split_at(end);
        let kept = url.trim_end_matches([':', ',', '.', ';', ')', ']', '!', '?']);
        mask_any(kept, &mut sink);
        sink.shown.push_str(&url[kept.len()..]);
        rest = behind;
    }
    sink.shown.push_str(rest);
    Cow::Owned(sink.shown)
}

/// Shorter secrets are not masked in running text, which that would garble.
const SHORTEST_SECRET: usize = 4;

/// Masks a secret in a text, also at its end if the text was cut within the secret.
pub fn without_secret(text: String, secret: &str) -> String {
    if secret.len() < SHORTEST_SECRET {
        return text;
    }
    let text = text.replace(secret, MASK);
    let mut beginnings = (SHORTEST_SECRET..secret.len()).rev().filter_map(|end| secret.get(..end));
    match beginnings.find_map(|beginning| text.strip_suffix(beginning)) {
        Some(before) => format!("{before}{MASK}"),
        None => text,
    }
}

/// Whether this character ends a URL in running text.
fn ends(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// Where the next URL in a text begins.
fn next_url(text: &str) -> Option<usize> {
    let of_scheme = text.find("://").map(|at| {
        let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        text[..at]
            .rfind(|c| !scheme(c))
            .map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8))
    });
    of_scheme.into_iter().chain(next_magnet(text)).min()
}

fn next_magnet(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let mut starts = lower.match_indices("magnet").map(|(at, _)| at);
    starts.find(|at| is_magnet(&text[*at..]))
}

/// The query of a magnet link, after `magnet:?` or `magnet:/?`, which some programs write. `None`
/// for other text.
pub fn magnet_query(text: &str) -> Option<&str> {
    let rest = text.get(..MAGNET.len()).filter(|start| start.eq_ignore_ascii_case(MAGNET));
    text.get(rest?.len()..)?.trim_start_matches('/').strip_prefix('?')
}

/// Position of the `@` that ends an unencoded login with characters that are invalid there:
/// `http://me:pa/ss@host`.
pub(super) fn stray_login(url: &str) -> Option<usize> {
    let (scheme, rest) = url.split_once("://")?;
    let ends = |c: char| matches!(c, '/' | '?' | '#') || ends(c);
    let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let (_, port) = authority.rsplit(']').next()?.rsplit_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    if authority.contains('@') || is_port {
        return None;
    }
    let line = rest.lines().next().unwrap_or_default();
    line.rfind('@').map(|at| scheme.len() + 3 + at)
}

/// Returns the masked URL and the hidden parts.
pub(super) fn split(url: &str) -> (String, Vec<String>) {
    let mut sink = Sink::default();
    mask_any(url, &mut sink);
    (sink.shown, sink.hidden)
}

/// Collects masked text and the parts that were hidden.
#[derive(Default)]
struct Sink {
    shown: String,
    hidden: Vec<String>,
}

impl Sink {
    fn show(&mut self, text: &str) {
        self.shown.push_str(text);
    }

    fn hide(&mut self, text: &str) {
        if !text.is_empty() {
            self.hidden.push(text.to_owned());
        }
        self.shown.push_str(MASK);
    }

    fn show_or_hide(&mut self, text: &str, is_secret: bool) {
        if is_secret { self.hide(text) } else { self.show(text) }
    }
}

fn mask_any(text: &str, sink: &mut Sink) {
    // A link may have been copied with quotation marks.
    let (around, link) = text.split_at(text.find(pasted(text)).unwrap_or_default());
    if !is_magnet(link) {
        return mask_url(text, sink);
    }
    sink.show(around);
    match magnet_query(link) {
        Some(_) => mask_magnet(link, sink),
        None => {
            let (scheme, rest) = link.split_at(ENCODED_MAGNET.len());
            sink.show(scheme);
            sink.show_or_hide(rest, rest != MASK);
        }
    }
}

fn mask_url(url: &str, sink: &mut Sink) {
    let mut next = Some(url);
    while let Some(url) = next {
        next = mask_first(url, sink);
    }
}

/// Masks a URL up to another URL in its path, which is returned: lists of URLs joined by commas are
/// masked this way.
fn mask_first<'u>(url: &'u str, sink: &mut Sink) -> Option<&'u str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        mask_bare(url, sink);
        return None;
    };
    sink.show(scheme);
    sink.show("://");
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let stray = stray_login(url).map(|at| at - (url.len() - rest.len()));
    let rest = match stray.or_else(|| rest[..authority_end].rfind('@')) {
        Some(at) => {
            sink.hide(&rest[..at]);
            sink.show("@");
            &rest[at + 1..]
        }
        None => rest,
    };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    pieces(authority, ['.', ':'], sink, |text, sink| sink.show_or_hide(text, is_key(text)));
    let another = next_url(rest).filter(|at| !rest[..*at].contains(['?', '#']));
    let (rest, another) = rest.split_at(another.unwrap_or(rest.len()));
    let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let is_tracker = is_tracker(url, path);
    pieces(path, ['/', ';'], sink, |part, sink| match part.split_once('=') {
        Some((key, value)) => mask_pair(key, value, sink),
        None if is_tracker && is_tracker_key(part) => sink.hide(part),
        None => pieces(part, ['.', ','], sink, |text, sink| {
            sink.show_or_hide(text, is_key(text));
        }),
    });
    pieces(query, ['&', ';'], sink, |part, sink| {
        let part = match part.strip_prefix('?') {
            Some(part) => {
                sink.show("?");
                part
            }
            None => part,
        };
        match part.split_once('=') {
            Some((key, value)) => mask_pair(key, value, sink),
            None => sink.show_or_hide(part, !is_word(part)),
        }
    });
    if let Some(fragment) = fragment.strip_prefix('#') {
        sink.show("#");
        sink.show_or_hide(fragment, !fragment.is_empty());
    }
    (!another.is_empty()).then_some(another)
}

/// Masks text without a scheme: a path, or a host with a login before it, as in proxy settings.
fn mask_bare(text: &str, sink: &mut Sink) {
    let is_drive = text.get(1..3).is_some_and(|it| matches!(it, ":\\" | ":/"));
    let is_login = |at: &usize| {
        let before = &text[..*at];
        !is_drive && (before.contains(':') || !before.contains(['/', '\\']))
    };
    match text.rfind('@').filter(is_login) {
        Some(at) => {
            sink.hide(&text[..at]);
            sink.show(&text[at..]);
        }
        None => sink.show(text),
    }
}

fn mask_pair(key: &str, value: &str, sink: &mut Sink) {
    sink.show_or_hide(key, key.len() > 4 * MAX_WORD_BYTES || is_key(key));
    sink.show("=");
    let name = percent_decode_str(key).decode_utf8_lossy().to_ascii_lowercase();
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    let is_harmless = HARMLESS.contains(&&*name)
        && !decoded.contains("://")
        && !decoded.split(['/', '.']).any(is_key);
    sink.show_or_hide(value, !value.is_empty() && !is_harmless);
}

fn mask_magnet(link: &str, sink: &mut Sink) {
    let (scheme, query) = link.split_at(link.find('?').map_or(0, |at| at + 1));
    sink.show(scheme);
    pieces(query, ['&', '&'], sink, |pair, sink| {
        let Some((key, value)) = pair.split_once('=') else {
            return sink.show_or_hide(pair, !is_word(pair));
        };
        sink.show(key);
        sink.show("=");
        let decoded = percent_decode_str(value).decode_utf8_lossy();
        if decoded.contains("://") {
            let mut url = Sink::default();
            mask_url(&decoded, &mut url);
            let shown = url.shown;
            sink.hidden.extend(url.hidden);
            if shown == decoded {
                return sink.show(value);
            }
            for (index, part) in shown.split(MASK).enumerate() {
                sink.show(if index == 0 { "" } else { MASK });
                sink.shown.extend(utf8_percent_encode(part, IN_MAGNET));
            }
            return;
        }
        let known = ["xt", "dn", "xl", "so", "x.pe", "kt"];
        let base = key.strip_prefix("amp;").unwrap_or(key).to_ascii_lowercase();
        let base = base.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('.');
        sink.show_or_hide(value, !known.contains(&base) && !decoded.starts_with("urn:"));
    });
}

/// Calls `each` for every part of a text, and shows the separators between them.
fn pieces<'t>(
    text: &'t str,
    between: [char; 2],
    sink: &mut Sink,
    mut each: impl FnMut(&'t str, &mut Sink),
) {
    let mut rest = text;
    while let Some(at) = rest.find(between) {
        each(&rest[..at], sink);
        sink.show(&rest[at..at + 1]);
        rest = &rest[at + 1..];
    }
    each(rest, sink);
}

/// Whether this is a key: exactly 32 hexadecimal digits. An infohash has 40.
pub(super) fn is_key(text: &str) -> bool {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    decoded.len() == 32 && decoded.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn is_tracker(url: &str, path: &str) -> bool {
    let is_name = |part: &str| begins(part, "announce") || begins(part, "scrape");
    is_udp(url) || path.split('/').any(is_name)
}

/// Whether a component of a tracker's path looks like the passkey of a user.
fn is_tracker_key(part: &str) -> bool {
    let decoded = percent_decode_str(part).decode_utf8_lossy();
    let is_name = begins(&decoded, "announce") || begins(&decoded, "scrape");
    let has_digit = decoded.bytes().any(|byte| byte.is_ascii_digit());
    !is_name && (decoded.len() >= 16 || (decoded.len() >= 8 && has_digit))
}

/// Whether a query is a plain word, such as `download`, rather than a key.
fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD_BYTES && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_magnet(text: &str) -> bool {
    magnet_query(text).is_some() || begins(text, ENCODED_MAGNET)
}
