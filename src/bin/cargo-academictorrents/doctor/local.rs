//! This machine: settings, certificates, the store.

use academictorrents::tools::{self, Setup, StoreHealth, Trialled};

use super::findings::{Findings, Status};

pub(super) fn of_setup(setup: &Setup, findings: &mut Findings) {
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

pub(super) fn of_store(health: &StoreHealth, directory: &std::path::Path, findings: &mut Findings) {
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
