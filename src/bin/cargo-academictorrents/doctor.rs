//! `cargo academictorrents doctor`.

use academictorrents::tools::{self, Answered, Asked, Desk, Reach, Setup, StoreHealth, Trialled};
use serde_json::{Value, json};

use crate::Common;
use crate::info;
use crate::output::{Failure, Output, stdout};
use crate::workspace::{self, Declared};

/// Look whether all that a download needs is in order: settings, store, disk, network
///
/// Nothing is hashed or fetched, and what is tried in the store is gone afterwards. The network is asked within five seconds: the
/// catalogue, and the trackers and web seeds of the datasets that are declared here.
///
/// Exit status: 0 where all is in order or was worth a warning, 1 where something fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents doctor
  cargo academictorrents doctor --offline
  cargo academictorrents doctor --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    workspace: workspace::Options,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    Warn,
    Fail,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// A line: what was tried, how it went, and what to do.
#[derive(Debug)]
struct Finding {
    area: &'static str,
    status: Status,
    what: String,
    why: Vec<String>,
    help: Vec<String>,
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, area: &'static str, status: Status, what: impl Into<String>) -> &mut Finding {
        let (why, help) = (Vec::new(), Vec::new());
        self.0.push(Finding { area, status, what: what.into(), why, help });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// An error of the library's has its reasons and mends in its text.
    fn error(&mut self, area: &'static str, text: &str) {
        let mut lines = text.lines();
        let finding = self.add(area, Status::Fail, lines.next().unwrap_or_default());
        for line in lines.map(str::trim) {
            match line.strip_prefix("help: ") {
                Some(help) => finding.help.push(help.to_owned()),
                None if finding.help.is_empty() => finding.why.push(line.to_owned()),
                None => finding.help.push(line.to_owned()),
            }
        }
    }
}

impl Finding {
    fn why(&mut self, why: impl Into<String>) -> &mut Finding {
        self.why.push(why.into());
        self
    }

    fn help(&mut self, help: impl Into<String>) -> &mut Finding {
        self.help.push(help.into());
        self
    }
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let setup = tools::setup(common.store.as_deref());
    of_setup(&setup, &mut findings);
    match &setup.store {
        Ok(directory) => of_store(&tools::store_health(directory), directory, &mut findings),
        Err(error) => findings.error("store", &error.to_string()),
    }
    let declared = declared(arguments, common, &mut findings);
    let desk = Desk::open(common.store.as_deref(), common.offline);
    let offline = setup.offline.as_deref().filter(|_| !common.offline);
    match desk {
        _ if common.offline => {
            findings.add("network", Status::Ok, "not asked: --offline");
        }
        _ if offline.is_some() => {
            findings
                .add("network", Status::Warn, "not asked, and not used by builds")
                .why(offline.unwrap_or_default())
                .help("take that away, where it is not meant");
        }
        Ok(desk) if setup.client.is_ok() => {
            let asked: Vec<&Asked> = declared.iter().map(|it| &it.dataset).collect();
            of_network(&desk.reach(&asked)?, &mut findings);
        }
        _ => {
            findings.add("network", Status::Warn, "not asked: the settings cannot be used");
        }
    }
    let findings = findings.0;
    if output.json {
        let checks: Vec<Value> = findings.iter().map(in_json).collect();
        output.document(&json!({ "checks": checks }));
    } else {
        findings.iter().for_each(|finding| show(finding, output));
    }
    let failed = findings.iter().filter(|it| it.status == Status::Fail).count();
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Told),
    }
}

