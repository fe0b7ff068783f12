//! As much of `core` as `compress_armv8` of src/hash/sha1.rs uses, for a compiler that has none for
//! aarch64: rustc itself generates code for every target, and only the libraries are missing.
//! `.ci/run` appends that function as it stands.
//!
//! The lang items are rustc's own business and change between versions. Where a new rustc asks for
//! others, its tests/auxiliary/minicore.rs has them.

#![feature(no_core, lang_items, rustc_attrs, decl_macro)]
#![no_core]
#![crate_type = "lib"]
#![expect(internal_features, reason = "this stands in for core")]

#[lang = "pointee_sized"]
trait PointeeSized {}
#[lang = "meta_sized"]
trait MetaSized: PointeeSized {}
#[lang = "sized"]
trait Sized: MetaSized {}
#[lang = "legacy_receiver"]
trait LegacyReceiver {}
impl<T: PointeeSized> LegacyReceiver for &T {}
impl<T: PointeeSized> LegacyReceiver for &mut T {}
#[lang = "copy"]
trait Copy {}
impl Copy for usize {}
impl<T: PointeeSized> Copy for &T {}
impl<T> Copy for *const T {}
impl<T> Copy for *mut T {}

mod core {
    pub(crate) mod arch {
        #[rustc_builtin_macro]
        pub(crate) macro asm() {}
    }
}
#[rustc_builtin_macro]
macro_rules! concat {
    () => {};
}

type Sha1Block = [u8; 64];

/// What a reference to a slice is made of.
#[repr(C)]
struct Raw {
    at: *const Sha1Block,
    len: usize,
}
impl Copy for Raw {}

union Blocks<'a> {
    raw: Raw,
    slice: &'a [Sha1Block],
}

trait Slice {
    fn as_ptr(&self) -> *const Sha1Block;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool;
}

impl Slice for [Sha1Block] {
    fn as_ptr(&self) -> *const Sha1Block {
        self as *const [Sha1Block] as *const Sha1Block
    }
    fn len(&self) -> usize {
        // SAFETY: rustc lays out a reference to a slice as `Raw`.
        unsafe { Blocks { slice: self }.raw.len }
    }
    fn is_empty(&self) -> bool {
        // `==` would be one more lang item.
        match self.len() {
            0 => true,
            _ => false,
        }
    }
}

trait Array {
    fn as_ptr(&self) -> *const u32;
    fn as_mut_ptr(&mut self) -> *mut u32;
}

impl<const N: usize> Array for [u32; N] {
    fn as_ptr(&self) -> *const u32 {
        self as *const [u32; N] as *const u32
    }
    fn as_mut_ptr(&mut self) -> *mut u32 {
        self as *mut [u32; N] as *mut u32
    }
}

/// The door for sha1.c, which says that all of these are there.
#[unsafe(no_mangle)]
unsafe extern "C" fn compress(state: &mut [u32; 5], at: *const Sha1Block, len: usize) {
    // SAFETY: as in `len`; and the emulated processor has sha2.
    unsafe { compress_armv8(state, Blocks { raw: Raw { at, len } }.slice) }
}
