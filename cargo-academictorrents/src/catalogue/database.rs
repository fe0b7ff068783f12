//! Reads the catalog's `database.xml` entry by entry.
//!
//! Academic Torrents documents it as RSS 2.0 with all public entries, for searching
//! (docs/searching.md and docs/api.md of its documentation). It is regenerated each night:
//!
//! ```xml
//! <rss xmlns:academictorrents="http://academictorrents.com" version="2.0"><channel>
//! <title>Academic Torrents</title> <description>All Torrents</description> <link>http://academictorrents.com/</link>
//! <item><title>…</title><category>Dataset</category><infohash>40 hexadecimal digits</infohash><guid>…/details/<infohash></guid>
//! <link>…/details/<infohash></link><description>…</description><size>bytes</size></item> …
//! </channel></rss>
//! ```
//! The example above is all that is documented. Also accepted: elements with a prefix (the example
//! declares the namespace without using it), in any order, with CDATA, entities, and other elements
//! between them; descriptions with raw HTML and a bare `&`. An entry without an infohash is skipped
//! and counted; an invalid size is treated as missing. Document types declare nothing here: an
//! entity that XML does not define stays unchanged, and none is expanded. Nothing recurses.

use std::borrow::Cow;

use quick_xml::errors::Error as XmlError;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use academictorrents::Infohash;

/// The longest document that is read.
pub const MAX_DATABASE_BYTES: u64 = 64 << 20;

/// The longest field. A title or description is never longer.
const MAX_FIELD_BYTES: usize = 256 << 10;

/// An entry of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    pub infohash: Infohash,
    pub title: String,
    /// `Dataset`, `Paper`, `Course`, … as the catalog writes it.
    pub category: String,
    pub description: String,
    pub size_bytes: Option<u64>,
    /// The entry's page in the catalog.
    pub link: String,
    pub guid: String,
}

const FIELDS: [&str; 7] = ["infohash", "title", "category", "description", "size", "link", "guid"];

/// The entries of a document, in its order.
pub struct Entries<'a> {
    reader: Reader<&'a [u8]>,
    state: ParserState,
    /// How many entries could not be used.
    pub odd: u64,
    /// The name of the first element, if there is one.
    root: Option<String>,
    /// Whether the end of the list was reached; the document may be truncated.
    ended: bool,
    /// Whether a field of the current entry was too long.
    too_long: bool,
    item: Item,
}

/// The fields of an entry, by their index in [`FIELDS`].
type Item = [String; 7];

#[derive(Clone, Debug, PartialEq, Eq)]
enum ParserState {
    Outside,
    /// In an entry, between its fields.
    Between,
    /// In a field.
    Field(usize),
    /// In another element, with the nesting depth of elements with its name.
    Foreign(String, u32),
}

