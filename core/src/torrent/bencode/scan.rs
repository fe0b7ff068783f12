//! The iterative scanner, and the flat list of values that it produces.

use std::borrow::Cow;
use std::ops::Range;

use super::{CUT, Limits, ScanError, TOO_LONG};

/// Maximum nesting depth. It bounds the scanner's own stack, which takes about 50 bytes per level.
const MAX_DEPTH: usize = 1 << 16;

/// The decoder recurses and uses about 2 kB of the thread's stack per level, so values that are
/// nested deeper are withheld from it.
const MAX_DECODED_DEPTH: usize = 32;

/// Replaces a value that the decoder cannot take or that is meaningless: an empty list, in which no
/// caller finds anything.
const NOTHING: &[u8] = b"le";

/// Some programs write it at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The result of a scan: one value and everything inside it.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    /// All values, in order of their first byte; a dictionary's are key, value, key, value.
    tokens: Vec<Token>,
    /// Tokens that deviate from BEP 3, in order.
    odd: Vec<(u32, Oddity)>,
}

/// A deviation from BEP 3 that the scan tolerates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Oddity {
    /// A key that already occurred in its dictionary.
    Twin,
    /// A string whose length has a leading zero.
    Length,
    /// An integer with a leading zero, `-0`, not a number, or beyond 64 bits.
    Number,
    /// Nested too deeply for the decoder, but otherwise valid.
    Deep,
}

/// A value. Offsets are in bytes; 32 bits suffice because the scanner truncates its input to that.
#[derive(Clone, Copy, Debug)]
struct Token {
    begin: u32,
    end: u32,
    kind: TokenKind,
}

#[derive(Clone, Copy, Debug)]
enum TokenKind {
    /// `text`: the offset of the string's bytes, after its length prefix.
    Bytes {
        text: u32,
    },
    /// Has no payload and is parsed again on demand: most integers of a torrent are read only once,
    /// and every byte of a token counts up to six million times.
    Int,
    /// `after`: the index of the token that follows the container's contents.
    List {
        after: u32,
    },
    Dict {
        after: u32,
    },
}

impl Token {
    /// Returns the bytes of a string; empty for other types.
    fn text<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match self.kind {
            TokenKind::Bytes { text } => &bytes[text as usize..self.end as usize],
            _ => &[],
        }
    }
}

impl<'a> Scan<'a> {
    /// Returns the outermost value.
    pub fn root(&self) -> Node<'_> {
        Node { bytes: self.bytes, tokens: &self.tokens, index: 0 }
    }

    /// Returns the offset of the value's end.
    pub fn used(&self) -> usize {
        self.root().token().end as usize
    }

    /// Whether the input follows BEP 3 exactly (values nested too deeply for the decoder are
    /// allowed).
    pub fn is_exact(&self) -> bool {
        !self.odd.iter().any(|(_, oddity)| *oddity != Oddity::Deep)
    }

    /// Returns the first deviation from BEP 3 inside a value of this scan.
    pub fn oddity(&self, node: Node<'_>) -> Option<ScanError> {
        let first = self.odd.partition_point(|(token, _)| *token < node.index);
        let inside = self.odd.iter().skip(first).take_while(|(token, _)| *token < node.after());
        let (token, oddity) = inside.copied().find(|(_, oddity)| *oddity != Oddity::Deep)?;
        let what = match oddity {
            Oddity::Twin => "a duplicate key",
            Oddity::Length => "a string length with a leading zero",
            _ => "an invalid integer (not a number, leading zero, -0, or beyond 64 bits)",
        };
        Some(ScanError { what, at: self.tokens[token as usize].begin as usize })
    }

    /// Returns the value in a form that the decoder accepts: each key once, numbers as in BEP 3,
    /// nothing nested too deeply.
    pub fn canonical(&self) -> Cow<'a, [u8]> {
        let Range { start, end } = self.root().span();
        if self.odd.is_empty() {
            return Cow::Borrowed(&self.bytes[start..end]);
        }
        let (mut canonical, mut copied) = (Vec::with_capacity(end - start), start);
        for (index, oddity) in &self.odd {
            let node = Node { index: *index, ..self.root() };
            let span = node.span();
            if span.start < copied {
                continue; // inside a value that was left out
            }
            canonical.extend_from_slice(&self.bytes[copied..span.start]);
            copied = span.end;
            match oddity {
                Oddity::Twin => {
                    let value = Node { index: node.after(), ..node };
                    copied = value.span().end;
                }
                Oddity::Length => {
                    let text = node.token().text(self.bytes);
                    canonical.extend_from_slice(format!("{}:", text.len()).as_bytes());
                    canonical.extend_from_slice(text);
                }
                Oddity::Number => match node.int() {
                    Some(number) => canonical.extend_from_slice(format!("i{number}e").as_bytes()),
                    None => canonical.extend_from_slice(NOTHING),
                },
                Oddity::Deep => canonical.extend_from_slice(NOTHING),
            }
        }
        canonical.extend_from_slice(&self.bytes[copied..end]);
        Cow::Owned(canonical)
    }
}

