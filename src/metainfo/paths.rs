//! Which paths of a torrent may be stored.
//!
//! Two kinds of judgement. A path that could leave the dataset's directory, or be no path at all, makes
//! the whole torrent malformed ([`check_path`]): it is refused, whichever files are selected.
//! A name that is fine here and means something else on a colleague's machine (`AUX`, `a\b`, `Data`
//! beside `data`) is refused among the *selected* files on every platform ([`check_portable`]), so that
//! a build that passes on Linux passes everywhere; `files` may leave it out.

use std::collections::HashMap;

/// The longest component that common file systems take, in bytes.
const MAX_COMPONENT_BYTES: usize = 255;

/// Deep paths run into limits of the OS (4,096 bytes) sooner than of any dataset.
const MAX_PATH_BYTES: usize = 2_048;

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
    path.iter().try_for_each(|component| check_component(component))
}

/// Checks that these paths can lie side by side on any platform. The error is a whole sentence.
pub fn check_portable<'a>(paths: impl Iterator<Item = &'a [Vec<u8>]>) -> Result<(), String> {
    // Each entry of each directory by its name as a file system that ignores case sees it,
    // with the name as it stands, and whether it is a file.
    let mut entries: HashMap<Vec<u8>, (Vec<u8>, bool)> = HashMap::new();
    for path in paths {
        let mut folded = Vec::new();
        let mut exact = Vec::new();
        for (depth, component) in path.iter().enumerate() {
            check_name(component)
                .map_err(|why| format!("its path `{}` {why}", path.join(&b'/').escape_ascii()))?;
            let is_file = depth + 1 == path.len();
            if depth > 0 {
                folded.push(b'/');
                exact.push(b'/');
            }
            folded.extend_from_slice(fold(component).as_bytes());
            exact.extend_from_slice(component);
            match entries.get(&folded) {
                None => {
                    entries.insert(folded.clone(), (exact.clone(), is_file));
                }
                Some((other, _)) if *other != exact => {
                    return Err(format!(
                        "its paths `{}` and `{}` differ in case alone: many file systems take them for one",
                        other.escape_ascii(),
                        exact.escape_ascii()
                    ));
                }
                Some((_, other_is_file)) if is_file || *other_is_file => {
                    return Err(format!("its path `{}` is there twice", exact.escape_ascii()));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// How a file system that ignores case sees a name.
fn fold(component: &[u8]) -> String {
    String::from_utf8_lossy(component).to_lowercase()
}

/// Checks one name for what Windows cannot store as it stands.
fn check_name(name: &[u8]) -> Result<(), String> {
    if let Some(byte) = name.iter().find(|byte| **byte < 0x20 || br#"\<>:"|?*"#.contains(byte)) {
        return Err(format!(
            "has the character `{}`, which Windows cannot store",
            [*byte].escape_ascii()
        ));
    }
    if matches!(name.last(), Some(b'.' | b' ')) {
        return Err("ends in a dot or a space, which Windows drops".into());
    }
    let stem = name
        .split(|byte| *byte == b'.')
        .next()
        .unwrap_or_default()
        .trim_ascii_end()
        .to_ascii_uppercase();
    let numbered = matches!(
        stem.as_slice(),
        [b'C', b'O', b'M', b'0'..=b'9'] | [b'L', b'P', b'T', b'0'..=b'9']
    );
    if numbered || [b"CON".as_slice(), b"PRN", b"AUX", b"NUL"].contains(&stem.as_slice()) {
        return Err("is a name that Windows reserves for a device".into());
    }
    if cfg!(not(unix)) && std::str::from_utf8(name).is_err() {
        return Err("is not UTF-8, which this platform cannot store".into());
    }
    Ok(())
}
