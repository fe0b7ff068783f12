//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod add;
mod cite;
mod completions;
mod config;
mod desk;
mod doctor;
mod fetch;
mod gc;
mod get;
mod help;
mod import;
mod info;
#[cfg(unix)]
mod interrupt;
mod list;
mod man;
mod manual;
mod path;
mod search;
mod seed;
#[cfg(unix)]
mod signals;
mod states;
mod vendor;
mod verify;