/// A value of a scan.
#[derive(Clone, Copy, Debug)]
pub struct Node<'s> {
    bytes: &'s [u8],
    tokens: &'s [Token],
    index: u32,
}

impl<'s> Node<'s> {
    fn token(self) -> Token {
        self.tokens[self.index as usize]
    }

    /// Returns the index of the token that follows this value and its contents.
    fn after(self) -> u32 {
        match self.token().kind {
            TokenKind::Bytes { .. } | TokenKind::Int => self.index + 1,
            TokenKind::List { after } | TokenKind::Dict { after } => after,
        }
    }

    /// Returns the value's encoded bytes; for `info`, the bytes that are hashed.
    pub fn raw(self) -> &'s [u8] {
        let Token { begin, end, .. } = self.token();
        &self.bytes[begin as usize..end as usize]
    }

    /// Returns the encoded bytes without the first and the last; for a list, the concatenated
    /// items.
    pub fn inside(self) -> &'s [u8] {
        let raw = self.raw();
        raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
    }

    /// Returns the offset of the value in the scanned bytes.
    pub fn begin(self) -> usize {
        self.token().begin as usize
    }

    pub fn bytes(self) -> Option<&'s [u8]> {
        let token = self.token();
        matches!(token.kind, TokenKind::Bytes { .. }).then(|| token.text(self.bytes))
    }

    /// Returns an integer; `None` if it is not a number or does not fit into 64 bits.
    pub fn int(self) -> Option<i64> {
        match self.token().kind {
            // `parsed` accepts a sign and leading zeros.
            TokenKind::Int => parsed(self.inside()),
            _ => None,
        }
    }

    pub fn list(self) -> Option<Nodes<'s>> {
        match self.token().kind {
            TokenKind::List { after } => Some(self.until(after)),
            _ => None,
        }
    }

    /// Returns a dictionary's keys and values in alternation; empty for other types.
    pub fn entries(self) -> Nodes<'s> {
        match self.token().kind {
            TokenKind::Dict { after } => self.until(after),
            _ => Nodes { next: self, after: 0 },
        }
    }

    /// Returns the value's byte range in the scanned bytes.
    pub fn span(self) -> Range<usize> {
        let Token { begin, end, .. } = self.token();
        begin as usize..end as usize
    }

    pub fn is_dict(self) -> bool {
        matches!(self.token().kind, TokenKind::Dict { .. })
    }

    /// Returns the value of a dictionary's key; `None` if the key is missing or this is not a
    /// dictionary.
    pub fn get(self, key: &[u8]) -> Option<Node<'s>> {
        let TokenKind::Dict { after } = self.token().kind else { return None };
        let mut entries = self.until(after);
        while let (Some(found), Some(value)) = (entries.next(), entries.next()) {
            if found.token().text(self.bytes) == key {
                return Some(value);
            }
        }
        None
    }

    /// Returns what [`Node::get`] returns for each key, in one pass.
    pub fn get_all<const N: usize>(self, keys: &[&[u8]; N]) -> [Option<Node<'s>>; N] {
        let mut values = [None; N];
        let mut entries = self.entries();
        while let (Some(found), Some(value)) = (entries.next(), entries.next()) {
            let text = found.token().text(self.bytes);
            let place = keys.iter().position(|key| *key == text);
            if let Some(first) = place.and_then(|place| values.get_mut(place)) {
                first.get_or_insert(value);
            }
        }
        values
    }

    fn until(self, after: u32) -> Nodes<'s> {
        Nodes { next: Node { index: self.index + 1, ..self }, after }
    }
}

