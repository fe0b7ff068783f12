//! `.torrent` files in packages that declare datasets, so that builds need no look-up.

use std::path::Path;

use academictorrents::engine::Resolved;
use academictorrents::engine::manifest::FileGlob;
use academictorrents::engine::torrent::{Metainfo, Shareable};
use academictorrents::engine::url::{Passkey, Url};
use academictorrents::{Error, ErrorKind};

use crate::changes::Changes;
use crate::crates::Package;
use crate::dataset_spec::DatasetSpec;
use crate::edit::{self, SECTION, list, text};
use crate::torrent::{self, shareable, some_of, without};

/// Returns one glob per selected file.
pub(crate) fn selected(torrent: &Resolved) -> Vec<String> {
    let path = |file| FileGlob::escape(&torrent.metainfo.display_path(file));
    torrent::selected(torrent).map(path).collect()
}

/// Returns what a magnet link names and the torrent does not, as keys that replace the link in the
/// manifest. Passkeys are removed unless `keep_passkey` is set.
///
/// # Errors
/// [`ErrorKind::Metainfo`] for a passkey that cannot be removed.
pub(crate) fn of_magnet(
    changes: &mut Changes,
    dataset: &DatasetSpec,
    torrent: &Resolved,
    keep_passkey: bool,
) -> Result<Vec<(&'static str, Vec<String>)>, Error> {
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
    Ok(keys.into_iter().filter(|(_, urls)| !urls.is_empty()).collect())
}

/// Returns where builds find the `.torrent` that the user gave, relative to the manifest: its
/// current path if that is in the package, or else a copy in `datasets/`, which is added to the
/// changes.
pub(crate) fn keep(
    changes: &mut Changes,
    package: &Package,
    (name, file): (&str, &Path),
    torrent: &Resolved,
    keep_passkey: bool,
) -> Result<String, Error> {
    let Some(below) = in_package(package, file) else {
        return place(changes, package, name, torrent, keep_passkey);
    };
    if !keep_passkey {
        warn_of_passkeys(changes, file, &torrent.bytes);
    }
    is_published(changes, package, &below);
    Ok(below)
}

/// Returns the path of a file in the package's directory, relative to the manifest; `None` if it is
/// elsewhere.
fn in_package(package: &Package, file: &Path) -> Option<String> {
    let directory = package.manifest.with_file_name("").canonicalize().ok()?;
    let file = file.canonicalize().ok()?;
    let names = file.strip_prefix(directory).ok()?.iter().map(|name| name.to_str());
    Some(names.collect::<Option<Vec<_>>>()?.join("/"))
}

