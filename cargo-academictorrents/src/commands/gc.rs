//! `cargo academictorrents gc`.

use std::path::Path;
use std::time::Duration;

use academictorrents::Error;
use academictorrents::engine::size::{display as size, parse, parse_duration};
use academictorrents::engine::storage::{DiskUsage, EntryState, Leftover, LockHolder, StoreEntry};
use serde_json::{Value, json};

use crate::Common;
use crate::app::App;
use crate::commands::list::{kind, stocked_json, used};
use crate::output::{Failure, Output, Result, document, tell_error};
use crate::store_usage::{self, Stocked, Usage, Use};
use crate::table::{id, lines, width};

/// Remove datasets from the store that no project uses any more
///
/// Each build and `fetch` records in the store which Cargo.toml uses which datasets. A dataset is removed once no known project
/// declares it. Datasets fetched with `get`, `import` or at run time are not tracked and are kept unless --unknown is given.
///
/// A project on an unmounted disk, or on another machine that shares the store, looks as if it were deleted: use --dry-run
/// first. Datasets removed by mistake are downloaded again by the next build.
///
/// Datasets in use by another process are skipped with a warning. Times of use are recorded to the day.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents gc --dry-run
  cargo academictorrents gc --older-than 30d
  cargo academictorrents gc --all --max-size 50GiB")]
