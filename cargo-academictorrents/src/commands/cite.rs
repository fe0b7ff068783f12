//! `cargo academictorrents cite`.

use serde_json::{Map, Value, json};

use crate::Common;
use crate::catalogue::MadeFrom;
use crate::output::{Output, Result};
use crate::workspace;

/// Print how a dataset is cited, in BibTeX
///
/// As the catalogue's record says; where that holds no BibTeX, title, authors, year, address and infohash make it. The record is kept
/// in the store for a day. Without the network, or where there is no record, the citation is made from what is on this
/// machine, and a warning says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents cite mnist >> paper/references.bib
  cargo academictorrents cite 323a0048d87ca79b68f12a6350a57776b6a3b7fb")]
pub(crate) struct CiteArguments {
    /// The dataset's key in the manifest, or an infohash, magnet link or path of a .torrent
    #[arg(value_name = "NAME|ID")]
    name: String,
    /// Ask the catalogue, even where the record is of today
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: &CiteArguments, common: &Common, output: &Output) -> Result {
    let dataset = arguments.workspace.dataset(&arguments.name, common)?;
    let citation = common.app()?.cite(&dataset, arguments.refresh)?;
    for note in &citation.notes {
        output.warn(note);
    }
    if !output.json {
        output.result(&citation.bibtex);
        return Ok(());
    }
    let text = citation.bibtex.to_string();
    let fields =
        citation.bibtex.fields.into_iter().map(|(name, value)| (name, Value::String(value)));
    output.document(&json!({
        "infohash": citation.infohash.to_string(),
        "key": citation.bibtex.key,
        "type": citation.bibtex.kind,
        "fields": fields.collect::<Map<_, _>>(),
        "bibtex": text,
        "made_from": match citation.made_from {
            MadeFrom::Bibtex => "bibtex",
            MadeFrom::Record => "record",
            MadeFrom::Database => "database",
            MadeFrom::Torrent => "torrent",
        },
        "notes": citation.notes,
    }));
    Ok(())
}
