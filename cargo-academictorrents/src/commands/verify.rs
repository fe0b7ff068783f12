//! `cargo academictorrents verify`.

mod stored;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use academictorrents::engine::counters::{Counters, Phase};
use academictorrents::engine::error::printable;
use academictorrents::engine::manifest::{Request, StoreKind, absolute};
use academictorrents::engine::size::display as size;
use academictorrents::engine::storage::{Directory, FaultyFile, FileFault};
use academictorrents::engine::{self, VerifiedDataset, Whose};
use academictorrents::{Error, Infohash};
use serde_json::{Value, json};

use crate::Common;
use crate::app::App;
use crate::dataset_spec::DatasetSpec;
use crate::interrupt;
use crate::output::{Failure, Output, Result, document, stdout, tell_error};
use crate::provide::rounds;
use crate::table;
use crate::workspace::{self, Declared};

/// Re-verify datasets and report damaged files
///
/// Compares all pieces with the torrent's SHA-1 and files with their pinned SHA-256, and reports damaged byte ranges. Files are
/// not changed, but a damaged dataset no longer counts as complete: the next build downloads the damaged parts, or --repair
/// does so at once. A dataset that was not downloaded, or only in part, is `missing`: use `fetch`.
///
/// The exit status is 1 if something is damaged or missing and was not repaired. A missing dataset that all packages declare as
/// `optional` does not count.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents verify
  cargo academictorrents verify mnist --repair
  cargo academictorrents verify --stored --json
  cargo academictorrents verify 323a0048d87ca79b68f12a6350a57776b6a3b7fb --into data")]
