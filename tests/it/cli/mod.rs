//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod desk;
mod fetch;
mod get;
mod help;
#[cfg(unix)]
mod interrupt;
mod path;
mod seed;
#[cfg(unix)]
mod signals;
