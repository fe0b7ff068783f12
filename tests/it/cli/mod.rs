//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod add;
mod config;
mod desk;
mod get;
mod help;
mod path;
mod seed;
mod vendor;
