//! `cargo academictorrents add`.

use std::path::Path;

use academictorrents::tools::{self, Addition, Asked, Desk, Torrent, Wish, printable, size};
use academictorrents::{Error, ErrorKind};
use serde_json::json;

use crate::output::{Failure, Output, stdout};
use crate::{Common, changes, crates, interrupt};

/// So many files are shown without `--verbose`.
const MOST_FILES: usize = 5;

/// Declare a dataset in a Cargo.toml, with all that a build needs to bring it
///
/// The torrent is looked up, and shown. Then the Cargo.toml has one entry more, in the style that it is written in, the
/// build-dependency where it has none, and a build.rs where there is none. All else stays as it is; where anything fails,
/// nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents add 323a0048d87ca79b68f12a6350a57776b6a3b7fb
  cargo academictorrents add 323a0048d87ca79b68f12a6350a57776b6a3b7fb mnist --dry-run
  cargo academictorrents add images.torrent images --vendor --files 'train/**'")]
pub(crate) struct Arguments {
    /// An infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path of a .torrent
    id: String,
    /// The dataset's key: a-z, 0-9, `_`, `-`; it is made from the torrent's name where it is not given
    name: Option<String>,
    /// Only the files that this glob covers; may be given again
    #[arg(long, value_name = "GLOB")]
    files: Vec<String>,
    /// Builds ask for it only where these features of the crate are on
    #[arg(long, short = 'F', value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// A build that cannot have it warns, and goes on
    #[arg(long)]
    optional: bool,
    /// Keep the .torrent in the crate, so that a build looks nothing up
    #[arg(long)]
    vendor: bool,
    /// Write the SHA-256 of each file: what is not here is fetched for that
    #[arg(long)]
    pin: bool,
    /// Let a build fetch so much: `20GiB`. Above 1 GiB it is written where it is not given, too
    #[arg(long, value_name = "SIZE", value_parser = tools::parse_size)]
    max_size: Option<u64>,
    /// Show the lines, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    package: crates::Options,
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let package = arguments.package.package()?;
    let desk = common.desk()?;
    let dataset = tools::asked(&arguments.id)?.selecting(&arguments.files)?;
    let torrent = look_up(&desk, &dataset, arguments, output)?;
    let mut wish = Wish {
        name: arguments.name.clone(),
        files: arguments.files.clone(),
        required_features: arguments.features.clone(),
        optional: arguments.optional,
        max_size_bytes: arguments.max_size,
        vendor: arguments.vendor,
        pins: Vec::new(),
    };
    let mut addition = tools::add(&package, &dataset, torrent.as_ref(), &wish)?;
    if let Some(torrent) = torrent.as_ref().filter(|_| arguments.pin && !addition.already) {
        if arguments.dry_run && desk.present(&dataset).is_none() {
            output.warn("--pin: the data is not here, and a dry run does not fetch it: the lines have no pins");
        } else {
            interrupt::end_on_signal(desk.stop());
            wish.pins = desk.pins(&dataset, torrent)?;
            addition = tools::add(&package, &dataset, Some(torrent), &wish)?;
        }
    }
    if !arguments.dry_run {
        addition.changes.write()?;
    }
    if output.json {
        output.document(&document(&addition, torrent.as_ref(), &package.manifest, arguments));
    } else {
        if let Some(torrent) = &torrent {
            describe(torrent, output);
        }
        if addition.already {
            let manifest = package.manifest.display();
            output.result(format_args!("already there: `{}` in {manifest}", addition.name));
        }
        changes::show(&addition.changes, &package.manifest, output);
    }
    if dataset.is_vendored() && !arguments.vendor && !addition.already {
        output.say("help: a build on another machine looks the torrent up in the catalogue; where that does not have it, add --vendor");
    }
    tell(&addition, torrent.as_ref(), arguments, output);
    Ok(())
}

