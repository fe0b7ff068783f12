//! `cargo academictorrents import`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use academictorrents::engine::counters::{Counters, Phase};
use academictorrents::engine::error::printable;
use academictorrents::engine::manifest::absolute;
use academictorrents::engine::size::display as size;
use academictorrents::engine::{self, Import, Imported, Session};
use academictorrents::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::app::App;
use crate::dataset_spec::{self, DatasetSpec};
use crate::failure::CommandError;
use crate::output::{Failure, Output, Result, document, tell_error};
use crate::words::count;
use crate::workspace;
use crate::{Common, interrupt};

/// Copy existing files into the store instead of downloading them
///
/// PATH is the torrent's file or directory, under any name, or the directory that contains it. It is hashed piece by piece;
/// correct pieces are copied into the store (as copy-on-write clones where possible) and hashed there again. Nothing is written
/// at PATH; only --hard-link changes permissions there.
///
/// Without --id, the dataset is found among the declared ones, by names or sizes and then by hashes.
///
/// If something is missing or wrong, the rest is imported, `fetch` downloads what is missing, and the exit status is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents import ~/Downloads/mnist
  cargo academictorrents import --id 323a0048d87ca79b68f12a6350a57776b6a3b7fb /data/mnist.tar.gz
  cargo academictorrents import --id mnist.torrent --hard-link /data/mnist")]
pub(crate) struct ImportArguments {
    /// File or directory to import. With --id, several paths complement one another
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The dataset: its key in the manifest, an infohash, a magnet link, or the path of a .torrent
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Hard-link files instead of copying them, if PATH is complete and on the store's file system. They become read-only at
    /// PATH too, because a change would affect the dataset of all projects
    #[arg(long = "hard-link")]
    link: bool,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: &ImportArguments, common: &Common, output: &Output) -> Result {
    let datasets = match &arguments.id {
        Some(id) => vec![arguments.workspace.dataset(id, common)?],
        None if arguments.workspace.is_outside() => Vec::new(),
        None => {
            let declared = arguments.workspace.declared(common)?;
            declared.into_iter().map(|declared| declared.dataset).collect()
        }
    };
    if datasets.is_empty() {
        return Err(CommandError::NoDataset.into());
    }
    let app = common.app()?;
    interrupt::end_on_signal(app.stop.clone());
    let mut failed = false;
    let mut documents = Vec::new();
    for path in &arguments.paths {
        let shown = path.display().to_string();
        let (took, unfit) = match import(&app, &datasets, path, arguments) {
            Ok(brought) => brought,
            Err(error) => {
                failed = true;
                tell_error(&error);
                documents.push(json!({ "path": shown, "datasets": [], "error": document(&error) }));
                continue;
            }
        };
        let mut of_datasets = Vec::new();
        for (name, result) in &took {
            match result {
                Ok(imported) => {
                    failed |= imported.missing_bytes > 0;
                    of_datasets.push(json_of(name, imported));
                    if !output.json {
                        tell(name, imported, arguments, output);
                    }
                }
                Err(error) => {
                    failed = true;
                    tell_error(error);
                    of_datasets.push(failed_json(name, error));
                }
            }
        }
        let mut error = Value::Null;
        if took.is_empty() {
            failed = true;
            let text = nothing(&shown, &unfit, &datasets, arguments.id.is_some());
            output.error(&text);
            error = json!({ "kind": "verification", "dataset": null, "message": text });
        }
        documents.push(json!({ "path": shown, "datasets": of_datasets, "error": error }));
    }
    if output.json {
        output.document(&json!({ "paths": documents }));
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// The datasets that a path contained something of, by name, with the result of their import.
type Took<'a> = Vec<(&'a str, Result<Imported, Error>)>;
/// Datasets that did not fit or could not be tried, with the reason.
type Unfit<'a> = Vec<(&'a str, String)>;

/// Imports what a path contains of these datasets. A path for a dataset that the user named may
/// have any name and size. Otherwise all datasets whose names or sizes fit are tried: first those
/// whose torrents are on this machine, then, if none fits, the others.
///
/// # Errors
/// [`ErrorKind::Disk`] if the path does not exist.
fn import<'a>(
    app: &App,
    datasets: &'a [DatasetSpec],
    path: &Path,
    arguments: &ImportArguments,
) -> Result<(Took<'a>, Unfit<'a>), Error> {
    let named = arguments.id.is_some();
    let path = absolute(path)?;
    std::fs::metadata(&path).map_err(|why| Error::disk("read", &path, &why))?;
    let counters = Arc::new(Counters::default());
    let _ = app.store.create_locks(); // a write to the store reports the failure
    let _bars = app.draw(&counters, false);
    let (mut took, mut unfit) = (Took::new(), Unfit::new());
    for ask in [false, true] {
        if !took.is_empty() {
            break;
        }
        unfit.clear();
        for dataset in datasets {
            let mut session = app.session(&counters);
            session.manifest = dataset.manifest();
            match one(&session, dataset, &path, (arguments.link, named, ask), &counters) {
                Ok(Import::Done(mut done)) => {
                    done.torrent_name = printable(&done.torrent_name);
                    took.push((dataset.name(), Ok(done)));
                }
                Ok(Import::Unfit(why)) => unfit.push((dataset.name(), why)),
                // It is unknown whether the user meant this dataset.
                Err(error) if !named && !is_of_the_store(&error) => {
                    unfit.push((dataset.name(), error.to_string()));
                }
                Err(error) => took.push((dataset.name(), Err(error))),
            }
        }
    }
    Ok((took, unfit))
}

