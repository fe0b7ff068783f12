//! Edits the text of a manifest: adds a key or replaces a value. Everything else stays byte for
//! byte.
//!
//! toml_edit locates the positions, and the new text is inserted there. Its own output is not used:
//! it would turn CRLF into LF, add a final newline and reorder dotted keys. The result is parsed
//! again, and returned only if its contents are the old ones plus the new key.

use std::collections::BTreeMap;
use std::ops::Range;

use academictorrents::{Error, ErrorKind};
use toml_edit::{Document, Item, TableLike, Value};

#[cfg(test)]
mod tests;

/// The table that datasets are declared in.
pub(crate) const SECTION: [&str; 3] = ["package", "metadata", "academictorrents"];

/// File paths with their SHA-256.
pub(crate) type PinList = Vec<(String, String)>;

/// The keys of a dataset, in order, with their values as TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ManifestEntry {
    pub(crate) keys: Vec<(&'static str, String)>,
    /// SHA-256 by file. Several are written as a separate table if possible.
    pub(crate) pins: PinList,
}

impl ManifestEntry {
    /// Returns the entry on one line.
    pub(crate) fn inline(&self) -> String {
        if let ([("infohash", infohash)], []) = (&self.keys[..], &self.pins[..]) {
            return infohash.clone();
        }
        self.braces()
    }

    fn braces(&self) -> String {
        let mut keys: Vec<_> =
            self.keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        if !self.pins.is_empty() {
            let pins =
                self.pins.iter().map(|(file, pin)| format!("{} = {}", text(file), text(pin)));
            keys.push(format!("sha256 = {{ {} }}", pins.collect::<Vec<_>>().join(", ")));
        }
        format!("{{ {} }}", keys.join(", "))
    }

    /// Returns the entry as a table with a header.
    fn lines(&self, header: &str) -> Vec<String> {
        let mut lines = vec![format!("[{header}]")];
        lines.extend(self.keys.iter().map(|(key, value)| format!("{key} = {value}")));
        if !self.pins.is_empty() {
            lines.extend([String::new(), format!("[{header}.sha256]")]);
            lines.extend(
                self.pins.iter().map(|(file, pin)| format!("{} = {}", text(file), text(pin))),
            );
        }
        lines
    }
}

/// Returns a TOML string on one line. Escapes characters that move the cursor or change the writing
/// direction.
pub(crate) fn text(string: &str) -> String {
    let mut quoted = String::from("\"");
    for c in string.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control()
                || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                quoted += &format!("\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Returns a TOML array of strings.
pub(crate) fn list(strings: &[String]) -> String {
    format!("[{}]", strings.iter().map(|it| text(it)).collect::<Vec<_>>().join(", "))
}

/// Adds a dataset to the table at `path`, which is created if necessary.
///
/// # Errors
/// Why the manifest cannot be changed, for a message.
pub(crate) fn add(
    manifest: &str,
    path: &[&str],
    key: &str,
    entry: &ManifestEntry,
) -> Result<String, Error> {
    insert(manifest, path, key, &entry.inline(), Some(entry))
}

/// Adds `key = value` to the table at `path`, which is created if necessary.
///
/// # Errors
/// Why the manifest cannot be changed, for a message.
pub(crate) fn set(manifest: &str, path: &[&str], key: &str, value: &str) -> Result<String, Error> {
    insert(manifest, path, key, value, None)
}

/// Replaces the value of an existing key.
///
/// # Errors
/// Why the manifest cannot be changed, for a message.
pub(crate) fn replace(
    manifest: &str,
    path: &[&str],
    key: &str,
    value: &str,
) -> Result<String, Error> {
    let document = parse(manifest)?;
    let item = path.iter().chain([&key]).try_fold(document.as_item(), |item, part| item.get(part));
    let span = item
        .and_then(Item::as_value)
        .and_then(Value::span)
        .ok_or_else(|| odd("the key was not found"))?;
    let mut changed = manifest.to_owned();
    changed.replace_range(span, value);
    checked(&document, &changed, path, key, value)
}

/// Adds strings to an existing array, after its last element.
///
/// # Errors
/// Why the manifest cannot be changed, for a message.
pub(crate) fn append(
    manifest: &str,
    path: &[&str],
    key: &str,
    strings: &[String],
) -> Result<String, Error> {
    let document = parse(manifest)?;
    let item = path.iter().chain([&key]).try_fold(document.as_item(), |item, part| item.get(part));
    let array = item.and_then(Item::as_array).ok_or_else(|| odd("the array was not found"))?;
    let new = strings.iter().map(|it| text(it)).collect::<Vec<_>>().join(", ");
    let text = Text { manifest, line_end: "\n" };
    let changed = match (array.iter().last().and_then(Value::span), array.span()) {
        (Some(last), _) => text.with(last.end, &format!(", {new}")),
        (None, Some(brackets)) => text.with(brackets.start + 1, &new),
        (None, None) => return Err(odd("the array was not found")),
    };
    let old = array.iter().filter_map(Value::as_str).map(str::to_owned);
    let all: Vec<String> = old.chain(strings.iter().cloned()).collect();
    checked(&document, &changed, path, key, &list(&all))
}

/// Replaces an existing key and its value.
///
/// # Errors
/// Why the manifest cannot be changed, for a message.
pub(crate) fn rename(
    manifest: &str,
    path: &[&str],
    (old, key): (&str, &str),
    value: &str,
) -> Result<String, Error> {
    let changed = replace(manifest, path, old, value)?;
    let document = parse(&changed)?;
    let table = path.iter().try_fold(document.as_item(), |item, part| item.get(part));
    let found = table.and_then(Item::as_table_like).and_then(|it| it.get_key_value(old));
    let span = found.and_then(|(key, _)| key.span()).ok_or_else(|| odd("the key was not found"))?;
    let mut renamed = changed.clone();
    renamed.replace_range(span, key);
    match (read(&renamed, path, key), read(&renamed, path, old)) {
        (Some(_), None) => Ok(renamed),
        _ => Err(odd(NOT_SO)),
    }
}

/// Returns a value of a manifest, if it exists.
pub(crate) fn read(manifest: &str, path: &[&str], key: &str) -> Option<Item> {
    let document = parse(manifest).ok()?;
    let keys = path.iter().chain([&key]);
    keys.copied().try_fold(document.as_item(), |item, part| item.get(part)).cloned()
}

/// Why a manifest cannot be changed. The text continues after the manifest's name.
fn odd(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Manifest, what)
}

fn parse(manifest: &str) -> Result<Document<&str>, Error> {
    Document::parse(manifest).map_err(|why| odd(format!("it is not TOML: {}", why.message())))
}

/// The innermost table on the path that has a header or braces. Other tables are parts of dotted
/// keys or headers.
struct WrittenTable<'d> {
    depth: usize,
    item: &'d Item,
}

