//! Announces to trackers, over HTTP (BEP 3, 7, 12, 23) or UDP (BEP 15).

use std::time::Duration;

use ureq::config::IpFamily;

use super::Client;
use super::http::authority;
use super::udp_tracker::UdpTracker;
use crate::context::{is_http, is_udp};
use crate::protocol::http::verdict::status_text;
#[cfg(feature = "cli")]
use crate::protocol::scrape::{Counts, parse_scrape, scrape_url};
use crate::protocol::tracker::{
    Announce, AnnounceEvent, MAX_REPLY_BYTES, Reply, announce_url, parse_reply,
};
use crate::protocol::udp_tracker::parts;
#[cfg(feature = "cli")]
use crate::protocol::{tracker::REFUSES, udp_tracker::NO_ANSWER};

#[cfg(test)]
mod tests;

/// Why a tracker brought no peers, and how long it wants to be left alone, where it says so.
#[derive(Debug)]
pub struct TrackerFailure {
    pub why: String,
    pub retry_after: Option<Duration>,
}

impl From<String> for TrackerFailure {
    fn from(why: String) -> TrackerFailure {
        TrackerFailure { why, retry_after: None }
    }
}

/// Where a tracker is, whichever torrents it is asked for: its host and port.
pub fn tracker_place(url: &str) -> String {
    match parts(url) {
        Ok((place, _)) if is_udp(url) => format!("udp://{}", place.to_ascii_lowercase()),
        _ => authority(url).unwrap_or_else(|| url.to_owned()),
    }
}

/// A tracker that is announced to, now and again.
#[derive(Debug)]
pub struct Tracker {
    url: String,
    udp: UdpTracker,
    /// Over HTTP it is told over each family of addresses, so that it knows where we can be connected to over each (BEP 7); and
    /// over which it has answered.
    each_family: bool,
    knows_us: [bool; FAMILIES.len()],
}

const FAMILIES: [(IpFamily, &str); 2] =
    [(IpFamily::Ipv4Only, "over IPv4"), (IpFamily::Ipv6Only, "over IPv6")];

impl Tracker {
    /// # Errors
    /// Why it is never asked: a URL of another kind; a UDP tracker, where a proxy is not to be passed by.
    ///
    /// `each_family`: it is to know that we listen over IPv4 and over IPv6. Over UDP it is asked over both in any case.
    pub fn new(client: &Client, url: &str, each_family: bool) -> Result<Tracker, &'static str> {
        if is_udp(url) {
            let proxied = parts(url).is_ok_and(|(place, _)| client.socks_for(place).is_some());
            if proxied {
                return Err("not asked: UDP does not go through the SOCKS proxy");
            }
        } else if !is_http(url) {
            return Err("only http, https and udp trackers are supported");
        }
        let udp = UdpTracker::default();
        Ok(Tracker { url: url.to_owned(), udp, each_family, knows_us: [false; FAMILIES.len()] })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Announces once, and hands on what is answered as it comes: a UDP tracker may answer over IPv4 and over IPv6.
    ///
    /// `time` is a clock's time, and `None` once the answer is of no use any more; it is asked often. An announce
    /// over HTTP has a deadline, and is ended by [`Client::shut_down`] alone.
    ///
    /// # Errors
    /// No reply, an HTTP error, a failure reason, or a reply that makes no sense.
    pub fn announce(
        &mut self,
        client: &Client,
        announce: &Announce,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), TrackerFailure> {
        if is_udp(&self.url) {
            return Ok(self.udp.announce(client, &self.url, announce, time, answered)?);
        }
        let url = announce_url(&self.url, announce);
        let leaves =
            matches!(announce.event, Some(AnnounceEvent::Stopped | AnnounceEvent::Completed));
        // Who is told that we leave has heard of us.
        let over = match leaves {
            true => self.knows_us,
            false => [self.each_family && client.reaches_both_families(&self.url); FAMILIES.len()],
        };
        if over.iter().all(|over| !over) {
            return ask(client, &url, None, answered);
        }
        let mut failures: Vec<String> = Vec::new();
        let (mut has_answered, mut retry_after) = (false, None);
        for (index, (family, name)) in FAMILIES.into_iter().enumerate().filter(|it| over[it.0]) {
            match ask(client, &url, Some(family), answered) {
                Ok(()) => (has_answered, self.knows_us[index]) = (true, true),
                Err(failure) => {
                    failures.push(format!("{} ({name})", failure.why));
                    retry_after = retry_after.max(failure.retry_after);
                }
            }
        }
        match has_answered {
            true => Ok(()),
            false => Err(TrackerFailure { why: failures.join(", "), retry_after }),
        }
    }

    /// Asks how many have a torrent, without taking part in it (BEP 48, BEP 15). `Ok(None)`: this tracker has no scrape, or
    /// does not say that it has.
    ///
    /// # Errors
    /// It cannot be reached.
    #[cfg(feature = "cli")]
    pub fn scrape(
        &mut self,
        client: &Client,
        infohash: crate::infohash::Infohash,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<Option<Counts>, String> {
        if is_udp(&self.url) {
            let mut counts = Counts::default();
            let mut add = |reply: Reply| {
                counts.seeds = counts.seeds.max(reply.complete);
                counts.leeches = counts.leeches.max(reply.incomplete);
            };
            loop {
                match self.udp.scrape(client, &self.url, infohash, time, &mut add) {
                    Ok(()) => return Ok(Some(counts)),
                    // A datagram may be lost: it waits longer each time.
                    Err(why) if why.contains(NO_ANSWER) && time().is_some() => {}
                    Err(why) if why.contains(REFUSES) => return Ok(None),
                    Err(why) => return Err(why),
                }
            }
        }
        let Some(url) = scrape_url(&self.url, infohash) else { return Ok(None) };
        let reply = client
            .fetch(&url, None, MAX_REPLY_BYTES as u64, client.timing().reply)
            .map_err(|why| why.to_string())?;
        Ok(parse_scrape(&reply.body, infohash).ok())
    }
}

/// One announce over HTTP.
fn ask(
    client: &Client,
    url: &str,
    family: Option<IpFamily>,
    answered: &mut dyn FnMut(Reply),
) -> Result<(), TrackerFailure> {
    let reply = client
        .fetch_over(family, url, None, MAX_REPLY_BYTES as u64, client.timing().reply)
        .map_err(|why| TrackerFailure::from(why.to_string()))?;
    // Trackers send failure reasons with any status; a body that is bencode is the better answer.
    match parse_reply(&reply.body) {
        Ok(answer) => {
            answered(answer);
            Ok(())
        }
        Err(_) if reply.status != 200 => {
            Err(TrackerFailure { why: status_text(reply.status), retry_after: reply.retry_after })
        }
        Err(why) => Err(why.to_string().into()),
    }
}
