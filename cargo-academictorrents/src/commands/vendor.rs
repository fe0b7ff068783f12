//! `cargo academictorrents vendor`.

mod mirror;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use academictorrents::Error;
use academictorrents::engine::Resolved;
use academictorrents::engine::manifest::Manifest;
use serde_json::{Value, json};

use crate::app::App;
use crate::changes::Changes;
use crate::crates::Package;
use crate::dataset_spec::{self, DatasetSpec};
use crate::failure::CommandError;
use crate::output::{self, Failure, Output, Result, tell_error};
use crate::torrent::shareable;
use crate::vendored::{check_own, declare, place, warn_of_passkeys};
use crate::{Common, crates, interrupt, workspace};

/// Keep the .torrent files of declared datasets in the package
///
/// Builds then do not have to look them up. The files are in `datasets/` next to Cargo.toml, and the datasets get the key
/// `torrent`. Existing files are kept unless --refresh is given.
///
/// With --data, a directory becomes a mirror of the data of all packages of the workspace and their dependencies, for
/// ACADEMICTORRENTS_MIRRORS and the key `mirrors`. A web server can also serve it. Builds that use a local mirror need no
/// network.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents vendor
  cargo academictorrents vendor mnist -p my-model
  cargo academictorrents vendor --data /mnt/usb/datasets")]
pub(crate) struct VendorArguments {
    /// Keys in the manifests [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Make this directory a mirror of the data, with hard links to the store if they are on the same file system
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep personal passkeys in .torrent files instead of removing them
    #[arg(long)]
    keep_passkey: bool,
    /// Replace existing .torrent files with the catalog's, which may list newer web seeds and trackers
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    package: crates::PackageFlags,
}

/// Options for keeping `.torrent` files.
#[derive(Clone, Copy)]
struct How {
    keep_passkey: bool,
    /// Whether existing files are replaced.
    refresh: bool,
}

/// The result for a dataset; `Ok(true)` if something new was written.
struct Done {
    package: String,
    dataset: DatasetSpec,
    result: Result<bool, Error>,
}

pub(crate) fn run(arguments: &VendorArguments, common: &Common, output: &Output) -> Result {
    let VendorArguments { names, data, keep_passkey, refresh, package: options } = arguments;
    let how = How { keep_passkey: *keep_passkey, refresh: *refresh };
    let is_meant =
        |dataset: &DatasetSpec| names.is_empty() || names.iter().any(|it| it == dataset.name());
    let data = data.as_deref().map(std::path::absolute).transpose();
    let data = data.map_err(CommandError::DataDirectory)?;
    // Read all manifests before anything is changed.
    let mut known = Vec::new();
    let mut declared = Vec::new();
    for (name, package) in options.packages()? {
        let mut datasets = dataset_spec::declared(&package.manifest)?;
        known.extend(datasets.iter().map(|it| it.name().to_owned()));
        datasets.retain(is_meant);
        declared.push((name, package, datasets));
    }
    let of_all = match &data {
        Some(_) => {
            let workspace = workspace::WorkspaceFlags::of(options);
            let mut all = workspace.declared(common)?;
            known.extend(all.iter().map(|it| it.dataset.name().to_owned()));
            all.retain(|it| is_meant(&it.dataset));
            all
        }
        None => Vec::new(),
    };
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(workspace::unknown(unknown, &known));
    }
    if known.is_empty() {
        output.say("nothing to vendor: no datasets are declared");
    }
    let app = common.app()?;
    if data.is_some() {
        interrupt::end_on_signal(app.stop.clone());
    }
    let (mut vendored, mut files) = (Vec::new(), Vec::new());
    for (name, package, datasets) in declared {
        let (changes, done) = vendor(&app, (&name, &package), datasets, how, output);
        changes.tell(output);
        if output.json {
            files.extend(changes.document().as_array().cloned().unwrap_or_default());
        } else {
            show(&changes, &done, &package.manifest, output);
        }
        vendored.extend(done);
    }
    let mut mirrored = Vec::new();
    if let Some(directory) = &data {
        for declared in of_all {
            let mirrored_as = mirror::mirror(&app, &declared.dataset, directory, *keep_passkey);
            let result = mirrored_as.map(|(is_new, note)| {
                if let Some(note) = note {
                    output.say(note);
                }
                is_new
            });
            if result.is_err() && app.stop.is_stopped() {
                return Err(Failure::Stopped);
            }
            mirrored.push(Done { package: declared.package, dataset: declared.dataset, result });
        }
    }
    if output.json {
        output.document(&json!({
            "torrents": vendored.iter().map(document).collect::<Value>(),
            "files": files,
            "mirror": data.as_ref().map(|path| json!({
                "path": path.display().to_string(),
                "datasets": mirrored.iter().map(document).collect::<Value>(),
            })),
        }));
    } else if let Some(directory) = &data {
        show_mirror(directory, &mirrored, output);
    }
    let errors = vendored.iter().chain(&mirrored).filter_map(|done| done.result.as_ref().err());
    let errors: Vec<_> = errors.collect();
    // A torrent that cannot be found fails both times, in the same words, and so does each dataset of
    // a package that cannot be changed.
    let mut told = BTreeSet::new();
    let errors_once = errors.iter().filter(|error| told.insert(error.to_string()));
    errors_once.for_each(|error| tell_error(error));
    if errors.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// Vendors the torrents of one package. Those that are found are kept even if others are not. If the
