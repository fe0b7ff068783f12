//! The identity of a torrent (BEP 3): the SHA-1 of the raw bytes of its `info` dictionary.

#![warn(missing_docs)]

use std::fmt;

/// The SHA-1 of a torrent's raw `info` dictionary (BEP 3), which identifies the torrent and determines every byte of
/// its data.
///
/// # Examples
/// ```
/// # use academictorrents_core as academictorrents;
/// use academictorrents::Infohash;
/// let hex: Infohash = "323a0048d87ca79b68f12a6350a57776b6a3b7fb".parse()?;
/// let base32: Infohash = "GI5AASGYPSTZW2HRFJRVBJLXO23KHN73".parse()?;
/// assert_eq!(hex, base32);
/// assert_eq!(base32.to_string(), "323a0048d87ca79b68f12a6350a57776b6a3b7fb");
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Infohash([u8; 20]);

impl Infohash {
    /// Creates an infohash from its 20 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Infohash {
        Infohash(bytes)
    }

    /// Returns the 20 bytes, as sent to trackers and peers.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl std::str::FromStr for Infohash {
    type Err = crate::Error;

    /// Parses 40 hexadecimal or 32 base32 digits (BEP 9), in upper or lower case.
    fn from_str(text: &str) -> Result<Infohash, crate::Error> {
        let refused = |why: &str| {
            Err(crate::Error::new(
                crate::ErrorKind::Manifest,
                format!("`{text}` is not an infohash: {why}"),
            ))
        };
        let bits_per_digit = match text.len() {
            40 => 4,
            32 => 5,
            64 if text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                return refused("it has 64 digits, as BitTorrent v2 infohashes do");
            }
            n => {
                return refused(&format!(
                    "expected 40 (hexadecimal) or 32 (base32) digits, found {n}"
                ));
            }
        };
        let (mut bytes, mut used) = ([0; 20], 0);
        let (mut held, mut held_bits) = (0_u32, 0);
        for character in text.chars() {
            let digit = match (bits_per_digit, character.to_ascii_lowercase()) {
                (4, c) => c.to_digit(16),
                (_, c @ 'a'..='z') => Some(c as u32 - 'a' as u32),
                (_, c @ '2'..='7') => Some(c as u32 - '2' as u32 + 26),
                _ => None,
            };
            let Some(digit) = digit else {
                let base = if bits_per_digit == 4 { "hexadecimal" } else { "base32" };
                return refused(&format!("`{character}` is not a {base} digit"));
            };
            held = held << bits_per_digit | digit;
            held_bits += bits_per_digit;
            if held_bits >= 8 {
                held_bits -= 8;
                bytes[used] = (held >> held_bits) as u8;
                held &= (1 << held_bits) - 1;
                used += 1;
            }
        }
        Ok(Infohash(bytes))
    }
}

impl fmt::Display for Infohash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Infohash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_infohash_is_refused_with_the_reason() {
        let check = |text: &str, part: &str| {
            let error = text.parse::<Infohash>().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("", "found 0");
        check("323a0048d87ca79b68f12a6350a57776b6a3b7fg", "`g` is not a hexadecimal digit");
        check("GI5AASGYPSTZW2HRFJRVBJLXO23KHN71", "`1` is not a base32 digit");
        check(&"ab".repeat(32), "v2");
        check("ééééééééééééééééeeeeeeee", "`é` is not a hexadecimal digit");
    }
}
