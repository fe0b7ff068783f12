//! Checks of this machine: settings, certificates, the store.

use std::io;
use std::path::{Path, PathBuf};

use academictorrents::engine::error::printable;
use academictorrents::engine::manifest::absolute;
use academictorrents::engine::settings::{Context, Settings};
use academictorrents::engine::size::display as size;
use academictorrents::engine::storage::{Access, EntryState, Store, StoreScan, directory_fault};
use academictorrents::engine::{self, net, plan};

use super::findings::{DoctorReport, Status};
use crate::store_usage;

/// The settings that later checks need.
pub(super) struct Setup {
    /// The store's directory, if it is known.
    pub(super) store: Option<PathBuf>,
    /// Whether proxies and certificates are valid.
    pub(super) has_client: bool,
    /// Why network access is disabled, if it is.
    pub(super) offline: Option<String>,
}

/// Checks the environment and the user's configuration file; `store` overrides their store.
pub(super) fn of_setup(store: Option<&Path>, findings: &mut DoctorReport) -> Setup {
    let mut context = Context::of_command();
    match (context.read_config(), context.config_path(), context.config_place()) {
        (Ok(()), Some(path), _) => {
            findings.add("settings", Status::Ok, format!("using {}", path.display()));
        }
        (Ok(()), None, Some(place)) => {
            let what = format!("no configuration file ({})", place.display());
            findings.add("settings", Status::Ok, what);
        }
        (Ok(()), None, None) => {
            let what = "no configuration file: the home directory is unknown";
            findings.add("settings", Status::Ok, what);
        }
        (Err(error), ..) => findings.error("settings", &error),
    }
    let directory = match store {
        Some(directory) => absolute(directory),
        None => context.store_dir(),
    };
    let settings = context.settings();
    let unknown = context.unknown_names();
    let usable = settings.as_ref().map_err(Clone::clone);
    // Each unknown variable has a separate finding.
    let flaw = usable.clone().and_then(plan::check_named).err().filter(|_| unknown.is_empty());
    match (&flaw, context.set_names()) {
        (Some(error), _) => findings.error("environment", error),
        (None, none) if none.is_empty() => {
            findings.add("environment", Status::Ok, "no relevant variable is set");
        }
        (None, variables) => {
            findings.add("environment", Status::Ok, names(&variables));
        }
    }
    for (name, near) in &unknown {
        let what = format!("unknown variable {}", printable(name));
        let finding = findings.add("environment", Status::Fail, what);
        finding.why(
            "builds reject unknown variables, because a misspelled setting would have no effect",
        );
        match near {
            Some(near) => finding.help(format!("did you mean {near}?")),
            None => finding.help("unset it"),
        };
    }
    if !engine::clock_is_plausible() {
        findings
            .add("clock", Status::Fail, "the system clock is set to a date before 2026")
            .why("valid certificates are rejected while the time is wrong")
            .help("set the clock");
    }
    let found = usable.ok();
    let mut has_client = false;
    // Invalid settings were already reported.
    if let Some(settings) = found {
        let has_certificates = of_certificates(settings, findings);
        of_credentials(settings, &context, findings);
        of_places(settings, findings);
        has_client = of_proxies(settings, findings) && has_certificates;
    }
    if let Some(hosts) = context.value_shown("PRIVATE_HOSTS") {
        let what = format!("{} may be contacted, whichever source names them", printable(&hosts));
        findings.add("private hosts", Status::Ok, what);
    }
    let offline = found.filter(|it| it.offline).map(|it| it.offline_reason());
    let store = match directory {
        Ok(directory) => Some(directory),
        Err(error) => {
            findings.error("store", &error);
            None
        }
    };
    Setup { store, has_client, offline }
}

/// Returns whether the certificates that the user names can be used.
fn of_certificates(settings: &Settings, findings: &mut DoctorReport) -> bool {
    // An invalid proxy is another finding.
    let without_proxy = Settings { proxy: None, all_proxy: None, ..settings.clone() };
    let client = net::Client::new(&without_proxy);
    match &client {
        Ok(_) => {
            findings.add("certificates", Status::Ok, trusted(settings));
        }
        Err(error) => findings.error("certificates", error),
    }
    client.is_ok()
}

