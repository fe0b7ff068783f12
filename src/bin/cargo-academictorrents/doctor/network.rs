//! Who can be reached.

use academictorrents::tools::{Answered, Reach};

use super::findings::{Findings, Status};
use crate::info;

pub(super) fn of_network(reach: &Reach, findings: &mut Findings) {
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