/// Returns the path of a vendored `.torrent`, relative to the manifest. Adds the file to the
/// changes if it does not exist.
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
        // The existing file belongs to the user, and may have other trackers.
        Ok(there) if Metainfo::infohash_of(&there).ok() == Some(torrent.metainfo.infohash) => {
            if !keep_passkey {
                warn_of_passkeys(changes, &path, &there);
            }
        }
        Ok(_) => {
            return Err(Error::new(
                ErrorKind::Manifest,
                format!("{} already exists", path.display()),
            )
            .why("it is not a .torrent, or it belongs to another dataset")
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

/// Adds the key `torrent` to a declared dataset, and the keys that its magnet link stands for.
/// `place` is the path of the `.torrent`, relative to the manifest.
///
/// # Errors
/// [`ErrorKind::Manifest`] for an unsupported manifest; [`ErrorKind::Metainfo`] for a passkey that
/// cannot be removed.
pub(crate) fn declare(
    changes: &mut Changes,
    (path, manifest): (&Path, &str),
    dataset: &DatasetSpec,
    torrent: &Resolved,
    (place, keep_passkey): (&str, bool),
) -> Result<String, Error> {
    let keys = of_magnet(changes, dataset, torrent, keep_passkey)?;
    declared(manifest, (dataset, keys), torrent, &text(place)).map_err(|why| {
        Error::new(ErrorKind::Manifest, format!("{} cannot be changed", path.display()))
            .why(why.what())
            .help(format!("add `torrent = {place:?}` to the dataset's table by hand"))
    })
}

fn declared(
    manifest: &str,
    (dataset, keys): (&DatasetSpec, Vec<(&str, Vec<String>)>),
    torrent: &Resolved,
    place: &str,
) -> Result<String, Error> {
    let name = dataset.name();
    let path = [SECTION[0], SECTION[1], SECTION[2], name];
    let infohash = text(&torrent.metainfo.infohash.to_string());
    let item = edit::read(manifest, &SECTION, name)
        .ok_or_else(|| Error::new(ErrorKind::Manifest, "the dataset's entry was not found"))?;
    if let Some(short) = item.as_str() {
        let table = format!("{{ infohash = {}, torrent = {place} }}", text(short));
        return edit::replace(manifest, &SECTION, name, &table);
    }
    let Some(magnet) = &dataset.request.identity.magnet else {
        return edit::set(manifest, &path, "torrent", place);
    };
    // A dataset may not have both `magnet` and `torrent`.
    let mut new = edit::rename(manifest, &path, ("magnet", "infohash"), &infohash)?;
    new = edit::set(&new, &path, "torrent", place)?;
    for (key, urls) in keys {
        // Those of `defaults`, if the dataset has no key of its own.
        let mut known = declared_sources(dataset, key);
        let lacked: Vec<String> = urls.into_iter().filter(|url| !known.contains(url)).collect();
        if lacked.is_empty() {
            continue;
        }
        new = match edit::read(&new, &path, key) {
            Some(_) => edit::append(&new, &path, key, &lacked)?,
            None => {
                // The key replaces that of `defaults`.
                known.extend(lacked);
                edit::set(&new, &path, key, &list(&known))?
            }
        };
    }
    if !magnet.files.is_empty() && edit::read(&new, &path, "files").is_none() {
        new = edit::set(&new, &path, "files", &list(&selected(torrent)))?;
    }
    Ok(new)
}

/// Returns what a key of sources contains, in the dataset's table or in `defaults`.
fn declared_sources(dataset: &DatasetSpec, key: &str) -> Vec<String> {
    let request = &dataset.request;
    let exposed = |urls: &[Url]| urls.iter().map(|url| url.exposed().to_owned()).collect();
    match key {
        "trackers" => exposed(&request.trackers),
        "web-seeds" => exposed(&request.web_seeds),
        _ => request.peers.clone(),
    }
}

/// Refuses a dataset that a package inherits from its workspace.
///
/// # Errors
/// [`ErrorKind::Manifest`], with what to write instead.
pub(crate) fn check_own(dataset: &DatasetSpec) -> Result<(), Error> {
    let Some(root) = &dataset.request.workspace else { return Ok(()) };
    let what = format!("{} declares it for all packages of the workspace", root.display());
    Err(Error::new(ErrorKind::Manifest, what)
        .why("only manifests of packages are changed")
        .help("put the .torrent next to that manifest, and add `torrent` to the dataset's table there")
        .for_dataset(dataset.name()))
}

/// Warns of passkeys in an existing `.torrent` of the user, which is not changed.
pub(crate) fn warn_of_passkeys(changes: &mut Changes, path: &Path, torrent: &[u8]) {
    let Ok(Shareable { removed, fixed, .. }) = Metainfo::without_passkeys(torrent) else { return };
    if !(removed.is_empty() && fixed.is_empty()) {
        let urls = some_of(&[removed, fixed].concat());
        changes.warnings.push(format!(
            "{} contains a personal passkey: {}\nanyone who has the file can use the tracker in your name",
            path.display(),
            urls.join(", ")
        ));
    }
}

/// Warns if the published package would lack the file.
fn is_published(changes: &mut Changes, package: &Package, below: &str) {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    changes.warnings.extend(unpublished(
        &read(&package.manifest),
        &read(&package.workspace),
        below,
    ));
}

/// Returns the warning if the package's manifest, or that of its workspace, excludes the file.
fn unpublished(manifest: &str, workspace: &str, below: &str) -> Option<String> {
    // Inherited patterns are relative to the package's directory, too.
    let patterns = |key: &str| -> Option<(&str, Vec<String>)> {
        let own = edit::read(manifest, &["package"], key)?;
        let (table, list) = match own.get("workspace") {
            Some(_) => {
                ("[workspace.package]", edit::read(workspace, &["workspace", "package"], key)?)
            }
            None => ("[package]", own),
        };
        let patterns = list.as_array()?.iter().filter_map(toml_edit::Value::as_str);
        Some((table, patterns.map(str::to_owned).collect()))
    };
    // Cargo ignores `exclude` if there is an `include` that is not empty.
    let include = patterns("include").filter(|(_, include)| !include.is_empty());
    let (why, what) = match (include, patterns("exclude")) {
        (Some((table, include)), _) if !covers(&include, below) => {
            let pattern = match below.strip_prefix("datasets/") {
                Some(_) => "datasets/*.torrent",
                None => below,
            };
            (format!("`include` in {table} does not cover"), format!("\"/{pattern}\" to `include`"))
        }
        (None, Some((table, exclude))) if covers(&exclude, below) => {
            (format!("`exclude` in {table} covers"), format!("\"!/{below}\" to `exclude`"))
        }
        _ => return None,
    };
    Some(format!("{why} {below}, so the published package would lack it\nadd {what}"))
}

/// Whether patterns of Cargo's `include` or `exclude`, which are those of `.gitignore`, cover a
/// file. The last pattern that matches counts, and those that match the file before those that
/// match a directory above it. A pattern that cannot be parsed is ignored.
fn covers(patterns: &[String], file: &str) -> bool {
    let is_covered = |path: &str| {
        let is_directory = path.len() < file.len();
        patterns.iter().rev().find_map(|text| {
            let pattern = text.strip_prefix('!').unwrap_or(text);
            let name = pattern.strip_suffix('/').unwrap_or(pattern);
            let anywhere = if name.contains('/') { "" } else { "**/" };
            let glob = [anywhere, name.strip_prefix('/').unwrap_or(name)].concat();
            let may_match = is_directory || !pattern.ends_with('/');
            let matches = may_match && FileGlob::parse(&glob).is_ok_and(|glob| glob.covers(path));
            matches.then_some(pattern.len() == text.len())
        })
    };
    let ends = file.match_indices('/').map(|(end, _)| end).chain([file.len()]);
    let ends: Vec<usize> = ends.collect();
    let paths = ends.iter().rev().filter_map(|end| file.get(..*end));
    paths.map(is_covered).find_map(|it| it).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error is of one dataset: others are written.
    #[test]
    fn what_cannot_be_declared_does_not_say_that_nothing_was_changed() {
        use academictorrents::engine::settings::Context;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.torrent");
        let pieces = "x".repeat(20);
        let info = format!("d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:{pieces}e");
        std::fs::write(&file, format!("d4:info{info}e")).unwrap();
        let store = directory.path().join("store");
        let app = crate::app::App::open(Context::default(), Some(&store), true, None).unwrap();
        let dataset = crate::dataset_spec::asked(file.to_str().unwrap()).unwrap();
        let torrent = app.look_up(&dataset).unwrap();
        let mut changes = Changes::default();
        let manifest = (Path::new("Cargo.toml"), "[package]\n");
        let error = declare(&mut changes, manifest, &dataset, &torrent, ("a.torrent", false));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("Cargo.toml cannot be changed\n"), "{error}");
        assert!(!error.contains("nothing was changed"), "{error}");
    }

    #[test]
    fn patterns_are_compared_as_cargo_does() {
        for (patterns, expected) in [
            (&["datasets/*.torrent"][..], true),
            (&["/datasets/a.torrent"], true),
            (&["datasets"], true),
            (&["/datasets/"], true),
            (&["**/*.torrent"], true),
            (&["*.torrent"], true),
            (&["*"], true),
            (&["**"], true),
            (&["/*"], true),
            (&["data*/**"], true),
            (&["[cd]atasets/"], true),
            (&["*", "!*.torrent"], false),
            (&["!*.torrent", "*"], true),
            (&["*.torrent", "!/datasets/"], true),
            (&["datasets", "!/datasets/a.torrent"], false),
            (&["*.md"], false),
            (&["**/*.rs"], false),
            (&["?rc/**"], false),
            (&["src", "*.md"], false),
            (&["/a.torrent"], false),
            (&["a.torrent/"], false),
            (&["data"], false),
            (&["datasets/*/a.torrent"], false),
            (&[], false),
        ] {
            let owned: Vec<String> = patterns.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(covers(&owned, "datasets/a.torrent"), expected, "{patterns:?}");
        }
    }
    #[test]
    fn an_empty_include_counts_as_absent_and_patterns_may_be_inherited() {
        let package = |keys: &str| format!("[package]\nname = \"a\"\n{keys}");
        let workspace = |keys: &str| format!("[workspace.package]\n{keys}");
        for (keys, inherited, expected) in [
            ("", "include = ['src']", None),
            ("include = ['src']", "", Some("`include` in [package] does not cover")),
            ("include = []", "", None),
            ("include = []\nexclude = ['*.torrent']", "", Some("`exclude` in [package] covers")),
            ("include = ['/datasets']\nexclude = ['*.torrent']", "", None),
            (
                "include.workspace = true",
                "include = ['src']",
                Some("`include` in [workspace.package] does not cover"),
            ),
            ("include.workspace = true", "include = ['/datasets']", None),
            ("include.workspace = true", "include = []", None),
            (
                "include = []\nexclude = { workspace = true }",
                "exclude = ['/datasets']",
                Some("`exclude` in [workspace.package] covers"),
            ),
            ("exclude.workspace = true", "exclude = ['/a/datasets']", None),
        ] {
            let found = unpublished(&package(keys), &workspace(inherited), "datasets/a.torrent");
            let begin = expected.unwrap_or_default();
            assert!(found.as_ref().is_none_or(|it| it.starts_with(begin)), "{found:?}");
            assert_eq!(found.is_some(), expected.is_some(), "{keys} {inherited}: {found:?}");
        }
    }
}
