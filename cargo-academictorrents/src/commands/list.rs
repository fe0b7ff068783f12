//! `cargo academictorrents list`.

use std::time::{SystemTime, UNIX_EPOCH};

use academictorrents::Infohash;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::error::printable;
use academictorrents::engine::size::display as size;
use academictorrents::engine::storage::{EntryState, StoreEntry, is_tree};
use academictorrents::engine::{self, Completeness, DatasetStatus};
use serde_json::{Value, json};

use crate::Common;
use crate::app::App;
use crate::output::{Failure, Output, Result, stdout, tell_error};
use crate::store_usage::{self, Stocked, Usage, Use};
use crate::table::{ago, id, lines, width};
use crate::workspace::{self, Declared};

/// List declared datasets, then everything else in the store
///
/// Shows the size of each dataset, how much of it is on this machine, its infohash and its path. Nothing is downloaded, hashed
/// or written: `complete` means that the dataset was verified and that its sizes and times have not changed since.
///
/// Outside of a package, only the store is listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents list
  cargo academictorrents list --no-orphans -p my-model
  cargo academictorrents list --orphans --json")]
pub(crate) struct ListArguments {
    /// Only datasets in the store that are not declared
    #[arg(long, conflicts_with = "no_orphans")]
    orphans: bool,
    /// Only declared datasets
    #[arg(long)]
    no_orphans: bool,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: &ListArguments, common: &Common, output: &Output) -> Result {
    let app = common.app()?;
    let is_outside = arguments.workspace.is_outside();
    let declared = if is_outside { Vec::new() } else { arguments.workspace.declared(common)? };
    let counters = Counters::default();
    let session = app.session(&counters);
    let standing = |declared: Declared| {
        let standing = engine::standing(&session, &declared.dataset.request);
        (declared, standing)
    };
    let standings: Vec<(Declared, DatasetStatus)> = declared.into_iter().map(standing).collect();
    let orphans = if arguments.no_orphans { Vec::new() } else { orphans(&app, &standings) };
    let wrong = standings.iter().filter_map(|(_, standing)| match &standing.state {
        Completeness::Wrong(error) => Some(error),
        _ => None,
    });
    let shown: &[_] = if arguments.orphans { &[] } else { &standings };
    if output.json {
        output.document(&json!({
            "store": app.directory.display().to_string(),
            "in_workspace": !is_outside,
            "datasets": shown.iter().map(|(it, standing)| json_of(&app, it, standing)).collect::<Vec<_>>(),
            "orphans": orphans.iter().map(stocked_json).collect::<Vec<_>>(),
        }));
    } else {
        if is_outside {
            output.say("not in a package: listing only the store");
        } else if standings.is_empty() && !arguments.orphans {
            output.say("this workspace and its dependencies declare no datasets");
        }
        show(&app, shown, output);
        show_orphans(&app, &orphans, output);
        let is_unchecked =
            |(_, it): &(Declared, DatasetStatus)| matches!(it.state, Completeness::Unchecked);
        if shown.iter().any(is_unchecked) {
            output.say("help: the next build hashes unchecked datasets; to hash them now: cargo academictorrents verify --repair");
        }
        if orphans.is_empty() && shown.is_empty() && !arguments.no_orphans {
            let others = if standings.is_empty() { "nothing" } else { "nothing else" };
            output.say(format_args!("there is {others} in {}", app.directory.display()));
        }
    }
    let mut failed = false;
    for error in wrong {
        failed = true;
        tell_error(error);
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// Returns the stored datasets that no package here declares. Without a dataset's torrent, its
/// selection is unknown, so all selections of it count as declared.
fn orphans(app: &App, standings: &[(Declared, DatasetStatus)]) -> Vec<Stocked> {
    let ids: Vec<&String> = standings.iter().flat_map(|(_, it)| it.ids()).collect();
    let untold = standings.iter().filter(|(_, standing)| standing.id.is_none());
    let whichever: Vec<Infohash> = untold.filter_map(|(_, standing)| standing.infohash).collect();
    let is_known = |entry: &StoreEntry| {
        whichever.contains(&entry.infohash)
            || ids.contains(&&entry.id)
            // The `.torrent` of a declared dataset.
            || (entry.state == EntryState::Torrent
                && ids.iter().any(|id| id.starts_with(&entry.infohash.to_string())))
    };
    let scan = store_usage::scan(&app.store);
    let usage = Usage::of(app, scan.roots);
    let unknown = scan.entries.into_iter().filter(|entry| !is_known(entry));
    let mut orphans: Vec<Stocked> = unknown.map(|entry| usage.stocked(app, entry)).collect();
    orphans.sort_unstable_by(|a, b| {
        (&a.torrent_name, &a.entry.id).cmp(&(&b.torrent_name, &b.entry.id))
    });
    orphans
}

/// Returns a note if a process is downloading or checking the torrent.
fn now(app: &App, infohash: Option<Infohash>) -> &'static str {
    let is_locked = infohash.is_some_and(|infohash| app.store.locked(infohash).is_some());
    if is_locked { ", being downloaded" } else { "" }
}

fn show(app: &App, standings: &[(Declared, DatasetStatus)], output: &Output) {
    let width = width();
    let row = |(declared, standing): &(Declared, DatasetStatus)| {
        let (word, more) = state(app, standing);
        let state = format!("{word}{more}");
        let path = standing.path.as_ref().map(|path| path.display().to_string());
        let last: Vec<String> = path.into_iter().chain(notes(declared)).collect();
        vec![
            declared.dataset.name().to_owned(),
            standing.total_bytes.map_or_else(|| "unknown".to_owned(), size),
            match &standing.state {
                Completeness::Complete | Completeness::Elsewhere { .. } => {
                    stdout(state).green().to_string()
                }
                Completeness::Wrong(_) => stdout(state).red().to_string(),
                _ => stdout(state).yellow().to_string(),
            },
            standing.infohash.map_or_else(|| "unknown".to_owned(), |it| id(&it.to_string(), width)),
            last.join(" "),
        ]
    };
    // All packages share the columns' widths.
    let rows: Vec<_> = standings.iter().map(row).collect();
    let mut package = None;
    for ((declared, _), line) in standings.iter().zip(lines(&rows, width)) {
        let named = (&declared.package, &declared.version);
        if package != Some(named) {
            package = Some(named);
            let kind = if declared.is_member { "" } else { " (dependency)" };
            output.result(format_args!("{} {}{kind}", declared.package, declared.version));
        }
        output.result(line);
    }
}

/// Returns notes on a dataset besides its state.
fn notes(declared: &Declared) -> Option<String> {
    let mut notes = Vec::new();
    match declared.features_off.as_slice() {
        [] => {}
        [one] => notes.push(format!("not used: feature {one} is disabled")),
        more => notes.push(format!("not used: features {} are disabled", more.join(", "))),
    }
    if declared.dataset.own_copy {
        notes.push("builds keep their own copy".to_owned());
    }
    (!notes.is_empty()).then(|| format!("({})", notes.join("; ")))
}

/// Returns the state in one word, and details.
fn state(app: &App, standing: &DatasetStatus) -> (&'static str, String) {
    let now = now(app, standing.infohash);
    match &standing.state {
        Completeness::Complete => ("complete", String::new()),
        Completeness::Elsewhere { variable } => ("complete", format!(", from {variable}")),
        Completeness::Partial { done_bytes, needed_bytes } => {
            // Rounded down: 99.99 % is not complete.
            let percent = (*done_bytes as u128 * 100) / (*needed_bytes).max(1) as u128;
            ("partial", format!(" {percent} %{now}"))
        }
        Completeness::Begun => ("partial", format!(", its .torrent is missing{now}")),
        Completeness::Unchecked => ("unchecked", now.to_owned()),
        Completeness::Packed => ("packed", now.to_owned()),
        Completeness::Missing => ("missing", now.to_owned()),
        Completeness::Wrong(_) => ("wrong", String::new()),
    }
}

fn show_orphans(app: &App, orphans: &[Stocked], output: &Output) {
    if orphans.is_empty() {
        return;
    }
    let width = width();
    output.result(format_args!("in {}, not declared here", app.directory.display()));
    let row = |it: &Stocked| {
        vec![
            it.torrent_name.clone().unwrap_or_else(|| "unknown".to_owned()),
            size(it.entry.bytes),
            format!("{}{}", kind(it), now(app, Some(it.entry.infohash))),
            id(&it.entry.id, width),
            used(it),
        ]
    };
    let rows: Vec<_> = orphans.iter().map(row).collect();
    lines(&rows, width).iter().for_each(|line| output.result(line));
}

pub(crate) fn kind(stocked: &Stocked) -> &'static str {
    match stocked.entry.state {
        EntryState::Complete { .. } if is_tree(&stocked.entry.id) => "unpacked",
        EntryState::Complete { .. } => "complete",
        EntryState::Unstamped { .. } => "unchecked",
        EntryState::Partial => "partial",
        EntryState::Torrent => "torrent",
    }
}

