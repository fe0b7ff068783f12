//! `cargo academictorrents seed`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use academictorrents::engine::size::parse_duration;
use academictorrents::{Error, ErrorKind, Seed, StopHandle};
use serde_json::json;

use crate::Common;
use crate::dataset_spec::DatasetSpec;
use crate::output::{Output, Result};
use crate::seed_table;
use crate::words::parse_size;
use crate::workspace;

/// Serve datasets of the store to peers, and print how many bytes were sent
///
/// Whoever asks for them by the BitTorrent protocol is served: builds that name this machine in ACADEMICTORRENTS_PEERS,
/// and those who hear of it from the torrents' trackers, or from the DHT. What builds are fetching right now is served, too, piece by piece.
///
/// On a terminal a table shows of each dataset what is there, its peers, what was sent and how fast. Why a tracker
/// fails, or is never asked, is told when it is new or has changed; with `-v` also what others answer.
///
/// It goes on until the ratio or the time is reached, or until a signal ends it (Ctrl-C, SIGTERM, SIGHUP): then trackers are told, for
/// less than a second, and the exit status is 130. A second Ctrl-C ends it at once. Where one of these is
/// ignored, as under `nohup`, it stays so, and the others end it without a goodbye.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents seed
  cargo academictorrents seed mnist --rate 4MiB
  cargo academictorrents seed 323a0048d87ca79b68f12a6350a57776b6a3b7fb --port 6881 --rate 4MiB --ratio 2
  cargo academictorrents seed mnist.torrent --fetch --for 8h")]
pub(crate) struct SeedArguments {
    /// Keys in the manifest, infohashes, magnet links or paths of .torrent files; without any, all of the store
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// A directory that holds datasets in the torrent's own layout, or another store; may be given again
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// The TCP port to listen on; 0 is any that is free
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Send at most so many bytes a second: `500kB`, `4MiB`; no limit where it is not given
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    rate: Option<u64>,
    /// End when so many times the datasets' size was sent
    #[arg(long, value_name = "N", value_parser = ratio)]
    ratio: Option<f64>,
    /// End after this time: `90s`, `30m`, `8h`
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Fetch what is missing, and serve what is verified meanwhile
    #[arg(long)]
    fetch: bool,
    /// Let so many peers be connected at a time; a quarter of them may be of one host, and eight in any case
    #[arg(long, value_name = "N", default_value_t = 200)]
    connections: usize,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: SeedArguments, common: &Common, output: &Output) -> Result {
    let SeedArguments { names, from, port, rate, ratio, time, fetch, connections, workspace } =
        arguments;
    let mut ids = Vec::new();
    for name in &names {
        ids.push(seed_id(&workspace.dataset(name, common)?)?);
    }
    let mut seed = Seed::new(ids).port(port).fetch(fetch).connections(connections);
    for directory in from {
        seed = seed.from(directory);
    }
    if let Some(directory) = &common.store {
        seed = seed.store(directory);
    }
    if let Some(rate) = rate {
        seed = seed.rate(rate);
    }
    if let Some(ratio) = ratio {
        seed = seed.ratio(ratio);
    }
    if let Some(time) = time {
        seed = seed.for_time(time);
    }
    // What lies in directories is hashed now; until it is served there is nobody to say goodbye to.
    let seeding = seed.start()?;
    let interrupted = stop_at_signals(seeding.stop_handle(), output);
    output.say(format_args!("listening on port {}", seeding.local_addr().port()));
    let datasets = seed_table::watch(&seeding, output);
    let bytes = seeding.wait()?;
    if output.json {
        let datasets: Vec<_> = datasets
            .iter()
            .map(|it| {
                json!({
                    "torrent_name": it.name,
                    "infohash": it.infohash.to_string(),
                    "done_bytes": it.there_bytes,
                    "size_bytes": it.total_bytes,
                    "uploaded_bytes": it.uploaded_bytes,
                })
            })
            .collect();
        output.document(&json!({ "datasets": datasets, "uploaded_bytes": bytes }));
    } else {
        output.result(bytes);
    }
    if interrupted.load(Ordering::Acquire) {
        std::process::exit(INTERRUPTED);
    }
    Ok(())
}

/// By what [`Seed`] knows a dataset: the path of its `.torrent`, else its infohash.
fn seed_id(dataset: &DatasetSpec) -> Result<String, Error> {
    if let Some(torrent) = &dataset.request.identity.torrent {
        let odd = || {
            Error::new(ErrorKind::Manifest, format!("{} is not UTF-8", torrent.display()))
                .help("rename it, or give the infohash")
        };
        return torrent.to_str().map(str::to_owned).ok_or_else(odd);
    }
    let infohash = dataset.infohash()?;
    Ok(infohash.map(|infohash| infohash.to_string()).unwrap_or_default())
}

/// The exit status of what a Ctrl-C has ended, as shells have it. The handler is not told which signal it was.
const INTERRUPTED: i32 = 130;

/// Says goodbye at the first signal, and ends at once at the second. Gives whether there was one.
fn stop_at_signals(seeding: StopHandle, output: &Output) -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&interrupted);
    let handler = move || {
        if seen.swap(true, Ordering::AcqRel) {
            std::process::exit(INTERRUPTED);
        }
        seeding.stop();
    };
    // Who ignores a signal, as `nohup` does, wants it to be ignored: the handler would take all or none.
    if let Err(why) = ctrlc::try_set_handler(handler) {
        output
            .say(format_args!("note: a signal will end this without a goodbye to trackers: {why}"));
    }
    interrupted
}

fn time(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("write a time, such as `90s`, `30m`, `8h`")
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0);
    ratio.ok_or("write a number above 0, such as `2` or `1.5`")
}