/// Returns whether the proxies are valid.
fn of_proxies(settings: &Settings, findings: &mut DoctorReport) -> bool {
    let proxies = match net::shown_proxies(settings) {
        Ok((None, None)) => "none".to_owned(),
        Ok((Some(http), Some(peers))) if http == peers => {
            format!("{http}, also for peers; it does not carry UDP")
        }
        Ok((Some(http), Some(peers))) => format!("{http}; {peers} for peers"),
        Ok((Some(http), None)) => format!("{http}; peers and UDP trackers are contacted directly"),
        Ok((None, Some(peers))) => format!("{peers} for peers; none for HTTP"),
        Err(error) => {
            findings.error("proxy", &error);
            return false;
        }
    };
    findings.add("proxy", Status::Ok, proxies);
    true
}

/// Checks that the paths which the user names can be read.
fn of_places(settings: &Settings, findings: &mut DoctorReport) {
    let mut check = |subject: &'static str, variable: &str, path: &Path, fault: Option<String>| {
        let Some(fault) = fault else { return };
        let by = match (&settings.ca_directories, variable) {
            (Some(directories), "CA_DIR") => directories.variable.clone(),
            _ => settings.configured.place_of(variable),
        };
        findings
            .add(subject, Status::Warn, format!("{}: {fault}", path.display()))
            .why(format!("named by {by}; builds continue without it"))
            .help(format!("correct {by}, or mount the directory"));
    };
    for directory in &settings.load_path {
        check("load path", "LOAD_PATH", directory, directory_fault(directory));
    }
    for mirror in settings.mirrors.iter().filter(|mirror| !mirror.is_http()) {
        let directory = Path::new(mirror.exposed());
        check("mirrors", "MIRRORS", directory, directory_fault(directory));
    }
    for directory in settings.ca_directories.iter().flat_map(|it| &it.paths) {
        let fault = net::directory_flaw(directory).map(|why| why.to_string());
        check("certificates", "CA_DIR", directory, fault);
    }
    for (name, path) in &settings.paths {
        if let Err(why) = std::fs::metadata(path) {
            let variable = format!("ACADEMICTORRENTS_PATH_{name}");
            findings
                .add("copies", Status::Fail, format!("{}: {why}", path.display()))
                .why(format!("named by {variable}; builds use only this copy for the dataset"))
                .help(format!("correct {variable}, or unset it"));
        }
    }
}

/// Lists the hosts with credentials, and checks the files. Shows no secret.
fn of_credentials(settings: &Settings, context: &Context, findings: &mut DoctorReport) {
    let mut kept: Vec<String> = settings.credentials.hosts().map(|it| printable(&it)).collect();
    let mut files = context.files_with_secrets();
    if let Some(file) = &settings.netrc {
        let shown = file.path.display();
        match net::read_netrc(file) {
            Ok(None) => {}
            Ok(Some(netrc)) => {
                files.push(&file.path);
                kept.push(match netrc.hosts() {
                    1 => format!("1 host in {shown}"),
                    hosts => format!("{hosts} hosts in {shown}"),
                });
                if let Some(line) = netrc.flaw() {
                    let what = format!("{shown}:{line}: invalid netrc syntax");
                    findings
                        .add("credentials", Status::Warn, what)
                        .why("entries after it may be misread")
                        .help("put a password that contains a space or a quote in quotes: \"…\"");
                }
            }
            Err(why) => {
                let by = file.by.as_deref().map(|by| format!(" ({by})")).unwrap_or_default();
                findings
                    .add("credentials", Status::Warn, format!("{shown} cannot be read{by}"))
                    .why(why.to_string())
                    .why("builds continue without it");
            }
        }
    }
    for file in files.into_iter().filter(|file| is_readable_by_others(file)) {
        let shown = file.display();
        findings
            .add(
                "credentials",
                Status::Warn,
                format!("other users of this machine can read {shown}"),
            )
            .help(format!("chmod 600 {shown}"));
    }
    if !kept.is_empty() {
        findings.add("credentials", Status::Ok, kept.join(", "));
    }
}

