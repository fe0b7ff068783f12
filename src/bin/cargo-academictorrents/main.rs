//! `cargo academictorrents`: the command line, on the public API of the library.
//!
//! Results go to stdout, all else to stderr. Exit status: 0, 1 where the dataset could not be provided or served, 2 for arguments
//! that cannot be used, 130 where a signal ended `seed`.
#![expect(clippy::print_stderr, reason = "the command line's own output")]

mod seed;

use std::path::PathBuf;
use std::process::ExitCode;

use academictorrents::{Error, Get};
use clap::{Parser, Subcommand};

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
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Fetch one dataset, and print its path
    ///
    /// Into the store that builds share, or into a directory in the torrent's own layout. What is there already is
    /// hashed, and only what is missing or damaged is fetched; a run that was ended is gone on from.
    ///
    /// The environment variables of builds (ACADEMICTORRENTS_MIRRORS, _PEERS, _OFFLINE, …) hold here too.
    #[command(after_help = "Examples:
  cargo academictorrents get 323a0048d87ca79b68f12a6350a57776b6a3b7fb --into data
  cargo academictorrents get mnist.torrent --into data")]
    Get {
        /// An infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path of a .torrent
        id: String,
        /// The directory that shall hold the dataset in the torrent's own layout
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    Seed(seed::Arguments),
}

fn main() -> ExitCode {
    let Cargo::Academictorrents(arguments) = Cargo::parse();
    let ended = match arguments.verb {
        Verb::Get { id, into } => get(id, into).map(|path| path.display().to_string()),
        Verb::Seed(arguments) => seed::run(arguments),
    };
    match ended {
        Ok(result) => {
            use std::io::Write as _;
            // A closed pipe is no failure: whoever closed it has read what it wanted.
            let _ = writeln!(std::io::stdout(), "{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn get(id: String, into: Option<PathBuf>) -> Result<PathBuf, Error> {
    let get = Get::new(id);
    match into {
        Some(directory) => get.into(directory),
        None => get,
    }
    .run()
}
