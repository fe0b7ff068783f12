//! The catalog's record of a dataset, `/apiv2/entry/<infohash>`.
//!
//! Documented (docs/api.md of Academic Torrents): `GET /apiv2/entry/INFOHASH` returns "data about
//! an INFOHASH", and uploads have `name`, `authors`, `descr` (BibTeX in the example), `category`,
//! `tags` and `urllist`. Undocumented, but known from programs that read it: the reply is an object
//! with the string `bibtex`, which is often empty, and is not strict JSON (strings contain raw line
//! breaks); older listings (`/apiv2/entries`) have `name`, `url`, `size`.
//!
//! The parser is therefore lenient: it accepts raw control characters and invalid escapes in
//! strings, an object in an array or under `entry` or `data`, and the names of uploads or other
//! common names. It ignores everything else.

use academictorrents::{Error, ErrorKind};
use serde_json::Value;

use super::bibtex::Bibtex;

/// The longest record that is read.
pub const MAX_RECORD_BYTES: u64 = 1 << 20;

/// The contents of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueRecord {
    pub title: Option<String>,
    /// Unchanged; usually names joined by " and ".
    pub authors: Option<String>,
    pub year: Option<String>,
    pub url: Option<String>,
    pub license: Option<String>,
    pub bibtex: Option<Bibtex>,
    /// Why the record's BibTeX cannot be used, if it has any.
    pub odd_bibtex: Option<&'static str>,
}

impl CatalogueRecord {
    /// Parses a record.
    ///
    /// # Errors
    /// [`ErrorKind::Network`], with the reason why it is not a record.
    pub fn parse(document: &[u8]) -> Result<CatalogueRecord, Error> {
        let odd = |why: String| {
            Error::new(ErrorKind::Network, "the catalog's record cannot be read").why(why)
        };
        let text = String::from_utf8_lossy(document);
        let json: Value = serde_json::from_str(&strict(&text))
            .map_err(|_| odd(format!("not JSON{}", shown(&text))))?;
        let mut object = &json;
        // Objects and arrays around the record; three levels are more than enough.
        for _ in 0..3 {
            object = match object {
                Value::Array(list) => {
                    list.first().ok_or_else(|| odd("it is an empty list".into()))?
                }
                Value::Object(map) => match map.get("entry").or_else(|| map.get("data")) {
                    Some(inner @ (Value::Object(_) | Value::Array(_))) => inner,
                    _ => break,
                },
                _ => break,
            };
        }
        let Value::Object(map) = object else { return Err(odd("not a record".into())) };
        let text = |names: &[&str]| names.iter().find_map(|name| words(map.get(*name)?));
        let mut record = CatalogueRecord {
            title: text(&["name", "title"]),
            authors: text(&["authors", "author"]),
            year: text(&["year"]).filter(|year| year.len() == 4 && year.parse::<u16>().is_ok()),
            url: text(&["url", "link"]),
            license: text(&["license", "licence"]),
            ..CatalogueRecord::default()
        };
        let description = text(&["descr"]).filter(|text| text.starts_with('@'));
        match text(&["bibtex"]).or(description).map(|text| Bibtex::parse(&text)) {
            Some(Ok(bibtex)) => record.bibtex = Some(bibtex),
            Some(Err(why)) => record.odd_bibtex = Some(why),
            None => {}
        }
        match (&record.title, &record.bibtex) {
            (None, None) => Err(odd("it has neither a title nor BibTeX".into())),
            _ => Ok(record),
        }
    }
}

/// Returns a value as text, unless it is empty.
fn words(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(list) => {
            let names: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            names.join(" and ")
        }
        _ => String::new(),
    };
    (!text.is_empty()).then_some(text)
}

/// Turns lenient JSON into valid JSON: escapes control characters and meaningless backslashes in
/// strings.
///
/// `\b`, `\f`, `\n`, `\r` and `\t` may also begin a LaTeX command, such as `\textit`. They do if a
/// letter or `{` follows, and the writer of the document evidently escapes no control characters,
/// because a string contains one. `\b` and `\f` before a letter or `{` do in any case: no record
/// contains their characters.
fn strict(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let mut strict = String::new();
    if pass(text, false, &mut strict) {
        pass(text, true, &mut strict);
    }
    strict
}

/// Returns whether a string contains a control character. Such a document must be read with `is_raw`.
fn pass(text: &str, is_raw: bool, strict: &mut String) -> bool {
    strict.clear();
    let mut found = false;
    let mut in_string = false;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (in_string, c) {
            (true, '\\') => match escaped(rest.as_str(), is_raw) {
                Some(escape) => {
                    strict.push(c);
                    strict.push(escape);
                    rest.next();
                }
                None => strict.push_str("\\\\"),
            },
            (true, c) if u32::from(c) < 0x20 => {
                found = true;
                strict.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            (_, '"') => {
                in_string = !in_string;
                strict.push(c);
            }
            (_, c) => strict.push(c),
        }
    }
    found
}

/// Returns the character that a backslash before this text escapes; `None` if the backslash is part
/// of the string.
fn escaped(after: &str, is_raw: bool) -> Option<char> {
    let mut characters = after.chars();
    let escape = characters.next()?;
    let hex = after.get(1..5).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let begins_command = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '{');
    let is_escape = match escape {
        '"' | '\\' | '/' => true,
        'u' => hex,
        'b' | 'f' => !begins_command,
        'n' | 'r' | 't' => !(is_raw && begins_command),
        _ => false,
    };
    is_escape.then_some(escape)
}

/// Quotes the beginning of a text that is not JSON.
fn shown(text: &str) -> String {
    let begin: String = text.trim_start().chars().take(20).collect();
    match begin.is_empty() {
        true => String::new(),
        false => {
            format!(": it begins with `{}`", academictorrents::engine::error::printable(&begin))
        }
    }
}
