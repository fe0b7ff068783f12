//! `cargo academictorrents add`.

mod build_script;
mod dependency;
mod names;
mod plan;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use academictorrents::engine::Resolved;
use academictorrents::engine::error::printable;
use academictorrents::engine::manifest::StoreKind;
use academictorrents::engine::origin::TorrentOrigin;
use academictorrents::engine::size::display as size;
use academictorrents::engine::storage::{self, Site};
use academictorrents::engine::torrent::Metainfo;
use academictorrents::engine::url::Url;
use academictorrents::{Error, ErrorKind, Infohash};
use serde_json::json;

use crate::app::App;
use crate::catalogue::Citation;
use crate::changes::Changes;
use crate::dataset_spec::{self, DatasetSpec};
use crate::edit::PinList;
use crate::output::{Output, Result, stdout};
use crate::source_flags::SourceFlags;
use crate::torrent::{self, selected};
use crate::unpack_flags::UnpackFlags;
use crate::words::{count, parse_size};
use crate::{Common, crates, interrupt};
use dependency::DependencyFlags;

/// How many files are shown without `--verbose`.
const MOST_FILES: usize = 5;

/// Declare a dataset in Cargo.toml, with everything that a build needs
///
/// Looks up the torrent and shows it, then adds an entry to Cargo.toml in the style of the file, the build-dependency if it is
/// missing, and a build.rs if there is none. Nothing else is changed. If anything fails, nothing is changed at all.
///
/// A .torrent that is given as a file is kept for builds: where it is if that is in the package, otherwise in `datasets/`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents add 323a0048d87ca79b68f12a6350a57776b6a3b7fb
  cargo academictorrents add 323a0048d87ca79b68f12a6350a57776b6a3b7fb mnist --dry-run
  cargo academictorrents add images.torrent --files 'train/**' --web-seed https://data.example.org/
  cargo academictorrents add images.torrent --path ../academictorrents")]
pub(crate) struct AddArguments {
    /// An infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path of a .torrent
    id: String,
    /// Key of the dataset: a-z, 0-9, `_`, `-` [default: from the torrent's name]
    name: Option<String>,
    /// Select the files that match this glob, or exclude them with a leading `!`. Can be repeated
    #[arg(long, value_name = "GLOB")]
    files: Vec<String>,
    /// Store the dataset's file or directory under this name instead of the torrent's
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// Declare it only if these features of the package are enabled
    #[arg(long, short = 'F', value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// Make a missing dataset a warning instead of an error
    #[arg(long)]
    optional: bool,
    #[command(flatten)]
    sources: SourceFlags,
    /// Keep the .torrent file in `datasets/` of the package, so that builds do not have to look it up
    #[arg(long)]
    vendor: bool,
    /// Keep the personal passkey in the .torrent file that is written to the package instead of removing it
    #[arg(long)]
    keep_passkey: bool,
    /// Pin the SHA-256 of each file. Missing files are downloaded
    #[arg(long)]
    pin: bool,
    /// Allow builds to download this much: `20GiB`. Written by default for datasets over 1 GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<u64>,
    #[command(flatten)]
    unpack: UnpackFlags,
    #[command(flatten)]
    dependency: DependencyFlags,
    /// Print the changes without making them
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    package: crates::PackageFlags,
}

pub(crate) fn run(arguments: &AddArguments, common: &Common, output: &Output) -> Result {
    let options = arguments.sources.options();
    let dataset = dataset_spec::asked_with(&arguments.id, &options, StoreKind::Shared)?;
    let dataset = dataset.selecting(&arguments.files)?.called(arguments.rename.as_ref())?;
    let package = arguments.package.package()?;
    let app = common.app()?;
    let torrent = look_up(&app, &dataset, arguments, output)?;
    let known = Known::of(&dataset, torrent.as_ref(), common);
    let mut addition = plan::add(&package, &dataset, torrent.as_ref(), arguments, &[])?;
    if let Some(torrent) = torrent.as_ref().filter(|_| arguments.pin && !addition.already) {
        if arguments.dry_run && app.present(&dataset).is_none() {
            output.warn("--pin: the data is not on this machine and a dry run does not download it, so no pins are shown");
        } else {
            interrupt::end_on_signal(app.stop.clone());
            let pins = pins(&app, &dataset, torrent)?;
            addition = plan::add(&package, &dataset, Some(torrent), arguments, &pins)?;
        }
    }
    if !arguments.dry_run {
        addition.changes.write()?;
    }
    if output.json {
        let torrent = torrent.as_ref().map(|torrent| (torrent, &known));
        output.document(&document(&addition, torrent, &package.manifest, arguments));
    } else {
        if let Some(torrent) = &torrent {
            describe(&dataset, torrent, &known, output);
        }
        if addition.already && !addition.gets_torrent {
            let manifest = package.manifest.display();
            output.result(format_args!("`{}` is already declared in {manifest}", addition.name));
        }
        addition.changes.show(&package.manifest, output);
    }
    if let Some(torrent) = &torrent {
        for warning in torrent::unsupported(&torrent.metainfo, &torrent.selection) {
            output.warn(warning);
        }
    }
    tell(&addition, torrent.as_ref(), arguments, output);
    Ok(())
}

