//! Checks which sources can be reached.

use academictorrents::Error;
use academictorrents::engine::address::NamedBy;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::error::printable;
use academictorrents::engine::net::{Listener, SourceError};
use academictorrents::engine::settings::Settings;
use academictorrents::engine::{self, ProbeAnswer, Question, UserPlaces};

use super::findings::{DoctorReport, Status};
use crate::app::App;
use crate::commands::info;
use crate::dataset_spec::DatasetSpec;
use crate::probes::{Answered, ProbeTarget, ProbeTargets};
use crate::workspace::Declared;

/// A source of one or more datasets.
struct ProbedSource<'a> {
    target: ProbeTarget,
    /// Otherwise a web seed.
    is_tracker: bool,
    /// The dataset for which the source is asked.
    dataset: &'a str,
}

/// Asks the catalog, and all sources of datasets whose torrents are on this machine, in parallel.
/// Takes at most five seconds. A source of several complete datasets is asked once.
///
/// # Errors
/// [`academictorrents::ErrorKind::Manifest`] for a proxy or certificate file that cannot be used.
pub(super) fn of_network(
    app: &App,
    declared: &[Declared],
    findings: &mut DoctorReport,
) -> Result<(), Error> {
    let (mut unknown, mut missing) = (Vec::new(), Vec::new());
    let mut sources: Vec<ProbedSource<'_>> = Vec::new();
    let mut peers: Vec<_> =
        app.settings.peers.iter().map(|it| (NamedBy::User, it.clone())).collect();
    // Incomplete datasets come first: all of their sources are asked.
    let mut ordered: Vec<(&DatasetSpec, bool)> =
        declared.iter().map(|it| (&it.dataset, app.present(&it.dataset).is_some())).collect();
    ordered.sort_by_key(|(_, present)| *present);
    for (dataset, present) in ordered {
        let by = dataset.request.origin.named_by();
        peers.extend(dataset.request.peers.iter().map(|it| (by, it.clone())));
        let name = dataset.name();
        let Some((trackers, web_seeds)) = at_hand(app, dataset) else {
            unknown.push(name);
            continue;
        };
        if !present {
            missing.push(name);
        }
        let trackers = trackers.into_iter().map(|target| (true, target));
        for (is_tracker, target) in trackers.chain(web_seeds.into_iter().map(|it| (false, it))) {
            if !present || !sources.iter().any(|known| known.target.url == target.url) {
                sources.push(ProbedSource { target, is_tracker, dataset: name });
            }
        }
    }
    peers.sort();
    peers.dedup();
    let target = |url: &dyn std::fmt::Display, question, is_left_out| ProbeTarget {
        url: printable(&url.to_string()),
        tier: 0,
        question: Some(question),
        user_places: UserPlaces::default(),
        is_left_out,
    };
    let (url, allowed) = (&app.settings.catalogue, app.settings.sources);
    let key = app.settings.api_key.clone();
    let question = Question::Catalog(app.settings.catalogue_by(), url.clone(), key);
    let site = target(url, question, !allowed.catalogue);
    let of_peer = |(by, peer): (NamedBy, String)| {
        target(&peer.clone(), Question::Peer(by, peer), !allowed.peers)
    };
    let peers: Vec<ProbeTarget> = peers.into_iter().map(of_peer).collect();
    let asked = [&site].into_iter().chain(&peers).chain(sources.iter().map(|it| &it.target));
    let offline = || Some(Err(SourceError::Other("not contacted: offline".to_owned())));
    let mut answers = app.ask(asked)?.unwrap_or_default().into_iter();
    let mut next = || answers.next().unwrap_or_else(offline);
    of_catalogue(&site.url, &app.settings, &next(), findings);
    let of_peers: Vec<Answered> = peers.iter().map(|_| next()).collect();
    let sources: Vec<(ProbedSource<'_>, Answered)> =
        sources.into_iter().map(|it| (it, next())).collect();
    for (source, answer) in &sources {
        let area = if source.is_tracker { "tracker" } else { "web seed" };
        told(area, &source.target.url, answer, source.dataset, findings);
    }
    for (peer, answer) in peers.iter().zip(&of_peers) {
        told("peer", &peer.url, answer, "", findings);
    }
    for name in unknown {
        let what = format!("`{name}`: not checked, because its .torrent is not on this machine");
        findings
            .add("sources", Status::Ok, what)
            .help(format!("to check: cargo academictorrents info {name}"));
    }
    for name in missing {
        let of_it = sources.iter().filter(|(source, _)| source.dataset == name);
        match of_it.filter(|(_, answer)| has_data(answer)).count() {
            0 => findings
                .add(
                    "sources",
                    Status::Fail,
                    format!("`{name}` is incomplete, and no source that answered has it"),
                )
                .help("add `web-seeds`, `mirrors` or `peers` to its table, or try again later"),
            1 => {
                findings.add("sources", Status::Ok, format!("`{name}` is available from 1 source"))
            }
            having => findings.add(
                "sources",
                Status::Ok,
                format!("`{name}` is available from {having} sources"),
            ),
        };
    }
    of_udp(&sources, findings);
    match Listener::bind(0) {
        Ok(_) => findings.add(
            "listening",
            Status::Ok,
            "a port can be opened (only `seed` does that); whether others can reach it was not checked",
        ),
        Err(why) => findings
            .add("listening", Status::Warn, format!("no port can be opened: {why}"))
            .why("`seed` cannot serve; builds do not need a port"),
    };
    Ok(())
}

/// Returns the sources of a torrent that is on this machine, without network access.
fn at_hand(app: &App, dataset: &DatasetSpec) -> Option<ProbeTargets> {
    let (counters, request) = (Counters::default(), &dataset.request);
    let located = engine::at_hand(&app.session(&counters), request).ok().flatten()?;
    app.probe_targets(dataset, &located.select(request).ok()?.metainfo).ok()
}

/// Whether the source may provide data: a web seed that has it, or a tracker that knows peers.
fn has_data(answer: &Answered) -> bool {
    match answer {
        Some(Ok(ProbeAnswer::Counts(counts))) => match counts.seeds {
            Some(seeds) => seeds > 0,
            None => counts.leechers.is_some_and(|peers| peers > 0),
        },
        Some(Ok(ProbeAnswer::Alive)) => true,
        Some(Err(_)) | None => false,
    }
}

fn of_catalogue(url: &str, settings: &Settings, answer: &Answered, findings: &mut DoctorReport) {
    let (is_chosen, has_key) = (settings.catalogue_is_chosen, settings.api_key.is_some());
    match answer {
        Some(Err(why @ SourceError::Status(401 | 403))) if is_chosen && has_key => {
            findings
                .add("catalogue", Status::Warn, format!("{url}: {why}"))
                .help(format!("check {}", settings.configured.place_of("API_KEY")));
        }
        Some(Err(why @ SourceError::Status(401 | 403))) if is_chosen => {
            findings.add("catalogue", Status::Ok, format!("{url} answers")).why(format!(
                "its start page: {why}; builds only need /download/<infohash>.torrent"
            ));
        }
        Some(Err(why @ SourceError::Status(_))) => {
            findings.add("catalogue", Status::Warn, format!("{url}: {why}")).help(
                "try again later; mirrors and torrents on this machine do not need the catalog",
            );
        }
        Some(Err(why)) => {
            let why = printable(&why.to_string());
            let finding = findings.add("catalogue", Status::Fail, format!("{url}: {why}"));
            finding.why("torrents that are not on this machine are looked up there");
            finding.help("behind a firewall, set HTTPS_PROXY to its proxy and ACADEMICTORRENTS_CA_FILE to its root certificates");
            finding.help("or vendor the .torrent files: cargo academictorrents vendor");
        }
        None => {
            findings.add("catalogue", Status::Ok, "not contacted: excluded by `sources`");
        }
        Some(Ok(_)) => {
            findings.add("catalogue", Status::Ok, format!("{url} answers"));
        }
    }
}

/// Adds a source's answer. Only a warning if it failed, because a source is one of many.
fn told(area: &'static str, url: &str, answer: &Answered, of: &str, findings: &mut DoctorReport) {
    let of = if of.is_empty() { String::new() } else { format!(" (`{of}`)") };
    let (status, what) = match answer {
        Some(Err(why)) => (Status::Warn, printable(&why.to_string())),
        None => (Status::Ok, "not contacted: excluded by `sources`".to_owned()),
        Some(Ok(ProbeAnswer::Alive)) if area == "peer" => {
            (Status::Ok, "accepts connections".to_owned())
        }
        Some(Ok(_)) => (Status::Ok, info::told(answer).0),
    };
    findings.add(area, status, format!("{url}{of}: {what}"));
}

/// Checks UDP, which many firewalls block.
fn of_udp(sources: &[(ProbedSource<'_>, Answered)], findings: &mut DoctorReport) {
    let is_udp = |url: &str| url.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("udp://"));
    let is_meant = |(it, _): &&(ProbedSource<'_>, _)| it.is_tracker && is_udp(&it.target.url);
    let udp: Vec<&Answered> = sources.iter().filter(is_meant).map(|(_, it)| it).collect();
    let answered = udp.iter().filter(|it| matches!(it, Some(Ok(ProbeAnswer::Counts(_))))).count();
    if udp.is_empty() {
        findings.add("UDP", Status::Ok, "not tried: no declared dataset has a UDP tracker");
    } else if answered > 0 {
        findings.add(
            "UDP",
            Status::Ok,
            format!("works: {answered} of {} UDP trackers answered", udp.len()),
        );
    } else if udp.iter().all(|it| it.is_none()) {
        findings.add("UDP", Status::Ok, "not tried: `sources` excludes trackers");
    } else {
        findings
            .add("UDP", Status::Warn, format!("no UDP tracker answered ({} asked)", udp.len()))
            .why("they may be down, or a firewall may block UDP; HTTP trackers and web seeds do not need it");
    }
}

#[cfg(test)]
mod tests {
    use academictorrents::engine::settings::Context;

    use super::*;

    #[test]
    fn a_catalog_that_refuses_its_start_page_may_refuse_the_key() {
        let catalogue = ("ACADEMICTORRENTS_CATALOGUE", "https://catalog.example.org");
        let key = ("ACADEMICTORRENTS_API_KEY", "uid=1;pass=2");
        let (of_key, later) = ("check ACADEMICTORRENTS_API_KEY", "try again later");
        for (variables, code, expected) in [
            (&[catalogue][..], 403, (Status::Ok, None)),
            (&[catalogue, key], 403, (Status::Warn, Some(of_key))),
            (&[catalogue, key], 401, (Status::Warn, Some(of_key))),
            (&[catalogue, key], 503, (Status::Warn, Some(later))),
            (&[key], 403, (Status::Warn, Some(later))),
            (&[], 403, (Status::Warn, Some(later))),
        ] {
            let mut context = Context::default();
            for (name, value) in variables {
                context.set(name, value);
            }
            let mut report = DoctorReport::default();
            let answer = Some(Err(SourceError::Status(code)));
            of_catalogue("url", &context.settings().unwrap(), &answer, &mut report);
            let (found, help) = (&report.0[0], report.0[0].help.first());
            assert_eq!(found.status, expected.0, "{variables:?} {code}");
            let begin = expected.1.unwrap_or_default();
            assert!(help.is_none_or(|help| help.starts_with(begin)), "{help:?}");
            assert_eq!(help.is_some(), expected.1.is_some(), "{help:?}");
        }
    }
}
