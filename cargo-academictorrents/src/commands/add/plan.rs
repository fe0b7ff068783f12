//! Plans a new dataset in a manifest with everything that a build needs. All changes are planned
//! before any is written.

use std::path::Path;

use academictorrents::engine::Resolved;
use academictorrents::engine::error::printable;
use academictorrents::engine::manifest::{DatasetName, Manifest, Request};
use academictorrents::engine::torrent::Magnet;
use academictorrents::engine::{self, plan, size};
use academictorrents::{Error, ErrorKind, Infohash};

use super::{AddArguments, Addition, build_script, names};
use crate::changes::Changes;
use crate::crates::Package;
use crate::dataset_spec::DatasetSpec;
use crate::edit::{self, ManifestEntry, SECTION, list, text};
use crate::torrent::counted_bytes;
use crate::vendored;

pub(super) const CRATE: &str = "academictorrents";

/// Plans to declare a dataset. `torrent` is `None` if it could not be looked up.
///
/// # Errors
/// [`ErrorKind::Manifest`] for a name that is invalid or taken, and for an unsupported manifest.
pub(super) fn add(
    package: &Package,
    dataset: &DatasetSpec,
    torrent: Option<&Resolved>,
    arguments: &AddArguments,
    pins: &[(String, String)],
) -> Result<Addition, Error> {
    let path = &package.manifest;
    let bytes = std::fs::read(path).map_err(|why| Error::disk("read", path, &why))?;
    let old = String::from_utf8(bytes).map_err(|_| refused(path).why("it is not UTF-8"))?;
    let manifest = Manifest::parse(&old, path)?;
    let infohash = match torrent {
        Some(torrent) => torrent.metainfo.infohash,
        None => dataset.infohash()?.ok_or_else(|| refused(path).why("the infohash is unknown"))?,
    };
    let same = |request: &&Request| engine::infohash(request).ok().flatten() == Some(infohash);
    let known = match &arguments.name {
        None => manifest.requests.iter().find(same),
        Some(name) => manifest.requests.iter().filter(same).find(|it| it.name.as_str() == name),
    };
    let name = match (known, &arguments.name) {
        (Some(known), _) => known.name.as_str().to_owned(),
        (None, Some(name)) => name.clone(),
        (None, None) => names::suggested(torrent)?,
    };
    let mut addition = Addition {
        already: known.is_some(),
        gets_torrent: false,
        name,
        infohash,
        max_size_bytes: None,
        changes: Changes::default(),
    };
    let mut new = old.clone();
    let library = match &package.build_dependency {
        Some(library) => {
            if let Some(option) = arguments.dependency.given() {
                addition.changes.notes.push(format!(
                    "the build-dependency `{library}` already exists and is kept: {option} has no effect"
                ));
            }
            library.clone()
        }
        None => {
            let table = [build_dependencies(&new)];
            let unpacks = arguments.unpack.value().is_some();
            let value = arguments.dependency.requirement(package, unpacks)?;
            new = edit::set(&new, &table, CRATE, &value).map_err(|why| {
                refused(path)
                    .why(why.what())
                    .help(format!("add `{CRATE} = {value}` to [{}]", table[0]))
            })?;
            CRATE.to_owned()
        }
    };
    if let Some(known) = known {
        let options = arguments.given_keys();
        if !options.is_empty() {
            let line = known.origin.manifest().map_or(0, |(_, line)| line);
            addition.changes.warnings.push(format!(
                "`{}` is already declared, and its keys are kept: {} has no effect\nedit {}:{line}, or give another NAME",
                known.name,
                options.join(", "),
                path.display()
            ));
        }
        if let (Some(torrent), None, true) =
            (torrent, &known.identity.torrent, keeps_torrent(dataset, arguments))
        {
            let known = DatasetSpec { request: known.clone(), own_copy: false };
            vendored::check_own(&known)?;
            addition.gets_torrent = true;
            let place = place(&mut addition, package, dataset, torrent, arguments)?;
            let place = (place.as_str(), arguments.keep_passkey);
            new = vendored::declare(&mut addition.changes, (path, &new), &known, torrent, place)?;
        }
    } else {
        check_free(&addition.name, &manifest, path)?;
        let entry = entry(&mut addition, package, dataset, torrent, (arguments, pins), &old)?;
        new = edit::add(&new, &SECTION, &addition.name, &entry)
            .map_err(|why| by_hand(path, why.what(), &addition.name, &entry))?;
    }
    check_read(&new, path, &addition.name, infohash)?;
    build_script::provide(&mut addition.changes, package, &new, &library)?;
    if new != old {
        addition.changes.text(path.clone(), Some(old), new);
    }
    Ok(addition)
}

