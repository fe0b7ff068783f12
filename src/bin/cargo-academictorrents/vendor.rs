//! `cargo academictorrents vendor`.

use std::path::{Path, PathBuf};

use academictorrents::tools::{self, Asked, Changes, Desk, Package, Torrent};
use serde_json::{Value, json};

use crate::output::{self, Failure, Output, tell_error};
use crate::{Common, changes, crates, interrupt, workspace};

/// Keep the .torrent of each declared dataset in its crate, so that no build has to look one up
///
/// It lies in `datasets/` beside the Cargo.toml, where the dataset's entry has the key `torrent` from then on. What is there
/// already stays as it is.
///
/// With --data a directory gets the data, too: of all crates here and of what they depend on. It is a mirror, as
/// ACADEMICTORRENTS_MIRRORS and the key `mirrors` take it, also behind a web server. A build that has it needs no network.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents vendor
  cargo academictorrents vendor mnist -p my-model
  cargo academictorrents vendor --data /mnt/usb/datasets")]
pub(crate) struct Arguments {
    /// The datasets' keys in the manifests; all where none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Make this directory a mirror of the data, by hard links to the store where the disk is the same
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    package: crates::Options,
}

/// What came of a dataset.
struct Done {
    package: String,
    dataset: Asked,
    result: Result<bool, academictorrents::Error>,
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let Arguments { names, data, package: options } = arguments;
    let is_meant =
        |dataset: &Asked| names.is_empty() || names.iter().any(|it| it == dataset.name());
    let data =
        data.as_deref().map(std::path::absolute).transpose().map_err(|why| {
            Failure::Said(format!("the directory of --data is not known\n  {why}"))
        })?;
    // All manifests are read before anything is changed.
    let mut declared = Vec::new();
    for (name, package) in options.packages()? {
        let mut datasets = tools::declared(&package.manifest)?;
        datasets.retain(is_meant);
        declared.push((name, package, datasets));
    }
    let of_all = match &data {
        Some(_) => {
            let workspace = workspace::Options::of(options);
            let mut all = workspace.declared(common)?;
            all.retain(|it| is_meant(&it.dataset));
            all
        }
        None => Vec::new(),
    };
    let known = declared.iter().flat_map(|(_, _, datasets)| datasets);
    let known: Vec<&Asked> = known.chain(of_all.iter().map(|it| &it.dataset)).collect();
    if let Some(name) = names.iter().find(|name| known.iter().all(|it| it.name() != name.as_str()))
    {
        return Err(Failure::Said(format!(
            "no dataset `{name}` is declared here\n  help: cargo academictorrents list"
        )));
    }
    if known.is_empty() {
        output.say("no dataset is declared here");
    }
    let desk = common.desk()?;
    if data.is_some() {
        interrupt::end_on_signal(desk.stop());
    }
    let (mut vendored, mut files) = (Vec::new(), Vec::new());
    for (name, package, datasets) in declared {
        let (changes, done) = vendor(&desk, &name, &package, datasets, output)?;
        for warning in &changes.warnings {
            output.warn(warning.replace('\n', "\n  "));
        }
        if output.json {
            files.extend(changes::document(&changes).as_array().cloned().unwrap_or_default());
        } else {
            show(&changes, &done, &package.manifest, output);
        }
        vendored.extend(done);
    }
    let mut mirrored = Vec::new();
    if let Some(directory) = &data {
        for declared in of_all {
            let result = desk.mirror(&declared.dataset, directory);
            if result.is_err() && desk.stop().is_stopped() {
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
    errors.iter().for_each(|error| tell_error(error));
    if errors.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// One crate: what can be looked up is kept, whatever becomes of the rest.
fn vendor(
    desk: &Desk,
    name: &str,
    package: &Package,
    datasets: Vec<Asked>,
    output: &Output,
) -> Result<(Changes, Vec<Done>), Failure> {
    let found: Vec<_> = datasets
        .iter()
        .map(|dataset| {
            if !dataset.is_vendored() {
                // It may take a while where only peers have it.
                output.say(format_args!("looking for the torrent of `{}`", dataset.name()));
            }
            desk.look_up(dataset)
        })
        .collect();
    let torrents: Vec<(&Asked, &Torrent)> = datasets
        .iter()
        .zip(&found)
        .filter_map(|(dataset, found)| Some((dataset, found.as_ref().ok()?)))
        .collect();
    let changes = tools::vendor(package, &torrents)?;
    changes.write()?;
    let done = datasets.into_iter().zip(found).map(|(dataset, found)| Done {
        package: name.to_owned(),
        result: found.map(|_| !dataset.is_vendored()),
        dataset,
    });
    Ok((changes, done.collect()))
}

fn show(changes: &Changes, done: &[Done], manifest: &Path, output: &Output) {
    changes::show(changes, manifest, output);
    for done in done.iter().filter(|done| matches!(done.result, Ok(false))) {
        output.say(format_args!("already there: the .torrent of `{}`", done.dataset.name()));
    }
}

fn show_mirror(directory: &Path, mirrored: &[Done], output: &Output) {
    for done in mirrored {
        if let (Ok(is_new), Ok(Some(infohash))) = (&done.result, done.dataset.infohash()) {
            let path = directory.join(infohash.to_string());
            let was = if *is_new { "" } else { " (already there)" };
            output.result(format_args!("{}  {}{was}", path.display(), done.dataset.name()));
        }
    }
    // A list in a variable ends at spaces and commas.
    let path = directory.display().to_string();
    if path.contains([' ', ',']) {
        output.say(format_args!(
            "a build takes it from there by `mirrors = [{path:?}]` in your configuration file"
        ));
    } else {
        output.say(format_args!("a build takes it from there by ACADEMICTORRENTS_MIRRORS={path}"));
    }
}

fn document(done: &Done) -> Value {
    json!({
        "package": done.package,
        "name": done.dataset.name(),
        "infohash": done.dataset.infohash().ok().flatten().map(|it| it.to_string()),
        "is_new": done.result.as_ref().is_ok_and(|is_new| *is_new),
        "error": done.result.as_ref().err().map(output::document),
    })
}
