//! `.torrent` files in the crates that declare them, so that a build looks nothing up.

use std::path::Path;

use academictorrents::engine::Resolved;
use academictorrents::engine::manifest::FileGlob;
use academictorrents::engine::torrent::{Metainfo, Shareable};
use academictorrents::engine::url::{Passkey, Url};
use academictorrents::{Error, ErrorKind};

use crate::changes::Changes;
use crate::crates::Package;
use crate::dataset_spec::DatasetSpec;
use crate::edit::{self, list};
use crate::torrent::{self, shareable, without};

/// Globs of the files that are asked for, each for one.
pub(crate) fn selected(torrent: &Resolved) -> Vec<String> {
    let path = |file| FileGlob::escape(&torrent.metainfo.display_path(file));
    torrent::selected(torrent).map(path).collect()
}

/// What a magnet link names, and the torrent does not: keys in its place, for others to have, as the torrent itself.
///
/// # Errors
/// [`ErrorKind::Metainfo`] for a passkey that cannot be removed.
pub(crate) fn of_magnet(
    changes: &mut Changes,
    dataset: &DatasetSpec,
    torrent: &Resolved,
    keep_passkey: bool,
) -> Result<Vec<(&'static str, String)>, Error> {
    let Some(magnet) = &dataset.request.identity.magnet else { return Ok(Vec::new()) };
    let (mut removed, mut fixed) = (Vec::new(), Vec::new());
    let mut lacks = |named: &[Url], known: &[Url]| -> Vec<String> {
        let clean = |url: &Url| match url.passkey() {
            Passkey::InQuery(clean) if !keep_passkey => clean,
            _ => url.clone(),
        };
        let known: Vec<_> = known.iter().map(clean).collect();
        let mut lacked: Vec<String> = Vec::new();
        for url in named {
            let clean = clean(url);
            if known.contains(&clean) || lacked.iter().any(|it| it == clean.exposed()) {
                continue;
            }
            match url.passkey() {
                Passkey::InQuery(_) => removed.push(url.clone()),
                Passkey::Fixed => fixed.push(url.clone()),
                Passkey::None => {}
            }
            lacked.push(clean.exposed().to_owned());
        }
        lacked
    };
    let keys = [
        ("trackers", lacks(&magnet.trackers, &torrent.metainfo.trackers.concat())),
        ("web-seeds", lacks(&magnet.web_seeds, &torrent.metainfo.web_seeds)),
        ("peers", magnet.peers.clone()),
    ];
    if !(keep_passkey || removed.is_empty() && fixed.is_empty()) {
        let infohash = torrent.metainfo.infohash;
        let what = format!("the magnet link of {infohash} contains a personal passkey");
        let note = without(&torrent.metainfo, &removed, &fixed, what).map_err(|error| {
            error.help("remove the URL from the link").help(
                "or pass --keep-passkey: anyone who has the manifest can then use the tracker in your name",
            )
        })?;
        changes.notes.push(note);
    }
    let keys = keys.into_iter().filter(|(_, urls)| !urls.is_empty());
    Ok(keys.map(|(key, urls)| (key, list(&urls))).collect())
}

/// The path of a vendored `.torrent`, relative to the manifest; it is to be written where it is not there.
pub(crate) fn place(
    changes: &mut Changes,
    package: &Package,
    name: &str,
    torrent: &Resolved,
    keep_passkey: bool,
) -> Result<String, Error> {
    let (bytes, note) = shareable(torrent, keep_passkey)?;
    let below = format!("datasets/{name}.torrent");
    let directory = package.manifest.with_file_name("datasets");
    let path = directory.join(format!("{name}.torrent"));
    match std::fs::read(&path) {
        // Another copy may have other trackers, and is the user's.
        Ok(there) if Metainfo::infohash_of(&there).ok() == Some(torrent.metainfo.infohash) => {
            if !keep_passkey {
                warn_of_passkeys(changes, &path, &there);
            }
        }
        Ok(_) => {
            return Err(Error::new(
                ErrorKind::Manifest,
                format!("{} is there already", path.display()),
            )
            .why("not a .torrent, or that of another dataset")
            .help("remove it, or give the dataset another name"));
        }
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            changes.bytes(path, bytes);
            changes.notes.extend(note);
            is_published(changes, package, &below);
        }
        Err(why) => return Err(Error::disk("read", &path, &why)),
    }
    Ok(below)
}

/// A `.torrent` that the user has put there is left as it is.
pub(crate) fn warn_of_passkeys(changes: &mut Changes, path: &Path, torrent: &[u8]) {
    let Ok(Shareable { removed, fixed, .. }) = Metainfo::without_passkeys(torrent) else { return };
    if !(removed.is_empty() && fixed.is_empty()) {
        let urls: Vec<_> = removed.iter().chain(&fixed).map(ToString::to_string).collect();
        changes.warnings.push(format!(
            "{} contains a personal passkey: {}\nanyone who has the file can use the tracker in your name",
            path.display(),
            urls.join(", ")
        ));
    }
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