fn refused(path: &Path) -> Error {
    Error::new(ErrorKind::Manifest, format!("{} cannot be changed", path.display()))
}

fn by_hand(path: &Path, why: &str, name: &str, entry: &ManifestEntry) -> Error {
    refused(path).why(why).help(format!(
        "add to [{}] by hand:\n{name} = {}",
        SECTION.join("."),
        entry.inline()
    ))
}

/// Whether the `.torrent` is kept for builds. One that was given as a file may not be available
/// elsewhere.
fn keeps_torrent(dataset: &DatasetSpec, arguments: &AddArguments) -> bool {
    arguments.vendor || dataset.request.identity.torrent.is_some()
}

/// Adds the `.torrent` to keep to the changes. Returns its path relative to the manifest.
fn place(
    addition: &mut Addition,
    package: &Package,
    dataset: &DatasetSpec,
    torrent: &Resolved,
    arguments: &AddArguments,
) -> Result<String, Error> {
    let Addition { name, changes, .. } = addition;
    match &dataset.request.identity.torrent {
        Some(file) if !arguments.vendor => {
            vendored::keep(changes, package, (name, file), torrent, arguments.keep_passkey)
        }
        _ => vendored::place(changes, package, name, torrent, arguments.keep_passkey),
    }
}

/// Returns the dataset's keys, and adds the `.torrent` to the changes if it is kept.
fn entry(
    addition: &mut Addition,
    package: &Package,
    dataset: &DatasetSpec,
    torrent: Option<&Resolved>,
    (arguments, pins): (&AddArguments, &[(String, String)]),
    manifest: &str,
) -> Result<ManifestEntry, Error> {
    let mut keys = Vec::new();
    let magnet = dataset.request.identity.magnet.as_ref();
    let mut files = arguments.files.clone();
    let mut of_magnet = Vec::new();
    match (torrent, magnet) {
        (Some(torrent), _) if keeps_torrent(dataset, arguments) => {
            keys.push(("infohash", text(&addition.infohash.to_string())));
            keys.push(("torrent", text(&place(addition, package, dataset, torrent, arguments)?)));
            if magnet.is_some_and(|magnet| !magnet.files.is_empty()) {
                files = vendored::selected(torrent);
            }
            let keep_passkey = arguments.keep_passkey;
            of_magnet = vendored::of_magnet(&mut addition.changes, dataset, torrent, keep_passkey)?;
        }
        // A build can use what else the magnet link names.
        (_, Some(magnet)) if names_more(magnet) => {
            keys.push(("magnet", text(magnet.link.exposed())))
        }
        _ => keys.push(("infohash", text(&addition.infohash.to_string()))),
    }
    for (key, mut values) in arguments.sources.keys(&package.manifest) {
        for (_, of_magnet) in of_magnet.iter().filter(|(of_magnet, _)| *of_magnet == key) {
            // The key replaces that of `defaults`, whose sources the link would have joined.
            if values.is_empty() {
                values = of_defaults(manifest, key);
            }
            values.extend(
                of_magnet.iter().filter(|it| !values.contains(it)).cloned().collect::<Vec<_>>(),
            );
        }
        if !values.is_empty() {
            keys.push((key, list(&values)));
        }
    }
    addition.changes.warnings.extend(arguments.sources.passkey_warning());
    if !files.is_empty() {
        keys.push(("files", list(&files)));
    }
    if let Some(name) = &arguments.rename {
        keys.push(("rename", text(name)));
    }
    let needed = torrent.map(counted_bytes).filter(|it| *it > plan::DEFAULT_MAX_SIZE_BYTES);
    match (arguments.max_size, needed) {
        (Some(limit), needed) => {
            keys.push(("max-size", text(&exact(limit))));
            if let Some(needed) = torrent.map(counted_bytes).filter(|it| *it > limit) {
                addition.changes.warnings.push(format!(
                    "builds will refuse to download it: its size is {}, and --max-size allows {}",
                    size::display(needed),
                    size::display(limit)
                ));
            }
            addition.max_size_bytes = needed.map(|_| limit);
        }
        (None, Some(needed)) if !has_default_limit(manifest) => {
            let limit = size::at_least(needed);
            addition.max_size_bytes = size::parse(&limit);
            keys.push(("max-size", text(&limit)));
        }
        _ => {}
    }
    if !arguments.features.is_empty() {
        keys.push(("required-features", list(&arguments.features)));
    }
    if let Some(value) = arguments.unpack.value() {
        keys.push(("unpack", value));
        if let Some(library) = &package.build_dependency {
            addition.changes.warnings.push(format!(
                "`unpack` requires the feature `unpack` of the build-dependency\nunless it is enabled already, add features = [\"unpack\"] to `{library}` in [build-dependencies]"
            ));
        }
    }
    if arguments.optional {
        keys.push(("optional", "true".to_owned()));
    }
    Ok(ManifestEntry { keys, pins: pins.to_vec() })
}

