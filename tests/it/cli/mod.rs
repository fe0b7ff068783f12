//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod cite;
mod desk;
mod get;
mod help;
mod path;
mod search;
mod seed;
