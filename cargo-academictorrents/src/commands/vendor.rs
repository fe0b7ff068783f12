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

/// The result for a dataset; `Ok(true)` if a file was written.
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
    let (mut warnings, mut notes) = (Vec::new(), Vec::new());
    for (name, package, datasets) in declared {
        let (changes, done) = vendor(&app, (&name, &package), datasets, how, output);
        changes.tell(output);
        if output.json {
            files.extend(changes.document().as_array().cloned().unwrap_or_default());
        } else {
            show(&changes, &done, &package.manifest, output);
        }
        warnings.extend(changes.warnings);
        notes.extend(changes.notes);
        vendored.extend(done);
    }
    let mut mirrored = Vec::new();
    if let Some(directory) = &data {
        for declared in of_all {
            let mirrored_as = mirror::mirror(&app, &declared.dataset, directory, *keep_passkey);
            let result = mirrored_as.map(|(is_new, note)| {
                if let Some(note) = note {
                    output.say(&note);
                    notes.push(note);
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
            "warnings": warnings,
            "notes": notes,
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

/// Vendors the torrents of one package. If the package cannot be changed, each of those that need a
/// change has that error, and the other packages continue.
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
    let (changes, planned) = plan(package, &datasets, found, how);
    let written = changes.write();
    let changes = if written.is_ok() { changes } else { changes.unwritten() };
    let done = datasets.into_iter().zip(planned).map(|(dataset, planned)| {
        let is_declared = dataset.request.identity.torrent.is_some();
        let result = planned.and_then(|is_new| match &written {
            Err(error) if is_new || !is_declared => Err(error.clone()),
            _ => Ok(is_new),
        });
        Done { package: name.to_owned(), dataset, result }
    });
    let done = done.collect();
    (changes, done)
}

/// Plans to keep the `.torrent` of each dataset in its package. Returns for each whether its file is
/// new or replaced, or its error, which does not affect the others.
fn plan(
    package: &Package,
    datasets: &[DatasetSpec],
    found: Vec<Result<Resolved, Error>>,
    how: How,
) -> (Changes, Vec<Result<bool, Error>>) {
    let path = &package.manifest;
    let mut changes = Changes::default();
    let old = match std::fs::read_to_string(path) {
        Ok(old) => old,
        Err(why) => {
            let error = Error::disk("read", path, &why);
            return (changes, found.into_iter().map(|it| it.and(Err(error.clone()))).collect());
        }
    };
    let mut new = old.clone();
    let planned = datasets.iter().zip(found).map(|(dataset, found)| {
        let torrent = found?;
        let is_changed = |changes: &Changes| {
            let path = dataset.request.identity.torrent.as_ref();
            changes.files.iter().any(|file| Some(&file.path) == path)
        };
        // Datasets may share a `.torrent`.
        if is_changed(&changes) {
            return Ok(true);
        }
        let mut of_one = Changes::default();
        new = plan_one(&mut of_one, (package, &new), dataset, &torrent, how)
            .map_err(|error| error.for_dataset(dataset.name()))?;
        let is_new = !of_one.files.is_empty();
        changes.append(of_one);
        Ok(is_new)
    });
    let planned = planned.collect();
    if new != old {
        changes.text(path.clone(), Some(old), new);
    }
    (changes, planned)
}

/// Plans to keep one `.torrent`: an existing file stays or, with `refresh`, is replaced. Returns the
/// manifest's new text.
///
/// # Errors
/// [`academictorrents::ErrorKind::Manifest`] for an unsupported manifest;
/// [`academictorrents::ErrorKind::Disk`]; [`academictorrents::ErrorKind::Metainfo`] for a passkey
/// that cannot be removed.
fn plan_one(
    changes: &mut Changes,
    (package, manifest): (&Package, &str),
    dataset: &DatasetSpec,
    torrent: &Resolved,
    How { keep_passkey, refresh }: How,
) -> Result<String, Error> {
    if let Some(path) = &dataset.request.identity.torrent {
        if refresh {
            let before = std::fs::read(path).map_err(|why| Error::disk("read", path, &why))?;
            let (bytes, note) = shareable(torrent, keep_passkey)?;
            if bytes != before {
                changes.replaced_bytes(path.clone(), before, bytes);
                changes.notes.extend(note);
            }
        } else if !keep_passkey {
            warn_of_passkeys(changes, path, &torrent.bytes);
        }
        return Ok(manifest.to_owned());
    }
    let place = place(changes, package, dataset.name(), torrent, keep_passkey)?;
    let path = &package.manifest;
    let new = declare(changes, (path, manifest), dataset, torrent, (&place, keep_passkey))?;
    Manifest::parse(&new, path)?;
    Ok(new)
}

fn show(changes: &Changes, done: &[Done], manifest: &Path, output: &Output) {
    changes.show(manifest, output);
    for done in done.iter().filter(|done| matches!(done.result, Ok(false))) {
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
