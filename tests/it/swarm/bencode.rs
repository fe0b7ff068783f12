//! Bencode (BEP 3) for the tests; the writer also writes invalid values.

/// A bencoded value. The writer keeps the order of dictionary entries, so that tests can write
/// unsorted or duplicate keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum B {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<B>),
    Dict(Vec<(Vec<u8>, B)>),
    /// Written verbatim, such as `Raw(b"i007e".to_vec())`. The reader never returns this variant.
    Raw(Vec<u8>),
}

impl B {
    pub fn bytes(bytes: impl AsRef<[u8]>) -> B {
        B::Bytes(bytes.as_ref().to_vec())
    }

    pub fn list(items: impl IntoIterator<Item = B>) -> B {
        B::List(items.into_iter().collect())
    }

    pub fn dict<K: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, B)>) -> B {
        B::Dict(entries.into_iter().map(|(key, value)| (key.as_ref().to_vec(), value)).collect())
    }

    /// This dictionary with `key` set to `value`; a new key is inserted in sorted order.
    pub fn with(mut self, key: &str, value: B) -> B {
        let B::Dict(entries) = &mut self else { panic!("not a dictionary: {self:?}") };
        match entries.iter().position(|(other, _)| &other[..] >= key.as_bytes()) {
            Some(at) if entries[at].0 == key.as_bytes() => entries[at].1 = value,
            Some(at) => entries.insert(at, (key.into(), value)),
            None => entries.push((key.into(), value)),
        }
        self
    }

    pub fn without(mut self, key: &str) -> B {
        let B::Dict(entries) = &mut self else { panic!("not a dictionary: {self:?}") };
        entries.retain(|(other, _)| other != key.as_bytes());
        self
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            B::Int(int) => out.extend(format!("i{int}e").bytes()),
            B::Bytes(bytes) => write_bytes(bytes, out),
            B::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write_to(out));
                out.push(b'e');
            }
            B::Dict(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    write_bytes(key, out);
                    value.write_to(out);
                }
                out.push(b'e');
            }
            B::Raw(raw) => out.extend(raw),
        }
    }

    /// Reads one value and returns it with the bytes that follow. Returns `None` for invalid
    /// bencode.
    pub fn read(bytes: &[u8]) -> Option<(B, &[u8])> {
        match bytes.first()? {
            b'i' => {
                let (digits, rest) = split_at_byte(&bytes[1..], b'e')?;
                Some((B::Int(digits.parse().ok()?), rest))
            }
            b'l' => {
                let (mut items, mut rest) = (Vec::new(), &bytes[1..]);
                while *rest.first()? != b'e' {
                    let (item, behind) = B::read(rest)?;
                    items.push(item);
                    rest = behind;
                }
                Some((B::List(items), &rest[1..]))
            }
            b'd' => {
                let (mut entries, mut rest) = (Vec::new(), &bytes[1..]);
                while *rest.first()? != b'e' {
                    let (B::Bytes(key), behind) = B::read(rest)? else { return None };
                    let (value, behind) = B::read(behind)?;
                    entries.push((key, value));
                    rest = behind;
                }
                Some((B::Dict(entries), &rest[1..]))
            }
            _ => {
                let (digits, rest) = split_at_byte(bytes, b':')?;
                let (string, rest) = rest.split_at_checked(digits.parse().ok()?)?;
                Some((B::bytes(string), rest))
            }
        }
    }

    /// The dictionary's value at `key`.
    pub fn at(&self, key: &str) -> Option<&B> {
        let B::Dict(entries) = self else { return None };
        entries.iter().find(|(other, _)| other == key.as_bytes()).map(|(_, value)| value)
    }

    /// The dictionary's integer at `key`.
    pub fn int_at(&self, key: &str) -> Option<i64> {
        match self.at(key)? {
            B::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The dictionary's string at `key`.
    pub fn bytes_at(&self, key: &str) -> Option<&[u8]> {
        match self.at(key)? {
            B::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(format!("{}:", bytes.len()).bytes());
    out.extend(bytes);
}

fn split_at_byte(bytes: &[u8], end: u8) -> Option<(&str, &[u8])> {
    let at = bytes.iter().position(|byte| *byte == end)?;
    Some((std::str::from_utf8(&bytes[..at]).ok()?, &bytes[at + 1..]))
}