fn of_setup(setup: &Setup, findings: &mut Findings) {
    match (&setup.config, &setup.config_place) {
        (Ok(Some(path)), _) => {
            findings.add("settings", Status::Ok, format!("{} is read", path.display()));
        }
        (Ok(None), Some(place)) => {
            let what = format!("there is no configuration file ({})", place.display());
            findings.add("settings", Status::Ok, what);
        }
        (Ok(None), None) => {
            let what = "there is no configuration file: the home directory is not known";
            findings.add("settings", Status::Ok, what);
        }
        (Err(error), _) => findings.error("settings", &error.to_string()),
    }
    let names = match setup.variables.is_empty() {
        true => "no variable is set that is read".to_owned(),
        false => names(&setup.variables),
    };
    match &setup.settings {
        Ok(()) => {
            findings.add("environment", Status::Ok, names);
        }
        Err(error) => findings.error("environment", &error.to_string()),
    }
    for (name, near) in &setup.unknown {
        let name = tools::printable(name);
        let finding =
            findings.add("environment", Status::Fail, format!("there is no variable {name}"));
        finding.why("builds refuse it: a slip would be a setting that does nothing");
        match near {
            Some(near) => finding.help(format!("did you mean {near}?")),
            None => finding.help("unset it"),
        };
    }
    if !setup.clock_is_plausible {
        findings
            .add("clock", Status::Fail, "the clock is before 2026")
            .why("certificates are refused where the time is wrong")
            .help("set the clock");
    }
    match (&setup.client, &setup.ca_file) {
        (Err(error), _) => {
            // What is wrong with a value was told already.
            if setup.settings.is_ok() && setup.unknown.is_empty() {
                findings.error("certificates", &error.to_string());
            }
        }
        (Ok(()), Some((path, by))) => {
            let what = format!("the built-in ones, and those of {} ({by})", path.display());
            findings.add("certificates", Status::Ok, what);
        }
        (Ok(()), None) => {
            findings.add("certificates", Status::Ok, "the built-in ones");
        }
    }
    match &setup.proxies {
        (None, None) => findings.add("proxy", Status::Ok, "none"),
        (Some(http), Some(peers)) if http == peers => findings.add(
            "proxy",
            Status::Ok,
            format!("{http}, for peers too; UDP does not go through it"),
        ),
        (Some(http), Some(peers)) => {
            findings.add("proxy", Status::Ok, format!("{http}; for peers {peers}"))
        }
        (Some(http), None) => findings.add(
            "proxy",
            Status::Ok,
            format!("{http}; peers and UDP trackers are reached without it"),
        ),
        (None, Some(peers)) => {
            findings.add("proxy", Status::Ok, format!("{peers} for peers; none for HTTP"))
        }
    };
}

/// Below this a warning is due: datasets are larger.
const LITTLE_BYTES: u64 = 1 << 30;

fn of_store(health: &StoreHealth, directory: &std::path::Path, findings: &mut Findings) {
    let shown = directory.display();
    let fails: Vec<_> = health
        .trials
        .iter()
        .filter_map(|(what, done)| Some((*what, done.as_ref().err()?)))
        .collect();
    let works = health.trials.iter().filter(|(_, done)| done.is_ok()).map(|(what, _)| match what {
        Trialled::Writes => "writes",
        Trialled::Locks => "locks",
        Trialled::HardLinks => "hard links",
        Trialled::Times => "times",
    });
    let works = works.collect::<Vec<_>>().join(", ");
    let mut facts = vec![match health.exists {
        true => format!("{shown}: {works} work"),
        false => format!("{shown}: not there yet; beside it {works} work"),
    }];
    facts.extend(health.file_system.clone());
    facts.extend(health.free_bytes.map(|free| format!("{} free", tools::size(free))));
    let move_it = "set ACADEMICTORRENTS_STORE to a directory on a local disk that you can write to";
    let writes = fails.iter().find(|(what, _)| *what == Trialled::Writes);
    match (writes, health.free_bytes) {
        (Some((_, why)), _) => {
            let what = format!("nothing can be written in {}", health.place.display());
            let finding = findings.add("store", Status::Fail, what);
            finding.why((*why).clone()).help(move_it);
            if health.complete.0 > 0 {
                finding.why("what is complete there can still be used");
            }
        }
        (None, Some(free)) if free < LITTLE_BYTES => {
            findings
                .add("store", Status::Warn, facts.join(", "))
                .help("free some space: cargo academictorrents gc --dry-run tells what is used by no project")
                .help("or set ACADEMICTORRENTS_STORE to a directory on another disk");
        }
        _ => {
            findings.add("store", Status::Ok, facts.join(", "));
        }
    }
    for (what, why) in fails.iter().filter(|_| writes.is_none()) {
        let (status, what, effect, help) = match what {
            Trialled::Locks => {
                (Status::Fail, "locks do not work there", "nothing can be fetched", move_it)
            }
            Trialled::HardLinks => (
                Status::Warn,
                "hard links do not work there",
                "each selection of a torrent's files takes its own space",
                move_it,
            ),
            Trialled::Times | Trialled::Writes => (
                Status::Fail,
                "the times of files are not kept there",
                "each build hashes all again",
                move_it,
            ),
        };
        findings.add("store", status, what).why((*why).clone()).why(effect).help(help);
    }
    of_contents(health, findings);
}