/// The torrent; `None` where it cannot be had and can be done without.
fn look_up(
    desk: &Desk,
    dataset: &Asked,
    arguments: &Arguments,
    output: &Output,
) -> Result<Option<Torrent>, Failure> {
    if let (false, Some(infohash)) = (dataset.is_vendored(), dataset.infohash()?) {
        // It may take a while where only peers have it.
        output.say(format_args!("looking for the torrent {infohash}"));
    }
    let error = match desk.look_up(dataset) {
        Ok(torrent) => return Ok(Some(torrent)),
        Err(error) if matches!(error.kind(), ErrorKind::Network | ErrorKind::Offline) => error,
        Err(error) => return Err(error.into()),
    };
    let needs = [(arguments.vendor, "--vendor"), (arguments.pin, "--pin")];
    match (&arguments.name, needs.iter().find(|(is_on, _)| *is_on)) {
        (Some(_), None) => {
            output
                .warn(format_args!("neither name nor size nor files are known: {}", talk(&error)));
            Ok(None)
        }
        (None, None) => {
            output.say("with a NAME behind the infohash, it is added without being looked up");
            Err(error.into())
        }
        (_, Some((_, option))) => {
            output.say(format_args!("{option} needs the torrent"));
            Err(error.into())
        }
    }
}

fn talk(error: &Error) -> String {
    let text = error.to_string();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("help:"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Name, size, files, sources.
fn describe(torrent: &Torrent, output: &Output) {
    let files = torrent.selected();
    output.result(stdout(torrent.name()).bold());
    output.result(format_args!("  infohash  {}", torrent.infohash()));
    output.result(format_args!("  size      {}", size_of(torrent)));
    let most = if output.verbose { files.len() } else { MOST_FILES };
    for (at, file) in files.iter().take(most).enumerate() {
        let label = if at == 0 { "files" } else { "" };
        let size = size(file.length_bytes);
        output.result(format_args!("  {label:8}  {size:>10}  {}", printable(&file.path)));
    }
    if files.len() > most {
        output.result(format_args!("            … and {} more", files.len() - most));
    }
    let (seeds, trackers) = (torrent.web_seeds().len(), torrent.trackers().len());
    let named = [count(seeds, "web seed"), count(trackers, "tracker")].join(", ");
    output.result(format_args!("  sources   {named}"));
}

fn size_of(torrent: &Torrent) -> String {
    let (files, all) = (torrent.selected(), torrent.file_count());
    let selected: u64 = files.iter().map(|file| file.length_bytes).sum();
    let (size, whole) = (size(selected), size(torrent.size_bytes()));
    if files.len() == all {
        format!("{size}, {}", count(all, "file"))
    } else {
        format!("{size}, {}; of {whole}, {}", count(files.len(), "file"), count(all, "file"))
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What its reader should know, and do next.
fn tell(addition: &Addition, torrent: Option<&Torrent>, arguments: &Arguments, output: &Output) {
    if let (Some(limit), Some(torrent)) = (addition.max_size_bytes, torrent) {
        output.say(format_args!(
            "a build fetches no more than 1 GiB unasked: `max-size` allows {} for these {}",
            size(limit),
            size(torrent.needed_bytes())
        ));
    }
    for warning in &addition.changes.warnings {
        output.warn(warning.replace('\n', "\n  "));
    }
    if arguments.dry_run {
        output.say("a dry run: nothing was written");
        return;
    }
    let variable = addition.variable();
    let only = match arguments.optional && !addition.already {
        true => format!(", where #[cfg(at_dataset = {:?})] holds", addition.name),
        false => String::new(),
    };
    output.say(format_args!("in the program: env!(\"AT_{variable}_PATH\"){only}"));
}

fn document(
    addition: &Addition,
    torrent: Option<&Torrent>,
    manifest: &Path,
    arguments: &Arguments,
) -> serde_json::Value {
    let torrent = torrent.map(|torrent| {
        let selected = torrent.selected();
        json!({
            "name": torrent.name(),
            "size_bytes": torrent.size_bytes(),
            "file_count": torrent.file_count(),
            "selected_size_bytes": selected.iter().map(|file| file.length_bytes).sum::<u64>(),
            "selected_file_count": selected.len(),
            "web_seeds": torrent.web_seeds(),
            "trackers": torrent.trackers(),
        })
    });
    json!({
        "name": addition.name,
        "infohash": addition.infohash.to_string(),
        "manifest": manifest.display().to_string(),
        "already_there": addition.already,
        "dry_run": arguments.dry_run,
        "path_variable": format!("AT_{}_PATH", addition.variable()),
        "torrent": torrent,
        "files": changes::document(&addition.changes),
        "warnings": addition.changes.warnings,
    })
}
