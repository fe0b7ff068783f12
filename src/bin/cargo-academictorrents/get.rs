//! `cargo academictorrents get`.

use std::path::PathBuf;

use academictorrents::Get;
use serde_json::json;

use crate::Common;
use crate::output::{Failure, Output};

/// Fetch one dataset, and print its path
///
/// Into the store that builds share, or into a directory in the torrent's own layout. What is there already is
/// hashed, and only what is missing or damaged is fetched; a run that was ended is gone on from.
///
/// The environment variables of builds (ACADEMICTORRENTS_MIRRORS, _PEERS, _OFFLINE, …) hold here too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents get 323a0048d87ca79b68f12a6350a57776b6a3b7fb --into data
  cargo academictorrents get mnist.torrent --into data")]
pub(crate) struct Arguments {
    /// An infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path of a .torrent
    id: String,
    /// The directory that shall hold the dataset in the torrent's own layout
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let mut get = Get::new(arguments.id);
    if let Some(directory) = arguments.into {
        get = get.into(directory);
    }
    if let Some(store) = &common.store {
        get = get.store(store);
    }
    if common.offline {
        get = get.offline(true);
    }
    let path = get.run()?;
    if output.json {
        output.document(&json!({ "path": path.display().to_string() }));
    } else {
        output.result(path.display());
    }
    Ok(())
}