fn insert(
    manifest: &str,
    path: &[&str],
    key: &str,
    value: &str,
    entry: Option<&ManifestEntry>,
) -> Result<String, Error> {
    let document = parse(manifest)?;
    let (mut depth, mut at) = (0, document.as_item());
    let mut written = WrittenTable { depth, item: at };
    while let Some(next) = path.get(depth).and_then(|part| at.get(part)) {
        depth += 1;
        if next.as_table_like().is_none() {
            return Err(odd(format!("its `{}` is not a table", path[..depth].join("."))));
        }
        at = next;
        if is_written(at) {
            written = WrittenTable { depth, item: at };
        }
    }
    let table = at.as_table_like().ok_or_else(|| odd("it is not a table"))?;
    let mut here: Vec<&str> = path[written.depth..].to_vec();
    here.push(key);
    let here = here.join(".");
    let text = Text { manifest, line_end: if is_crlf(manifest) { "\r\n" } else { "\n" } };
    let many = entry.filter(|entry| entry.pins.len() > 1);
    let header = format!("{}.{key}", path.join("."));
    let mut value = value.to_owned();
    let changed = if let Some(braces) = written.item.as_inline_table() {
        match (last(table, false), braces.span()) {
            (Some(span), _) => text.with(span.end, &format!(", {here} = {value}")),
            (None, Some(span)) => text.with(span.start + 1, &format!(" {here} = {value} ")),
            (None, None) => return Err(odd("the braces of its table were not found")),
        }
    } else if depth < path.len() {
        let lines = match many {
            Some(entry) => {
                value = entry.braces();
                entry.lines(&header)
            }
            None => vec![format!("[{}]", path.join(".")), format!("{key} = {value}")],
        };
        text.with_section(manifest.len(), &lines)
    } else if is_implicit(at) || (many.is_some() && is_written(at)) {
        // The table's datasets have separate headers, or this one needs a header.
        let end = last(table, true).map_or(0, |span| span.end).max(header_end(at));
        let lines = match entry {
            Some(entry) => {
                value = entry.braces();
                entry.lines(&header)
            }
            None => vec![format!("[{}]", path.join(".")), format!("{key} = {value}")],
        };
        text.with_section(text.line_end_after(end), &lines)
    } else {
        let before = last(table, false);
        let indent = before.as_ref().map_or("", |span| text.indent_at(span.start));
        let end = before.as_ref().map_or_else(|| header_end(at), |span| span.end);
        text.with_line(text.line_end_after(end), &format!("{indent}{here} = {value}"))
    };
    checked(&document, &changed, path, key, &value)
}

/// The text of the manifest that is changed.
struct Text<'t> {
    manifest: &'t str,
    line_end: &'static str,
}