pub(crate) struct VerifyArguments {
    /// Keys in the manifest, infohashes, magnet links or paths of .torrent files [default: all declared datasets]
    #[arg(value_name = "NAME|ID")]
    names: Vec<String>,
    /// Verify everything in the store
    #[arg(long, conflicts_with_all = ["names", "into"])]
    stored: bool,
    /// Verify what `get --into DIR` created
    #[arg(long, value_name = "DIR", requires = "names")]
    into: Option<PathBuf>,
    /// Download damaged and missing parts. With `files`, this includes parts of pieces that reach into other files
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

/// A dataset to verify, and its result.
struct VerifyRow {
    packages: Vec<String>,
    name: String,
    infohash: Option<Infohash>,
    asked: Option<DatasetSpec>,
    /// `Ok(None)` if nothing of the dataset is there.
    found: Result<Option<VerifiedDataset>, Error>,
    repaired: Option<Repaired>,
}

pub(crate) fn run(arguments: &VerifyArguments, common: &Common, output: &Output) -> Result {
    let app = common.app()?;
    // Hashing alone leaves nothing to resume, so the default signal handling suffices.
    if arguments.repair {
        interrupt::end_on_signal(app.stop.clone());
    }
    let mut rows = rows(arguments, common, &app)?;
    let into = arguments.into.as_deref();
    let asked: Vec<&DatasetSpec> = rows.iter().filter_map(|row| row.asked.as_ref()).collect();
    let mut found = verify(&app, &asked, into).into_iter();
    for row in rows.iter_mut().filter(|row| row.asked.is_some()) {
        if let Some(found) = found.next() {
            row.found = found;
        }
    }
    if arguments.repair {
        let wanted: Vec<usize> =
            (0..rows.len()).filter(|at| rows[*at].is_for_repair(into.is_some())).collect();
        let asked: Vec<&DatasetSpec> =
            wanted.iter().filter_map(|at| rows[*at].asked.as_ref()).collect();
        let repaired = repair(&app, &asked, into);
        for (at, repaired) in wanted.into_iter().zip(repaired) {
            rows[at].repaired = Some(repaired);
        }
    }
    if output.json {
        let documents: Vec<_> = rows.iter().map(VerifyRow::document).collect();
        output.document(&json!({ "datasets": documents }));
    } else {
        table(&rows, output);
    }
    for row in &rows {
        row.tell(output, arguments.repair);
    }
    if rows.iter().all(VerifyRow::is_fine) {
        return Ok(());
    }
    if !arguments.repair && rows.iter().any(|row| row.is_for_repair(true)) {
        output.say("help: to repair damaged files, add --repair");
    }
    if rows.iter().any(|row| row.state() == VerifyOutcome::Missing) {
        let verb = match (&arguments.into, arguments.names.is_empty()) {
            (Some(directory), _) => format!("get … --into {}", directory.display()),
            (None, true) => "fetch".to_owned(),
            (None, false) => "fetch, or get".to_owned(),
        };
        output
            .say(format_args!("help: to download missing datasets: cargo academictorrents {verb}"));
    }
    Err(Failure::Told)
}

fn rows(arguments: &VerifyArguments, common: &Common, app: &App) -> Result<Vec<VerifyRow>> {
    if arguments.stored {
        let ids = crate::store_usage::scan(&app.store).data_ids().into_iter();
        let row = |id: String| VerifyRow::new(Vec::new(), &id, stored::asked(&app.store, &id));
        return Ok(ids.map(row).collect());
    }
    let mut rows: Vec<VerifyRow> = Vec::new();
    if !arguments.names.is_empty() {
        for name in &arguments.names {
            let asked = arguments.workspace.dataset(name, common)?;
            rows.push(VerifyRow::new(Vec::new(), name, Ok(asked)));
        }
        return Ok(rows);
    }
    let declared = arguments.workspace.declared(common)?;
    for declared in declared.into_iter().filter(Declared::is_used) {
        let is_same = |row: &&mut VerifyRow| {
            row.asked.as_ref().is_some_and(|asked| is_same(asked, &declared.dataset))
        };
        match rows.iter_mut().find(is_same) {
            Some(row) => {
                row.packages.push(declared.package);
                // It may only be missing if no package requires it.
                if let Some(asked) = &mut row.asked {
                    asked.request.optional &= declared.dataset.request.optional;
                }
            }
            None => {
                let name = declared.dataset.name().to_owned();
                rows.push(VerifyRow::new(vec![declared.package], &name, Ok(declared.dataset)));
            }
        }
    }
    Ok(rows)
}

/// Whether both are the same dataset, with the same name, files and pins, so that one result is
/// valid for both.
fn is_same(one: &DatasetSpec, other: &DatasetSpec) -> bool {
    let (mine, theirs) = (&one.request, &other.request);
    let infohash = one.infohash().ok().flatten();
    infohash.is_some()
        && infohash == other.infohash().ok().flatten()
        && mine.name == theirs.name
        && mine.files == theirs.files
        && mine.file_numbers() == theirs.file_numbers()
        && mine.rename == theirs.rename
        && mine.sha256 == theirs.sha256
        && mine.unpack == theirs.unpack
}

/// The result of a repair: the dataset's path or why it failed, and how many bytes were received
/// from all sources.
struct Repaired {
    result: Result<PathBuf, Error>,
    received_bytes: u64,
}

/// Hashes datasets in the user's store or in `into`, one after another and each on all cores.
/// Removes the stamp of a damaged dataset, so that no build uses it; changes nothing else.
///
/// # Errors
/// For each dataset: of its metainfo, `files`, pins, or the disk.
fn verify(
    app: &App,
    datasets: &[&DatasetSpec],
    into: Option<&Path>,
) -> Vec<Result<Option<VerifiedDataset>, Error>> {
    let counters = Arc::new(Counters::default());
    let own = match own(into) {
        Ok(own) => own,
        Err(error) => return datasets.iter().map(|_| Err(error.clone())).collect(),
    };
    let session = app.session_in(own.as_ref(), &counters);
    let rows: Vec<_> = datasets.iter().map(|it| counters.add(it.name())).collect();
    let _drawing = app.draw(&counters, false);
    let check = |(dataset, row): (&&DatasetSpec, _)| {
        let found = engine::verify(&session, &request(dataset, into, false), row);
        row.set_phase(if found.is_ok() { Phase::Done } else { Phase::Failed });
        found.map_err(|error| error.for_dataset(dataset.name()))
    };
    datasets.iter().zip(&rows).map(check).collect()
}

/// Repairs datasets where they are: hashes everything again, and fetches what is missing or
/// damaged. A damaged file in the store is replaced by a new one and never overwritten, because
/// other hard links may share its data.
fn repair(app: &App, datasets: &[&DatasetSpec], into: Option<&Path>) -> Vec<Repaired> {
    let mut repaired: Vec<Option<Repaired>> = datasets.iter().map(|_| None).collect();
    for round in rounds(datasets) {
        let requests: Vec<_> = round.iter().map(|at| request(datasets[*at], into, true)).collect();
        for (at, result) in round.iter().zip(repair_side_by_side(app, &requests, into)) {
            repaired[*at] = Some(result);
        }
    }
    repaired.into_iter().flatten().collect()
}

fn repair_side_by_side(app: &App, requests: &[Request], into: Option<&Path>) -> Vec<Repaired> {
    let counters = Arc::new(Counters::default());
    let failed = |error: &Error| Repaired { result: Err(error.clone()), received_bytes: 0 };
    let own = match own(into) {
        Ok(own) => own,
        Err(error) => return requests.iter().map(|_| failed(&error)).collect(),
    };
    let session = app.session_in(own.as_ref(), &counters);
    let requests: Vec<&Request> = requests.iter().collect();
    let results = engine::provide_all(session, &requests, || app.draw(&counters, false));
    // None is skipped as present, so the rows are in the order of the requests.
    let rows = counters.datasets();
    let fetched =
        |at: usize| rows.get(at).map_or(0, |row| row.received_bytes.load(Ordering::Relaxed));
    let repaired = |(at, result): (usize, Result<engine::Provided, Error>)| Repaired {
        result: result.map(|provided| provided.path),
        received_bytes: fetched(at),
    };
    results.into_iter().enumerate().map(repaired).collect()
}

fn own(into: Option<&Path>) -> Result<Option<Directory>, Error> {
    into.map(|into| Ok(Directory::new(&absolute(into)?, false))).transpose()
}

fn request(dataset: &DatasetSpec, into: Option<&Path>, hash_again: bool) -> Request {
    let mut request = dataset.request.clone();
    request.hash_again = hash_again;
    if into.is_some() {
        request.store = StoreKind::Own;
    }
    request
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VerifyOutcome {
    Right,
    Repaired,
    Damaged,
    Missing,
    /// The state could not be determined.
    Failed,
}

impl VerifyOutcome {
    fn word(self) -> &'static str {
        match self {
            VerifyOutcome::Right => "ok",
            VerifyOutcome::Repaired => "repaired",
            VerifyOutcome::Damaged => "damaged",
            VerifyOutcome::Missing => "missing",
            VerifyOutcome::Failed => "failed",
        }
    }
}

impl VerifyRow {
    fn new(packages: Vec<String>, name: &str, asked: Result<DatasetSpec, Error>) -> VerifyRow {
        let (asked, found) = match asked {
            Ok(asked) => (Some(asked), Ok(None)),
            Err(error) => (None, Err(error)),
        };
        let infohash = asked.as_ref().and_then(|asked| asked.infohash().ok().flatten());
        let name = match &asked {
            // An id is shown by its name; a path stays as it was given.
            Some(asked) if name.len() >= 40 && !name.contains(['/', '\\']) => asked.name(),
            _ => name,
        };
        VerifyRow { packages, name: printable(name), infohash, asked, found, repaired: None }
    }

