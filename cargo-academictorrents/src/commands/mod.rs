//! The subcommands: one file each, with its arguments, messages and JSON.

pub mod add;
pub mod cite;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod fetch;
pub mod gc;
pub mod get;
pub mod import;
pub mod info;
pub mod list;
pub mod man;
pub mod path;
pub mod search;
pub mod seed;
pub mod vendor;
pub mod verify;