fn of_contents(health: &StoreHealth, findings: &mut Findings) {
    let (count, bytes) = health.complete;
    let what = match count {
        0 => "no dataset is complete".to_owned(),
        1 => format!("1 dataset is complete, {}", tools::size(bytes)),
        _ => format!("{count} datasets are complete, {}", tools::size(bytes)),
    };
    findings.add("datasets", Status::Ok, what);
    let verify = "cargo academictorrents verify --stored --repair";
    if !health.changed.is_empty() {
        findings
            .add(
                "datasets",
                Status::Warn,
                format!("not as when verified: {}", some(&health.changed)),
            )
            .why("a file has another length or time: the next build hashes it again")
            .help(verify);
    }
    if !health.unstamped.is_empty() {
        findings
            .add("datasets", Status::Warn, format!("not known to be right: {}", some(&health.unstamped)))
            .why("a build was ended while publishing, or damage was found: the next build hashes it again")
            .help(verify);
    }
    if !health.partial.is_empty() {
        let bytes = health.partial.iter().map(|(_, bytes)| bytes).sum();
        let ids: Vec<String> = health.partial.iter().map(|(id, _)| id.clone()).collect();
        let what = format!("fetched in part ({}): {}", tools::size(bytes), some(&ids));
        findings
            .add("datasets", Status::Ok, what)
            .help("to go on: cargo academictorrents fetch; to let go: cargo academictorrents gc");
    }
    if !health.leftovers.is_empty() {
        let count = health.leftovers.len();
        let what = format!("left over from processes that were killed: {count}");
        findings.add("datasets", Status::Warn, what).help("cargo academictorrents gc");
    }
}

/// The first ids.
fn some(ids: &[String]) -> String {
    const MOST: usize = 3;
    match ids.get(..MOST) {
        Some(first) if ids.len() > MOST => {
            format!("{} and {} more", first.join(", "), ids.len() - MOST)
        }
        _ => ids.join(", "),
    }
}

/// Names of variables: those of ours have their beginning once.
fn names(variables: &[String]) -> String {
    let mut ours = false;
    let short = |name: &String| match name.strip_prefix("ACADEMICTORRENTS") {
        Some(rest) if std::mem::replace(&mut ours, true) => rest.to_owned(),
        _ => name.clone(),
    };
    variables.iter().map(short).collect::<Vec<_>>().join(", ")
}

fn declared(arguments: &Arguments, common: &Common, findings: &mut Findings) -> Vec<Declared> {
    match arguments.workspace.declared(common) {
        Ok(declared) => {
            let what = match declared.len() {
                0 => "no dataset is declared here".to_owned(),
                1 => "1 dataset is declared here".to_owned(),
                count => format!("{count} datasets are declared here"),
            };
            findings.add("manifest", Status::Ok, what);
            declared
        }
        Err(Failure::Said(why)) if why.contains("could not find `Cargo.toml`") => {
            findings.add("manifest", Status::Ok, "there is no crate here");
            Vec::new()
        }
        Err(Failure::Said(why)) => {
            findings.error("manifest", &why);
            Vec::new()
        }
        Err(Failure::Error(error)) => {
            findings.error("manifest", &error.to_string());
            Vec::new()
        }
        Err(Failure::Told) => Vec::new(),
    }
}

