//! `cargo academictorrents fetch`.

use academictorrents::Error;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::error::printable;
use academictorrents::engine::plan::{Rank, SourceKind, of_other_files};
use academictorrents::engine::size::display as size;
use academictorrents::engine::{self, Planned};
use serde_json::{Value, json};

use crate::Common;
use crate::app::App;
use crate::dataset_spec::DatasetSpec;
use crate::interrupt;
use crate::output::{Failure, Output, Result, document, stdout, tell_error};
use crate::provide::ProvideOutcome;
use crate::words::{count, parse_size};
use crate::workspace::{self, Declared};

/// Download the datasets that a project and its dependencies declare
///
/// Datasets go to the store that builds share, so later builds need no network. Existing data is not downloaded again, and a
/// dataset that several packages declare is downloaded once. An interrupted run resumes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents fetch
  cargo academictorrents fetch --dry-run
  cargo academictorrents fetch mnist cifar-10
  cargo academictorrents fetch -p my-model --features training")]
pub(crate) struct FetchArguments {
    /// Keys in the manifests [default: all whose `required-features` are enabled]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print what would be downloaded, how much and from where. Torrents are looked up
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Allow this much for each dataset, regardless of `max-size` in the manifests: `20GiB`
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<u64>,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: &FetchArguments, common: &Common, output: &Output) -> Result {
    let app = common.app()?;
    interrupt::end_on_signal(app.stop.clone());
    let mut declared = arguments.workspace.declared(common)?;
    for it in &mut declared {
        let request = &mut it.dataset.request;
        request.max_size_bytes = arguments.max_size.or(request.max_size_bytes);
    }
    let asked = chosen(&arguments.names, &declared)?;
    if asked.is_empty() {
        output.say(nothing(&declared));
    }
    if arguments.dry_run { plan(&app, &asked, output) } else { fetch(&app, &asked, output) }
}

/// Returns the named datasets, or else all whose features are enabled.
fn chosen<'a>(names: &[String], declared: &'a [Declared]) -> Result<Vec<&'a Declared>> {
    if names.is_empty() {
        return Ok(declared.iter().filter(|it| it.is_used()).collect());
    }
    let mut known: Vec<&str> = declared.iter().map(|it| it.dataset.name()).collect();
    known.sort_unstable();
    let is_meant = |it: &&Declared| names.iter().any(|name| it.is_meant(name, declared));
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(workspace::unknown(unknown, &known)),
        None => Ok(declared.iter().filter(is_meant).collect()),
    }
}

/// Returns why there is nothing to fetch.
fn nothing(declared: &[Declared]) -> String {
    if declared.is_empty() {
        return "this workspace and its dependencies declare no datasets; to declare one: cargo academictorrents add ID"
            .to_owned();
    }
    let names: Vec<_> = declared
        .iter()
        .map(|it| format!("{} needs {}", it.dataset.name(), it.features_off.join(", ")))
        .collect();
    format!("nothing to fetch: required features are disabled ({})", names.join("; "))
}

fn fetch(app: &App, asked: &[&Declared], output: &Output) -> Result {
    let datasets: Vec<_> = asked.iter().map(|it| &it.dataset).collect();
    let (outcomes, received_bytes) = app.fetch(&datasets, output.verbose);
    if app.stop.is_stopped() && outcomes.iter().any(|outcome| outcome.result.is_err()) {
        return Err(Failure::Stopped);
    }
    let labels = labels(asked);
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let mut failures = Failures::default();
    let mut documents = Vec::new();
    for ((declared, label), outcome) in asked.iter().zip(&labels).zip(&outcomes) {
        let path = outcome.result.as_ref().ok();
        if let (Some(path), false) = (path, output.json) {
            output.path(format_args!("{label:width$}  "), path);
        }
        let error = outcome.result.as_ref().err();
        failures.0.extend(error.map(|error| (*declared, error)));
        documents.push(json!({
            "package": declared.package,
            "name": declared.dataset.name(),
            "infohash": declared.dataset.infohash_text(),
            "path": path.map(|path| path.display().to_string()),
            "already_complete": outcome.already_complete,
            "optional": declared.dataset.request.optional,
            "error": error.map(document),
        }));
    }
    if output.json {
        output.document(&json!({ "datasets": documents, "received_bytes": received_bytes }));
    }
    let result = failures.tell(output);
    if !asked.is_empty() {
        output.say(summary(&outcomes, received_bytes));
    }
    result
}