impl Text<'_> {
    fn with(&self, at: usize, new: &str) -> String {
        let (before, after) = self.manifest.split_at(at.min(self.manifest.len()));
        [before, new, after].concat()
    }

    /// Inserts a line at `at`, the beginning of a line or the end of the text.
    fn with_line(&self, at: usize, line: &str) -> String {
        let before = &self.manifest[..at];
        let begin = if before.is_empty() || before.ends_with('\n') { "" } else { self.line_end };
        self.with(at, &[begin, line, self.line_end].concat())
    }

    fn with_section(&self, at: usize, lines: &[String]) -> String {
        let before = self.manifest[..at].trim_end_matches([' ', '\t', '\r']);
        let is_apart = before.is_empty() || before.ends_with("\n\n") || before.ends_with("\n\r\n");
        let blank = if is_apart { "" } else { self.line_end };
        self.with_line(at, &[blank, &lines.join(self.line_end)].concat())
    }

    fn line_end_after(&self, at: usize) -> usize {
        self.manifest[at..].find('\n').map_or(self.manifest.len(), |line| at + line + 1)
    }

    fn indent_at(&self, at: usize) -> &str {
        let line = self.manifest[..at].rfind('\n').map_or(0, |end| end + 1);
        let rest = &self.manifest[line..at];
        &rest[..rest.len() - rest.trim_start_matches([' ', '\t']).len()]
    }
}

fn is_crlf(manifest: &str) -> bool {
    manifest.find('\n').is_some_and(|at| manifest[..at].ends_with('\r'))
}

fn is_dotted(item: &Item) -> bool {
    item.as_table_like().is_some_and(TableLike::is_dotted)
}

fn is_implicit(item: &Item) -> bool {
    item.as_table().is_some_and(|table| table.is_implicit() && !table.is_dotted())
}

fn is_written(item: &Item) -> bool {
    !is_dotted(item) && !is_implicit(item)
}

fn header_end(item: &Item) -> usize {
    item.as_table().and_then(toml_edit::Table::span).map_or(0, |span| span.end)
}

/// Returns the position of a table's last value in the text; if `deep`, including tables under
/// headers below its own.
fn last(table: &dyn TableLike, deep: bool) -> Option<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (_, item) in table.iter() {
        match item {
            Item::Value(Value::InlineTable(dotted)) if dotted.is_dotted() => {
                spans.extend(last(dotted, deep));
            }
            Item::Value(value) => spans.extend(value.span()),
            Item::Table(below) if below.is_dotted() || deep => {
                spans.extend(last(below, deep));
                spans.extend(below.span().filter(|_| !below.is_dotted()));
            }
            Item::ArrayOfTables(tables) if deep => {
                for below in tables.iter() {
                    spans.extend(last(below, deep));
                    spans.extend(below.span());
                }
            }
            _ => {}
        }
    }
    spans.into_iter().max_by_key(|span| span.end)
}

/// Returns the changed text if it contains what was intended and nothing else.
fn checked(
    before: &Document<&str>,
    changed: &str,
    path: &[&str],
    key: &str,
    value: &str,
) -> Result<String, Error> {
    let alone = format!("value = {value}");
    let value = plain(parse(&alone)?.get("value").unwrap_or(&Item::None));
    let mut expected = plain(before.as_item());
    let mut table = &mut expected;
    for part in path {
        let Plain::Table(below) = table else { return Err(odd(NOT_SO)) };
        table = below.entry((*part).to_owned()).or_insert_with(|| Plain::Table(BTreeMap::new()));
    }
    let Plain::Table(below) = table else { return Err(odd(NOT_SO)) };
    below.insert(key.to_owned(), value);
    match parse(changed) {
        Ok(after) if plain(after.as_item()) == expected => Ok(changed.to_owned()),
        _ => Err(odd(NOT_SO)),
    }
}

const NOT_SO: &str = "this command cannot edit TOML that is written like this";

/// The contents of a TOML value without its formatting.
#[derive(Debug, PartialEq)]
enum Plain {
    Nothing,
    /// Kind and value.
    Value(String),
    List(Vec<Plain>),
    Table(BTreeMap<String, Plain>),
}

fn plain(item: &Item) -> Plain {
    let table = |table: &dyn TableLike| {
        Plain::Table(table.iter().map(|(key, item)| (key.to_owned(), plain(item))).collect())
    };
    let value = |kind: &str, value: &dyn std::fmt::Debug| Plain::Value(format!("{kind} {value:?}"));
    match item {
        Item::None => Plain::Nothing,
        Item::Table(it) => table(it),
        Item::ArrayOfTables(tables) => Plain::List(tables.iter().map(|it| table(it)).collect()),
        Item::Value(Value::InlineTable(it)) => table(it),
        Item::Value(Value::Array(items)) => {
            Plain::List(items.iter().map(|it| plain(&Item::Value(it.clone()))).collect())
        }
        Item::Value(Value::String(it)) => value("string", it.value()),
        Item::Value(Value::Boolean(it)) => value("boolean", it.value()),
        Item::Value(Value::Integer(it)) => value("integer", it.value()),
        Item::Value(Value::Float(it)) => value("float", it.value()),
        Item::Value(Value::Datetime(it)) => value("date", it.value()),
    }
}