impl AddArguments {
    /// Returns the given options that are keys of a dataset. They do not change a dataset that is
    /// already declared.
    fn given_keys(&self) -> Vec<&'static str> {
        let flags = [
            ("--files", !self.files.is_empty()),
            ("--rename", self.rename.is_some()),
            ("--features", !self.features.is_empty()),
            ("--optional", self.optional),
            ("--pin", self.pin),
            ("--max-size", self.max_size.is_some()),
            ("--unpack", self.unpack.value().is_some()),
        ];
        let flags = flags.into_iter().filter_map(|(name, is_given)| is_given.then_some(name));
        flags.chain(self.sources.given()).collect()
    }
}

/// The planned declaration of a dataset.
struct Addition {
    name: String,
    infohash: Infohash,
    /// Whether the dataset is already declared; its entry is kept.
    already: bool,
    /// Whether the key `torrent` is added to the existing entry.
    gets_torrent: bool,
    /// The limit that the new entry must raise for a build to fetch the dataset.
    max_size_bytes: Option<u64>,
    changes: Changes,
}

impl Addition {
    /// Returns the `<NAME>` part of the dataset's variables.
    fn variable(&self) -> String {
        self.name.to_ascii_uppercase().replace('-', "_")
    }
}

/// Returns path and hexadecimal SHA-256 of each selected file. Missing data is fetched first.
fn pins(app: &App, dataset: &DatasetSpec, torrent: &Resolved) -> Result<PinList, Error> {
    let site = Site::At(app.provide(dataset)?);
    let digests = storage::digests(&site, &torrent.metainfo, torrent.selection.files())?;
    let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(digests.into_iter().map(|(file, digest)| (file, hex(digest))).collect())
}

/// Looks the torrent up. Returns `None` if it is unavailable and not needed.
fn look_up(
    app: &App,
    dataset: &DatasetSpec,
    arguments: &AddArguments,
    output: &Output,
) -> Result<Option<Resolved>> {
    if let (false, Some(infohash)) =
        (dataset.request.identity.torrent.is_some(), dataset.infohash()?)
    {
        // Can take a while if only peers have it.
        output.say(format_args!("looking for the torrent {infohash}"));
    }
    let error = match app.look_up(dataset) {
        Ok(torrent) => return Ok(Some(torrent)),
        Err(error) if matches!(error.kind(), ErrorKind::Network | ErrorKind::Offline) => error,
        Err(error) => return Err(error.into()),
    };
    let needs = [(arguments.vendor, "--vendor"), (arguments.pin, "--pin")];
    match (&arguments.name, needs.iter().find(|(is_on, _)| *is_on)) {
        (Some(_), None) => {
            output.warn(format_args!("name, size and files are unknown: {}", error.without_help()));
            Ok(None)
        }
        (None, None) => {
            Err(error.help("to declare the dataset anyway, add its NAME after the ID").into())
        }
        (_, Some((_, option))) => {
            output.say(format_args!("{option} requires the torrent"));
            Err(error.into())
        }
    }
}

/// Returns the dataset's citation from its record. The catalog is asked only if the torrent came
/// from it: users who have the torrent from elsewhere may not want the catalog to know.
fn cited(dataset: &DatasetSpec, torrent: &Resolved, common: &Common) -> Option<Citation> {
    /// How long to wait for the catalog: the dataset can be declared without its record.
    const PATIENCE: Duration = Duration::from_secs(5);
    let is_listed = matches!(torrent.metainfo.origin, TorrentOrigin::Catalogue(_));
    let (cited, citing) = channel();
    let (dataset, common) = (dataset.clone(), common.clone());
    let cite = move || {
        let Ok(mut app) = common.app() else { return };
        app.settings.offline |= !is_listed;
        if let Ok(citation) = app.cite(&dataset, false) {
            let _ = cited.send(citation); // the receiver may have given up
        }
    };
    // Nobody joins the thread: a name look-up has no deadline.
    std::thread::Builder::new().name("at-cite".to_owned()).spawn(cite).ok()?;
    citing.recv_timeout(PATIENCE).ok()
}

/// Printable information on a dataset besides its files.
#[derive(Default)]
struct Known {
    license: Option<String>,
    /// Authors, title and year.
    citation: Option<String>,
}

