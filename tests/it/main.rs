//! Tests of the whole crate from outside, against servers of our own on loopback.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]
mod api_key;
mod brought;
mod calls;
mod cargo;
mod choice;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "seed")]
mod clusters;
mod costs;
mod data_crate;
mod dependencies;
#[cfg(all(feature = "dht", feature = "seed"))]
mod dht;
mod elsewhere;
mod environment;
#[cfg(target_os = "linux")] // whose system's words the snapshots hold
mod errors;
mod faults;
mod fixture;
mod get;
mod get_into;
mod get_options;
mod get_verify;
mod https;
mod magnets;
mod manual;
mod modules;
mod named;
mod optional;
mod peers;
mod proxies;
mod refusals;
mod resume;
mod roots;
#[cfg(feature = "seed")]
mod seeding;
mod serving_back;
mod situations;
mod sources;
mod support;
mod swarm;
mod tidy;
mod torrents;
mod udp_trackers;
