//! Test data: variants of a dictionary as other programs write it. Every reader of bytes that no
//! hash covers must accept all of them.

/// Values of unknown and optional keys that readers must tolerate.
pub const ODD_VALUES: [&str; 13] = [
    "i-0e",
    "i0123e",
    "i-01e",
    "i+1e",
    "ie",
    "i-e",
    "i1.5e",
    "i1.0E+25e",
    "i9223372036854775808e",
    "i99999999999999999999999999999e",
    "03:abc",
    "d1:ai1e1:ai2ee",
    "d1:bi1e1:ai1e1:bi2ee",
];

/// Returns the dictionary (`d…e`) and its variants.
pub fn of(dict: &[u8]) -> Vec<Vec<u8>> {
    let Some(entries) = dict.strip_prefix(b"d").and_then(|rest| rest.strip_suffix(b"e")) else {
        panic!("{dict:?} is not a dictionary");
    };
    let with = |begin: &[u8], end: &[u8]| [begin, b"d", entries, b"e", end].concat();
    let mut variants = vec![with(b"", b"")];
    let before = [&b"\xef\xbb\xbf"[..], b"\n", b"\r\n \t", b"\xef\xbb\xbf\r\n"];
    variants.extend(before.map(|begin| with(begin, b"")));
    let after =
        [&b"\n"[..], b"\r\n", b"\0\0\0", b" ", b"e", b"d1:xi1ee", b"<!-- 0.1 s -->", b"i1", b"9:x"];
    variants.extend(after.map(|end| with(b"", end)));
    variants.push(with(b"\xef\xbb\xbf", b"\n"));
    let deep = [b"l".repeat(500), b"e".repeat(500)].concat();
    let values = ODD_VALUES.iter().map(|value| value.as_bytes()).chain([&deep[..]]);
    for value in values {
        for key in [&b"6:~extra"[..], b"0:", b"06:~extra"] {
            let extra = [key, value].concat();
            variants.push([b"d", &extra[..], entries, b"e"].concat());
            variants.push([b"d", entries, &extra, b"e"].concat());
            // Further copies of the unknown key must not count.
            variants.push([b"d", &extra[..], entries, &extra, &extra, b"e"].concat());
        }
    }
    // Every key occurs twice: the first one wins, whatever the second says.
    variants.push([b"d", entries, entries, b"e"].concat());
    variants
}