impl Known {
    fn of(dataset: &DatasetSpec, torrent: Option<&Resolved>, common: &Common) -> Known {
        let Some(torrent) = torrent else { return Known::default() };
        let cited = cited(dataset, torrent, common);
        let license = Metainfo::about(&torrent.bytes).license;
        let license = license.or_else(|| cited.as_ref()?.license.clone());
        let line = |text: String| printable(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        Known { license: license.map(line), citation: cited.and_then(|it| it.line()).map(line) }
    }
}

/// Prints name, size, files, sources, license and citation.
fn describe(dataset: &DatasetSpec, torrent: &Resolved, known: &Known, output: &Output) {
    let (metainfo, files) = (&torrent.metainfo, torrent.selection.files().len());
    output.result(stdout(metainfo.shown_name()).bold());
    output.result(format_args!("  infohash  {}", metainfo.infohash));
    output.result(format_args!("  size      {}", size_of(torrent)));
    if let Some(note) = torrent::size_note(torrent) {
        output.result(format_args!("            {note}"));
    }
    let most = if output.verbose { files } else { MOST_FILES };
    for (at, file) in selected(torrent).take(most).enumerate() {
        let label = if at == 0 { "files" } else { "" };
        let (size, path) = (size(file.length), printable(&metainfo.display_path(file)));
        output.result(format_args!("  {label:8}  {size:>10}  {path}"));
    }
    if files > most {
        output.result(format_args!("            … and {} more", files - most));
    }
    let request = &dataset.request;
    let distinct = |urls: Vec<&Url>| urls.into_iter().collect::<BTreeSet<_>>().len();
    let seeds = distinct(metainfo.web_seeds.iter().chain(&request.web_seeds).collect());
    let trackers = metainfo.trackers.iter().flatten();
    let trackers = distinct(trackers.chain(&request.trackers).collect());
    let mut sources = vec![count(seeds, "web seed"), count(trackers, "tracker")];
    for (number, what) in [(request.peers.len(), "peer"), (request.mirrors.len(), "mirror")] {
        sources.extend(Some(count(number, what)).filter(|_| number > 0));
    }
    output.result(format_args!("  sources   {}", sources.join(", ")));
    for (name, text) in [("license", &known.license), ("cite as", &known.citation)] {
        if let Some(text) = text {
            output.result(format_args!("  {name:8}  {text}"));
        }
    }
}

fn size_of(torrent: &Resolved) -> String {
    let (files, all) = (torrent.selection.files().len(), torrent::files(&torrent.metainfo).count());
    let bytes: u64 = selected(torrent).map(|file| file.length).sum();
    let (size, whole) = (size(bytes), size(torrent::size_bytes(&torrent.metainfo)));
    if files == all {
        format!("{size}, {}", count(all, "file"))
    } else {
        format!("{size}, {}; of {whole}, {}", count(files, "file"), count(all, "file"))
    }
}

/// Prints notes, warnings and the next step.
fn tell(
    addition: &Addition,
    torrent: Option<&Resolved>,
    arguments: &AddArguments,
    output: &Output,
) {
    if let (Some(limit), Some(torrent)) = (addition.max_size_bytes, torrent) {
        output.say(format_args!(
            "builds download at most 1 GiB by default; `max-size` allows {} for these {}",
            size(limit),
            size(torrent.layout().needed_bytes())
        ));
    }
    addition.changes.tell(output);
    if arguments.dry_run {
        output.say("dry run: nothing was written");
        return;
    }
    let variable = addition.variable();
    let only = match arguments.optional && !addition.already {
        true => format!(", behind #[cfg(at_dataset = {:?})]", addition.name),
        false => String::new(),
    };
    output.say(format_args!("in your code: env!(\"AT_{variable}_PATH\"){only}"));
}

fn document(
    addition: &Addition,
    torrent: Option<(&Resolved, &Known)>,
    manifest: &Path,
    arguments: &AddArguments,
) -> serde_json::Value {
    let of_names =
        torrent.map(|(torrent, _)| torrent::unsupported(&torrent.metainfo, &torrent.selection));
    let of_names = of_names.into_iter().flatten();
    let warnings: Vec<_> = addition.changes.warnings.iter().cloned().chain(of_names).collect();
    let torrent = torrent.map(|(torrent, known)| {
        let metainfo = &torrent.metainfo;
        json!({
            "name": metainfo.shown_name(),
            "size_bytes": torrent::size_bytes(metainfo),
            "file_count": torrent::files(metainfo).count(),
            "selected_size_bytes": selected(torrent).map(|file| file.length).sum::<u64>(),
            "selected_file_count": torrent.selection.files().len(),
            "web_seeds": shown(&metainfo.web_seeds),
            "trackers": shown(metainfo.trackers.iter().flatten()),
            "license": known.license,
            "citation": known.citation,
        })
    });
    json!({
        "name": addition.name,
        "infohash": addition.infohash.to_string(),
        "manifest": manifest.display().to_string(),
        "already_declared": addition.already,
        "dry_run": arguments.dry_run,
        "path_variable": format!("AT_{}_PATH", addition.variable()),
        "torrent": torrent,
        "files": addition.changes.document(),
        "warnings": warnings,
        "notes": addition.changes.notes,
    })
}

fn shown<'u>(urls: impl IntoIterator<Item = &'u Url>) -> Vec<String> {
    urls.into_iter().map(ToString::to_string).collect()
}
