//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod cite;
mod completions;
mod desk;
mod get;
mod help;
mod man;
mod path;
mod search;
mod seed;
