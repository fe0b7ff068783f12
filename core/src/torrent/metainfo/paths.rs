//! Decides which paths of a torrent may be stored.
//!
//! There are two levels. A path that could leave the dataset's directory, or that is not a path at
//! all, makes the whole torrent invalid (`check_path`), whichever files are selected. A name that
//! a platform cannot store (`AUX` on Windows, overlong names everywhere) is an error only among the
//! *selected* files ([`check_storable`]): `files` may leave it out, and for other platforms there
//! is only a warning. Names that some file systems treat as equal (`Data` and `data`) are checked
//! where the files are created.

use std::fmt;

use super::Components;
use crate::error::printable;

/// The longest component that common file systems support, in bytes.
const MAX_COMPONENT_BYTES: usize = 255;

/// Long paths hit the operating system's limit (4,096 bytes) before any dataset needs more.
pub(super) const MAX_PATH_BYTES: usize = 2_048;

/// Limit for paths that are quoted in errors.
const MAX_SHOWN_CHARS: usize = 60;

/// More than any real dataset has.
const MAX_COMPONENTS: usize = 64;

/// The platforms that differ in which file names they can store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Windows,
    MacOs,
    /// Linux, and other systems whose file names may be arbitrary bytes.
    Linux,
}

impl Platform {
    /// The platform that this code is compiled for.
    pub const HERE: Platform = match (cfg!(unix), cfg!(target_vendor = "apple")) {
        (false, _) => Platform::Windows,
        (true, true) => Platform::MacOs,
        (true, false) => Platform::Linux,
    };
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Platform::Windows => "Windows",
            Platform::MacOs => "macOS",
            Platform::Linux => "Linux",
        })
    }
}

/// Why a path may not be stored. Continues the sentence "its path `…` ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFlaw {
    EmptyComponent,
    LeavesDirectory,
    Slash,
    Nul,
    LongComponent {
        bytes: usize,
    },
    Empty,
    TooLong,
    TooDeep,
    Twice,
    /// A control character, or a backslash, which separates components on Windows.
    Unsafe(u8),
    Character(u8),
    DroppedEnd,
    Device,
    NotUtf8,
    /// Git or Cargo reads files at such a path.
    ActedOn(&'static str),
    Hidden,
    ShortName,
}

impl fmt::Display for PathFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathFlaw::EmptyComponent => "has an empty component",
            PathFlaw::LeavesDirectory => "leaves its directory",
            PathFlaw::Slash => "has a `/` inside a component",
            PathFlaw::Nul => "has a NUL byte",
            PathFlaw::LongComponent { bytes } => {
                let most = MAX_COMPONENT_BYTES;
                return write!(f, "has a component of {bytes} bytes; file systems allow {most}");
            }
            PathFlaw::Empty => "is empty",
            PathFlaw::TooLong => return write!(f, "is longer than {MAX_PATH_BYTES} bytes"),
            PathFlaw::TooDeep => return write!(f, "has more than {MAX_COMPONENTS} components"),
            PathFlaw::Twice => "occurs twice",
            PathFlaw::Unsafe(byte) => {
                let shown = [*byte];
                return write!(
                    f,
                    "has the character `{}`, which is not safe in a name",
                    shown.escape_ascii()
                );
            }
            PathFlaw::Character(byte) => {
                let shown = [*byte];
                let shown = shown.escape_ascii();
                return write!(f, "has the character `{shown}`, which Windows cannot store");
            }
            PathFlaw::DroppedEnd => "ends in a dot or a space, which Windows drops",
            PathFlaw::Device => "is a name that Windows reserves for a device",
            PathFlaw::NotUtf8 => "is not UTF-8, which Windows and macOS cannot store",
            PathFlaw::ActedOn(directory) => {
                return write!(f, "contains a spelling of `.{directory}`");
            }
            PathFlaw::Hidden => "begins with a dot",
            PathFlaw::ShortName => "may be the Windows short name of a hidden file",
        })
    }
}

/// A path and why it may not be stored; displayed as a whole sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct OddPath(Vec<u8>, PathFlaw);

