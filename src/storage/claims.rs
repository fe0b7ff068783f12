//! What exists at the paths of a dataset's files in a user's directory. `replaceable.rs` fills in
//! these types.

use std::collections::BTreeMap;

use super::fs::FileFingerprint;

/// An existing file at the path of one of the dataset's files, as it was when it was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathClaim {
    pub kind: ClaimKind,
    pub fingerprint: FileFingerprint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimKind {
    /// All of its pieces are right: the file stays in place.
    Right,
    /// Enough of it is right to show that it is the dataset's: it is repaired.
    Damaged,
    /// It contains only zeros, or the user allows replacing it.
    Replaceable,
    /// It has the right length, and each of its pieces is right or extends into another file. None
    /// of its pieces is reused, right or not.
    Unknown,
}

/// Claims by index in [`Layout::files`]. Files without an entry did not exist.
pub(super) type Claims = BTreeMap<u32, PathClaim>;