fn is_of_the_store(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Disk | ErrorKind::Locked | ErrorKind::Verification)
}

fn one(
    session: &Session<'_>,
    dataset: &DatasetSpec,
    path: &Path,
    how: (bool, bool, bool),
    counters: &Counters,
) -> Result<Import, Error> {
    let (_, named, _) = how;
    let of_one = counters.add(dataset.name());
    let result = engine::import(session, &dataset.request, path, how, &of_one);
    of_one.set_phase(match &result {
        Ok(Import::Done(done)) if done.missing_bytes == 0 => Phase::Done,
        // An incomplete copy has its own message.
        Ok(Import::Unfit(_) | Import::Done(_)) => Phase::PassedOver,
        Err(error) if !named && !is_of_the_store(error) => Phase::PassedOver,
        Err(_) => Phase::Failed,
    });
    result.map_err(|error| error.for_dataset(dataset.name()))
}

fn tell(name: &str, imported: &Imported, arguments: &ImportArguments, output: &Output) {
    if let Some(path) = imported.path() {
        output.path("", path);
        let how =
            match (imported.already_complete, imported.adopted.linked, imported.adopted.copied) {
                (true, ..) => "was already in the store".to_owned(),
                (false, 0, copied) => format!("imported, {} copied", count(copied, "file")),
                (false, linked, 0) => {
                    format!("imported, {} hard-linked and now read-only", count(linked, "file"))
                }
                (false, linked, copied) => format!(
                    "imported, {} hard-linked and now read-only, {} copied",
                    count(linked, "file"),
                    count(copied, "file")
                ),
            };
        output.say(format_args!("{name}: {how}"));
        if arguments.link && imported.adopted.copied > 0 {
            output.warn("some files were copied: hard links work only within one file system");
        }
        return;
    }
    let there = imported.needed_bytes - imported.missing_bytes;
    let mut text = format!(
        "{name} is incomplete: {} of {} are now in the store",
        size(there),
        size(imported.needed_bytes)
    );
    if let Some(fault) = &imported.fault {
        text += &format!("\n  {fault}");
    }
    text += &format!(
        "\n  help: to download the other {}: cargo academictorrents {}",
        size(imported.missing_bytes),
        match &arguments.id {
            Some(id) if dataset_spec::asked(id).is_ok() => format!("get {id}"),
            _ => "fetch".to_owned(),
        }
    );
    output.error(&text);
}

fn nothing(path: &str, unfit: &Unfit<'_>, datasets: &[DatasetSpec], named: bool) -> String {
    let mut text = match datasets {
        [only] if named => format!("{path} is not the dataset `{}`", only.name()),
        _ => format!("{path} does not match any declared dataset"),
    };
    for (name, why) in unfit {
        text += &format!("\n  {name}: {}", why.replace('\n', "\n  "));
    }
    text += match named {
        true => {
            "\n  help: name the torrent's file or root directory, or the directory that contains it"
        }
        false => "\n  help: specify the dataset with --id",
    };
    text
}

fn failed_json(name: &str, error: &Error) -> Value {
    json!({
        "name": name,
        "infohash": null,
        "torrent_name": null,
        "complete": false,
        "path": null,
        "needed_bytes": null,
        "missing_bytes": null,
        "already_complete": false,
        "linked_files": 0,
        "copied_files": 0,
        "fault": null,
        "error": document(error),
    })
}

fn json_of(name: &str, imported: &Imported) -> Value {
    json!({
        "name": name,
        "infohash": imported.provided.infohash.to_string(),
        "torrent_name": imported.torrent_name,
        "complete": imported.missing_bytes == 0,
        "path": imported.path().map(|path| path.display().to_string()),
        "needed_bytes": imported.needed_bytes,
        "missing_bytes": imported.missing_bytes,
        "already_complete": imported.already_complete,
        "linked_files": imported.adopted.linked,
        "copied_files": imported.adopted.copied,
        "fault": imported.fault,
        "error": null,
    })
}
