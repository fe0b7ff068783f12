//! Small replies that are compressed although the request did not allow it: some servers store and
//! send nothing else.

use zune_inflate::{DeflateDecoder, DeflateOptions};

use super::error::SourceError;

/// Flags of a gzip header (RFC 1952).
const HEADER_CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// Decompresses a body in gzip or zlib format (`Content-Encoding: deflate`), to at most `max_bytes`;
/// returns any other body unchanged. No `.torrent`, tracker reply or web page starts with the magic
/// bytes of either.
///
/// # Errors
/// The body cannot be decompressed, or is longer.
pub(super) fn inflated(body: Vec<u8>, max_bytes: u64) -> Result<Vec<u8>, SourceError> {
    let deflated = match body.as_slice() {
        [0x1f, 0x8b, ..] => behind_header(&body),
        // RFC 1950: the usual window, and a level; the two bytes are a multiple of 31.
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, deflated @ ..] => Some(deflated),
        _ => return Ok(body),
    };
    let deflated = deflated.ok_or(SourceError::Compressed)?;
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let options =
        DeflateOptions::default().set_limit(most).set_size_hint((4 * body.len()).min(most));
    let mut decoder = DeflateDecoder::new_with_options(deflated, options);
    let inflated = decoder.decode_deflate().map_err(|_| SourceError::Compressed)?;
    // The decoder does not check its limit before every byte.
    if inflated.len() > most { Err(SourceError::Compressed) } else { Ok(inflated) }
}

fn behind_header(body: &[u8]) -> Option<&[u8]> {
    // Two magic bytes, method, flags, four bytes of time, two more.
    let (head, mut rest) = body.split_at_checked(10)?;
    let flags = head.get(3).copied().filter(|_| head.get(2) == Some(&8))?;
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for _ in 0..(u8::from(flags & NAME != 0) + u8::from(flags & COMMENT != 0)) {
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest = rest.get(end + 1..)?;
    }
    if flags & HEADER_CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `hello hello hello hello\n`, compressed by gzip, with a file name.
    const GZIP: [u8; 31] = [
        31, 139, 8, 8, 0, 0, 0, 0, 0, 3, 120, 0, 203, 72, 205, 201, 201, 87, 200, 64, 39, 185, 0,
        0, 136, 89, 11, 24, 0, 0, 0,
    ];

    fn header(flags: u8, extra: &[u8]) -> Vec<u8> {
        [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3], extra, &GZIP[12..]].concat()
    }

    #[test]
    fn gzip_is_inflated_whatever_its_header_holds_and_nothing_else_is_touched() {
        let hello = b"hello hello hello hello\n";
        let check = |body: Vec<u8>| assert_eq!(inflated(body, 1000).unwrap(), hello);
        check(GZIP.to_vec());
        check(header(0, b""));
        check(header(EXTRA, b"\x03\x00abc"));
        check(header(COMMENT | NAME, b"name\0comment\0"));
        check(header(EXTRA | NAME | HEADER_CHECKSUM, b"\x01\x00an\0xx"));
        for level in [0x01, 0x5e, 0x9c, 0xda] {
            check([&[0x78, level], &GZIP[12..23], &[0x70, 0xbe, 0x08, 0xbb]].concat());
        }
        for plain in [b"d4:infoe".as_slice(), b"", b"\x1f", b"<html>", b"x", b"xml", b"x\x9b"] {
            assert_eq!(inflated(plain.to_vec(), 1000).unwrap(), plain);
        }
        // Truncated, another method, too long.
        for cut in 2..22 {
            assert!(inflated(GZIP[..cut].to_vec(), 1000).is_err(), "{cut}");
        }
        assert!(inflated([&[0x1f, 0x8b, 7], &GZIP[3..]].concat(), 1000).is_err());
        assert!(inflated(GZIP.to_vec(), 10).is_err());
    }

    proptest! {
        #[test]
        fn damaged_ones_never_panic(at in 0..GZIP.len(), byte: u8, more in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut body = GZIP.to_vec();
            body[at] = byte;
            let _ = inflated(body, 10_000);
            let _ = inflated(header(0, b"").iter().take(10).copied().chain(more).collect(), 10_000);
        }
    }
}
