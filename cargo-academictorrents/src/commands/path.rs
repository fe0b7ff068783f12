//! `cargo academictorrents path`.

use serde_json::json;

use crate::Common;
use crate::failure::CommandError;
use crate::output::{Output, Result};
use crate::workspace;

/// Print the path of a dataset
///
/// For scripts: prints only the path, or fails if the dataset is not on this machine. Nothing is downloaded, and no socket is
/// opened.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ls \"$(cargo academictorrents path mnist)\"")]
pub(crate) struct PathArguments {
    /// The dataset's key in the manifest, or an infohash, magnet link or path of a .torrent
    #[arg(value_name = "NAME|ID")]
    name: String,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: &PathArguments, common: &Common, output: &Output) -> Result {
    let dataset = arguments.workspace.dataset(&arguments.name, common)?;
    let missing = CommandError::NotFetched(arguments.name.clone()).error();
    let path = common.app()?.present_or_hashed(&dataset, missing)?;
    if output.json {
        output.document(&json!({ "path": path.display().to_string() }));
    } else {
        output.path("", &path);
    }
    Ok(())
}