    /// Returns the dataset and its path. Also `None` if the state could not be determined.
    fn there(&self) -> Option<(&VerifiedDataset, &PathBuf)> {
        let found = self.found.as_ref().ok()?.as_ref()?;
        Some((found, found.path.as_ref()?))
    }

    fn state(&self) -> VerifyOutcome {
        let is_right = self.there().is_none_or(|(found, _)| found.report.is_none());
        match (&self.repaired, &self.found) {
            (Some(repaired), Ok(_)) => match (&repaired.result, is_right) {
                (Ok(_), false) => VerifyOutcome::Repaired,
                (Ok(_), true) => VerifyOutcome::Right,
                (Err(_), true) => VerifyOutcome::Failed,
                (Err(_), false) => VerifyOutcome::Damaged,
            },
            (_, Err(_)) => VerifyOutcome::Failed,
            _ if self.there().is_none() => VerifyOutcome::Missing,
            _ if is_right => VerifyOutcome::Right,
            _ => VerifyOutcome::Damaged,
        }
    }

    fn is_fine(&self) -> bool {
        let is_optional = self.asked.as_ref().is_some_and(|it| it.request.optional);
        match self.state() {
            VerifyOutcome::Right | VerifyOutcome::Repaired => true,
            VerifyOutcome::Missing => is_optional,
            VerifyOutcome::Damaged | VerifyOutcome::Failed => false,
        }
    }

    /// Whether a repair would help. A correct dataset without a stamp gets one, because builds
    /// would hash it otherwise.
    fn is_for_repair(&self, in_directory: bool) -> bool {
        let Some((found, _)) = self.there() else { return false };
        let faults = &found.report.faults;
        let is_broken = faults.iter().any(|fault| fault.fault != FileFault::Pin);
        found.whose != Whose::Named
            && (is_broken || (!in_directory && faults.is_empty() && !found.is_stamped))
    }