/// Iterator over the values of a list or dictionary.
#[derive(Clone, Debug)]
pub struct Nodes<'s> {
    next: Node<'s>,
    after: u32,
}

impl<'s> Iterator for Nodes<'s> {
    type Item = Node<'s>;

    fn next(&mut self) -> Option<Node<'s>> {
        let node = self.next;
        if node.index >= self.after {
            return None;
        }
        self.next.index = node.after();
        Some(node)
    }
}

/// Returns the number of bytes before the value that are ignored: a byte order mark and whitespace,
/// which some server scripts emit.
pub fn before(bytes: &[u8]) -> usize {
    let mark = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let rest = bytes.get(mark..).unwrap_or_default();
    mark + rest.len() - rest.trim_ascii_start().len()
}

/// Scans one value. Bytes before it (see [`before`]) and after it are ignored.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Scan<'a>, ScanError> {
    if bytes.len() > limits.max_bytes {
        return Err(ScanError { what: "too many bytes", at: limits.max_bytes });
    }
    scan_at(bytes, before(bytes), limits)
}

/// Scans the value at the beginning of the bytes; what follows is ignored (BEP 9 appends raw data
/// to a dictionary).
///
/// # Errors
/// What is wrong, and at which byte.
pub fn scan_prefix<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Scan<'a>, ScanError> {
    scan_at(bytes, 0, limits)
}

fn scan_at<'a>(bytes: &'a [u8], at: usize, limits: &Limits) -> Result<Scan<'a>, ScanError> {
    let bytes = bytes.get(..limits.max_bytes.min(u32::MAX as usize)).unwrap_or(bytes);
    let mut scanner =
        Scanner { bytes, limits, at, open: Vec::new(), tokens: Vec::new(), odd: Vec::new() };
    scanner.run()?;
    scanner.odd.sort_unstable();
    Ok(Scan { bytes, tokens: scanner.tokens, odd: scanner.odd })
}

/// A list or dictionary whose end has not been reached.
struct OpenContainer {
    token: usize,
    is_dict: bool,
    /// Whether a dictionary's next key, or its end, is expected.
    wants_key: bool,
    /// The token of the dictionary's last key.
    last_key: Option<usize>,
    /// Whether each key so far is greater than the one before, which rules out duplicates.
    ascending: bool,
}

struct Scanner<'a, 'l> {
    bytes: &'a [u8],
    limits: &'l Limits,
    at: usize,
    open: Vec<OpenContainer>,
    tokens: Vec<Token>,
    odd: Vec<(u32, Oddity)>,
}

impl Scanner<'_, '_> {
    fn run(&mut self) -> Result<(), ScanError> {
        loop {
            let begin = self.at;
            let byte = self.byte(begin)?;
            if byte != b'e' && self.tokens.len() >= self.limits.max_values {
                return fail("too many values", begin);
            }
            let wants_key = self.open.last().is_some_and(|open| open.wants_key);
            match byte {
                b'e' => self.close()?,
                b'0'..=b'9' => self.string(wants_key)?,
                _ if wants_key => return fail("a key that is not a string", begin),
                b'i' => self.integer()?,
                b'l' | b'd' => {
                    self.open(byte == b'd')?;
                    continue;
                }
                _ => return fail("unexpected byte", begin),
            }
            match self.open.last_mut() {
                None => return Ok(()),
                Some(open) => open.wants_key = open.is_dict && !open.wants_key,
            }
        }
    }

    fn byte(&self, at: usize) -> Result<u8, ScanError> {
        match self.bytes.get(at) {
            Some(byte) => Ok(*byte),
            None => fail(CUT, at),
        }
    }

    /// Adds the value from `begin` to the current position.
    fn push(&mut self, begin: usize, kind: TokenKind) {
        self.tokens.push(Token { begin: begin as u32, end: self.at as u32, kind });
    }

    /// Records a deviation of the token that is pushed next.
    fn note(&mut self, oddity: Oddity) {
        self.odd.push((self.tokens.len() as u32, oddity));
    }

