//! The walk over the bytes, and what it has seen.

use super::{CUT, Limits, ScanError, TOO_LONG};

const TWIN: &str = "a key that is there already";

/// What a scan saw: one value, and all that are in it.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    /// By their beginnings; a dictionary's are key, value, key, value.
    tokens: Vec<Token>,
}

/// A value; offsets are in bytes, and 32 bits are enough for what [`scan_prefix`] lets in.
#[derive(Clone, Copy, Debug)]
struct Token {
    begin: u32,
    end: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// `text`: where it begins behind its length.
    Bytes {
        text: u32,
    },
    Int(i64),
    /// `after`: the token behind all that are in it.
    List {
        after: u32,
    },
    Dict {
        after: u32,
    },
}

impl Token {
    /// The bytes of a string; of what is none, nothing.
    fn text<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match self.kind {
            Kind::Bytes { text } => &bytes[text as usize..self.end as usize],
            _ => &[],
        }
    }
}

impl<'a> Scan<'a> {
    /// The value itself.
    pub fn root(&self) -> Node<'_> {
        Node { bytes: self.bytes, tokens: &self.tokens, index: 0 }
    }

    /// How many bytes the value takes.
    pub fn used(&self) -> usize {
        self.root().raw().len()
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

    /// The value as it stands: of `info`, what is hashed.
    pub fn raw(self) -> &'s [u8] {
        let Token { begin, end, .. } = self.token();
        &self.bytes[begin as usize..end as usize]
    }

    pub fn bytes(self) -> Option<&'s [u8]> {
        let token = self.token();
        matches!(token.kind, Kind::Bytes { .. }).then(|| token.text(self.bytes))
    }

    pub fn int(self) -> Option<i64> {
        match self.token().kind {
            Kind::Int(int) => Some(int),
            _ => None,
        }
    }

    pub fn list(self) -> Option<Nodes<'s>> {
        match self.token().kind {
            Kind::List { after } => Some(self.until(after)),
            _ => None,
        }
    }

    pub fn is_dict(self) -> bool {
        matches!(self.token().kind, Kind::Dict { .. })
    }

    /// The value of a dictionary's key; `None` where it is not there, or this is no dictionary.
    pub fn get(self, key: &[u8]) -> Option<Node<'s>> {
        let Kind::Dict { after } = self.token().kind else { return None };
        let mut entries = self.until(after);
        while let (Some(found), Some(value)) = (entries.next(), entries.next()) {
            if found.token().text(self.bytes) == key {
                return Some(value);
            }
        }
        None
    }

    fn until(self, after: u32) -> Nodes<'s> {
        Nodes { next: Node { index: self.index + 1, ..self }, after }
    }
}

/// The values in a list or dictionary, one behind the other.
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
        self.next.index = match node.token().kind {
            Kind::Bytes { .. } | Kind::Int(_) => node.index + 1,
            Kind::List { after } | Kind::Dict { after } => after,
        };
        Some(node)
    }
}

/// Checks that the bytes are exactly one value.
///
/// # Errors
/// Says what is wrong, and at which byte.
pub fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Scan<'a>, ScanError> {
    if bytes.len() > limits.max_bytes {
        return Err(ScanError { what: "more bytes than are accepted", at: limits.max_bytes });
    }
    let scan = scan_prefix(bytes, limits)?;
    if scan.used() < bytes.len() {
        return Err(ScanError { what: "bytes after the end", at: scan.used() });
    }
    Ok(scan)
}

/// Checks that the bytes begin with one value; what follows is not looked at (BEP 9 puts raw data
/// behind a dictionary).
///
/// # Errors
/// Says what is wrong, and at which byte.
pub fn scan_prefix<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Scan<'a>, ScanError> {
    let bytes = bytes.get(..limits.max_bytes.min(u32::MAX as usize)).unwrap_or(bytes);
    let mut scanner = Scanner { bytes, limits, at: 0, open: Vec::new(), tokens: Vec::new() };
    scanner.run()?;
    Ok(Scan { bytes, tokens: scanner.tokens })
}

/// A list or dictionary whose end has not come yet.
struct Open {
    token: usize,
    is_dict: bool,
    /// A dictionary's key comes next, or its end.
    wants_key: bool,
    /// A dictionary's last key, by its token.
    last_key: Option<usize>,
    /// Whether each key so far is greater than the one before: then none is there twice.
    ascending: bool,
}

struct Scanner<'a, 'l> {
    bytes: &'a [u8],
    limits: &'l Limits,
    at: usize,
    open: Vec<Open>,
    tokens: Vec<Token>,
}

