//! `cargo academictorrents import`.

use std::path::PathBuf;

use academictorrents::tools::{Asked, Brought, Imported, size};
use serde_json::{Value, json};

use crate::output::{Failure, Output, document, tell_error};
use crate::workspace;
use crate::{Common, interrupt};

/// Take bytes that are on this machine already into the store, instead of fetching them
///
/// PATH is the torrent's file or directory, whatever it is called, or the directory that holds it. It is hashed piece by piece:
/// what is right is copied into the store (without taking space twice, where the file system can), and hashed there again.
/// Nothing is written at PATH, and only --hard-link changes anything there.
///
/// Without --id it is found out which of the datasets that the crates here declare PATH is, by names or sizes and then by hashes.
///
/// Where something is missing or wrong, the rest is taken over, `fetch` goes on from there, and the exit status is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents import ~/Downloads/mnist
  cargo academictorrents import --id 323a0048d87ca79b68f12a6350a57776b6a3b7fb /data/mnist.tar.gz
  cargo academictorrents import --id mnist.torrent --hard-link /data/mnist")]
pub(crate) struct Arguments {
    /// What to import; of several paths with one --id, each brings what it has
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Which dataset it is: its key in the manifest, an infohash, a magnet link, or the path of a .torrent
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Link the files instead of copying them, where PATH is complete and on the store's file system: they become read-only at
    /// PATH too, since what is written there would change the dataset of all projects
    #[arg(long = "hard-link")]
    link: bool,
    #[command(flatten)]
    workspace: workspace::Options,
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let datasets = match &arguments.id {
        Some(id) => vec![arguments.workspace.dataset(id, common)?],
        None => {
            let declared = arguments.workspace.declared(common)?;
            declared.into_iter().map(|declared| declared.dataset).collect()
        }
    };
    if datasets.is_empty() {
        return Err(Failure::Said(
            "no crate here declares a dataset\n  help: say by --id which it is".to_owned(),
        ));
    }
    let asked: Vec<&Asked> = datasets.iter().collect();
    let desk = common.desk()?;
    interrupt::end_on_signal(desk.stop());
    let mut failed = false;
    let mut documents = Vec::new();
    for path in &arguments.paths {
        let shown = path.display().to_string();
        let brought = desk.import(&asked, path, arguments.id.is_some(), arguments.link);
        let brought = match brought {
            Ok(brought) => brought,
            Err(error) => {
                failed = true;
                tell_error(&error);
                documents.push(json!({ "path": shown, "datasets": [], "error": document(&error) }));
                continue;
            }
        };
        let mut took = Vec::new();
        for it in &brought.datasets {
            let name = asked[it.index].name();
            match &it.result {
                Ok(imported) => {
                    failed |= imported.missing_bytes > 0;
                    took.push(json_of(name, imported));
                    if !output.json {
                        tell(name, imported, arguments, output);
                    }
                }
                Err(error) => {
                    failed = true;
                    tell_error(error);
                    took.push(json!({ "name": name, "error": document(error) }));
                }
            }
        }
        let mut error = Value::Null;
        if brought.datasets.is_empty() {
            failed = true;
            let text = unfit(&shown, &brought, &asked, arguments.id.is_some());
            output.error(&text);
            error = json!({ "kind": "verification", "dataset": null, "message": text });
        }
        documents.push(json!({ "path": shown, "datasets": took, "error": error }));
    }
    if output.json {
        output.document(&json!({ "paths": documents }));
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

fn tell(name: &str, imported: &Imported, arguments: &Arguments, output: &Output) {
    if let Some(path) = imported.path() {
        output.result(path.display());
        let how = match (imported.was_there, imported.adopted.linked, imported.adopted.copied) {
            (true, ..) => "was in the store already".to_owned(),
            (false, 0, copied) => format!("is in the store now, {} by copy", files(copied)),
            (false, linked, 0) => {
                format!("is in the store now, {} by link, read-only from now on", files(linked))
            }
            (false, linked, copied) => format!(
                "is in the store now, {} by link, read-only from now on, and {} by copy",
                files(linked),
                files(copied)
            ),
        };
        output.say(format_args!("{name} {how}"));
        if arguments.link && imported.adopted.copied > 0 {
            output.warn("what could not be linked was copied: links lead nowhere but to the same file system");
        }
        return;
    }
    let there = imported.needed_bytes - imported.missing_bytes;
    let mut text = format!(
        "{name} is not complete: {} of {} are in the store now",
        size(there),
        size(imported.needed_bytes)
    );
    if let Some(fault) = &imported.fault {
        text += &format!("\n  {fault}");
    }
    text += &format!(
        "\n  help: cargo academictorrents {}, for the other {}",
        match &arguments.id {
            Some(id) if academictorrents::tools::asked(id).is_ok() => format!("get {id}"),
            _ => "fetch".to_owned(),
        },
        size(imported.missing_bytes)
    );
    output.error(&text);
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn unfit(path: &str, brought: &Brought, asked: &[&Asked], named: bool) -> String {
    let mut text = match asked {
        [only] if named => format!("{path} is not the dataset `{}`", only.name()),
        _ => format!("{path} is none of the datasets that are declared here"),
    };
    for (index, why) in &brought.unfit {
        let why = why.replace('\n', "\n  ");
        text += &format!("\n  {}: {why}", asked[*index].name());
    }
    text += match named {
        true => {
            "\n  help: give the torrent's file or root directory, or the directory that holds it"
        }
        false => "\n  help: say by --id which it is",
    };
    text
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
        "was_there": imported.was_there,
        "linked_files": imported.adopted.linked,
        "copied_files": imported.adopted.copied,
        "fault": imported.fault,
        "error": null,
    })
}