    fn open(&mut self, is_dict: bool) -> Result<(), ScanError> {
        let begin = self.at;
        match self.open.len() {
            MAX_DEPTH.. => return fail("nested too deeply", begin),
            MAX_DECODED_DEPTH => self.note(Oddity::Deep),
            _ => {}
        }
        let token = self.tokens.len();
        self.open.push(OpenContainer {
            token,
            is_dict,
            wants_key: is_dict,
            last_key: None,
            ascending: true,
        });
        self.at += 1;
        self.push(begin, TokenKind::List { after: 0 });
        Ok(())
    }

    /// Consumes an `e`.
    fn close(&mut self) -> Result<(), ScanError> {
        let Some(open) = self.open.pop() else {
            return fail("an unmatched end", self.at);
        };
        if open.is_dict && !open.wants_key {
            return fail("a key without a value", self.at);
        }
        self.at += 1;
        let after = self.tokens.len() as u32;
        let token = &mut self.tokens[open.token];
        token.end = self.at as u32;
        token.kind =
            if open.is_dict { TokenKind::Dict { after } } else { TokenKind::List { after } };
        if !open.ascending {
            self.note_twins(open.token, after);
        }
        Ok(())
    }

    /// Records every key of a dictionary that occurred before in it.
    fn note_twins(&mut self, dict: usize, after: u32) {
        let dict = Node { bytes: self.bytes, tokens: &self.tokens, index: dict as u32 };
        let mut keys: Vec<_> = dict.until(after).step_by(2).collect();
        // The sort is stable: duplicates keep their order, so the first one is not recorded.
        keys.sort_by(|a, b| a.bytes().cmp(&b.bytes()));
        let twins = keys.windows(2).filter_map(|pair| match pair {
            [a, b] if a.bytes() == b.bytes() => Some((b.index, Oddity::Twin)),
            _ => None,
        });
        let twins: Vec<_> = twins.collect();
        self.odd.extend(twins);
    }

    /// Consumes a string, which may be the next key of the innermost dictionary.
    fn string(&mut self, is_key: bool) -> Result<(), ScanError> {
        let begin = self.at;
        let mut length = 0_usize;
        loop {
            match self.byte(self.at)? {
                b':' => break,
                digit @ b'0'..=b'9' => {
                    let longer = length.checked_mul(10);
                    let longer = longer.and_then(|l| l.checked_add(usize::from(digit - b'0')));
                    let Some(longer) = longer else {
                        return fail("a string length that is too large", begin);
                    };
                    length = longer;
                    self.at += 1;
                }
                _ => return fail("an invalid string length", begin),
            }
        }
        if self.bytes[begin] == b'0' && self.at > begin + 1 {
            self.note(Oddity::Length);
        }
        let text = self.at + 1;
        match text.checked_add(length) {
            Some(end) if end <= self.bytes.len() => self.at = end,
            _ => return fail(TOO_LONG, begin),
        }
        self.push(begin, TokenKind::Bytes { text: text as u32 });
        if is_key {
            self.compare_key();
        }
        Ok(())
    }

    /// Compares the key that was pushed last with the one before.
    fn compare_key(&mut self) {
        let key = self.tokens.len() - 1;
        let Some(open) = self.open.last_mut() else { return };
        if let Some(before) = open.last_key.replace(key) {
            let [before, text] = [before, key].map(|token| self.tokens[token].text(self.bytes));
            // Equal neighbors count as unsorted too, so that `note_twins` finds all duplicates.
            open.ascending &= before < text;
        }
    }

    fn integer(&mut self) -> Result<(), ScanError> {
        let begin = self.at;
        self.at += 1;
        loop {
            match self.byte(self.at)? {
                b'e' => break,
                // Some programs write fractions, or no digits at all, in integer values.
                b'0'..=b'9' | b'-' | b'+' | b'.' | b'E' | b' ' => self.at += 1,
                _ => return fail("an invalid integer", begin),
            }
        }
        let text = &self.bytes[begin + 1..self.at];
        let is_exact = match text.strip_prefix(b"-").unwrap_or(text) {
            b"0" => text.len() == 1,
            // Up to 18 digits always fit into 64 bits.
            [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
                rest.len() < 18 || parsed(text).is_some()
            }
            _ => false,
        };
        if !is_exact {
            self.note(Oddity::Number);
        }
        self.at += 1;
        self.push(begin, TokenKind::Int);
        Ok(())
    }
}

fn parsed(number: &[u8]) -> Option<i64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

fn fail<T>(what: &'static str, at: usize) -> Result<T, ScanError> {
    Err(ScanError { what, at })
}
