//! The published test vectors, and comparisons with the `sha1` crate.

use ::sha1::Digest as _;
use proptest::prelude::*;

use super::Sha1;

/// The last example message of FIPS 180: 448 bits, so that the padding needs a second block.
const TWO_BLOCKS: &[u8] = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both engines. On a CPU without SHA instructions they are the same.
fn sha1_engines() -> [Sha1; 2] {
    [Sha1::new(), Sha1::portable()]
}

#[test]
fn sha1_of_the_published_vectors() {
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(hex(&Sha1::digest(bytes)), expected);
        for mut sha1 in sha1_engines() {
            sha1.update(bytes);
            assert_eq!(hex(&sha1.clone().finish()), expected, "{sha1:?}");
        }
    };
    check(b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check(b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    check(TWO_BLOCKS, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    check(&[b'a'; 1_000_000], "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

#[test]
fn sha1_pads_every_length_around_a_block() {
    let bytes: Vec<u8> = (0..200).collect();
    for length in 0..=bytes.len() {
        let expected = sha1_crate(&bytes[..length]);
        for mut sha1 in sha1_engines() {
            sha1.update(&bytes[..length]);
            assert_eq!(sha1.finish(), expected, "{length} bytes");
        }
    }
}

#[test]
fn sha1_of_every_number_of_blocks_at_any_address() {
    let bytes: Vec<u8> = (0..64 * 1001_u32).map(|at| ((at * at) >> 7) as u8).collect();
    for count in 0..=1000 {
        let blocks = &bytes[bytes.len() - 64 * count - count % 2 * (count % 64)..][..64 * count];
        let mut sha1 = Sha1::new();
        sha1.update(blocks);
        assert_eq!(sha1.finish(), sha1_crate(blocks), "{count} blocks");
    }
}

/// In an emulator that provides SHA instructions, the other tests must use them.
#[test]
#[ignore = "requires a processor with SHA-1 instructions: `.ci/platforms` runs it"]
fn this_processor_has_instructions_for_sha1() {
    assert!(!format!("{:?}", Sha1::new()).contains("Portable"));
}

#[test]
fn a_clone_goes_its_own_way() {
    for mut sha1 in sha1_engines() {
        sha1.update(b"ab");
        let mut other = sha1.clone();
        other.update(b"x");
        sha1.update(b"c");
        assert_eq!(sha1.finish(), sha1_crate(b"abc"));
        assert_eq!(other.finish(), sha1_crate(b"abx"));
    }
}

proptest! {
    #[test]
    fn digests_depend_on_the_bytes_alone(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        misaligned_by in 0..64_usize,
        update_lengths in prop::collection::vec(0..300_usize, 0..20),
    ) {
        // The same bytes at another address, hashed in parts. What the lengths do not cover is
        // hashed at once.
        let moved = [vec![0xff; misaligned_by], bytes.clone()].concat();
        let mut parts = Vec::new();
        let mut rest = &moved[misaligned_by..];
        for length in update_lengths {
            let (part, behind) = rest.split_at(length.min(rest.len()));
            parts.push(part);
            rest = behind;
        }
        parts.push(rest);

        for mut sha1 in sha1_engines() {
            parts.iter().for_each(|part| sha1.update(part));
            prop_assert_eq!(sha1.finish(), sha1_crate(&bytes));
        }
    }
}

fn sha1_crate(bytes: &[u8]) -> [u8; 20] {
    ::sha1::Sha1::digest(bytes).into()
}