impl<'a> Entries<'a> {
    pub fn new(document: &'a str) -> Entries<'a> {
        let mut reader = Reader::from_str(document.trim_start_matches('\u{feff}'));
        let config = reader.config_mut();
        config.allow_dangling_amp = true;
        config.allow_unmatched_ends = true;
        config.check_end_names = false;
        Entries {
            reader,
            state: ParserState::Outside,
            odd: 0,
            root: None,
            ended: false,
            too_long: false,
            item: Item::default(),
        }
    }

    /// Returns why the document is not a complete `database.xml`. Reads all of it.
    pub fn flaw(document: &[u8]) -> Option<String> {
        let text = text(document);
        let mut entries = Entries::new(&text);
        let found = entries.by_ref().count();
        match entries.root.as_deref() {
            Some("rss") => {}
            Some(root) => {
                let root = academictorrents::engine::error::printable(root);
                return Some(format!("not a database: begins with <{root}>"));
            }
            None => return Some("not a database: not XML".to_owned()),
        }
        if !entries.ended {
            let noun = if found == 1 { "entry" } else { "entries" };
            return Some(format!("truncated after {found} {noun}"));
        }
        let none = found == 0 && entries.odd > 0;
        none.then(|| "not a database: no entry has an infohash".to_owned())
    }

    fn start(&mut self, name: &str, is_empty: bool) {
        // The name of a foreign document's element may have any length.
        if self.root.is_none() {
            self.root = Some(name.chars().take(30).collect());
        }
        let name = local(name);
        if name == "item" {
            self.item = Item::default();
            self.too_long = false;
            self.state = if is_empty { ParserState::Outside } else { ParserState::Between };
            return;
        }
        match &mut self.state {
            ParserState::Foreign(foreign, depth) if foreign == name && !is_empty => {
                *depth = depth.saturating_add(1)
            }
            ParserState::Between if !is_empty => {
                self.state = match FIELDS.iter().position(|field| *field == name) {
                    // The first of several counts.
                    Some(field) if self.item[field].is_empty() => ParserState::Field(field),
                    _ => ParserState::Foreign(name.to_owned(), 1),
                };
            }
            _ => {}
        }
    }

    /// Ends an element. Returns the entry, if one ends here.
    fn end(&mut self, name: &str) -> Option<CatalogueEntry> {
        let name = local(name);
        if matches!(name, "channel" | "rss") {
            self.ended = true;
        }
        if name == "item" && self.state != ParserState::Outside {
            self.state = ParserState::Outside;
            let entry = self.entry();
            self.odd += u64::from(entry.is_none());
            return entry;
        }
        match &mut self.state {
            ParserState::Field(field) if FIELDS.get(*field) == Some(&name) => {
                self.state = ParserState::Between
            }
            ParserState::Foreign(foreign, depth) if foreign == name => {
                *depth -= 1;
                if *depth == 0 {
                    self.state = ParserState::Between;
                }
            }
            _ => {}
        }
        None
    }

    fn text(&mut self, text: &str) {
        let ParserState::Field(field) = self.state else { return };
        let Some(value) = self.item.get_mut(field) else { return };
        match value.len() + text.len() <= MAX_FIELD_BYTES {
            true => value.push_str(text),
            false => self.too_long = true,
        }
    }

    fn entry(&mut self) -> Option<CatalogueEntry> {
        let item = std::mem::take(&mut self.item).map(|field| field.trim().to_owned());
        if self.too_long {
            return None;
        }
        let [infohash, title, category, description, size, link, guid] = item;
        let infohash = match infohash.parse() {
            Ok(infohash) => infohash,
            // The page's URL ends with the infohash.
            Err(_) if infohash.is_empty() => {
                [&link, &guid].into_iter().find_map(|url| url.rsplit('/').next()?.parse().ok())?
            }
            Err(_) => return None,
        };
        let size_bytes = size.parse().ok();
        Some(CatalogueEntry { infohash, title, category, description, size_bytes, link, guid })
    }
}

impl Iterator for Entries<'_> {
    type Item = CatalogueEntry;

    fn next(&mut self) -> Option<CatalogueEntry> {
        loop {
            let before = self.reader.buffer_position();
            let found = match self.reader.read_event() {
                Ok(Event::Start(start)) => {
                    self.start(utf8(start.name().as_ref()), false);
                    None
                }
                Ok(Event::Empty(empty)) => {
                    self.start(utf8(empty.name().as_ref()), true);
                    None
                }
                Ok(Event::End(end)) => self.end(utf8(end.name().as_ref())),
                Ok(Event::Text(text)) => {
                    self.text(utf8(&text));
                    None
                }
                Ok(Event::CData(text)) => {
                    self.text(utf8(&text));
                    None
                }
                Ok(Event::GeneralRef(name)) => {
                    self.text(&entity(utf8(&name)));
                    None
                }
                Ok(Event::Eof) => return None,
                Ok(_) => None,
                // Invalid XML that can be skipped, as long as the reader advances.
                Err(XmlError::IllFormed(_)) if self.reader.buffer_position() > before => None,
                Err(_) => return None,
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

/// Decodes a document. Invalid UTF-8 is replaced by U+FFFD.
pub fn text(document: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(document)
}

/// Part of a document that is a `str`, which begins and ends next to ASCII.
fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Removes a namespace prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// Returns what an entity stands for. One that XML does not define stays unchanged.
fn entity(name: &str) -> Cow<'static, str> {
    let known = match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        "nbsp" => " ",
        _ => "",
    };
    if !known.is_empty() {
        return Cow::Borrowed(known);
    }
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        },
        None => None,
    };
    match number.and_then(char::from_u32) {
        Some(c) => Cow::Owned(c.to_string()),
        None => Cow::Owned(format!("&{name};")),
    }
}
