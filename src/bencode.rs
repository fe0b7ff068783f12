//! Bencode (BEP 3): what comes from outside is scanned first, then decoded.
//!
//! Floor 0; `metainfo` and `protocol` read through it. `serde_bencode` recurses without limit (a list
//! nested 1,200 deep aborts the process) and takes integers, lengths and trailing bytes that are not
//! canonical. So [`scan`] walks the bytes first, with a stack of its own and within [`Limits`], and
//! only what it passed goes to the decoder.
//!
//! Invariants: nothing here recurses on input; a string is skipped whole, so that 20 MB of `pieces`
//! cost as much as 20 bytes; every length is checked against what is there before it is used.
//! Dictionaries whose keys are not sorted exist in the wild and are accepted. Ones that name a key
//! twice are not: two readers could read two different torrents.

use std::fmt;
use std::ops::Range;

use serde_bencode::value::Value;

#[cfg(test)]
mod tests;

/// How much bencode is read before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in all.
    pub max_bytes: usize,
    /// Lists and dictionaries inside one another. The decoder recurses once for each: 32 is plenty.
    pub max_depth: usize,
    /// Strings, integers, lists and dictionaries in all; keys count.
    pub max_values: usize,
}

/// Why bytes are not acceptable bencode, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanError {
    what: &'static str,
    at: usize,
}

impl ScanError {
    /// Whether the bytes end too soon: what is there may be right.
    pub fn is_cut_short(&self) -> bool {
        [CUT, TOO_LONG].contains(&self.what)
    }

    /// The offset of the byte that does not fit.
    #[cfg(test)]
    fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.what, self.at)
    }
}

impl std::error::Error for ScanError {}

/// What a scan saw: one value, and where the entries of the outermost dictionary lie.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    used: usize,
    /// Key (without its length) and value of each entry of the outermost dictionary.
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl Scan<'_> {
    /// Where the raw value of a key of the outermost dictionary lies: of `info`, what is hashed.
    pub fn top_level(&self, key: &[u8]) -> Option<Range<usize>> {
        let is_it = |found: &Range<usize>| self.bytes.get(found.clone()) == Some(key);
        self.entries.iter().find(|(found, _)| is_it(found)).map(|(_, value)| value.clone())
    }

    /// How many bytes the value takes.
    #[cfg(test)]
    fn used(&self) -> usize {
        self.used
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
    if scan.used < bytes.len() {
        return Err(ScanError { what: "bytes after the end", at: scan.used });
    }
    Ok(scan)
}

/// Checks that the bytes begin with one value; what follows is not looked at (BEP 9 puts raw data
/// behind a dictionary).
///
/// # Errors
/// Says what is wrong, and at which byte.
pub fn scan_prefix<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Scan<'a>, ScanError> {
    let bytes = bytes.get(..limits.max_bytes).unwrap_or(bytes);
    let mut scanner = Scanner {
        bytes,
        limits,
        at: 0,
        values: 0,
        open: Vec::new(),
        keys: Vec::new(),
        entries: Vec::new(),
    };
    scanner.run()?;
    Ok(Scan { bytes, used: scanner.at, entries: scanner.entries })
}

/// Scans, then decodes.
///
/// # Errors
/// Says what is wrong, and at which byte.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Value, ScanError> {
    scan(bytes, limits)?;
    let refused = |_| ScanError { what: "the decoder refuses what the scan passed", at: 0 };
    serde_bencode::from_bytes(bytes).map_err(refused)
}

/// The value of a dictionary's key; `None` where it is not there, or this is no dictionary.
pub fn get<'v>(value: &'v Value, key: &[u8]) -> Option<&'v Value> {
    match value {
        Value::Dict(entries) => entries.get(key),
        _ => None,
    }
}

/// The string under a key, as bytes.
pub fn bytes<'v>(value: &'v Value, key: &[u8]) -> Option<&'v [u8]> {
    get(value, key).and_then(as_bytes)
}

/// The integer under a key.
pub fn int(value: &Value, key: &[u8]) -> Option<i64> {
    match get(value, key) {
        Some(Value::Int(int)) => Some(*int),
        _ => None,
    }
}

/// The list under a key.
pub fn list<'v>(value: &'v Value, key: &[u8]) -> Option<&'v [Value]> {
    match get(value, key) {
        Some(Value::List(list)) => Some(list),
        _ => None,
    }
}

/// The dictionary under a key: a value to which these functions apply again.
pub fn dict<'v>(value: &'v Value, key: &[u8]) -> Option<&'v Value> {
    get(value, key).filter(|value| matches!(value, Value::Dict(_)))
}

/// The value's bytes, where it is a string.
pub fn as_bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// A list or dictionary whose end has not come yet.
struct Open {
    begin: usize,
    /// `None`: a list.
    dict: Option<Dict>,
}

struct Dict {
    /// The key whose value comes next.
    key: Option<Range<usize>>,
    /// Where this dictionary's keys begin in [`Scanner::keys`].
    first_key: usize,
    /// Whether each key so far is greater than the one before: then none is there twice.
    ascending: bool,
}

