//! `cargo academictorrents seed`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use academictorrents::engine::{self, SeedRequests, size::parse_duration};
use academictorrents::{Error, Seed, StopHandle};
use serde_json::json;

use crate::Common;
use crate::output::{Output, Result};
use crate::seed_table;
use crate::words::parse_size;
use crate::workspace;

/// Share datasets with other BitTorrent clients and builds
///
/// Serves peers that connect: builds that name this machine in ACADEMICTORRENTS_PEERS, and others that find it through trackers
/// or the DHT. Datasets that builds are downloading are served too.
///
/// On a terminal, a table shows each dataset with its progress, peers, bytes sent and rate. Failures of trackers are printed
/// once per cause; with `-v`, their answers too.
///
/// Ends when the ratio or time is reached, or on Ctrl-C, SIGTERM or SIGHUP. Trackers are notified within a second, and the exit
/// status is 130. A second Ctrl-C ends it at once. At the end, the number of bytes sent is printed. If one of the signals is
/// ignored, as under `nohup`, it stays ignored, and the others end the seed at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents seed
  cargo academictorrents seed mnist --rate 4MiB
  cargo academictorrents seed 323a0048d87ca79b68f12a6350a57776b6a3b7fb --port 6881 --ratio 2
  cargo academictorrents seed mnist.torrent --fetch --for 8h")]
pub(crate) struct SeedArguments {
    /// Keys in the manifest, infohashes, magnet links or paths of .torrent files [default: everything in the store]
    #[arg(value_name = "NAME|ID")]
    names: Vec<String>,
    /// Serve datasets that this directory contains under their torrents' names, or another store. Can be repeated
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// TCP port to listen on; 0 for any free port
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Send at most this many bytes per second: `500kB`, `4MiB` [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    rate: Option<u64>,
    /// End when N times the size of the datasets has been sent
    #[arg(long, value_name = "N", value_parser = ratio)]
    ratio: Option<f64>,
    /// End after this time: `90s`, `30m`, `8h`
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Download what is missing, and serve verified pieces meanwhile
    #[arg(long)]
    fetch: bool,
    /// Maximum number of connected peers; at most a quarter from one host, but at least eight
    #[arg(long, value_name = "N", default_value_t = 200)]
    connections: usize,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: SeedArguments, common: &Common, output: &Output) -> Result {
    let SeedArguments { names, from, port, rate, ratio, time, fetch, connections, workspace } =
        arguments;
    let mut requests = Vec::new();
    for name in &names {
        let mut request = workspace.dataset(name, common)?.request;
        // The seed announces a torrent to the trackers of requests with its infohash.
        request.identity.infohash = engine::infohash(&request)?;
        requests.push(request);
    }
    let offline = common.offline.then_some("--offline");
    let seed: Seed = SeedRequests { requests, offline }.into();
    let mut seed = seed.port(port).fetch(fetch).connections(connections);
    for directory in from {
        std::fs::metadata(&directory)
            .map_err(|why| Error::disk("read the directory", &directory, &why))?;
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
    // Directories are hashed here. Signals are handled only after that, because no tracker needs to
    // be notified before.
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
                    "done_bytes": it.done_bytes,
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

/// The exit status after Ctrl-C by shell convention. The handler does not learn which signal it
/// was.
const INTERRUPTED: i32 = 130;

/// Ends gracefully at the first signal and at once at the second. The result says whether there was
/// a signal.
fn stop_at_signals(seeding: StopHandle, output: &Output) -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&interrupted);
    let handler = move || {
        if seen.swap(true, Ordering::AcqRel) {
            std::process::exit(INTERRUPTED);
        }
        seeding.stop();
    };
    // A signal that is ignored, as under `nohup`, must stay ignored, but the handler would catch
    // all of them.
    if let Err(why) = ctrlc::try_set_handler(handler) {
        let why = match why {
            ctrlc::Error::MultipleHandlers => {
                "a signal is ignored, as by `nohup`, or by `&` in a script without `set -m`"
                    .to_owned()
            }
            why => why.to_string(),
        };
        output.say(format_args!(
            "note: trackers will not be notified if a signal ends the seed: {why}"
        ));
    }
    interrupted
}

fn time(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("expected a time, such as `90s`, `30m`, `8h`")
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0);
    ratio.ok_or("expected a number above 0, such as `2` or `1.5`")
}
