//! Tests of the command line, called as Cargo calls it: `cargo-academictorrents academictorrents
//! …`. Each command has its own file.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod add;
#[cfg(unix)]
mod ci;
mod cite;
mod cli_fixture;
mod completions;
mod config;
mod doctor;
mod fetch;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/it/fixture.rs"]
mod fixture;
mod gc;
mod get;
#[cfg(target_os = "linux")]
mod groups;
mod help;
mod import;
mod info;
#[cfg(unix)]
mod interrupt;
mod json;
#[cfg(target_os = "linux")]
mod layers;
#[cfg(unix)]
mod limits;
#[cfg(unix)]
mod links;
mod list;
mod locks;
mod man;
mod manual;
mod path;
mod search;
mod secrets;
mod seed;
#[cfg(unix)]
mod signals;
mod states;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/it/support/mod.rs"]
mod support;
#[allow(unused_imports, reason = "the library's tests use the rest")]
#[path = "../../../tests/it/swarm/mod.rs"]
mod swarm;
mod unpacking;
mod vendor;
mod verify;
