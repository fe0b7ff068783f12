//! Transfers between this crate and independent programs on loopback, such as nginx, opentracker and Transmission.
//!
//! | file | contents |
//! | --- | --- |
//! | `harness` | runs the trials and reports which are ignored because a program is missing |
//! | `program` | finds a program, starts it on a free port, and ends it with the trial |
//! | `web_servers`, `clients`, `trackers` | the counterparts: how each is started, and why so |
//! | `download_from` | trials: we download from each counterpart |
//! | `magnet_from` | the same by magnet link, when only the infohash is known |
//! | `serve_to` | each client downloads from our `seed` |
//! | `proxies` | we download through squid |
//! | `black_hole` | we download from hosts whose IPv6 address never answers |
//! | `system_roots` | we download from a server whose certificate only the system's trust store can verify |
//! | `archives` | we unpack archives of tar, bsdtar, zip, 7-Zip, Python and the compressors |
//! | `create` | we download what a `.torrent` describes that the guide's command created |
//! | `odd_file_systems` | we store on file systems without permissions, or without settable times |
//! | `namespace` | runs this program again with its own network and mounts |
//!
//! For a new direction, add a file of trials beside `download_from` and a line in [`main`]; how the counterparts
//! are started does not change.
//!
//! If a program or the crate's feature `seed` is missing, its trials are reported as ignored. With
//! `INTEROP=required`, as in `.ci/run`, they fail.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod archives;
mod black_hole;
mod clients;
mod create;
mod download_from;
mod harness;
mod magnet_from;
mod namespace;
mod odd_file_systems;
mod program;
mod proxies;
mod serve_to;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "../it/support/mod.rs"]
mod support;
#[allow(unused_imports, reason = "the other tests use the rest")]
#[path = "../it/swarm/mod.rs"]
mod swarm;
mod system_roots;
mod trackers;
mod web_servers;

fn main() -> std::process::ExitCode {
    if let Some(trial) = namespace::inside() {
        match trial.split("::").next() {
            Some("system_roots") => system_roots::inside(),
            Some("odd_file_systems") => odd_file_systems::inside(&trial),
            _ => black_hole::inside(&trial),
        }
        return std::process::ExitCode::SUCCESS;
    }
    harness::run(
        &[
            download_from::trials(),
            magnet_from::trials(),
            serve_to::trials(),
            proxies::trials(),
            black_hole::trials(),
            system_roots::trials(),
            odd_file_systems::trials(),
            archives::trials(),
            create::trials(),
        ]
        .concat(),
    )
}