#[cfg(unix)]
fn is_readable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|it| it.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// Less free space than this causes a warning, because datasets are larger.
const LITTLE_BYTES: u64 = 1 << 30;

/// Tests what a store needs in this location, and lists its datasets without hashing them.
pub(super) fn of_store(directory: &Path, findings: &mut DoctorReport) {
    let store = Store::at(directory);
    let trial = store.try_out();
    let scan = store_usage::scan(&store);
    let shown = directory.display();
    let trials = [
        ("writing", &trial.writes),
        ("locks", &trial.locks),
        ("hard links", &trial.hard_links),
        ("file times", &trial.times),
    ];
    let works: Vec<_> =
        trials.iter().filter(|(_, done)| done.is_ok()).map(|(what, _)| *what).collect();
    let works = works.join(", ");
    let mut facts = vec![match store.root().is_dir() {
        true => format!("{shown}: {works} work"),
        false => format!("{shown}: does not exist yet; where it would be created, {works} work"),
    }];
    facts.extend(trial.file_system);
    facts.extend(trial.free_bytes.map(|free| format!("{} free", size(free))));
    let move_it = "set ACADEMICTORRENTS_STORE to a directory on a local disk that you can write to";
    match (&trial.writes, trial.free_bytes) {
        (Err(why), _) => {
            let what = format!("cannot write to {}", trial.place.display());
            let finding = findings.add("store", Status::Fail, what);
            finding.why(why.to_string()).help(move_it);
            if scan.entries.iter().any(|it| matches!(it.state, EntryState::Complete { .. })) {
                finding.why("complete datasets there can still be used");
            }
        }
        (Ok(()), Some(free)) if free < LITTLE_BYTES => {
            findings
                .add("store", Status::Warn, facts.join(", "))
                .help("free some space: cargo academictorrents gc --dry-run lists datasets that no project uses")
                .help("or set ACADEMICTORRENTS_STORE to a directory on another disk");
        }
        _ => {
            findings.add("store", Status::Ok, facts.join(", "));
        }
    }
    let mut fails = |done: &io::Result<()>, status, what: &str, effect: &str, help: &str| {
        if let (Ok(()), Err(why)) = (&trial.writes, done) {
            findings.add("store", status, what).why(why.to_string()).why(effect).help(help);
        }
    };
    let what = "file locks do not work there";
    fails(&trial.locks, Status::Fail, what, "nothing can be downloaded to it", move_it);
    let (what, effect) = (
        "hard links do not work there",
        "each selection of a torrent's files takes additional space",
    );
    fails(&trial.hard_links, Status::Warn, what, effect, move_it);
    let what = "file times are not preserved there";
    fails(&trial.times, Status::Fail, what, "each build hashes all data again", move_it);
    of_access(&store.access(), directory, findings);
    of_contents(scan, findings);
}

/// Checks who else can write to the store, because stamps are trusted.
fn of_access(access: &Access, directory: &Path, findings: &mut DoctorReport) {
    let effect = "stored data is trusted without hashing, so anyone who can write to the store controls what builds use";
    if let Some(first) = access.open.first() {
        let paths: Vec<_> = access.open.iter().map(|path| path.display().to_string()).collect();
        let more = match access.open.len() {
            1 => String::new(),
            count => format!(", and to {} other directories of the store", count - 1),
        };
        findings
            .add("store", Status::Warn, format!("any user can write to {}{more}", first.display()))
            .why(effect)
            .help(format!("run: chmod o-w {}", paths.join(" ")))
            .help("then, if other users may have written to it: cargo academictorrents verify --stored --repair");
    }
    // In a group's store, each member owns the files it created.
    let is_of_group = access.is_shared && access.open.is_empty();
    if let Some((owner, path)) = access.owners.first().filter(|_| !is_of_group) {
        findings
            .add("store", Status::Warn, format!("{} belongs to another user ({owner})", path.display()))
            .why(effect)
            .help("set ACADEMICTORRENTS_STORE to a directory of your own")
            .help("if you trust that user, add this store to ACADEMICTORRENTS_LOAD_PATH, where it is only read");
    }
    if !access.groups.is_empty() {
        let groups = access.groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        findings
            .add("store", Status::Ok, format!("all members of the group {groups} can write to it"))
            .why("each member can change the data that builds use")
            .help(format!("if this is not intended: chmod -R g-w {}", directory.display()));
    }
}