fn of_network(reach: &Reach, findings: &mut Findings) {
    let (url, answer) = &reach.catalogue;
    match answer {
        Answered::Failed(why) if why.starts_with("HTTP status") => {
            findings
                .add("catalogue", Status::Warn, format!("{url}: {why}"))
                .help("try again later; what is at hand, and mirrors, do without it");
        }
        Answered::Failed(why) => {
            let finding = findings.add("catalogue", Status::Fail, format!("{url}: {why}"));
            finding.why("torrents that are not at hand are looked up there");
            finding.help("behind a firewall, name its proxy in HTTPS_PROXY, and its certificates in ACADEMICTORRENTS_CA_FILE");
            finding.help("or vendor the .torrent files: cargo academictorrents vendor");
        }
        Answered::LeftOut => {
            findings.add("catalogue", Status::Ok, "not asked: `sources` leaves it out");
        }
        _ => {
            findings.add("catalogue", Status::Ok, format!("{url} answers"));
        }
    }
    for source in &reach.sources {
        let area = if source.is_tracker { "tracker" } else { "web seed" };
        told(area, &source.url, &source.answer, &source.dataset, findings);
    }
    for (peer, answer) in &reach.peers {
        told("peer", peer, answer, "", findings);
    }
    for name in &reach.unknown {
        findings
            .add(
                "sources",
                Status::Ok,
                format!("`{name}`: its torrent is not here yet, so that nobody was asked"),
            )
            .help(format!("to ask: cargo academictorrents info {name}"));
    }
    for (name, having) in &reach.missing {
        match having {
            0 => findings
                .add(
                    "sources",
                    Status::Fail,
                    format!("`{name}` is not complete here, and nobody who was asked has it"),
                )
                .help("add `web-seeds`, `mirrors` or `peers` to its table, or try again later"),
            1 => findings.add("sources", Status::Ok, format!("`{name}` can be had from 1 source")),
            _ => findings.add(
                "sources",
                Status::Ok,
                format!("`{name}` can be had from {having} sources"),
            ),
        };
    }
    of_udp(reach, findings);
    match &reach.listens {
        Ok(()) => findings.add(
            "listening",
            Status::Ok,
            "a port can be listened on (seed alone does that); whether others reach it is not known",
        ),
        Err(why) => findings
            .add("listening", Status::Warn, format!("no port can be listened on: {why}"))
            .why("seed cannot serve; builds do without"),
    };
}

/// A source is one of many: that it does not answer is worth a warning.
fn told(area: &'static str, url: &str, answer: &Answered, of: &str, findings: &mut Findings) {
    let of = if of.is_empty() { String::new() } else { format!(" (`{of}`)") };
    match answer {
        Answered::Failed(why) => {
            findings.add(area, Status::Warn, format!("{url}{of}: {why}"));
        }
        Answered::LeftOut => {
            findings.add(
                area,
                Status::Ok,
                format!("{url}{of}: not asked: `sources` leaves it out"),
            );
        }
        Answered::Counts { .. } => {
            let (counts, _) = info::told(answer);
            findings.add(area, Status::Ok, format!("{url}{of}: {counts}"));
        }
        Answered::Alive => {
            let what = if area == "peer" { "takes connections" } else { "has it" };
            findings.add(area, Status::Ok, format!("{url}{of}: {what}"));
        }
    }
}

/// Many firewalls let no UDP out.
fn of_udp(reach: &Reach, findings: &mut Findings) {
    let is_udp = |url: &str| url.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("udp://"));
    let udp: Vec<_> = reach.sources.iter().filter(|it| it.is_tracker && is_udp(&it.url)).collect();
    let answered = udp.iter().filter(|it| matches!(it.answer, Answered::Counts { .. })).count();
    if udp.is_empty() {
        findings.add("UDP", Status::Ok, "not tried: no UDP tracker is declared here");
    } else if answered > 0 {
        findings.add(
            "UDP",
            Status::Ok,
            format!("goes out: {answered} of {} trackers answered", udp.len()),
        );
    } else if udp.iter().all(|it| matches!(it.answer, Answered::LeftOut)) {
        findings.add("UDP", Status::Ok, "not tried: `sources` leaves trackers out");
    } else {
        findings
            .add("UDP", Status::Warn, format!("none of {} UDP trackers answered", udp.len()))
            .why("they may be dead, or a firewall lets no UDP out; HTTP trackers and web seeds do without");
    }
}

const AREA_WIDTH: usize = 12;

fn show(finding: &Finding, output: &Output) {
    let word = stdout(format!("{:4}", finding.status.word()));
    let word = match finding.status {
        Status::Ok => word.green(),
        Status::Warn => word.yellow(),
        Status::Fail => word.red().bold(),
    };
    output.result(format_args!("{word}  {:AREA_WIDTH$}  {}", finding.area, finding.what));
    let indent = " ".repeat(4 + 2 + AREA_WIDTH + 2);
    for why in &finding.why {
        output.result(format_args!("{indent}{why}"));
    }
    for help in &finding.help {
        output.result(format_args!("{indent}help: {help}"));
    }
}

fn in_json(finding: &Finding) -> Value {
    json!({
        "area": finding.area,
        "status": finding.status.word(),
        "what": finding.what,
        "why": finding.why,
        "help": finding.help,
    })
}
