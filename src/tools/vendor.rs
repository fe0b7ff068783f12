//! `.torrent` files in the crates that declare them, so that a build looks nothing up.

use super::add::SECTION;
use super::edit::{self, list, text};
use super::{Asked, Changes, Package, Torrent};
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::Manifest;
use crate::metainfo::Metainfo;

/// Plans to keep the `.torrent` of each of these datasets of a crate in it. Those that have one stay as they are.
///
/// # Errors
/// [`ErrorKind::Manifest`] for what the manifest cannot hold; [`ErrorKind::Disk`].
pub fn vendor(package: &Package, datasets: &[(&Asked, &Torrent)]) -> Result<Changes, Error> {
    let path = &package.manifest;
    let mut changes = Changes::default();
    let old = std::fs::read_to_string(path).map_err(|why| Error::disk("read", path, &why))?;
    let mut new = old.clone();
    for (dataset, torrent) in datasets {
        if dataset.request.identity.torrent.is_some() {
            continue;
        }
        let name = dataset.name();
        let place = place(&mut changes, package, name, torrent)?;
        new = declare(&new, dataset, torrent, &text(&place)).map_err(|why| {
            Error::new(ErrorKind::Manifest, format!("{} cannot be changed", path.display()))
                .why(why)
                .why("nothing was changed")
                .help(format!("add `torrent = {place:?}` to the dataset's table by hand"))
                .for_dataset(name)
        })?;
    }
    Manifest::parse(&new, path)?;
    if new != old {
        changes.text(path.clone(), Some(old), new);
    }
    Ok(changes)
}

/// The manifest with the key `torrent`.
fn declare(
    manifest: &str,
    dataset: &Asked,
    torrent: &Torrent,
    place: &str,
) -> Result<String, String> {
    let name = dataset.name();
    let path = [SECTION[0], SECTION[1], SECTION[2], name];
    let infohash = text(&torrent.infohash().to_string());
    let item = edit::read(manifest, &SECTION, name).ok_or("it is not there")?;
    if let Some(short) = item.as_str() {
        let table = format!("{{ infohash = {}, torrent = {place} }}", text(short));
        return edit::replace(manifest, &SECTION, name, &table);
    }
    let Some(magnet) = &dataset.request.identity.magnet else {
        return edit::set(manifest, &path, "torrent", place);
    };
    // A link and a torrent cannot both say which dataset it is.
    let mut new = edit::rename(manifest, &path, ("magnet", "infohash"), &infohash)?;
    new = edit::set(&new, &path, "torrent", place)?;
    let mut keys = of_magnet(dataset, torrent);
    if !magnet.files.is_empty() {
        keys.push(("files", list(&selected(torrent))));
    }
    for (key, value) in keys {
        if edit::read(&new, &path, key).is_none() {
            new = edit::set(&new, &path, key, &value)?;
        }
    }
    Ok(new)
}

/// Globs of the files that are asked for, each for one.
pub(super) fn selected(torrent: &Torrent) -> Vec<String> {
    torrent.selected().iter().map(|file| glob::Pattern::escape(&file.path)).collect()
}

/// What a magnet link names, and the torrent does not: keys in its place.
pub(super) fn of_magnet(dataset: &Asked, torrent: &Torrent) -> Vec<(&'static str, String)> {
    let Some(magnet) = &dataset.request.identity.magnet else { return Vec::new() };
    let known = torrent.trackers();
    let lacks = |named: &[String], known: &[String]| -> Vec<String> {
        named.iter().filter(|it| !known.contains(it)).cloned().collect()
    };
    let keys = [
        ("trackers", lacks(&magnet.trackers, &known)),
        ("web-seeds", lacks(&magnet.web_seeds, torrent.web_seeds())),
        ("peers", magnet.peers.clone()),
    ];
    keys.into_iter().filter(|(_, it)| !it.is_empty()).map(|(key, it)| (key, list(&it))).collect()
}

/// The path of a vendored `.torrent`, relative to the manifest; it is to be written where it is not there.
pub(super) fn place(
    changes: &mut Changes,
    package: &Package,
    name: &str,
    torrent: &Torrent,
) -> Result<String, Error> {
    let below = format!("datasets/{name}.torrent");
    let directory = package.manifest.with_file_name("datasets");
    let path = directory.join(format!("{name}.torrent"));
    match std::fs::read(&path) {
        // Another copy may have other trackers, and is the user's.
        Ok(there) if is_of(&there, torrent.infohash()) => {}
        Ok(_) => {
            return Err(Error::new(
                ErrorKind::Manifest,
                format!("{} is there already", path.display()),
            )
            .why("it is no .torrent, or another's")
            .help("remove it, or give the dataset another name"));
        }
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            changes.bytes(path, torrent.bytes.clone());
            is_published(changes, package, &below);
        }
        Err(why) => return Err(Error::disk("read", &path, &why)),
    }
    Ok(below)
}

/// Says where the package that is published might lack the file.
fn is_published(changes: &mut Changes, package: &Package, below: &str) {
    let manifest = std::fs::read_to_string(&package.manifest).unwrap_or_default();
    let include = edit::read(&manifest, &["package"], "include");
    let Some(include) = include.as_ref().and_then(toml_edit::Item::as_array) else { return };
    let covers = |pattern: &str| {
        let pattern = pattern.trim_start_matches('/');
        pattern.starts_with('*') || pattern.starts_with("datasets")
    };
    if !include.iter().filter_map(toml_edit::Value::as_str).any(covers) {
        changes.warnings.push(format!(
            "[package] has `include`, and the package that is published must hold {below}\n\
             add \"/datasets/*.torrent\" to it"
        ));
    }
}

fn is_of(torrent: &[u8], infohash: Infohash) -> bool {
    Metainfo::infohash_of(torrent).ok() == Some(infohash)
}