/// `"2 datasets fetched (20.0 MiB), 1 was already complete, 1 could not be fetched"`.
fn summary(outcomes: &[ProvideOutcome], received_bytes: u64) -> String {
    let of = |what: fn(&ProvideOutcome) -> bool| outcomes.iter().filter(|it| what(it)).count();
    let there = of(|it| it.already_complete && it.result.is_ok());
    let fetched = of(|it| !it.already_complete && it.result.is_ok());
    let failed = of(|it| it.result.is_err());
    let mut parts = Vec::new();
    if fetched > 0 {
        let fetched = count(fetched, "dataset");
        parts.push(match received_bytes {
            0 => format!("{fetched} completed without a download"),
            _ => format!("{fetched} fetched ({})", size(received_bytes)),
        });
    }
    if there > 0 {
        let what = if parts.is_empty() { count(there, "dataset") } else { there.to_string() };
        let were = if there == 1 { "was" } else { "were" };
        parts.push(format!("{what} {were} already complete"));
    }
    if failed > 0 {
        let what = if parts.is_empty() { count(failed, "dataset") } else { failed.to_string() };
        parts.push(format!("{what} could not be fetched"));
    }
    parts.join(", ")
}

fn plan(app: &App, asked: &[&Declared], output: &Output) -> Result {
    let plans = plans(app, asked);
    let mut failures = Failures::default();
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    let (mut counted, mut missing_bytes, mut total_bytes) = (Vec::new(), 0_u64, 0_u64);
    for ((declared, label), plan) in asked.iter().zip(labels(asked)).zip(&plans) {
        let error = plan.as_ref().err();
        failures.0.extend(error.map(|error| (*declared, error)));
        let plan = plan.as_ref().ok();
        rows.push(row(label, plan));
        documents.push(json!({
            "package": declared.package,
            "name": declared.dataset.name(),
            "infohash": plan.map(|plan| plan.infohash.to_string()),
            "state": state(plan),
            "missing_bytes": plan.map(|plan| plan.missing_bytes),
            "size_bytes": plan.map(|plan| plan.total_bytes),
            "sources": plan.map(|plan| sources(plan).iter().map(PlannedSource::document).collect::<Vec<_>>()),
            "optional": declared.dataset.request.optional,
            "error": error.map(document),
        }));
        // A dataset that several packages declare is fetched once.
        if let Some(plan) = plan.filter(|plan| !counted.contains(&plan.id)) {
            counted.push(plan.id.clone());
            missing_bytes = missing_bytes.saturating_add(plan.missing_bytes);
            total_bytes = total_bytes.saturating_add(plan.total_bytes);
        }
    }
    if output.json {
        output.document(&json!({
            "datasets": documents,
            "missing_bytes": missing_bytes,
            "size_bytes": total_bytes,
        }));
    } else if !rows.is_empty() {
        let [missing, total] = [missing_bytes, total_bytes].map(size);
        rows.push(["total".to_owned(), String::new(), missing, total, String::new()]);
        table(&rows, output);
    }
    let parts = labels(asked).into_iter().zip(&plans).filter_map(|(label, plan)| {
        let plan = plan.as_ref().ok()?;
        Some((label, of_other_files(plan.total_bytes, plan.scratch_bytes)?))
    });
    parts.for_each(|(label, part)| output.say(format_args!("{label}: {part}")));
    failures.tell(output)
}

/// Name, state, missing bytes, total bytes, sources.
type PlanRow = [String; 5];

fn row(label: String, plan: Option<&Planned>) -> PlanRow {
    let unknown = || "?".to_owned();
    let [missing, total] = [plan.map(|plan| plan.missing_bytes), plan.map(|plan| plan.total_bytes)]
        .map(|bytes| bytes.map_or_else(unknown, size));
    let whence = plan.filter(|plan| plan.missing_bytes > 0).map(whence).unwrap_or_default();
    [label, state(plan).to_owned(), missing, total, whence]
}

fn state(plan: Option<&Planned>) -> &'static str {
    match plan {
        None => "unknown",
        Some(plan) if plan.missing_bytes == 0 => "complete",
        Some(plan) if plan.missing_bytes < plan.total_bytes => "partial",
        Some(_) => "missing",
    }
}

fn table(rows: &[PlanRow], output: &Output) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let [name, state, missing, total] = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
    for row in rows {
        let [label, its_state, to_fetch, all, whence] = row;
        let its_state = stdout(format!("{its_state:state$}"));
        let its_state = match row[1].as_str() {
            "complete" => its_state.green(),
            "unknown" => its_state.red(),
            _ => its_state.yellow(),
        };
        let line =
            format!("{label:name$}  {its_state}  {to_fetch:>missing$} of {all:>total$}  {whence}");
        output.result(line.trim_end());
    }
}

