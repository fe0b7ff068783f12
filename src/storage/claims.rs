//! What exists at the places of a dataset's files in a directory of the user's; `replaceable.rs` decides it.

use std::collections::BTreeMap;

use super::fs::FileFingerprint;

/// An existing file at the place of one of the dataset's, as it was when it was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathClaim {
    pub kind: ClaimKind,
    pub fingerprint: FileFingerprint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimKind {
    /// Right in all its pieces: it stays.
    Right,
    /// Enough of it is right: it is repaired.
    Damaged,
    /// It only contains zeros, or the user allows replacing it.
    Replaceable,
    /// It has the right length, and all its pieces extend into other files. None of them is taken over, right or not.
    Unknown,
}

/// By their index in [`Layout::files`]; others did not exist.
pub(super) type Claims = BTreeMap<u32, PathClaim>;
