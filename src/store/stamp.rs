//! The stamp: what makes a dataset complete, and tells cheaply whether it still is.
//!
//! A text file, one line per fact, so that a person can read it and a warm build parses it in no time:
//!
//! ```text
//! academictorrents stamp 1
//! place <a copy's, where it is not the store's>
//! file <length> <mtime, nanoseconds since 1970> <path below files/>
//! fragment <piece> <sha1 of the piece's kept bytes>
//! sha256 <pin that was checked> <path as the manifest names it>
//! end
//! ```
//! Paths are percent-encoded where a line could not hold them. Its own mtime is always 2000-01-01, so that
//! Cargo, which compares it with a build script's last run, never finds it newer.

use std::fs::FileTimes;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Site;
use super::fs::atomic_write_with;
use super::pins::Pins;
use crate::error::Error;
use crate::geometry::PieceIndex;

/// 2000-01-01T00:00:00Z in seconds since 1970.
pub(super) const BACKDATED: u64 = 946_684_800;

/// What was verified: each file's size and time, and digests of the parts of pieces that were kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Where the files lie, if not beside the stamp: see `elsewhere.rs`.
    pub(super) place: Option<PathBuf>,
    files: Vec<StampedFile>,
    /// Of pieces that a selection keeps in part: the SHA-1 of the kept bytes, so that they can be checked again.
    pub fragments: Vec<(PieceIndex, [u8; 20])>,
    /// The manifest's pins that were checked.
    pub pins: Vec<(String, [u8; 32])>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct StampedFile {
    path: PathBuf,
    length: u64,
    modified_nanos: u128,
}

impl Stamp {
    /// The first line; the version in it is that of the form.
    pub const HEADER: &str = "academictorrents stamp 1";

    /// Stamps these files as they are now.
    pub(super) fn of(site: &Site, files: impl Iterator<Item = PathBuf>) -> Result<Stamp, Error> {
        let mut stamp = Stamp::default();
        for path in files {
            let whole = site.path(&path);
            let metadata =
                std::fs::metadata(&whole).map_err(|why| Error::disk("look at", &whole, &why))?;
            stamp.files.push(StampedFile {
                path,
                length: metadata.len(),
                modified_nanos: nanos(&metadata),
            });
        }
        Ok(stamp)
    }

    /// Reads a stamp; `None` where there is none, or where it is damaged: then the data is hashed again.
    pub fn read(path: &Path) -> Option<Stamp> {
        Stamp::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// Whether each file still has the size and the time that it had when it was stamped. A time may have lost
    /// its fraction of a second in an archive.
    pub fn matches(&self, site: &Site) -> bool {
        self.files.iter().all(|file| {
            std::fs::metadata(site.path(&file.path)).is_ok_and(|metadata| {
                metadata.is_file()
                    && metadata.len() == file.length
                    && is_time(nanos(&metadata), file.modified_nanos)
            })
        })
    }

    /// Whether all these pins were checked.
    pub fn holds(&self, pins: &Pins) -> bool {
        pins.iter()
            .all(|(path, pin)| self.pins.iter().any(|(known, held)| known == path && held == pin))
    }

    pub(super) fn lengths(&self) -> impl Iterator<Item = u64> {
        self.files.iter().map(|file| file.length)
    }

    /// The stamped files, below the directory that holds the torrent's own layout.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The stamped files, likewise, and their lengths in bytes.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.files.iter().map(|file| (file.path.as_path(), file.length))
    }

    /// The first component of all paths: the torrent's `name`.
    pub fn name(&self) -> Option<&Path> {
        self.files.first()?.path.iter().next().map(Path::new)
    }

