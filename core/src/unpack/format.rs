//! Recognizes archives by their names. The name decides, and the content must agree.

/// The compression of a stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Tar(Option<Codec>),
    Zip,
    /// A single compressed file.
    File(Codec),
}

/// What a file's name says about its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// An archive, and the length of its name without the ending, in bytes.
    Archive(Format, usize),
    /// An archive that cannot be unpacked, and why.
    Unsupported(&'static str),
    Other,
}

use Codec::{Bzip2, Gzip, Xz, Zstd};
use Format::{File, Tar, Zip};

/// The endings, in lower case. The first one that matches decides.
pub const ENDINGS: [(&str, Format); 17] = [
    (".tar", Tar(None)),
    (".tar.gz", Tar(Some(Gzip))),
    (".tgz", Tar(Some(Gzip))),
    (".tar.bz2", Tar(Some(Bzip2))),
    (".tbz2", Tar(Some(Bzip2))),
    (".tbz", Tar(Some(Bzip2))),
    (".tar.xz", Tar(Some(Xz))),
    (".txz", Tar(Some(Xz))),
    (".tar.zst", Tar(Some(Zstd))),
    (".tar.zstd", Tar(Some(Zstd))),
    (".tzst", Tar(Some(Zstd))),
    (".zip", Zip),
    (".gz", File(Gzip)),
    (".bz2", File(Bzip2)),
    (".xz", File(Xz)),
    (".zst", File(Zstd)),
    (".zstd", File(Zstd)),
];

/// Compressed files that programs read directly, so they are not unpacked.
pub const READ_AS_THEY_ARE: [&str; 2] = [".nii.gz", ".vcf.gz"];

/// Classifies a file name without directories.
pub fn kind_of(name: &[u8]) -> NameKind {
    let lower = name.to_ascii_lowercase();
    let ends = |ending: &str| lower.len() > ending.len() && lower.ends_with(ending.as_bytes());
    if READ_AS_THEY_ARE.iter().any(|ending| ends(ending)) {
        return NameKind::Other;
    }
    if ends(".7z") {
        return NameKind::Unsupported("7-Zip archives are not supported");
    }
    if ends(".rar") {
        return NameKind::Unsupported("RAR archives are not supported");
    }
    if is_part(&lower) {
        return NameKind::Unsupported("it is a part of a split archive, which is not supported");
    }
    match ENDINGS.iter().find(|(ending, _)| lower.ends_with(ending.as_bytes())) {
        Some((ending, format)) if ends(ending) => {
            NameKind::Archive(*format, name.len() - ending.len())
        }
        _ => NameKind::Other,
    }
}

/// Whether a name is that of a part of a split archive: `.z01`, `.r00`, or an archive's name
/// followed by `.001` or `.aa`.
fn is_part(lower: &[u8]) -> bool {
    let Some(dot) = lower.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return false;
    };
    let (stem, ending) = (&lower[..dot], &lower[dot + 1..]);
    let is_numbered = |digits: &[u8]| digits.len() >= 2 && digits.iter().all(u8::is_ascii_digit);
    if let [b'z' | b'r', digits @ ..] = ending {
        return is_numbered(digits) && digits.len() <= 3;
    }
    let is_end = (is_numbered(ending) && ending.len() == 3)
        || (ending.len() == 2 && ending.iter().all(u8::is_ascii_lowercase));
    let is_archive = |stem: &[u8]| {
        stem.ends_with(b".7z")
            || stem.ends_with(b".rar")
            || ENDINGS
                .iter()
                .any(|(ending, _)| stem.len() > ending.len() && stem.ends_with(ending.as_bytes()))
    };
    // `.gz` has two letters as well.
    let is_ending = ENDINGS.iter().any(|(it, _)| it.as_bytes() == &lower[dot..]);
    is_end && !is_ending && is_archive(stem)
}

impl Codec {
    pub(super) fn name(self) -> &'static str {
        match self {
            Gzip => "gzip",
            Bzip2 => "bzip2",
            Xz => "xz",
            Zstd => "Zstandard",
        }
    }

    /// Whether compressed bytes may begin like this.
    pub(super) fn begins(self, begin: &[u8]) -> bool {
        match self {
            Gzip => begin.starts_with(&[0x1f, 0x8b, 8]),
            Bzip2 => matches!(begin, [b'B', b'Z', b'h', b'1'..=b'9', ..]),
            Xz => begin.starts_with(b"\xfd7zXZ\0"),
            // A frame, or a skippable frame.
            Zstd => {
                begin.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
                    || matches!(begin, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
            }
        }
    }
}