    /// Prints what the table has no room for.
    fn tell(&self, output: &Output, repair: bool) {
        if let Err(error) = &self.found {
            tell_error(error);
        }
        if let Some(Repaired { result: Err(error), .. }) = &self.repaired {
            tell_error(error);
        }
        let Ok(Some(found)) = &self.found else { return };
        if let Some(why) = &found.still_stamped {
            output.warn(format_args!("`{}`: builds will continue to use it: {why}", self.name));
        }
        if self.state() == VerifyOutcome::Missing && !found.unstamped.is_empty() {
            output.say(format_args!("`{}` no longer counts as complete", self.name));
        }
        // A copy that was found right keeps its stamp.
        if self.state() == VerifyOutcome::Right
            && found.whose == Whose::LoadPath
            && !found.unstamped.is_empty()
        {
            output.say(format_args!(
                "`{}` is missing from the store and no longer counts as complete there",
                self.name
            ));
        }
        if self.state() != VerifyOutcome::Damaged {
            return;
        }
        if found.report.faults.windows(2).any(|two| share_a_piece(&two[0], &two[1])) {
            output.say(format_args!(
                "`{}`: pieces are checked as a whole, so some of the files that share a damaged piece may be intact",
                self.name
            ));
        }
        let place =
            found.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        match found.whose {
            Whose::Named => output.say(format_args!(
                "`{}`: {place} is a copy named by an environment variable\n  help: repair it, or unset the variable",
                self.name
            )),
            Whose::LoadPath if found.is_stamped => output.warn(format_args!(
                "`{}`: {place} is in another store, which still marks it as complete\n  help: --repair puts a correct copy into your own store, which takes precedence",
                self.name
            )),
            _ => {}
        }
        if found.report.faults.iter().all(|fault| fault.fault == FileFault::Pin) {
            output.say(format_args!(
                "`{}`: the data matches the torrent's SHA-1s, so downloading it again would not help\n  help: correct the pin in `sha256`, or ask its author where it came from",
                self.name
            ));
        } else if !repair && !found.unstamped.is_empty() {
            let others = found.unstamped.iter().filter(|id| !found.ids.contains(id)).count();
            let others = match others {
                0 => String::new(),
                1 => {
                    ", nor does 1 other selection or unpacked tree that shares its files".to_owned()
                }
                _ => {
                    format!(
                        ", nor do {others} other selections or unpacked trees that share its files"
                    )
                }
            };
            output.say(format_args!("`{}` no longer counts as complete{others}", self.name));
        }
    }