pub(crate) struct GcArguments {
    /// Also remove datasets that no known project has used
    #[arg(long)]
    unknown: bool,
    /// Also remove datasets that projects use. Their next builds download them again
    #[arg(long)]
    all: bool,
    /// Only datasets that have not been used for this long: `30d`, `12h`, `90s`
    #[arg(long, value_name = "TIME", value_parser = time)]
    older_than: Option<Duration>,
    /// Remove only until the store is no larger than this: `50GiB`, `500MB`. Least recently used datasets are removed first
    #[arg(long, value_name = "SIZE", value_parser = max_size)]
    max_size: Option<u64>,
    /// Print what would be removed
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(crate) fn run(arguments: &GcArguments, common: &Common, output: &Output) -> Result {
    let app = common.app()?;
    let gc = Gc::of(&app, arguments);
    if output.json {
        output.document(&json_of(&gc, arguments, &app.directory.display().to_string()));
    } else {
        show(&gc, arguments, output);
    }
    let outcomes = gc.datasets.iter().map(|(_, outcome)| outcome);
    let mut failed = false;
    for outcome in outcomes.chain(gc.leftovers.iter().map(|(_, outcome)| outcome)) {
        if let Removal::Failed(error) = outcome {
            failed = true;
            tell_error(error);
        }
    }
    if let Some(max) = arguments.max_size.filter(|max| gc.held_bytes > *max) {
        output.warn(format_args!(
            "the store still holds {}, more than {}",
            size(gc.held_bytes),
            size(max)
        ));
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// The result for a dataset or leftover that was to be removed.
enum Removal {
    /// Removed, or would be. The bytes freed on the disk are 0 if other hard links hold the same
    /// data.
    Removed(u64),
    /// In use by a process that fetches or checks it.
    Locked(LockHolder),
    /// All or part of it is still there.
    Failed(Error),
}

#[derive(Default)]
struct Gc {
    /// Datasets to remove, as they were before, least recently used first.
    datasets: Vec<(Stocked, Removal)>,
    /// Files of killed processes, and stamps of copies that no longer exist.
    leftovers: Vec<(Leftover, Removal)>,
    /// The total of datasets and leftovers.
    freed_bytes: u64,
    /// The space on disk that the store's datasets use now, or would use.
    held_bytes: u64,
    /// Datasets kept because a project uses them.
    used: usize,
    /// … because no known project has used them.
    unknown: usize,
    /// … because they were used recently.
    recent: usize,
    /// … because the store is within --max-size.
    enough: usize,
}

impl Gc {
    fn of(app: &App, arguments: &GcArguments) -> Gc {
        let mut gc = Gc::default();
        let mut scan = store_usage::scan(&app.store);
        let leftovers = std::mem::take(&mut scan.leftovers);
        let has_swept = !leftovers.is_empty() && !arguments.dry_run;
        let inodes = scan.entries.iter().map(|entry| &entry.inodes);
        let mut disk_usage = DiskUsage::of(inodes.chain(leftovers.iter().map(|it| &it.inodes)));
        for leftover in leftovers {
            gc.sweep(app, leftover, &mut disk_usage, arguments.dry_run);
        }
        if has_swept {
            // Removing leftovers changed the directories' times.
            scan = store_usage::scan(&app.store);
            disk_usage = DiskUsage::of(scan.entries.iter().map(|entry| &entry.inodes));
        }
        let usage = Usage::of(app, scan.roots);
        let mut candidates = Vec::new();
        for entry in scan.entries {
            let stocked = usage.stocked(app, entry);
            // A time in the future results from a wrong clock, and counts as recent.
            let is_old = |least| stocked.age.is_some_and(|age| age >= least);
            match stocked.used {
                Use::Used if !arguments.all => gc.used += 1,
                Use::Unknown if !arguments.all && !arguments.unknown => gc.unknown += 1,
                _ if !arguments.older_than.is_none_or(is_old) => gc.recent += 1,
                // The `.torrent` of a declared dataset is needed to fetch it again, and small.
                _ if stocked.entry.state == EntryState::Torrent
                    && !arguments.all
                    && usage.declares(stocked.entry.infohash) =>
                {
                    gc.used += 1;
                }
                _ => candidates.push(stocked),
            }
        }
        candidates.sort_by(|a, b| (a.last_use, &a.entry.id).cmp(&(b.last_use, &b.entry.id)));
        for dataset in candidates {
            if arguments.max_size.is_some_and(|max| disk_usage.held_bytes <= max) {
                gc.enough += 1;
                continue;
            }
            let outcome = match gc.collect(app, &dataset.entry, &usage, arguments) {
                Ok(Ok(torrent_bytes)) => {
                    let freed_bytes = disk_usage.free(&dataset.entry.inodes) + torrent_bytes;
                    gc.freed_bytes += freed_bytes;
                    Removal::Removed(freed_bytes)
                }
                Ok(Err(waiting)) => Removal::Locked(waiting),
                Err(error) => Removal::Failed(error),
            };
            gc.datasets.push((dataset, outcome));
        }
        gc.held_bytes = disk_usage.held_bytes;
        if !arguments.dry_run {
            forget(app, &usage);
        }
        gc
    }

    /// Removes a dataset. Returns the bytes of the `.torrent` removed with it, or the holder of its
    /// lock. A dry run returns the same, and removes nothing.
    fn collect(
        &self,
        app: &App,
        entry: &StoreEntry,
        usage: &Usage,
        arguments: &GcArguments,
    ) -> Result<Result<u64, LockHolder>, Error> {
        let waiting = match arguments.dry_run {
            true => app.store.locked(entry.infohash),
            false => app.store.remove(entry)?.err(),
        };
        if let Some(waiting) = waiting {
            return Ok(Err(waiting));
        }
        let is_only_torrent = entry.state == EntryState::Torrent;
        if is_only_torrent || (usage.declares(entry.infohash) && !arguments.all) {
            return Ok(Ok(0));
        }
        if !arguments.dry_run {
            return app.store.remove_torrent_alone(entry.infohash).map(Ok);
        }
        let would_be_gone = |directory: &str, id: &str| {
            let removed = self.datasets.iter().filter(|(_, it)| matches!(it, Removal::Removed(_)));
            let mut removed = removed.map(|(dataset, _)| &dataset.entry).chain([entry]);
            let directory_of = |it: &StoreEntry| match it.state {
                EntryState::Partial => "partial",
                _ => "data",
            };
            let place = Path::new(directory).join(id);
            removed.any(|it| it.id == id && directory_of(it) == directory)
                || self.leftovers.iter().any(|(leftover, _)| {
                    let parent = leftover.path.parent().filter(|it| it.ends_with(&place));
                    leftover.path.ends_with(&place) || parent.is_some_and(|it| self.empties(it))
                })
        };
        Ok(Ok(app.store.torrent_alone_bytes(entry.infohash, would_be_gone)))
    }

    /// Whether a directory has only leftovers: it is removed with the last of these.
    fn empties(&self, directory: &Path) -> bool {
        let is_leftover =
            |path: &Path| self.leftovers.iter().any(|(leftover, _)| leftover.path == path);
        std::fs::read_dir(directory).is_ok_and(|mut entries| {
            entries.all(|entry| entry.is_ok_and(|entry| is_leftover(&entry.path())))
        })
    }

    fn sweep(&mut self, app: &App, leftover: Leftover, usage: &mut DiskUsage, is_dry: bool) {
        let removed = if is_dry { Ok(true) } else { app.store.remove_leftover(&leftover) };
        let outcome = match removed {
            Ok(true) => {
                let freed_bytes = usage.free(&leftover.inodes);
                self.freed_bytes += freed_bytes;
                Removal::Removed(freed_bytes)
            }
            Ok(false) => Removal::Locked(LockHolder::default()),
            Err(error) => Removal::Failed(error),
        };
        self.leftovers.push((leftover, outcome));
    }
}

/// Forgets projects that no longer exist and whose datasets are all removed.
fn forget(app: &App, usage: &Usage) {
    let mut gone = usage.gone().peekable();
    if gone.peek().is_none() {
        return;
    }
    let left = store_usage::scan(&app.store).entries;
    let is_left = |id: &String| left.iter().any(|entry| entry.id == *id);
    for root in gone.filter(|root| !root.ids.iter().any(is_left)) {
        let _ = app.store.remove_root(root); // a record that stays does no harm
    }
}

fn show(gc: &Gc, arguments: &GcArguments, output: &Output) {
    let width = width();
    let removed = if arguments.dry_run { "would remove" } else { "removed" };
    let mut rows = Vec::new();
    for (dataset, outcome) in &gc.datasets {
        let name = dataset.torrent_name.clone().unwrap_or_else(|| "unknown".to_owned());
        match outcome {
            Removal::Removed(freed_bytes) => rows.push(vec![
                removed.to_owned(),
                size(*freed_bytes),
                kind(dataset).to_owned(),
                name,
                id(&dataset.entry.id, width),
                used(dataset),
            ]),
            Removal::Locked(LockHolder { process, host }) => {
                let mut by =
                    process.map_or_else(String::new, |process| format!(" by process {process}"));
                by += &host.as_ref().map_or_else(String::new, |host| format!(" on {host}"));
                output
                    .warn(format_args!("{name} ({}) is in use{by} and was kept", dataset.entry.id));
            }
            Removal::Failed(_) => {}
        }
    }
    for (leftover, outcome) in &gc.leftovers {
        if let Removal::Removed(freed_bytes) = outcome {
            let path = leftover.path.display().to_string();
            rows.push(vec![removed.to_owned(), size(*freed_bytes), "leftover".to_owned(), path]);
        }
    }
    lines(&rows, width)
        .iter()
        .for_each(|line| output.result(line.strip_prefix("  ").unwrap_or(line)));
    let (freed, holds) = match arguments.dry_run {
        true => ("would free", "would hold"),
        false => ("freed", "holds"),
    };
    let (freed_bytes, held) = (size(gc.freed_bytes), size(gc.held_bytes));
    output.result(format_args!("{freed} {freed_bytes}; the store {holds} {held}"));
    for (count, why) in [
        (gc.used, "used by projects; `list` shows them, --all also removes them"),
        (gc.unknown, "not used by a known project; --unknown also removes them"),
        (gc.recent, "used more recently than --older-than"),
        (gc.enough, "because the store is within --max-size"),
    ] {
        if count > 0 {
            output.say(format_args!("kept {count} {why}"));
        }
    }
}

fn json_of(gc: &Gc, arguments: &GcArguments, store: &str) -> Value {
    let dataset = |(dataset, outcome): &(Stocked, Removal)| {
        let mut value = stocked_json(dataset);
        let more = outcome_json(outcome, arguments.dry_run);
        if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
            fields.extend(more);
        }
        value
    };
    let leftovers = gc.leftovers.iter().map(|(leftover, outcome)| {
        let mut value = outcome_json(outcome, arguments.dry_run);
        if let Value::Object(fields) = &mut value {
            fields.insert("path".to_owned(), leftover.path.display().to_string().into());
        }
        value
    });
    json!({
        "store": store,
        "dry_run": arguments.dry_run,
        "datasets": gc.datasets.iter().map(dataset).collect::<Vec<_>>(),
        "leftovers": leftovers.collect::<Vec<_>>(),
        "freed_bytes": gc.freed_bytes,
        "held_bytes": gc.held_bytes,
        "kept": {
            "used": gc.used,
            "unknown": gc.unknown,
            "recent": gc.recent,
            "small_enough": gc.enough,
        },
    })
}

fn outcome_json(outcome: &Removal, is_dry: bool) -> Value {
    let removed = if is_dry { "would-remove" } else { "removed" };
    let nobody = LockHolder::default();
    let (word, freed_bytes, by, error) = match outcome {
        Removal::Removed(freed_bytes) => (removed, *freed_bytes, &nobody, Value::Null),
        Removal::Locked(waiting) => ("in-use", 0, waiting, Value::Null),
        Removal::Failed(error) => ("failed", 0, &nobody, document(error)),
    };
    json!({
        "outcome": word,
        "freed_bytes": freed_bytes,
        "process": by.process,
        "host": by.host,
        "error": error,
    })
}

fn max_size(text: &str) -> Result<u64, &'static str> {
    parse(text).ok_or("expected a size, such as `50GiB`, `500MB`, `0`")
}

fn time(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("expected a time, such as `30d`, `12h`, `90s`")
}