fn of_contents(scan: StoreScan, findings: &mut DoctorReport) {
    let (mut count, mut bytes, mut partial_bytes) = (0, 0, 0);
    let (mut changed, mut unstamped, mut partial) = (Vec::new(), scan.obstructed, Vec::new());
    for entry in scan.entries {
        match entry.state {
            EntryState::Complete { bytes: its, .. } => (count, bytes) = (count + 1, bytes + its),
            EntryState::Unstamped { is_changed: true } => changed.push(entry.id),
            EntryState::Unstamped { is_changed: false } => unstamped.push(entry.id),
            EntryState::Partial => {
                partial.push(entry.id);
                partial_bytes += entry.bytes;
            }
            EntryState::Torrent => {}
        }
    }
    let what = match count {
        0 => "no complete datasets".to_owned(),
        1 => format!("1 complete dataset, {}", size(bytes)),
        _ => format!("{count} complete datasets, {}", size(bytes)),
    };
    findings.add("datasets", Status::Ok, what);
    let verify = "cargo academictorrents verify --stored --repair";
    if !changed.is_empty() {
        findings
            .add(
                "datasets",
                Status::Warn,
                format!("changed since they were verified: {}", some(&changed)),
            )
            .why("the size or time of a file differs; the next build hashes the dataset again")
            .help(verify);
    }
    if !unstamped.is_empty() {
        findings
            .add("datasets", Status::Warn, format!("not verified: {}", some(&unstamped)))
            .why("a build was interrupted while publishing, or damage was found; the next build hashes the dataset again")
            .help(verify);
    }
    if !partial.is_empty() {
        let what = format!("partly downloaded ({}): {}", size(partial_bytes), some(&partial));
        findings
            .add("datasets", Status::Ok, what)
            .help("to finish: cargo academictorrents fetch; to remove: cargo academictorrents gc");
    }
    if !scan.leftovers.is_empty() {
        let count = scan.leftovers.len();
        let what = format!("leftovers of killed processes: {count}");
        findings.add("datasets", Status::Warn, what).help("cargo academictorrents gc");
    }
}

/// Returns the first ids.
fn some(ids: &[String]) -> String {
    const MOST: usize = 3;
    match ids.get(..MOST) {
        Some(first) if ids.len() > MOST => {
            format!("{} and {} more", first.join(", "), ids.len() - MOST)
        }
        _ => ids.join(", "),
    }
}

/// Joins names of variables. Only the first of ours has its prefix.
fn names(variables: &[String]) -> String {
    let mut ours = false;
    let short = |name: &String| match name.strip_prefix("ACADEMICTORRENTS") {
        Some(rest) if std::mem::replace(&mut ours, true) => rest.to_owned(),
        _ => name.clone(),
    };
    variables.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// Describes which certificates are trusted.
fn trusted(settings: &Settings) -> String {
    let mut roots = vec!["built-in".to_owned()];
    if !net::system_roots().is_empty() {
        roots.push("the system's".to_owned());
    }
    if let Some(file) = &settings.ca_file {
        roots.push(format!("{} ({})", file.path.display(), file.variable));
    }
    if let Some(directories) = &settings.ca_directories {
        let of = |path: &PathBuf| format!("{} ({})", path.display(), directories.variable);
        roots.extend(directories.paths.iter().map(of));
    }
    match roots.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{}, and {last}", others.join(", ")),
        None => String::new(),
    }
}