/// Formats a size exactly, as in a manifest: `"2GiB"`, `"1500"`.
fn exact(bytes: u64) -> String {
    for (unit, scale) in
        [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    {
        if bytes >= scale && bytes % scale == 0 {
            return format!("{}{unit}", bytes / scale);
        }
    }
    bytes.to_string()
}

#[test]
fn an_exact_size_is_read_as_it_was() {
    for bytes in [1, 1500, 2048, 3 << 30, (1 << 30) + 1] {
        assert_eq!(size::parse(&exact(bytes)), Some(bytes));
    }
}

/// Returns the name of the table of build-dependencies. Editions before 2024 also accept it with
/// `_`, but Cargo ignores that table if there is one with `-`.
fn build_dependencies(manifest: &str) -> &'static str {
    let [usual, old] = ["build-dependencies", "build_dependencies"];
    let has = |table| edit::read(manifest, &[], table).is_some();
    if has(old) && !has(usual) { old } else { usual }
}

fn names_more(magnet: &Magnet) -> bool {
    let Magnet { trackers, web_seeds, torrents, peers, files, .. } = magnet;
    let urls = trackers.iter().chain(web_seeds).chain(torrents);
    urls.count() > 0 || !peers.is_empty() || !files.is_empty()
}

/// Returns the strings of a key in `defaults`.
fn of_defaults(manifest: &str, key: &str) -> Vec<String> {
    let list = edit::read(manifest, &[SECTION[0], SECTION[1], SECTION[2], "defaults"], key);
    let list = list.as_ref().and_then(toml_edit::Item::as_array);
    let texts = list.into_iter().flatten().filter_map(|it| it.as_str());
    texts.map(str::to_owned).collect()
}

fn has_default_limit(manifest: &str) -> bool {
    edit::read(manifest, &[SECTION[0], SECTION[1], SECTION[2], "defaults"], "max-size").is_some()
}

fn check_free(name: &str, manifest: &Manifest, path: &Path) -> Result<(), Error> {
    let taken = |why: String| {
        let shown = printable(name);
        Error::new(ErrorKind::Manifest, format!("the name `{shown}` cannot be used")).why(why)
    };
    let other_name = "give another NAME after the ID";
    if name == "defaults" {
        let why = "it is reserved for keys that apply to all datasets".to_owned();
        return Err(taken(why).help(other_name));
    }
    let variable = DatasetName::parse(name)?.variable();
    let other = manifest.requests.iter().find(|request| request.name.variable() == variable);
    let Some(other) = other else { return Ok(()) };
    let line = other.origin.manifest().map_or(0, |(_, line)| line);
    let place = format!("{}:{line}", path.display());
    Err(if other.name.as_str() == name {
        taken(format!("{place} declares another dataset with this name"))
            .help("to replace that dataset, for example with a new version, edit its entry")
            .help(format!("to declare both, {other_name}"))
    } else {
        taken(format!("`{}` at {place} also has the variable AT_{variable}_PATH", other.name))
            .help(other_name)
    })
}

/// Checks the planned manifest with a build's parser.
fn check_read(new: &str, path: &Path, name: &str, infohash: Infohash) -> Result<(), Error> {
    let manifest = Manifest::parse(new, path).map_err(|error| {
        let mut refusal =
            Error::new(ErrorKind::Manifest, "builds would reject the changed manifest");
        for line in error.to_string().lines() {
            refusal = refusal.why(line.trim());
        }
        refusal.why("nothing was changed")
    })?;
    let found = manifest.requests.iter().find(|request| request.name.as_str() == name);
    let declared = found.map(|request| (request.identity.infohash, &request.identity.torrent));
    match declared {
        Some((Some(found), _)) if found == infohash => Ok(()),
        Some((None, Some(_))) => Ok(()),
        _ => Err(refused(path).why("builds would not find the new entry in it")),
    }
}
