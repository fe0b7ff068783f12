//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod desk;
mod gc;
mod get;
mod help;
mod import;
mod list;
mod path;
mod seed;
mod states;
