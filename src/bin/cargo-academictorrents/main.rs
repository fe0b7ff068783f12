//! `cargo academictorrents`: the command line, on the public API of the library and what it keeps for this program in `tools`.
//!
//! Each verb has a file: its arguments, its words, its JSON. What was asked for goes to stdout, all else to stderr. Exit status: 0; 1 where
//! something could not be provided, served or found, or is not as it should be; 2 for arguments that cannot be used; 130 after Ctrl-C.

mod add;
mod changes;
mod cite;
mod completions;
mod config;
mod crates;
mod doctor;
mod fetch;
mod gc;
mod get;
mod import;
mod info;
mod interrupt;
mod list;
mod live;
mod man;
mod output;
mod path;
mod search;
mod seed;
mod table;
mod vendor;
mod verify;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use academictorrents::Error;
use academictorrents::tools::Desk;
use clap::{Args as _, Parser, Subcommand};

use output::{Failure, Output};

/// Cargo runs `cargo-academictorrents academictorrents …` for `cargo academictorrents …`.
#[derive(Debug, Parser)]
#[command(name = "cargo", bin_name = "cargo", disable_help_subcommand = true)]
enum Cargo {
    Academictorrents(Arguments),
}

/// Datasets from Academic Torrents: verified, from peers and web seeds
#[derive(Debug, clap::Args)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What all verbs understand.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Common options")]
struct Common {
    /// Where the store is, in place of ACADEMICTORRENTS_STORE
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Open no socket. It stands after `academictorrents`: cargo keeps the one before it to itself
    #[arg(long, global = true)]
    offline: bool,
    #[command(flatten)]
    output: output::Options,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(add::Arguments),
    Cite(cite::Arguments),
    Completions(completions::Arguments),
    Config(config::Arguments),
    Doctor(doctor::Arguments),
    Fetch(fetch::Arguments),
    Gc(gc::Arguments),
    Get(get::Arguments),
    Import(import::Arguments),
    Info(info::Arguments),
    List(list::Arguments),
    Man(man::Arguments),
    Path(path::Arguments),
    Search(search::Arguments),
    Seed(seed::Arguments),
    Vendor(vendor::Arguments),
    Verify(verify::Arguments),
}

impl Common {
    fn desk(&self) -> Result<Desk, Error> {
        let desk = Desk::open(self.store.as_deref(), self.offline)?;
        Ok(if self.output.quiet { desk.without_progress() } else { desk })
    }
}

/// The program's own name.
const PROGRAM: &str = "cargo-academictorrents";

/// What the command line said. Called by its own name the program is told only what follows that.
fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_none_or(|word| word != "academictorrents") {
        words.insert(words.len().min(1), "academictorrents".into());
    }
    words
}

/// The program as one command, for completions and manual pages.
fn program() -> clap::Command {
    Arguments::augment_args(clap::Command::new(PROGRAM)).disable_help_subcommand(true)
}

fn main() -> ExitCode {
    let Cargo::Academictorrents(Arguments { common, verb }) = Cargo::parse_from(words());
    let output = Output::new(&common.output);
    let ended = match verb {
        Verb::Add(arguments) => add::run(&arguments, &common, &output),
        Verb::Cite(arguments) => cite::run(&arguments, &common, &output),
        Verb::Completions(arguments) => completions::run(&arguments, &output),
        Verb::Config(arguments) => config::run(&arguments, &common, &output),
        Verb::Doctor(arguments) => doctor::run(&arguments, &common, &output),
        Verb::Fetch(arguments) => fetch::run(&arguments, &common, &output),
        Verb::Gc(arguments) => gc::run(&arguments, &common, &output),
        Verb::Get(arguments) => get::run(&arguments, &common, &output),
        Verb::Import(arguments) => import::run(&arguments, &common, &output),
        Verb::Info(arguments) => info::run(&arguments, &common, &output),
        Verb::List(arguments) => list::run(&arguments, &common, &output),
        Verb::Man(arguments) => man::run(&arguments, &output),
        Verb::Path(arguments) => path::run(&arguments, &common, &output),
        Verb::Search(arguments) => search::run(&arguments, &common, &output),
        Verb::Seed(arguments) => seed::run(arguments, &common, &output),
        Verb::Vendor(arguments) => vendor::run(&arguments, &common, &output),
        Verb::Verify(arguments) => verify::run(&arguments, &common, &output),
    };
    match ended.and_then(|()| output.lost().map_or(Ok(()), Err)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure = if interrupt::heard() { Failure::Stopped } else { failure };
            failure.tell(&output);
            ExitCode::from(failure.status())
        }
    }
}