/// `"data.example.org, 2 peers, 3 trackers"`: the sources that are asked first, counted or by host.
fn whence(plan: &Planned) -> String {
    let sources = sources(plan);
    let first = sources.first().is_some_and(|source| source.named);
    let asked = sources.iter().filter(|source| source.named == first);
    let mut places: Vec<String> = Vec::new();
    let (mut peers, mut trackers) = (0, 0);
    for source in asked {
        match source.kind {
            "peer" => peers += 1,
            "tracker" => trackers += 1,
            "directory" => places.push(source.place.clone()),
            _ => {
                let host = source.place.split('/').nth(2).unwrap_or(&source.place).to_owned();
                if !places.contains(&host) {
                    places.push(host);
                }
            }
        }
    }
    for (count, noun) in [(peers, "peer"), (trackers, "tracker")] {
        if count > 0 {
            places.push(self::count(count, noun));
        }
    }
    if plan.may_lie_elsewhere {
        places.insert(0, "the copy named by an environment variable, if it is correct".to_owned());
    }
    match places.join(", ") {
        none if none.is_empty() => "no known source".to_owned(),
        places => format!("from {}", printable(&places)),
    }
}

/// A source that would be asked.
struct PlannedSource {
    kind: &'static str,
    /// A path, URL or address.
    place: String,
    /// Whether the user or the manifest names it. The torrent's own sources are asked for what
    /// these lack.
    named: bool,
}

impl PlannedSource {
    fn document(&self) -> Value {
        json!({ "kind": self.kind, "place": self.place, "named": self.named })
    }
}

fn sources(plan: &Planned) -> Vec<PlannedSource> {
    let mut sources = Vec::new();
    for source in &plan.sources {
        let named = source.rank == Rank::Named;
        let mut add = |kind, place| sources.push(PlannedSource { kind, place, named });
        match &source.kind {
            SourceKind::Directory(path) => add("directory", path.display().to_string()),
            SourceKind::WebSeed(url) => add("web-seed", url.to_string()),
            SourceKind::Peer(address) => add("peer", address.clone()),
            SourceKind::Trackers(tiers) => {
                tiers.iter().flatten().for_each(|url| add("tracker", url.to_string()));
            }
            SourceKind::Dht => add("dht", "DHT".to_owned()),
        }
    }
    sources
}

/// How many datasets are looked up at a time.
const SIDE_BY_SIDE: usize = 8;

/// Plans datasets, a few at a time. Returns a plan or an error for each, in order. Torrents that
/// are not on this machine are looked up and not kept.
fn plans(app: &App, asked: &[&Declared]) -> Vec<Result<Planned, Error>> {
    let plan = |dataset: &DatasetSpec| {
        let counters = Counters::default();
        let plan = engine::planned(&app.session(&counters), &dataset.request);
        plan.map_err(|error| dataset.request.origin.declared(error.for_dataset(dataset.name())))
    };
    let mut plans = Vec::new();
    for some in asked.chunks(SIDE_BY_SIDE) {
        std::thread::scope(|scope| {
            let start = |it| {
                let it: &Declared = it;
                std::thread::Builder::new().spawn_scoped(scope, move || plan(&it.dataset)).ok()
            };
            let started: Vec<_> = some.iter().copied().map(start).collect();
            for (thread, it) in started.into_iter().zip(some) {
                plans.push(match thread {
                    // The panic was already printed; it is resumed here so that it ends the
                    // program.
                    Some(thread) => {
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    }
                    // The system refused to create a thread.
                    None => plan(&it.dataset),
                });
            }
        });
    }
    plans
}

/// Returns the datasets' names, with the package's name if several packages use the name.
fn labels(asked: &[&Declared]) -> Vec<String> {
    let label = |it: &&Declared| {
        let name = it.dataset.name();
        match asked.iter().filter(|other| other.dataset.name() == name).count() {
            1 => name.to_owned(),
            _ => format!("{}/{name}", it.package),
        }
    };
    asked.iter().map(label).collect()
}

/// Datasets that could not be provided.
#[derive(Default)]
struct Failures<'a>(Vec<(&'a Declared, &'a Error)>);

impl Failures<'_> {
    /// Prints each distinct error once. For optional datasets, prints warnings.
    fn tell(self, output: &Output) -> Result {
        let (mut told, mut result) = (Vec::new(), Ok(()));
        for (declared, error) in self.0 {
            let text = error.to_string();
            if declared.dataset.request.optional {
                output.warn(format_args!(
                    "{text}\n  the dataset is optional: builds continue without it"
                ));
                continue;
            }
            result = Err(Failure::Told);
            if !told.contains(&text) {
                tell_error(error);
                told.push(text);
            }
        }
        result
    }
}
