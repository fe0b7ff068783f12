//! BibTeX: parses entries as people write them, and writes them for programs.
//!
//! The catalog's entries were typed into a form: `@article{, title= {…}, journal= {}, …}`, without
//! a key, with empty fields. Parsing is limited and does not recurse. Entries are written with a
//! key, one field per line, and unchanged values.

/// Limits; citations are shorter.
const MAX_BYTES: usize = 256 << 10;
const MAX_FIELDS: usize = 100;
const MAX_KEY_BYTES: usize = 100;

/// A BibTeX entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bibtex {
    /// `article`, `misc`, …, in lower case.
    pub kind: String,
    /// The citation key.
    pub key: String,
    /// Lower-case names, and values as they are within braces. Each name occurs once.
    pub fields: Vec<(String, String)>,
}

impl Bibtex {
    /// Parses the first entry. Its key is empty if it has none that can be cited.
    ///
    /// # Errors
    /// Why it is invalid.
    pub fn parse(text: &str) -> Result<Bibtex, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("it is longer than 262144 bytes");
        }
        let (_, text) = text.split_once('@').ok_or("it contains no entry")?;
        let (kind, text) = text.split_once(['{', '(']).ok_or("its first entry has no `{`")?;
        let kind = kind.trim().to_ascii_lowercase();
        if !is_name(&kind) || matches!(&*kind, "comment" | "string" | "preamble") {
            return Err("it does not begin with an entry such as @misc");
        }
        let end = text.find([',', '}', ')', '=']).ok_or("it is truncated")?;
        let (key, mut rest) = text.split_at(end);
        // `@misc{title = {…}}`: the key and its comma are missing.
        let key = if rest.starts_with('=') {
            rest = text;
            ""
        } else {
            key.trim()
        };
        let key = if is_key(key) { key.to_owned() } else { String::new() };
        let mut fields: Vec<(String, String)> = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if rest.starts_with(['}', ')']) {
                break;
            }
            let (name, after) = rest.split_once('=').ok_or("it is truncated")?;
            let name = name.trim().to_ascii_lowercase();
            if !is_name(&name) {
                return Err("a field has no name");
            }
            let (value, after) = value(after)?;
            rest = after;
            let is_new = fields.iter().all(|(known, _)| *known != name);
            if !value.is_empty() && is_new {
                fields.push((name, value));
            }
            if fields.len() > MAX_FIELDS {
                return Err("it has more than 100 fields");
            }
        }
        if fields.is_empty() {
            return Err("it has no fields");
        }
        Ok(Bibtex { kind, key, fields })
    }

    /// Returns the field with this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Display for Bibtex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}{{{},", self.kind, self.key)?;
        for (name, value) in &self.fields {
            write!(f, "\n  {name} = {{{value}}},")?;
        }
        f.write_str("\n}")
    }
}

/// Parses a value, and returns it as it is within braces, with the rest of the text. Parts joined
/// by `#` are concatenated.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let mut rest = text.trim_start();
    let mut value = String::new();
    loop {
        let (part, after) = match rest.chars().next() {
            Some('{') => enclosed(rest, '}')?,
            Some('"') => enclosed(rest, '"')?,
            _ => {
                let end = rest.find([',', '}', ')', '#', '\n']).ok_or("it is truncated")?;
                rest.split_at(end)
            }
        };
        value.push_str(part);
        let next = after.trim_start();
        match next.strip_prefix('#') {
            Some(next) => rest = next.trim_start(),
            None => {
                // Removes what moves a cursor, and line breaks, which BibTeX ignores.
                let value = visible(&value);
                // A value in quotes may end with open braces; a value in braces must not.
                return match is_balanced(&value) {
                    true => Ok((value, next)),
                    false => Err("its braces do not match"),
                };
            }
        }
    }
}

/// Returns the text between the first character and `end` outside of braces, and the text after it.
fn enclosed(text: &str, end: char) -> Result<(&str, &str), &'static str> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices().skip(1) {
        if c == end && open == 0 {
            return Ok((
                text.get(1..at).unwrap_or_default(),
                text.get(at + 1..).unwrap_or_default(),
            ));
        }
        match c {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    Err("its braces do not match")
}

fn is_balanced(value: &str) -> bool {
    let mut open = 0_usize;
    for c in value.chars() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return false,
            '}' => open -= 1,
            _ => {}
        }
    }
    open == 0
}

/// Joins words by single spaces. Removes control characters, and characters that change the writing
/// direction.
fn visible(text: &str) -> String {
    let is_odd =
        |c: &char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let words = text.split_whitespace().map(|word| word.chars().filter(|c| !is_odd(c)).collect());
    let words: Vec<String> = words.filter(|word: &String| !word.is_empty()).collect();
    words.join(" ")
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '+');
    (1..=40).contains(&name.len()) && name.chars().all(fits)
}

/// Whether every program accepts this as a key.
pub fn is_key(key: &str) -> bool {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '+');
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.chars().all(fits)
}

/// Escapes text for LaTeX.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' => escaped.extend(['\\', c]),
            // BibTeX counts braces even after a backslash.
            '{' => escaped.push_str("\\textbraceleft{}"),
            '}' => escaped.push_str("\\textbraceright{}"),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Encodes what would end a URL's value; the rest needs no escaping within `url`.
pub fn url(url: &str) -> String {
    visible(url).replace('{', "%7B").replace('}', "%7D").replace([' ', '\\'], "%20")
}
