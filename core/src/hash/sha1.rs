//! SHA-1 (FIPS 180-4), with the CPU's SHA instructions if it has them.
//!
//! The loop over the blocks is inside the assembly: at opt-level 0 each intrinsic would be a call
//! with its operands in memory, and a loop in Rust would add a dozen calls per iteration. The
//! assembly requires that an address fills a register, hence the pointer widths in each `cfg`.

#![cfg_attr(
    any(
        all(target_arch = "x86_64", target_pointer_width = "64"),
        all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64")
    ),
    expect(unsafe_code, reason = "assembly is the only SHA-1 that is fast at opt-level 0")
)]

use ::sha1::digest::array::Array;
use ::sha1::digest::consts::U64;

const BLOCK_BYTES: usize = 64;
type Sha1Block = [u8; BLOCK_BYTES];

/// An incremental SHA-1, for pieces and `info` dictionaries (BEP 3).
#[derive(Clone, Debug)]
pub struct Sha1 {
    engine: Engine,
    state: [u32; 5],
    /// Number of bytes so far. `pending` holds those of the last, incomplete block.
    length_bytes: u64,
    pending: Sha1Block,
}

impl Sha1 {
    /// Starts a hash on the fastest engine of this CPU.
    pub fn new() -> Sha1 {
        Sha1::on(Engine::fastest())
    }

    /// Uses the engine for CPUs without SHA instructions, so that it is tested on all CPUs.
    #[cfg(test)]
    pub(super) fn portable() -> Sha1 {
        Sha1::on(Engine::Portable)
    }

    fn on(engine: Engine) -> Sha1 {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        Sha1 { engine, state, length_bytes: 0, pending: [0; BLOCK_BYTES] }
    }

    /// Adds bytes to the hash.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let held = self.held_bytes();
        self.length_bytes = self.length_bytes.wrapping_add(bytes.len() as u64);
        if held > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - held));
            self.pending[held..held + head.len()].copy_from_slice(head);
            if held + head.len() < BLOCK_BYTES {
                return;
            }
            self.engine.compress(&mut self.state, &[self.pending]);
            bytes = rest;
        }
        let (blocks, tail) = as_blocks(bytes);
        self.engine.compress(&mut self.state, blocks);
        self.pending[..tail.len()].copy_from_slice(tail);
    }

    /// Returns the digest of all bytes.
    pub fn finish(mut self) -> [u8; 20] {
        // Padding: a one bit, zeros, and the length in bits, up to the end of this block, or of the
        // next if it does not fit.
        let held = self.held_bytes();
        let padded_bytes = if held < BLOCK_BYTES - 8 { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
        let mut last = [0; 2 * BLOCK_BYTES];
        last[..held].copy_from_slice(&self.pending[..held]);
        last[held] = 0x80;
        last[padded_bytes - 8..padded_bytes]
            .copy_from_slice(&self.length_bytes.wrapping_mul(8).to_be_bytes());
        self.engine.compress(&mut self.state, as_blocks(&last[..padded_bytes]).0);

        let mut digest = [0; 20];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }

    /// Returns the digest of a byte slice.
    pub fn digest(bytes: &[u8]) -> [u8; 20] {
        let mut sha1 = Sha1::new();
        sha1.update(bytes);
        sha1.finish()
    }

    fn held_bytes(&self) -> usize {
        (self.length_bytes % BLOCK_BYTES as u64) as usize // less than 64
    }
}

impl Default for Sha1 {
    fn default() -> Sha1 {
        Sha1::new()
    }
}

/// Splits bytes into whole blocks and the rest, like `as_chunks`, which is in std since Rust 1.88.
fn as_blocks(bytes: &[u8]) -> (&[Sha1Block], &[u8]) {
    let (blocks, tail) = Array::<u8, U64>::slice_as_chunks(bytes);
    (Array::cast_slice_to_core(blocks), tail)
}

/// Which implementation hashes the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// The `sha1` crate: works everywhere, and is slow at opt-level 0.
    Portable,
    /// Only [`Engine::fastest`] creates this variant, after checking that the CPU has the
    /// instructions.
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
    ShaNi,
    /// Only [`Engine::fastest`] creates this variant, after checking that the CPU has the
    /// instructions.
    #[cfg(all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64"))]
    Armv8,
}