struct Scanner<'a, 'l> {
    bytes: &'a [u8],
    limits: &'l Limits,
    at: usize,
    values: usize,
    open: Vec<Open>,
    /// The keys of all open dictionaries, the innermost one's last: one allocation for all.
    keys: Vec<Range<usize>>,
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl Scanner<'_, '_> {
    fn run(&mut self) -> Result<(), ScanError> {
        loop {
            let begin = self.at;
            let byte = self.byte(begin)?;
            let wants_key =
                matches!(self.open.last(), Some(Open { dict: Some(Dict { key: None, .. }), .. }));
            if byte != b'e' {
                self.values += 1;
                if self.values > self.limits.max_values {
                    return fail("more values than are accepted", begin);
                }
            }
            let span = match byte {
                b'e' => self.close()?,
                b'0'..=b'9' => {
                    let text = self.string()?;
                    if wants_key {
                        self.key(text)?;
                        continue;
                    }
                    begin..self.at
                }
                _ if wants_key => return fail("a key that is not a string", begin),
                b'i' => {
                    self.integer()?;
                    begin..self.at
                }
                b'l' | b'd' => {
                    if self.open.len() >= self.limits.max_depth {
                        return fail("nested deeper than is accepted", begin);
                    }
                    let first_key = self.keys.len();
                    let dict =
                        (byte == b'd').then_some(Dict { key: None, first_key, ascending: true });
                    self.open.push(Open { begin, dict });
                    self.at += 1;
                    continue;
                }
                _ => return fail("no value begins with this byte", begin),
            };
            let outermost = self.open.len() == 1;
            match self.open.last_mut() {
                None => return Ok(()),
                Some(Open { dict: Some(dict), .. }) => {
                    if let (Some(key), true) = (dict.key.take(), outermost) {
                        self.entries.push((key, span));
                    }
                }
                Some(Open { dict: None, .. }) => {}
            }
        }
    }

    fn byte(&self, at: usize) -> Result<u8, ScanError> {
        let cut = ScanError { what: CUT, at };
        self.bytes.get(at).copied().ok_or(cut)
    }

    /// Passes an `e`, and returns the span of what it closes.
    fn close(&mut self) -> Result<Range<usize>, ScanError> {
        let end = self.at;
        let Some(open) = self.open.pop() else {
            return fail("an end where nothing is open", end);
        };
        if let Some(dict) = open.dict {
            if dict.key.is_some() {
                return fail("a key without a value", end);
            }
            if !dict.ascending {
                self.refuse_twins(dict.first_key)?;
            }
            self.keys.truncate(dict.first_key);
        }
        self.at = end + 1;
        Ok(open.begin..self.at)
    }

    fn key(&mut self, key: Range<usize>) -> Result<(), ScanError> {
        let bytes = self.bytes;
        if let Some(dict) = self.open.last_mut().and_then(|open| open.dict.as_mut()) {
            if let Some(before) = self.keys.get(dict.first_key..).and_then(<[_]>::last) {
                match bytes.get(before.clone()).cmp(&bytes.get(key.clone())) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return fail(TWIN, key.start),
                    std::cmp::Ordering::Greater => dict.ascending = false,
                }
            }
            dict.key = Some(key.clone());
            self.keys.push(key);
        }
        Ok(())
    }

    fn refuse_twins(&mut self, first_key: usize) -> Result<(), ScanError> {
        let bytes = self.bytes;
        let keys = self.keys.get_mut(first_key..).unwrap_or_default();
        let text = |key: &Range<usize>| bytes.get(key.clone());
        keys.sort_by(|a, b| text(a).cmp(&text(b)).then(a.start.cmp(&b.start)));
        let twin = keys.windows(2).find_map(|pair| match pair {
            [a, b] if text(a) == text(b) => Some(b.start),
            _ => None,
        });
        twin.map_or(Ok(()), |at| fail(TWIN, at))
    }

    /// Passes a string, and returns where its bytes lie.
    fn string(&mut self) -> Result<Range<usize>, ScanError> {
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
        let start = self.at + 1;
        match start.checked_add(length) {
            Some(end) if end <= self.bytes.len() => {
                self.at = end;
                Ok(start..end)
            }
            _ => fail(TOO_LONG, begin),
        }
    }

    fn integer(&mut self) -> Result<(), ScanError> {
        let begin = self.at;
        // `i`, a sign, 19 digits, `e`: nothing longer fits 64 bits.
        let rest = self.bytes.get(begin + 1..).unwrap_or_default();
        let rest = rest.get(..21).unwrap_or(rest);
        let Some(length) = rest.iter().position(|&byte| byte == b'e') else {
            return match rest.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')) {
                true if rest.len() < 21 => fail(CUT, begin + 1 + rest.len()),
                true => fail("an integer beyond 64 bits", begin),
                false => fail("an integer that is not a number", begin),
            };
        };
        let text = rest.get(..length).unwrap_or_default();
        match text.strip_prefix(b"-").unwrap_or(text) {
            [] => return fail("an integer without digits", begin),
            [b'0'] if text.len() == 1 => {}
            [b'0', ..] => return fail("an integer that begins with 0 or is -0", begin),
            digits if digits.iter().all(u8::is_ascii_digit) => {}
            _ => return fail("an integer that is not a number", begin),
        }
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        if number.is_none() {
            return fail("an integer beyond 64 bits", begin);
        }
        self.at = begin + 1 + length + 1;
        Ok(())
    }
}

const CUT: &str = "the end comes before the value's own";
const TOO_LONG: &str = "a string that is longer than what is left";
const TWIN: &str = "a key that is there already";

fn fail<T>(what: &'static str, at: usize) -> Result<T, ScanError> {
    Err(ScanError { what, at })
}