impl Scanner<'_, '_> {
    fn run(&mut self) -> Result<(), ScanError> {
        loop {
            let begin = self.at;
            let byte = self.byte(begin)?;
            if byte != b'e' && self.tokens.len() >= self.limits.max_values {
                return fail("more values than are accepted", begin);
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
                _ => return fail("no value begins with this byte", begin),
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

    /// Adds the value from `begin` to here.
    fn push(&mut self, begin: usize, kind: Kind) {
        self.tokens.push(Token { begin: begin as u32, end: self.at as u32, kind });
    }

    fn open(&mut self, is_dict: bool) -> Result<(), ScanError> {
        let begin = self.at;
        if self.open.len() >= self.limits.max_depth {
            return fail("nested deeper than is accepted", begin);
        }
        let token = self.tokens.len();
        self.open.push(Open {
            token,
            is_dict,
            wants_key: is_dict,
            last_key: None,
            ascending: true,
        });
        self.at += 1;
        self.push(begin, Kind::List { after: 0 });
        Ok(())
    }

    /// Passes an `e`.
    fn close(&mut self) -> Result<(), ScanError> {
        let Some(open) = self.open.pop() else {
            return fail("an end where nothing is open", self.at);
        };
        if open.is_dict && !open.wants_key {
            return fail("a key without a value", self.at);
        }
        self.at += 1;
        let after = self.tokens.len() as u32;
        let token = &mut self.tokens[open.token];
        token.end = self.at as u32;
        token.kind = if open.is_dict { Kind::Dict { after } } else { Kind::List { after } };
        if open.ascending { Ok(()) } else { self.refuse_twins(open.token, after) }
    }

    fn refuse_twins(&self, dict: usize, after: u32) -> Result<(), ScanError> {
        let dict = Node { bytes: self.bytes, tokens: &self.tokens, index: dict as u32 };
        let mut keys: Vec<_> = dict.until(after).step_by(2).map(Node::token).collect();
        keys.sort_by(|a, b| a.text(self.bytes).cmp(b.text(self.bytes)));
        let twin = keys.windows(2).find_map(|pair| match pair {
            [a, b] if a.text(self.bytes) == b.text(self.bytes) => Some(b),
            _ => None,
        });
        match twin {
            Some(Token { kind: Kind::Bytes { text }, .. }) => fail(TWIN, *text as usize),
            _ => Ok(()),
        }
    }

    /// Passes a string, which may be the innermost dictionary's next key.
    fn string(&mut self, is_key: bool) -> Result<(), ScanError> {
        let begin = self.at;
        let mut length = 0_usize;
        loop {
            match self.byte(self.at)? {
                b':' => break,
                digit @ b'0'..=b'9' => {
                    if length == 0 && self.at > begin {
                        return fail("a length that begins with 0", begin);
                    }
                    let longer = length.checked_mul(10);
                    let longer = longer.and_then(|l| l.checked_add(usize::from(digit - b'0')));
                    let Some(longer) = longer else {
                        return fail("a length beyond all bounds", begin);
                    };
                    length = longer;
                    self.at += 1;
                }
                _ => return fail("a length that is not a number", begin),
            }
        }
        let text = self.at + 1;
        match text.checked_add(length) {
            Some(end) if end <= self.bytes.len() => self.at = end,
            _ => return fail(TOO_LONG, begin),
        }
        self.push(begin, Kind::Bytes { text: text as u32 });
        if is_key { self.compare_key(text) } else { Ok(()) }
    }

    /// Compares the key that was pushed last with the one before.
    fn compare_key(&mut self, text: usize) -> Result<(), ScanError> {
        let key = self.tokens.len() - 1;
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        if let Some(before) = open.last_key.replace(key) {
            let [before, key] = [before, key].map(|token| self.tokens[token].text(self.bytes));
            match before.cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return fail(TWIN, text),
                std::cmp::Ordering::Greater => open.ascending = false,
            }
        }
        Ok(())
    }

    fn integer(&mut self) -> Result<(), ScanError> {
        let begin = self.at;
        let negative = self.bytes.get(begin + 1) == Some(&b'-');
        let first = begin + 1 + usize::from(negative);
        self.at = first;
        // Below zero, where one number more has its place.
        let mut number = 0_i64;
        loop {
            match self.byte(self.at)? {
                b'e' => break,
                digit @ b'0'..=b'9' => {
                    let longer = number.checked_mul(10);
                    let longer = longer.and_then(|n| n.checked_sub(i64::from(digit - b'0')));
                    let Some(longer) = longer else {
                        return fail("an integer beyond 64 bits", begin);
                    };
                    number = longer;
                    self.at += 1;
                }
                _ => return fail("an integer that is not a number", begin),
            }
        }
        let digits = self.at - first;
        if digits == 0 {
            return fail("an integer without digits", begin);
        }
        if self.bytes[first] == b'0' && (digits > 1 || negative) {
            return fail("an integer that begins with 0 or is -0", begin);
        }
        let Some(number) = (if negative { Some(number) } else { number.checked_neg() }) else {
            return fail("an integer beyond 64 bits", begin);
        };
        self.at += 1;
        self.push(begin, Kind::Int(number));
        Ok(())
    }
}

fn fail<T>(what: &'static str, at: usize) -> Result<T, ScanError> {
    Err(ScanError { what, at })
}