/// Describes when the dataset was last used, and by which projects.
pub(crate) fn used(stocked: &Stocked) -> String {
    let manifests: Vec<_> =
        stocked.manifests.iter().map(|path| path.display().to_string()).collect();
    let (ago, manifests) = (ago(stocked.age), manifests.join(", "));
    match stocked.used {
        Use::Used => format!("used {ago} by {manifests}"),
        Use::Unused => format!("unused; last used {ago} by {manifests}"),
        Use::Unknown => format!("fetched {ago}, used by no known project"),
    }
}

fn json_of(app: &App, declared: &Declared, standing: &DatasetStatus) -> Value {
    let (word, _) = state(app, standing);
    let from = match &standing.state {
        Completeness::Elsewhere { variable } => Value::from(format!("ACADEMICTORRENTS_{variable}")),
        _ => Value::Null,
    };
    let (done, needed) = match &standing.state {
        Completeness::Partial { done_bytes, needed_bytes } => {
            (Some(*done_bytes), Some(*needed_bytes))
        }
        _ => (None, None),
    };
    let error = match &standing.state {
        Completeness::Wrong(error) => crate::output::document(error),
        _ => Value::Null,
    };
    json!({
        "package": declared.package,
        "version": declared.version,
        "name": declared.dataset.name(),
        "infohash": standing.infohash.map(|infohash| infohash.to_string()),
        "id": standing.id,
        "torrent_name": standing.torrent_name.as_deref().map(printable),
        "size_bytes": standing.total_bytes,
        "state": word,
        "done_bytes": done,
        "needed_bytes": needed,
        "from": from,
        "own_copy": declared.dataset.own_copy,
        "features_off": declared.features_off,
        "path": standing.path.as_ref().map(|path| path.display().to_string()),
        "error": error,
    })
}

pub(crate) fn stocked_json(stocked: &Stocked) -> Value {
    let manifests = stocked.manifests.iter().map(|path| path.display().to_string());
    json!({
        "id": stocked.entry.id,
        "infohash": stocked.entry.infohash.to_string(),
        "torrent_name": stocked.torrent_name,
        "state": kind(stocked),
        "disk_bytes": stocked.entry.bytes,
        "path": stocked.path.display().to_string(),
        "use": match stocked.used {
            Use::Used => "used",
            Use::Unused => "unused",
            Use::Unknown => "unknown",
        },
        "manifests": manifests.collect::<Vec<_>>(),
        "last_use_unix_seconds": stocked.last_use.and_then(seconds),
    })
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