impl Engine {
    /// Selects the engine. std caches the CPU's features, so that this costs only a few loads.
    fn fastest() -> Engine {
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
        if std::is_x86_feature_detected!("sha")
            && std::is_x86_feature_detected!("ssse3")
            && std::is_x86_feature_detected!("sse4.1")
        {
            return Engine::ShaNi;
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64"))]
        if std::arch::is_aarch64_feature_detected!("sha2") {
            return Engine::Armv8; // in std, this means FEAT_SHA1 and FEAT_SHA256
        }
        Engine::Portable
    }

    fn compress(self, state: &mut [u32; 5], blocks: &[Sha1Block]) {
        match self {
            Engine::Portable => ::sha1::block_api::compress(state, blocks),
            #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
            // SAFETY: only `fastest` makes this engine, after it found sha, ssse3 and sse4.1.
            Engine::ShaNi => unsafe { compress_sha_ni(state, blocks) },
            #[cfg(all(
                target_arch = "aarch64",
                target_endian = "little",
                target_pointer_width = "64"
            ))]
            // SAFETY: only `fastest` makes this engine, after it found sha2.
            Engine::Armv8 => unsafe { compress_armv8(state, blocks) },
        }
    }
}

/// SHA-1 with Intel's SHA extensions. The names are those of Intel's paper: `e0` and `e1` alternate
/// as the fifth word of the state; `w0` to `w3` hold the last sixteen words of the message
/// schedule, four each.
///
/// # Safety
/// The CPU must have these features. Since Rust 1.86, a function with target features may be safe.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
#[target_feature(enable = "sha,ssse3,sse4.1")]
unsafe fn compress_sha_ni(state: &mut [u32; 5], blocks: &[Sha1Block]) {
    /// Loads the next four words of the message, big-endian, the first one into the highest lane.
    macro_rules! load {
        ($w:literal, $at:literal) => {
            concat!("movdqu {", $w, "}, [{block} + ", $at, "]\npshufb {", $w, "}, {reverse}")
        };
    }
    /// Four rounds with the function and constant number `f`. Consumes `e`, produces `next_e`.
    macro_rules! rounds {
        ($f:literal, $e:literal, $next_e:literal, $w:literal) => {
            concat!(
                concat!("sha1nexte {", $e, "}, {", $w, "}\n"),
                concat!("movdqa {", $next_e, "}, {abcd}\n"),
                concat!("sha1rnds4 {abcd}, {", $e, "}, ", $f)
            )
        };
    }
    /// One of the three steps that compute the words 16 later in the schedule. Each runs as soon as
    /// its operand is ready.
    macro_rules! schedule {
        ($step:literal, $w:literal, $with:literal) => {
            concat!($step, " {", $w, "}, {", $with, "}")
        };
    }
    /// Four rounds, and the schedule steps that depend on this `w`.
    macro_rules! rounds_and_schedule {
        ($f:literal, $e:literal, $next_e:literal, $w:literal, $w1:literal, $w2:literal, $w3:literal) => {
            concat!(
                concat!(schedule!("sha1msg2", $w1, $w), "\n"),
                concat!(rounds!($f, $e, $next_e, $w), "\n"),
                concat!(schedule!("sha1msg1", $w3, $w), "\n"),
                schedule!("pxor", $w2, $w)
            )
        };
    }
    const REVERSE: [u8; 16] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

    if blocks.is_empty() {
        return; // the loop below tests its condition at the end
    }
    // SAFETY: the asm reads the 16 bytes of `REVERSE` and `blocks.len()` (not 0) times 64 bytes
    // from the start of `blocks`, and reads and writes the 20 bytes of `state`, all with
    // instructions that need no alignment. It uses no stack, every register that it changes is an
    // operand, and this function's target features guarantee that the instructions exist.
    unsafe {
        core::arch::asm!(
            "movdqu {reverse}, [{reverse_at}]",
            "movdqu {abcd}, [{state}]",
            "pshufd {abcd}, {abcd}, 0x1b",
            "pxor {e0}, {e0}",
            "pinsrd {e0}, dword ptr [{state} + 16], 3",
            "2:",
            "movdqa {abcd_before}, {abcd}",
            "movdqa {e_before}, {e0}",
            load!("w0", 0),
            load!("w1", 16),
            load!("w2", 32),
            load!("w3", 48),
            // The first four rounds use `e0` unchanged; `sha1nexte` would rotate it.
            "paddd {e0}, {w0}",
            "movdqa {e1}, {abcd}",
            "sha1rnds4 {abcd}, {e0}, 0",
            rounds!(0, "e1", "e0", "w1"),
            schedule!("sha1msg1", "w0", "w1"),
            rounds!(0, "e0", "e1", "w2"),
            schedule!("sha1msg1", "w1", "w2"),
            schedule!("pxor", "w0", "w2"),
            rounds_and_schedule!(0, "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds_and_schedule!(0, "e0", "e1", "w0", "w1", "w2", "w3"),
            rounds_and_schedule!(1, "e1", "e0", "w1", "w2", "w3", "w0"),
            rounds_and_schedule!(1, "e0", "e1", "w2", "w3", "w0", "w1"),
            rounds_and_schedule!(1, "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds_and_schedule!(1, "e0", "e1", "w0", "w1", "w2", "w3"),
            rounds_and_schedule!(1, "e1", "e0", "w1", "w2", "w3", "w0"),
            rounds_and_schedule!(2, "e0", "e1", "w2", "w3", "w0", "w1"),
            rounds_and_schedule!(2, "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds_and_schedule!(2, "e0", "e1", "w0", "w1", "w2", "w3"),
            rounds_and_schedule!(2, "e1", "e0", "w1", "w2", "w3", "w0"),
            rounds_and_schedule!(2, "e0", "e1", "w2", "w3", "w0", "w1"),
            rounds_and_schedule!(3, "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds_and_schedule!(3, "e0", "e1", "w0", "w1", "w2", "w3"),
            schedule!("sha1msg2", "w2", "w1"),
            rounds!(3, "e1", "e0", "w1"),
            schedule!("pxor", "w3", "w1"),
            schedule!("sha1msg2", "w3", "w2"),
            rounds!(3, "e0", "e1", "w2"),
            rounds!(3, "e1", "e0", "w3"),
            "sha1nexte {e0}, {e_before}",
            "paddd {abcd}, {abcd_before}",
            "add {block}, 64",
            "dec {left}",
            "jnz 2b",
            "pshufd {abcd}, {abcd}, 0x1b",
            "movdqu [{state}], {abcd}",
            "pextrd dword ptr [{state} + 16], {e0}, 3",
            state = in(reg) state.as_mut_ptr(),
            reverse_at = in(reg) REVERSE.as_ptr(),
            block = inout(reg) blocks.as_ptr() => _,
            left = inout(reg) blocks.len() => _,
            reverse = out(xmm_reg) _,
            abcd = out(xmm_reg) _,
            abcd_before = out(xmm_reg) _,
            e0 = out(xmm_reg) _,
            e1 = out(xmm_reg) _,
            e_before = out(xmm_reg) _,
            w0 = out(xmm_reg) _,
            w1 = out(xmm_reg) _,
            w2 = out(xmm_reg) _,
            w3 = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// SHA-1 with the cryptographic extension of Armv8. `e0` and `e1` alternate as the fifth word of
/// the state; `w0` to `w3` hold the last sixteen words of the message schedule, four each.
///
/// # Safety
/// The CPU must have this feature.
#[cfg(all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64"))]
#[target_feature(enable = "sha2")]
unsafe fn compress_armv8(state: &mut [u32; 5], blocks: &[Sha1Block]) {
    /// Four rounds with the function `f` and the constant `k`. Consumes `e`, produces `next_e`.
    macro_rules! rounds {
        ($f:literal, $k:literal, $e:literal, $next_e:literal, $w:literal) => {
            concat!(
                concat!("add {wk:v}.4s, {", $w, ":v}.4s, {", $k, ":v}.4s\n"),
                concat!("sha1h {", $next_e, ":s}, {abcd:s}\n"),
                concat!($f, " {abcd:q}, {", $e, ":s}, {wk:v}.4s")
            )
        };
    }
    /// Four rounds. Then `w` becomes the four words 16 later in the schedule.
    macro_rules! rounds_and_schedule {
        ($f:literal, $k:literal, $e:literal, $next_e:literal, $w:literal, $w1:literal, $w2:literal, $w3:literal) => {
            concat!(
                concat!(rounds!($f, $k, $e, $next_e, $w), "\n"),
                concat!("sha1su0 {", $w, ":v}.4s, {", $w1, ":v}.4s, {", $w2, ":v}.4s\n"),
                concat!("sha1su1 {", $w, ":v}.4s, {", $w3, ":v}.4s")
            )
        };
    }
    const K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

    if blocks.is_empty() {
        return; // the loop below tests its condition at the end
    }
    // SAFETY: the asm reads the 16 bytes of `K` and `blocks.len()` (not 0) times 64 bytes from the
    // start of `blocks`, and reads and writes the 20 bytes of `state`. Loads of bytes and words
    // from normal memory need no more alignment than these have. It uses no stack, every register
    // that it changes is an operand, and this function's target feature guarantees that the
    // instructions exist.
    unsafe {
        core::arch::asm!(
            "ld1r {{{k0:v}.4s}}, [{k_at}], #4",
            "ld1r {{{k1:v}.4s}}, [{k_at}], #4",
            "ld1r {{{k2:v}.4s}}, [{k_at}], #4",
            "ld1r {{{k3:v}.4s}}, [{k_at}]",
            "ldr {abcd:q}, [{state}]",
            "ldr {e0:s}, [{state}, #16]",
            "2:",
            "mov {abcd_before:v}.16b, {abcd:v}.16b",
            "mov {e_before:v}.16b, {e0:v}.16b",
            "ldr {w0:q}, [{block}], #16",
            "ldr {w1:q}, [{block}], #16",
            "ldr {w2:q}, [{block}], #16",
            "ldr {w3:q}, [{block}], #16",
            "rev32 {w0:v}.16b, {w0:v}.16b",
            "rev32 {w1:v}.16b, {w1:v}.16b",
            "rev32 {w2:v}.16b, {w2:v}.16b",
            "rev32 {w3:v}.16b, {w3:v}.16b",
            rounds_and_schedule!("sha1c", "k0", "e0", "e1", "w0", "w1", "w2", "w3"),
            rounds_and_schedule!("sha1c", "k0", "e1", "e0", "w1", "w2", "w3", "w0"),
            rounds_and_schedule!("sha1c", "k0", "e0", "e1", "w2", "w3", "w0", "w1"),
            rounds_and_schedule!("sha1c", "k0", "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds_and_schedule!("sha1c", "k0", "e0", "e1", "w0", "w1", "w2", "w3"),
            rounds_and_schedule!("sha1p", "k1", "e1", "e0", "w1", "w2", "w3", "w0"),
            rounds_and_schedule!("sha1p", "k1", "e0", "e1", "w2", "w3", "w0", "w1"),
            rounds_and_schedule!("sha1p", "k1", "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds_and_schedule!("sha1p", "k1", "e0", "e1", "w0", "w1", "w2", "w3"),
            rounds_and_schedule!("sha1p", "k1", "e1", "e0", "w1", "w2", "w3", "w0"),
            rounds_and_schedule!("sha1m", "k2", "e0", "e1", "w2", "w3", "w0", "w1"),
            rounds_and_schedule!("sha1m", "k2", "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds_and_schedule!("sha1m", "k2", "e0", "e1", "w0", "w1", "w2", "w3"),
            rounds_and_schedule!("sha1m", "k2", "e1", "e0", "w1", "w2", "w3", "w0"),
            rounds_and_schedule!("sha1m", "k2", "e0", "e1", "w2", "w3", "w0", "w1"),
            rounds_and_schedule!("sha1p", "k3", "e1", "e0", "w3", "w0", "w1", "w2"),
            rounds!("sha1p", "k3", "e0", "e1", "w0"),
            rounds!("sha1p", "k3", "e1", "e0", "w1"),
            rounds!("sha1p", "k3", "e0", "e1", "w2"),
            rounds!("sha1p", "k3", "e1", "e0", "w3"),
            "add {abcd:v}.4s, {abcd:v}.4s, {abcd_before:v}.4s",
            "add {e0:v}.2s, {e0:v}.2s, {e_before:v}.2s",
            "sub {left}, {left}, #1",
            "cbnz {left}, 2b",
            "str {abcd:q}, [{state}]",
            "str {e0:s}, [{state}, #16]",
            state = in(reg) state.as_mut_ptr(),
            k_at = inout(reg) K.as_ptr() => _,
            block = inout(reg) blocks.as_ptr() => _,
            left = inout(reg) blocks.len() => _,
            k0 = out(vreg) _,
            k1 = out(vreg) _,
            k2 = out(vreg) _,
            k3 = out(vreg) _,
            wk = out(vreg) _,
            abcd = out(vreg) _,
            abcd_before = out(vreg) _,
            e0 = out(vreg) _,
            e1 = out(vreg) _,
            e_before = out(vreg) _,
            w0 = out(vreg) _,
            w1 = out(vreg) _,
            w2 = out(vreg) _,
            w3 = out(vreg) _,
            options(nostack, preserves_flags),
        );
    }
}
