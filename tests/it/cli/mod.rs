//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod desk;
mod fetch;
mod gc;
mod get;
mod help;
mod import;
#[cfg(unix)]
mod interrupt;
mod list;
mod path;
mod seed;
#[cfg(unix)]
mod signals;
mod states;
