//! Tests of the whole crate from outside, against servers of our own on loopback.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]
mod cargo;
mod choice;
#[cfg(feature = "cli")]
mod cli;
mod costs;
mod elsewhere;
mod faults;
mod fixture;
mod get;
mod https;
mod magnets;
mod modules;
mod named;
mod refusals;
mod resume;
mod situations;
mod sources;
mod support;
mod swarm;
mod tidy;
mod torrents;
