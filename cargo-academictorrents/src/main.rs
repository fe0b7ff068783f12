//! The command line, `cargo academictorrents`. Uses the library's public API and its hidden module
//! `engine`.
//!
//! Each subcommand has a file with its arguments, messages and JSON. Results are printed to stdout,
//! everything else to stderr. Exit status: 0; 1 if something could not be provided, served or
//! found, or is damaged; 2 for invalid arguments; 130 after Ctrl-C.

#![expect(
    unreachable_pub,
    reason = "a program exports nothing; `pub` marks items that other modules use"
)]

mod app;
mod catalogue;
mod changes;
mod commands;
mod crates;
mod dataset_spec;
mod edit;
mod failure;
mod interrupt;
mod output;
mod probes;
mod provide;
#[cfg(test)]
mod reference;
mod seed_table;
mod source_flags;
mod store_usage;
mod table;
mod torrent;
mod unpack_flags;
mod vendored;
mod words;
mod workspace;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use academictorrents::Error;
use academictorrents::engine::settings::{Context, Progress};
use academictorrents::engine::url;
use clap::{Args as _, Parser, Subcommand};

use app::App;
use commands::{
    add, cite, completions, config, doctor, fetch, gc, get, import, info, list, man, path, search,
    seed, vendor, verify,
};
use output::{Failure, Output};

/// Cargo runs `cargo-academictorrents academictorrents …` for `cargo academictorrents …`.
#[derive(Debug, Parser)]
#[command(name = "cargo", bin_name = "cargo", disable_help_subcommand = true)]
enum Cargo {
    Academictorrents(Arguments),
}

/// Verified datasets from Academic Torrents, for Cargo projects
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
    /// Use the store in DIR instead of ACADEMICTORRENTS_STORE
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Run without network access. Must come after `academictorrents`
    #[arg(long, global = true)]
    offline: bool,
    #[command(flatten)]
    output: output::OutputFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(add::AddArguments),
    Cite(cite::CiteArguments),
    Completions(completions::CompletionsArguments),
    Config(config::ConfigArguments),
    Doctor(doctor::DoctorArguments),
    Fetch(fetch::FetchArguments),
    Gc(gc::GcArguments),
    Get(get::GetArguments),
    Import(import::ImportArguments),
    Info(info::InfoArguments),
    List(list::ListArguments),
    Man(man::ManArguments),
    Path(path::PathArguments),
    Search(search::SearchArguments),
    Seed(seed::SeedArguments),
    Vendor(vendor::VendorArguments),
    Verify(verify::VerifyArguments),
}

impl Common {
    fn app(&self) -> Result<App, Error> {
        self.app_into(None)
    }

    /// As [`App::open`], with this process's environment. `--quiet` disables the progress display.
    fn app_into(&self, into: Option<(&Path, bool)>) -> Result<App, Error> {
        let context = Context::of_command();
        let mut app = App::open(context, self.store.as_deref(), self.offline, into)?;
        if self.output.quiet {
            app.settings.progress = Progress::Off;
        }
        Ok(app)
    }
}

/// The program's name.
const PROGRAM: &str = "cargo-academictorrents";

/// Returns the arguments as Cargo would pass them. If the user called the program directly, the
/// word `academictorrents` is missing and is inserted.
fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_none_or(|word| word != "academictorrents") {
        words.insert(words.len().min(1), "academictorrents".into());
    }
    words
}

/// Returns the program as one command, for completions and manual pages.
fn program() -> clap::Command {
    Arguments::augment_args(clap::Command::new(PROGRAM)).disable_help_subcommand(true)
}

/// Prints the requested help or version, or what is wrong with the arguments. Masks URLs that the
/// message quotes.
#[expect(clippy::print_stderr, reason = "as clap would print it")]
fn refused(error: &clap::Error) -> ExitCode {
    let said = error.to_string();
    let masked = url::masked(&said);
    if masked == said {
        error.exit();
    }
    eprint!("{masked}");
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let Cargo::Academictorrents(Arguments { common, verb }) = match Cargo::try_parse_from(words()) {
        Ok(cargo) => cargo,
        Err(error) => return refused(&error),
    };
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