impl OddPath {
    /// Whether the error is about this path.
    pub fn is_of(&self, path: Components<'_>) -> bool {
        self.0 == path.joined()
    }

    /// If the error is an overlong directory name in this file's path, returns the depth of that
    /// directory, from 1.
    pub fn directory(&self, path: Components<'_>) -> Option<usize> {
        let PathFlaw::LongComponent { .. } = self.1 else { return None };
        let depth = path.clone().position(|name| name.len() > MAX_COMPONENT_BYTES)? + 1;
        (depth < path.count()).then_some(depth)
    }
}

impl fmt::Display for OddPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its path `{}` {}", shown(&self.0), self.1)
    }
}

/// Makes an unchecked path printable and short.
pub(super) fn shown(path: &[u8]) -> String {
    let text = match std::str::from_utf8(path) {
        Ok(text) => printable(text),
        Err(_) => path.escape_ascii().to_string(),
    };
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Whether a component names something: an empty component and `.` do not.
pub(super) fn names_something(component: &[u8]) -> bool {
    !matches!(component, b"" | b".")
}

/// Checks one component for what is invalid in every torrent.
pub(super) fn check_component(component: &[u8]) -> Result<(), PathFlaw> {
    match component {
        b"" => Err(PathFlaw::EmptyComponent),
        b"." | b".." => Err(PathFlaw::LeavesDirectory),
        _ if component.contains(&b'/') => Err(PathFlaw::Slash),
        _ if component.contains(&0) => Err(PathFlaw::Nul),
        _ => Ok(()),
    }
}

/// Checks all components of a path, and that there is at least one. Empty components and `.` do not
/// count.
pub(super) fn check_path(path: &[&[u8]]) -> Result<(), PathFlaw> {
    let (mut components, mut checked) = (0, Ok(()));
    for component in path.iter().filter(|it| names_something(it)) {
        components += 1;
        checked = checked.and_then(|()| check_component(component));
    }
    match components {
        0 => Err(PathFlaw::Empty),
        _ if components > MAX_COMPONENTS => Err(PathFlaw::TooDeep),
        _ => checked,
    }
}

/// Checks that a platform can store these paths, and that each occurs once.
///
/// Returns the number of directories that contain them, not counting their common root.
pub fn check_storable(mut paths: Vec<Components<'_>>, on: Platform) -> Result<u64, OddPath> {
    let odd = |path: Components<'_>, why| OddPath(path.joined(), why);
    let mut before = Components::default();
    for path in &paths {
        if path.joined_bytes() > MAX_PATH_BYTES && path.joined().len() > MAX_PATH_BYTES {
            return Err(odd(*path, PathFlaw::TooLong));
        }
        // Files of the same directory are mostly adjacent: shared components need no second check.
        let known = path.common(before);
        for component in path.skip(known) {
            check_name(component, on).map_err(|why| odd(*path, why))?;
        }
        before = *path;
    }
    match directories(&mut paths) {
        (directories, None) => Ok(directories),
        (_, Some(twice)) => Err(odd(twice, PathFlaw::Twice)),
    }
}

/// Returns the number of directories that contain these paths, not counting their common root; and,
/// if there is one, a path that occurs twice or as both a file and a directory.
pub fn directories<'a>(paths: &mut [Components<'a>]) -> (u64, Option<Components<'a>>) {
    // Sorting puts paths below the same directory next to each other, and a file before paths that
    // claim to be below it. Most torrents list their files nearly in order, which makes the sort
    // cheap.
    paths.sort();
    let (mut directories, mut twice) = (0, None);
    let (mut before, mut its_depth) = (Components::default(), 0);
    for path in paths.iter() {
        let known = path.common(before);
        if known == its_depth && its_depth > 0 {
            twice = twice.or(Some(before));
        }
        (before, its_depth) = (*path, path.count());
        directories += its_depth.saturating_sub(known + 1) as u64;
    }
    (directories, twice)
}

/// Checks that a torrent's own name is a valid file name on any platform.
pub(super) fn check_own_name(name: &[u8]) -> Result<(), OddPath> {
    check_component(name).map_err(|why| OddPath(name.to_vec(), why))
}

