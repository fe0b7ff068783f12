//! What we fetch from, and serve to, programs that others wrote, on loopback: nginx, opentracker, Transmission and their like.
//!
//! | file | what it is |
//! | --- | --- |
//! | `harness` | runs the trials, and says which cannot be run since a program is missing |
//! | `program` | a program that is found, started on a free port, and ended with the trial |
//! | `web_servers`, `clients`, `trackers` | the counterparts: how each is started, and why so |
//! | `download_from` | the trials: we fetch from each counterpart |
//! | `magnet_from` | and by magnet link, with nothing but the infohash known |
//! | `serve_to` | and each client fetches from our `seed` |
//!
//! A further direction is a file of trials beside `download_from` and a line in [`main`]: how a counterpart is started
//! does not depend on it.
//!
//! Without a program, or the crate's feature `seed`, its trials are reported as ignored. Where `INTEROP` is `required`, as in `.ci/run`, they fail.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod clients;
mod download_from;
mod harness;
mod magnet_from;
mod program;
mod serve_to;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "../it/support.rs"]
mod support;
mod swarm;
mod trackers;
mod web_servers;

fn main() -> std::process::ExitCode {
    harness::run(&[download_from::trials(), magnet_from::trials(), serve_to::trials()].concat())
}