    fn document(&self) -> Value {
        let found = self.found.as_ref().ok().and_then(Option::as_ref);
        let faults = found.map_or(&[][..], |found| &found.report.faults);
        let extra = found.map_or(&[][..], |found| &found.report.extra);
        let path = |path: &PathBuf| path.display().to_string();
        let repaired = self.repaired.as_ref().map(|repaired| {
            json!({
                "received_bytes": repaired.received_bytes,
                "path": repaired.result.as_ref().ok().map(path),
                "error": repaired.result.as_ref().err().map(document),
            })
        });
        json!({
            "packages": self.packages,
            "name": self.name,
            "infohash": self.infohash.map(|it| it.to_string()),
            "state": self.state().word(),
            "path": self.there().map(|(_, at)| path(at)),
            "file_count": found.map_or(0, |found| found.files),
            "size_bytes": found.map_or(0, |found| found.size_bytes),
            "faults": faults.iter().map(fault_document).collect::<Vec<_>>(),
            "extra": extra.iter().map(path).collect::<Vec<_>>(),
            "unstamped": found.map_or(&[][..], |found| &found.unstamped),
            "repaired": repaired,
            "error": self.found.as_ref().err().map(document),
        })
    }
}

fn table(rows: &[VerifyRow], output: &Output) {
    let name_width = rows.iter().map(|row| console::measure_text_width(&row.name)).max();
    let name_width = name_width.unwrap_or_default();
    for row in rows {
        let state = row.state();
        let pad = " ".repeat(name_width - console::measure_text_width(&row.name));
        let word = stdout(format!("{:8}", state.word()));
        let word = match state {
            VerifyOutcome::Right | VerifyOutcome::Repaired => word.green(),
            VerifyOutcome::Missing => word.yellow(),
            VerifyOutcome::Damaged | VerifyOutcome::Failed => word.red(),
        };
        let Some((found, path)) = row.there() else {
            output.result(format_args!("{}{pad}  {}", row.name, word.to_string().trim_end()));
            continue;
        };
        // A dataset that was unpacked again is at another path than its archive.
        let path = row.repaired.as_ref().and_then(|it| it.result.as_ref().ok()).unwrap_or(path);
        let bytes = size(found.size_bytes);
        let begin = format!("{}{pad}  {word}  {bytes:>10}", row.name);
        let line = format!("{begin}  {}", path.display());
        // A path that does not fit is on a separate line, so that it can be copied whole.
        if table::width().is_some_and(|width| console::measure_text_width(&line) > width) {
            output.result(begin);
            output.result(format_args!("  {}", path.display()));
        } else {
            output.result(line);
        }
        faults(found, output);
        let repaired = row.repaired.as_ref().filter(|_| state == VerifyOutcome::Repaired);
        if let Some(Repaired { result: Ok(now), received_bytes }) = repaired {
            output.result(format_args!("  {} fetched", size(*received_bytes)));
            if now != path {
                output.result(format_args!("  now at {}", now.display()));
            }
        }
    }
}

/// Prints the faults; without `-v` no more than fit on a screen.
fn faults(found: &VerifiedDataset, output: &Output) {
    const MOST: usize = 20;
    let mut lines = Vec::new();
    for fault in &found.report.faults {
        let file = printable(&fault.file);
        lines.extend(told(fault).into_iter().map(|what| format!("  {file}: {what}")));
    }
    let extra = found.report.extra.iter().map(|path| printable(&path.display().to_string()));
    lines.extend(extra.map(|path| format!("  {path}: does not belong to the dataset")));
    let shown = if output.verbose || lines.len() <= MOST { lines.len() } else { MOST - 1 };
    for line in &lines[..shown] {
        output.result(line);
    }
    if shown < lines.len() {
        output.result(format_args!("  and {} more: -v shows all", lines.len() - shown));
    }
}

/// Whether a damaged piece reaches from the end of one file into the next.
fn share_a_piece(one: &FaultyFile, next: &FaultyFile) -> bool {
    match (&one.fault, &next.fault) {
        (FileFault::Damaged(of_one), FileFault::Damaged(of_next)) => {
            of_one.last().is_some_and(|range| range.end == one.length_bytes)
                && of_next.first().is_some_and(|range| range.start == 0)
        }
        _ => false,
    }
}

fn told(fault: &FaultyFile) -> Vec<String> {
    let bytes = |part: &Range<u64>| {
        format!("bytes {} to {} ({})", part.start, part.end - 1, size(part.end - part.start))
    };
    match &fault.fault {
        FileFault::Missing => vec!["missing".to_owned()],
        FileFault::NotAFile => vec!["not a file".to_owned()],
        FileFault::Link(target) => {
            let target = printable(&target.display().to_string());
            vec![format!("not a symbolic link to {target}")]
        }
        FileFault::Unreadable(why) => vec![format!("cannot be read: {why}")],
        FileFault::Length(found) => {
            let kind = if *found < fault.length_bytes { "too short" } else { "too long" };
            vec![format!("{kind}: {found} bytes instead of {}", fault.length_bytes)]
        }
        FileFault::LfsPointer => vec!["a Git LFS pointer: run `git lfs pull`".to_owned()],
        FileFault::Damaged(parts) => {
            parts.iter().map(|part| format!("damaged: {}", bytes(part))).collect()
        }
        FileFault::Unchecked(parts) => {
            let why = "cannot be verified without the adjacent file";
            parts.iter().map(|part| format!("{} {why}", bytes(part))).collect()
        }
        FileFault::Pin => vec!["does not match the pinned SHA-256".to_owned()],
    }
}

fn fault_document(fault: &FaultyFile) -> Value {
    let (kind, ranges, found, why) = match &fault.fault {
        FileFault::Missing => ("missing", &[][..], None, None),
        FileFault::NotAFile => ("not-a-file", &[][..], None, None),
        FileFault::Link(_) => ("link", &[][..], None, None),
        FileFault::Unreadable(why) => ("unreadable", &[][..], None, Some(why)),
        FileFault::Length(found) => ("length", &[][..], Some(*found), None),
        FileFault::LfsPointer => ("lfs-pointer", &[][..], None, None),
        FileFault::Damaged(parts) => ("damaged", &parts[..], None, None),
        FileFault::Unchecked(parts) => ("unchecked", &parts[..], None, None),
        FileFault::Pin => ("sha256", &[][..], None, None),
    };
    let range = |part: &Range<u64>| json!({ "start_bytes": part.start, "end_bytes": part.end });
    json!({
        "file": printable(&fault.file),
        "kind": kind,
        "length_bytes": fault.length_bytes,
        "found_bytes": found,
        "ranges": ranges.iter().map(range).collect::<Vec<_>>(),
        "why": why,
    })
}
