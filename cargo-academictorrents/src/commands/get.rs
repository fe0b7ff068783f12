//! `cargo academictorrents get`.

use std::path::PathBuf;

use academictorrents::Error;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::manifest::{CallOptions, Identity, StoreKind};
use academictorrents::engine::size::display as size;
use academictorrents::engine::url::Url;
use academictorrents::engine::{self, Located};
use serde_json::json;

use crate::Common;
use crate::app::App;
use crate::dataset_spec::{DatasetSpec, asked_with, of};
use crate::interrupt;
use crate::output::{Failure, Output, Result};
use crate::source_flags::SourceFlags;
use crate::unpack_flags::UnpackFlags;
use crate::words::parse_size;

/// Download one dataset and print its path
///
/// The dataset goes to the store that builds share or, with --into, to a directory in the torrent's own layout. Existing data
/// is hashed, and only what is missing or damaged is downloaded. An interrupted run resumes.
///
/// The settings of builds (ACADEMICTORRENTS_MIRRORS, _PEERS, _OFFLINE, …) apply.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents get 323a0048d87ca79b68f12a6350a57776b6a3b7fb --into data
  cargo academictorrents get mnist.torrent --into data --files 'train/*.gz'
  cargo academictorrents get https://data.example.org/mnist.torrent --web-seed https://data.example.org/")]
pub(crate) struct GetArguments {
    /// An infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path or URL of a .torrent
    id: String,
    /// Store the dataset in this directory, in the torrent's own layout
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Replace existing files in DIR that do not belong to the dataset, and allow hidden paths
    #[arg(long, requires = "into")]
    force: bool,
    /// Select the files whose path in the torrent matches this glob, or exclude them with a leading `!`. Can be repeated
    #[arg(long, value_name = "GLOB")]
    files: Vec<String>,
    /// Store the dataset's file or directory under this name instead of the torrent's
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[command(flatten)]
    sources: SourceFlags,
    /// Refuse to download more than this: `500MB`, `20GiB` [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<u64>,
    #[command(flatten)]
    unpack: UnpackFlags,
}

pub(crate) fn run(arguments: &GetArguments, common: &Common, output: &Output) -> Result {
    let into = arguments.into.as_deref().map(|into| (into, arguments.force));
    let app = common.app_into(into)?;
    interrupt::end_on_signal(app.stop.clone());
    let options = CallOptions {
        files: arguments.files.clone(),
        rename: arguments.rename.clone(),
        max_size_bytes: arguments.max_size,
        unpack: arguments.unpack.options(),
        ..arguments.sources.options()
    };
    let dataset = asked(&app, &arguments.id, &options)?;
    let (outcomes, received_bytes) = app.fetch(&[&dataset], output.verbose);
    for outcome in outcomes {
        if outcome.result.is_err() && app.stop.is_stopped() {
            return Err(Failure::Stopped);
        }
        let path = outcome.result?;
        output.say(match received_bytes {
            0 if !outcome.has_written => "already complete".to_owned(),
            0 => "completed without a download: all data was on this machine".to_owned(),
            bytes => format!("fetched {}", size(bytes)),
        });
        if output.json {
            output.document(&json!({
                "infohash": dataset.infohash()?.map(|infohash| infohash.to_string()),
                "path": path.display().to_string(),
                "received_bytes": received_bytes,
            }));
        } else {
            output.path("", &path);
        }
    }
    Ok(())
}

/// Resolves an infohash, magnet link, path or URL of a `.torrent`. A URL is downloaded.
fn asked(app: &App, id: &str, options: &CallOptions) -> Result<DatasetSpec, Error> {
    let kind = if app.into.is_some() { StoreKind::Own } else { StoreKind::Shared };
    let url = Url::from(id);
    if !url.is_http() {
        return asked_with(id, options, kind);
    }
    // Check the options before any network access.
    of(&url.to_string(), Identity::default(), options, kind)?;
    let counters = Counters::default();
    let Located { metainfo, bytes, .. } = engine::at_url(&app.session(&counters), &url)?;
    let target = app.target(app.into.as_ref());
    target.create()?;
    target.workplace().keep_torrent(&metainfo, &bytes)?;
    of(&metainfo.shown_name(), metainfo.infohash.into(), options, kind)
}