    /// Writes the stamp, backdated, by rename.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let backdated = UNIX_EPOCH + Duration::from_secs(BACKDATED);
        atomic_write_with(path, self.encode().as_bytes(), |file| {
            file.set_times(FileTimes::new().set_modified(backdated))
        })
    }

    fn encode(&self) -> String {
        let mut text = format!("{}\n", Stamp::HEADER);
        if let Some(place) = &self.place {
            text += &format!("place {}\n", escape(place));
        }
        for file in &self.files {
            text +=
                &format!("file {} {} {}\n", file.length, file.modified_nanos, escape(&file.path));
        }
        for (piece, sha1) in &self.fragments {
            text += &format!("fragment {piece} {}\n", crate::Infohash::from_bytes(*sha1));
        }
        for (path, sha256) in &self.pins {
            let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("sha256 {hex} {}\n", escape(Path::new(path)));
        }
        text += "end\n";
        text
    }

    fn parse(text: &str) -> Option<Stamp> {
        // The last line tells a whole stamp from one that a full disk cut short.
        let mut lines = text.strip_suffix("\nend\n")?.split('\n');
        if lines.next() != Some(Stamp::HEADER) {
            return None;
        }
        let mut stamp = Stamp::default();
        for line in lines {
            let (kind, rest) = line.split_once(' ')?;
            match kind {
                "place" => stamp.place = Some(unescape(rest)?),
                "file" => {
                    let (length, rest) = rest.split_once(' ')?;
                    let (modified, path) = rest.split_once(' ')?;
                    stamp.files.push(StampedFile {
                        path: unescape(path)?,
                        length: length.parse().ok()?,
                        modified_nanos: modified.parse().ok()?,
                    });
                }
                "fragment" => {
                    let (piece, sha1) = rest.split_once(' ')?;
                    let sha1: crate::Infohash = sha1.parse().ok()?;
                    stamp.fragments.push((piece.parse().ok()?, *sha1.as_bytes()));
                }
                "sha256" => {
                    let (hex, path) = rest.split_once(' ')?;
                    stamp.pins.push((unescape(path)?.to_str()?.to_owned(), unhex(hex)?));
                }
                _ => return None,
            }
        }
        Some(stamp)
    }
}

fn unhex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (hex.len() == 64).then_some(bytes)
}

/// Nanoseconds since 1970; 0 for what lies before it or what the file system does not tell.
fn nanos(metadata: &std::fs::Metadata) -> u128 {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Whether `found` is the stamped time, or what an archive with whole seconds keeps of it: GNU tar's own
/// form, and the layers of container images. Only who sets a file's time gives it such a one, but for file
/// systems that count in seconds, where the stamp has no fraction either.
fn is_time(found: u128, stamped: u128) -> bool {
    const SECOND: u128 = 1_000_000_000;
    found == stamped || found == stamped - stamped % SECOND
}

const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');

pub(super) fn escape(path: &Path) -> String {
    percent_encoding::percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED).to_string()
}

pub(super) fn unescape(text: &str) -> Option<PathBuf> {
    if !text.contains('%') {
        return Some(PathBuf::from(text));
    }
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }
    #[cfg(not(unix))]
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let file = |path: &str| StampedFile {
            path: path.into(),
            length: 7,
            modified_nanos: u128::from(u64::MAX) + 1,
        };
        let stamp = Stamp {
            place: Some("/a b/c%\n".into()),
            files: vec![file("root/a b%.txt"), file("root/line\nbreak"), file("root/é")],
            fragments: vec![(3, [9; 20])],
            pins: vec![("a b\n".to_owned(), [0xa7; 32])],
        };
        assert_eq!(Stamp::parse(&stamp.encode()), Some(stamp.clone()));
        assert_eq!(stamp.name(), Some(Path::new("root")));
        let text = stamp.encode();
        for cut in 0..text.len() {
            assert_eq!(
                text.is_char_boundary(cut).then(|| Stamp::parse(&text[..cut])).flatten(),
                None,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_changed_file_no_longer_matches_and_the_stamp_is_backdated() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "abc").unwrap();
        let stamp = Stamp::of(&directory.path().into(), [PathBuf::from("a")].into_iter()).unwrap();
        assert!(stamp.matches(&directory.path().into()));
        let path = directory.path().join("stamp");
        stamp.write(&path).unwrap();
        assert_eq!(Stamp::read(&path).as_ref(), Some(&stamp));
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(modified.duration_since(UNIX_EPOCH).unwrap().as_secs(), BACKDATED);
        std::fs::write(directory.path().join("a"), "abcd").unwrap();
        assert!(!stamp.matches(&directory.path().into()));
        std::fs::remove_file(directory.path().join("a")).unwrap();
        assert!(!stamp.matches(&directory.path().into()));
    }
    #[test]
    fn a_time_that_lost_its_fraction_of_a_second_still_matches_and_no_other_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let set = |nanos: u64| {
            let time = UNIX_EPOCH + Duration::from_nanos(nanos);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        let second = 1_700_000_000_000_000_000;
        let check = |stamped: u64, found: u64, expected: bool| {
            set(stamped);
            let site: Site = directory.path().into();
            let stamp = Stamp::of(&site, [PathBuf::from("a")].into_iter()).unwrap();
            set(found);
            assert_eq!(stamp.matches(&site), expected, "{stamped} {found}");
        };
        // Windows counts in steps of 100 ns.
        check(second + 999_999_900, second, true);
        check(second + 999_999_900, second + 1_000_000_000, false);
        check(second + 999_999_900, second + 999_999_000, false);
        check(second + 999_999_900, second + 999_000_000, false);
        check(second, second + 100, false);
        check(second + 100, second - 1_000_000_000, false);
    }
}
