//! Which paths of a torrent may be stored.
//!
//! Two kinds of judgement. A path that could leave the dataset's directory, or be no path at all, makes
//! the whole torrent malformed ([`check_path`]): it is refused, whichever files are selected.
//! A name that is fine here and means something else on a colleague's machine (`AUX`, `a\b`, `Data`
//! beside `data`) is refused among the *selected* files on every platform ([`check_portable`]), so that
//! a build that passes on Linux passes everywhere; `files` may leave it out.

/// The longest component that common file systems take, in bytes.
const MAX_COMPONENT_BYTES: usize = 255;

/// Deep paths run into limits of the OS (4,096 bytes) sooner than of any dataset.
const MAX_PATH_BYTES: usize = 2_048;

/// More than any dataset has. The portable names of all directories are compared, so that depth costs memory.
const MAX_COMPONENTS: usize = 64;

/// Checks one component for what no torrent may hold. The error reads on from "its path `…` ".
pub(super) fn check_component(component: &[u8]) -> Result<(), String> {
    match component {
        b"" => Err("has an empty component".into()),
        b"." | b".." => Err("leaves its directory".into()),
        _ if component.contains(&b'/') => Err("has a `/` inside a component".into()),
        _ if component.contains(&0) => Err("has a NUL byte".into()),
        _ if component.len() > MAX_COMPONENT_BYTES => Err(format!(
            "has a component of {} bytes; file systems take {MAX_COMPONENT_BYTES}",
            component.len()
        )),
        _ => Ok(()),
    }
}

/// Checks all of a file's components, and that there are any.
pub(super) fn check_path(path: &[Vec<u8>]) -> Result<(), String> {
    if path.is_empty() {
        return Err("is empty".into());
    }
    if path.iter().map(|component| component.len() + 1).sum::<usize>() > MAX_PATH_BYTES {
        return Err(format!("is longer than {MAX_PATH_BYTES} bytes"));
    }
    if path.len() > MAX_COMPONENTS {
        return Err(format!("has more than {MAX_COMPONENTS} components"));
    }
    path.iter().try_for_each(|component| check_component(component))
}

/// An entry of a directory.
struct Entry<'a> {
    /// Its path as a file system that ignores case sees it.
    folded: Vec<u8>,
    exact: &'a [Vec<u8>],
    is_file: bool,
    /// Which of all entries it is.
    index: usize,
}

impl Entry<'_> {
    /// Why this one, which comes later, cannot lie beside the other, where they fold to the same path.
    fn clash(&self, first: &Entry<'_>) -> Option<String> {
        if self.exact != first.exact {
            return Some(format!(
                "its paths `{}` and `{}` differ in case alone: many file systems take them for one",
                shown(first.exact),
                shown(self.exact)
            ));
        }
        let is_twice = self.is_file || first.is_file;
        is_twice.then(|| format!("its path `{}` is there twice", shown(self.exact)))
    }
}

/// Checks that these paths can lie side by side on any platform. The error is a whole sentence, on the first path
/// that cannot.
pub fn check_portable(paths: &mut dyn Iterator<Item = &[Vec<u8>]>) -> Result<(), String> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let named = name_entries(paths, &mut entries);
    // Torrents mostly list their files in order: sorting them is little work then, and a map with each of them is much.
    entries.sort_by(|a, b| a.folded.cmp(&b.folded));
    let clashes = entries.chunk_by(|a, b| a.folded == b.folded).filter_map(|twins| {
        let (first, others) = twins.split_first()?;
        others.iter().find_map(|other| Some((other.index, other.clash(first)?)))
    });
    match clashes.min_by_key(|(index, _)| *index) {
        Some((_, why)) => Err(why),
        None => named,
    }
}

/// The entries of all directories, up to the first whose name is none on some platform.
fn name_entries<'a>(
    paths: &mut dyn Iterator<Item = &'a [Vec<u8>]>,
    entries: &mut Vec<Entry<'a>>,
) -> Result<(), String> {
    let mut before: &[Vec<u8>] = &[];
    // Of the path before: folded, and where each of its components ends therein.
    let (mut folded, mut ends) = (Vec::new(), Vec::new());
    for path in paths {
        // Files of one directory mostly follow one another: what was looked at is not looked at again.
        let directories = folder(before).iter().zip(folder(path));
        let known = directories.take_while(|(theirs, ours)| theirs == ours).count();
        ends.truncate(known);
        folded.truncate(ends.last().copied().unwrap_or_default());
        for (depth, component) in path.iter().enumerate().skip(known) {
            check_name(component).map_err(|why| format!("its path `{}` {why}", shown(path)))?;
            if depth > 0 {
                folded.push(b'/');
            }
            folded.extend_from_slice(fold(component).as_bytes());
            ends.push(folded.len());
            entries.push(Entry {
                folded: folded.clone(),
                exact: &path[..=depth],
                is_file: depth + 1 == path.len(),
                index: entries.len(),
            });
        }
        before = path;
    }
    Ok(())
}

/// A path without its last component.
fn folder(path: &[Vec<u8>]) -> &[Vec<u8>] {
    path.split_last().map_or(path, |(_, folder)| folder)
}

fn shown(path: &[Vec<u8>]) -> String {
    path.join(&b'/').escape_ascii().to_string()
}

/// How a file system that ignores case sees a name.
fn fold(component: &[u8]) -> String {
    String::from_utf8_lossy(component).to_lowercase()
}

/// Checks one name for what Windows cannot store as it stands.
fn check_name(name: &[u8]) -> Result<(), String> {
    for byte in name {
        if matches!(byte, 0..0x20 | b'\\' | b'<' | b'>' | b':' | b'"' | b'|' | b'?' | b'*') {
            return Err(format!(
                "has the character `{}`, which Windows cannot store",
                [*byte].escape_ascii()
            ));
        }
    }
    if matches!(name.last(), Some(b'.' | b' ')) {
        return Err("ends in a dot or a space, which Windows drops".into());
    }
    if is_device(name) {
        return Err("is a name that Windows reserves for a device".into());
    }
    if cfg!(not(unix)) && std::str::from_utf8(name).is_err() {
        return Err("is not UTF-8, which this platform cannot store".into());
    }
    Ok(())
}

/// Whether Windows takes this name, in any case and with any extension, for a device.
fn is_device(name: &[u8]) -> bool {
    let end = name.iter().position(|byte| *byte == b'.').unwrap_or(name.len());
    let stem = name[..end].trim_ascii_end();
    let is = |device: &[u8]| stem.eq_ignore_ascii_case(device);
    match stem {
        [.., b'0'..=b'9'] if stem.len() == 4 => {
            [b"COM", b"LPT"].iter().any(|device| stem[..3].eq_ignore_ascii_case(*device))
        }
        [_, _, _] => is(b"CON") || is(b"PRN") || is(b"AUX") || is(b"NUL"),
        _ => false,
    }
}