/// package cannot be changed, each of them has that error, and the other packages continue.
fn vendor(
    app: &App,
    (name, package): (&str, &Package),
    datasets: Vec<DatasetSpec>,
    how: How,
    output: &Output,
) -> (Changes, Vec<Done>) {
    let found: Vec<Result<Resolved, Error>> = datasets
        .iter()
        .map(|dataset| {
            let is_vendored = dataset.request.identity.torrent.is_some();
            if !is_vendored {
                check_own(dataset)?;
                // Can take a while if only peers have it.
                output.say(format_args!("looking for the torrent of `{}`", dataset.name()));
            }
            let found = app.look_up(dataset)?;
            match dataset.request.identity.torrent {
                Some(_) if how.refresh => app.newest(dataset, &found),
                _ => Ok(found),
            }
        })
        .collect();
    let torrents: Vec<(&DatasetSpec, &Resolved)> = datasets
        .iter()
        .zip(&found)
        .filter_map(|(dataset, found)| Some((dataset, found.as_ref().ok()?)))
        .collect();
    let planned = plan(package, &torrents, how);
    let written = planned.and_then(|changes| changes.write().map(|()| changes));
    let done = datasets.into_iter().zip(found).map(|(dataset, found)| {
        let is_new = dataset.request.identity.torrent.is_none();
        let written = |_| written.as_ref().map(|_| is_new).map_err(Error::clone);
        Done { package: name.to_owned(), result: found.and_then(written), dataset }
    });
    let done = done.collect();
    (written.unwrap_or_default(), done)
}

/// Plans to keep the `.torrent` of each dataset in its package. Existing files are kept or, with
/// `refresh`, replaced.
///
/// # Errors
/// [`academictorrents::ErrorKind::Manifest`] for an unsupported manifest;
/// [`academictorrents::ErrorKind::Disk`]; [`academictorrents::ErrorKind::Metainfo`] for a passkey
/// that cannot be removed.
fn plan(
    package: &Package,
    datasets: &[(&DatasetSpec, &Resolved)],
    How { keep_passkey, refresh }: How,
) -> Result<Changes, Error> {
    let path = &package.manifest;
    let mut changes = Changes::default();
    let old = std::fs::read_to_string(path).map_err(|why| Error::disk("read", path, &why))?;
    let mut new = old.clone();
    for (dataset, torrent) in datasets {
        let name = dataset.name();
        if let Some(path) = &dataset.request.identity.torrent {
            if refresh {
                let before = std::fs::read(path).map_err(|why| Error::disk("read", path, &why))?;
                let (bytes, note) =
                    shareable(torrent, keep_passkey).map_err(|error| error.for_dataset(name))?;
                if bytes != before {
                    changes.replaced_bytes(path.clone(), before, bytes);
                    changes.notes.extend(note);
                }
            } else if !keep_passkey {
                warn_of_passkeys(&mut changes, path, &torrent.bytes);
            }
            continue;
        }
        let place = place(&mut changes, package, name, torrent, keep_passkey)
            .map_err(|error| error.for_dataset(name))?;
        let place = (place.as_str(), keep_passkey);
        new = declare(&mut changes, (path, &new), dataset, torrent, place)
            .map_err(|error| error.for_dataset(name))?;
    }
    Manifest::parse(&new, path)?;
    if new != old {
        changes.text(path.clone(), Some(old), new);
    }
    Ok(changes)
}

fn show(changes: &Changes, done: &[Done], manifest: &Path, output: &Output) {
    changes.show(manifest, output);
    let is_changed = |path: &Path| changes.files.iter().any(|file| file.path == path);
    for done in done.iter().filter(|done| matches!(done.result, Ok(false))) {
        if done.dataset.request.identity.torrent.as_deref().is_some_and(is_changed) {
            continue;
        }
        output.say(format_args!("the .torrent of `{}` already exists", done.dataset.name()));
    }
}

fn show_mirror(directory: &Path, mirrored: &[Done], output: &Output) {
    for done in mirrored {
        if let (Ok(is_new), Ok(Some(infohash))) = (&done.result, done.dataset.infohash()) {
            let path = directory.join(infohash.to_string());
            let was = if *is_new { "" } else { " (already complete)" };
            output.result(format_args!("{}  {}{was}", path.display(), done.dataset.name()));
        }
    }
    if mirrored.iter().all(|done| done.result.is_err()) {
        return;
    }
    // In the variable, spaces and commas separate list entries.
    let path = directory.display().to_string();
    if path.contains([' ', ',']) {
        output.say(format_args!(
            "to build from this mirror, set `mirrors = [{path:?}]` in your configuration file"
        ));
    } else {
        output.say(format_args!("to build from this mirror, set ACADEMICTORRENTS_MIRRORS={path}"));
    }
}

fn document(done: &Done) -> Value {
    json!({
        "package": done.package,
        "name": done.dataset.name(),
        "infohash": done.dataset.infohash_text(),
        "is_new": done.result.as_ref().is_ok_and(|is_new| *is_new),
        "error": done.result.as_ref().err().map(output::document),
    })
}
