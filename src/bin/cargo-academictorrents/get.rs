//! `cargo academictorrents get`.

use std::path::PathBuf;

use academictorrents::tools::{self, Desk, Wishes};
use serde_json::json;

use crate::Common;
use crate::interrupt;
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
  cargo academictorrents get mnist.torrent --into data --files 'train/*.gz'
  cargo academictorrents get https://data.example.org/mnist.torrent --web-seed https://data.example.org/")]
pub(crate) struct Arguments {
    /// An infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path or web address of a .torrent
    id: String,
    /// The directory that shall hold the dataset in the torrent's own layout
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Only files that the glob covers, by their path below the torrent's own directory; may be given again
    #[arg(long, value_name = "GLOB")]
    files: Vec<String>,
    /// One more web seed: a single file's URL, else that of the directory that holds the torrent's; may be given again
    #[arg(long, value_name = "URL")]
    web_seed: Vec<String>,
    /// One more peer; may be given again
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
    /// One more tracker, http, https or udp; may be given again
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// A URL or a directory with `<infohash>.torrent` and `<infohash>/…`; may be given again
    #[arg(long, value_name = "URL|DIR")]
    mirror: Vec<String>,
    /// Refuse, before the first byte of data, to fetch more: `500MB`, `20GiB`; no limit where it is not given
    #[arg(long, value_name = "SIZE", value_parser = tools::parse_size)]
    max_size: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let desk = match &arguments.into {
        Some(into) => Desk::open_into(into, common.store.as_deref(), common.offline)?,
        None => common.desk()?,
    };
    interrupt::end_on_signal(desk.stop());
    let wishes = Wishes {
        files: arguments.files.clone(),
        web_seeds: arguments.web_seed.clone(),
        trackers: arguments.tracker.clone(),
        peers: arguments.peer.clone(),
        mirrors: arguments.mirror.clone(),
        max_size_bytes: arguments.max_size,
    };
    let dataset = desk.asked(&arguments.id, &wishes)?;
    let fetched = desk.fetch(&[&dataset], output.show());
    for outcome in fetched.outcomes {
        if outcome.result.is_err() && desk.stop().is_stopped() {
            return Err(Failure::Stopped);
        }
        let path = outcome.result?.display().to_string();
        output.say(match fetched.received_bytes {
            0 => "all of it was there already".to_owned(),
            bytes => format!("fetched {}", tools::size(bytes)),
        });
        if output.json {
            output.document(&json!({
                "infohash": dataset.infohash()?.map(|infohash| infohash.to_string()),
                "path": path,
                "received_bytes": fetched.received_bytes,
            }));
        } else {
            output.result(path);
        }
    }
    Ok(())
}