/// Checks that a platform can store this name.
pub fn check_storable_name(name: &[u8], on: Platform) -> Result<(), OddPath> {
    check_name(name, on).map_err(|why| OddPath(name.to_vec(), why))
}

/// Checks a name that a user gives to a dataset: it must be a single component, and every platform
/// must be able to store it.
pub fn check_given_name(name: &str) -> Result<(), impl fmt::Display + use<>> {
    check_component(name.as_bytes()).and_then(|()| check_name(name.as_bytes(), Platform::Windows))
}

/// Checks the path of an archive member, given by components that name something: it must stay
/// below its directory, and the platform must be able to store it.
#[cfg(feature = "unpack")]
pub fn check_member(path: &[&[u8]], on: Platform) -> Result<(), PathFlaw> {
    check_path(path)?;
    path.iter().try_for_each(|name| check_name(name, on))?;
    let bytes: usize = path.iter().map(|name| name.len() + 1).sum();
    if bytes > MAX_PATH_BYTES { Err(PathFlaw::TooLong) } else { Ok(()) }
}

/// Returns a similar name that any platform can store.
pub fn storable_name(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let text: String = text
        .chars()
        .filter(|c| *c != char::REPLACEMENT_CHARACTER)
        .map(|c| {
            if c.is_control() || (c.is_ascii() && is_odd_on_windows(c as u8)) || c == '/' {
                '_'
            } else {
                c
            }
        })
        .collect();
    let mut end = text.len().min(MAX_GIVEN_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text[..end].trim_matches([' ', '.']);
    match text {
        "" => "data".to_owned(),
        _ if is_device(text.as_bytes()) => format!("_{text}"),
        _ => text.to_owned(),
    }
}

/// Limit for the names that [`storable_name`] returns, in bytes.
const MAX_GIVEN_BYTES: usize = 100;

fn is_odd_on_windows(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'\\' | b'<' | b'>' | b':' | b'"' | b'|' | b'?' | b'*')
}

/// Checks one name for what a platform cannot store unchanged.
fn check_name(name: &[u8], on: Platform) -> Result<(), PathFlaw> {
    if name.len() > MAX_COMPONENT_BYTES {
        return Err(PathFlaw::LongComponent { bytes: name.len() });
    }
    let is_unsafe = |byte: &u8| matches!(byte, 0..0x20 | b'\\');
    if let Some(byte) = name.iter().copied().find(is_unsafe) {
        return Err(PathFlaw::Unsafe(byte));
    }
    if on != Platform::Linux && std::str::from_utf8(name).is_err() {
        return Err(PathFlaw::NotUtf8);
    }
    if on != Platform::Windows {
        return Ok(());
    }
    if let Some(byte) = name.iter().copied().find(|byte| is_odd_on_windows(*byte)) {
        return Err(PathFlaw::Character(byte));
    }
    if matches!(name.last(), Some(b'.' | b' ')) {
        return Err(PathFlaw::DroppedEnd);
    }
    if is_device(name) {
        return Err(PathFlaw::Device);
    }
    Ok(())
}

/// Whether Windows treats the name as a device: in any case, with any extension, and with spaces
/// before the extension.
fn is_device(name: &[u8]) -> bool {
    let end = name.iter().position(|byte| *byte == b'.').unwrap_or(name.len());
    let stem = name[..end].trim_ascii_end();
    let is = |device: &[u8]| stem.eq_ignore_ascii_case(device);
    let is_port =
        |port: &[u8]| [&b"COM"[..], b"LPT"].iter().any(|device| port.eq_ignore_ascii_case(device));
    match stem {
        [port @ .., b'0'..=b'9'] if port.len() == 3 => is_port(port),
        // Windows also accepts the superscript digits of Latin-1 (¹, ², ³), here in UTF-8.
        [port @ .., 0xc2, 0xb9 | 0xb2 | 0xb3] => is_port(port),
        _ => {
            let devices: [&[u8]; 6] = [b"CON", b"PRN", b"AUX", b"NUL", b"CONIN$", b"CONOUT$"];
            devices.iter().any(|device| is(device))
        }
    }
}
