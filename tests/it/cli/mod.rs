//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`. A file for each verb.

mod desk;
mod doctor;
mod get;
mod help;
mod info;
mod path;
mod seed;
mod verify;
