//! Announces to trackers over HTTP (BEP 3, 7, 12, 23) or UDP (BEP 15).

use std::net::IpAddr;
use std::time::Duration;

use ureq::config::IpFamily;
use ureq::http::Uri;

use super::Client;
use super::credentials::Credential;
use super::error::SourceError;
use super::name_lookup::look_up_all;
use super::udp_tracker::UdpTracker;
use crate::address::NamedBy;
use crate::protocol::http::page::WebPage;
use crate::protocol::tracker::{
    Announce, AnnounceEvent, MAX_REPLY_BYTES, Reply, announce_url, distinct, parse_reply,
};
use crate::protocol::udp_tracker::parts;
use crate::url::Url;

#[cfg(test)]
mod tests;

/// Why a tracker did not provide peers, and when it wants to be asked again, if it says so.
#[derive(Debug)]
pub struct TrackerFailure {
    pub why: SourceError,
    pub retry_after: Option<Duration>,
}

impl From<SourceError> for TrackerFailure {
    fn from(why: SourceError) -> TrackerFailure {
        TrackerFailure { why, retry_after: None }
    }
}

/// Returns a tracker's host and port, which identify it across torrents and paths.
pub fn tracker_place(url: &Url) -> String {
    match parts(url.exposed()) {
        Ok((place, _)) if url.is_udp() => format!("udp://{}", place.to_ascii_lowercase()),
        _ => url.origin().unwrap_or_else(|| url.exposed().to_owned()),
    }
}

/// A tracker that is announced to repeatedly.
#[derive(Debug)]
pub struct Tracker {
    pub url: Url,
    pub(super) by: NamedBy,
    pub(super) udp: UdpTracker,
    /// Whether announces over HTTP are sent over IPv4 and IPv6, so that the tracker knows our
    /// address of each family (BEP 7). `knows_us`: over which families it has answered.
    each_family: bool,
    knows_us: [bool; FAMILIES.len()],
}

const FAMILIES: [(IpFamily, &str); 2] =
    [(IpFamily::Ipv4Only, "IPv4"), (IpFamily::Ipv6Only, "IPv6")];

impl Tracker {
    /// Creates a tracker. `each_family`: we listen over IPv4 and IPv6, and announce over both. UDP
    /// trackers are announced to over both in any case.
    ///
    /// # Errors
    /// Why it can never be announced to: an unsupported URL, or a UDP tracker that would bypass the
    /// proxy.
    pub fn new(
        client: &Client,
        by: NamedBy,
        url: &Url,
        each_family: bool,
    ) -> Result<Tracker, SourceError> {
        let url = url.encoded();
        if url.is_udp() {
            let (place, _) = parts(url.exposed()).map_err(SourceError::UdpAddress)?;
            if client.socks_for(place).is_some() {
                return Err(SourceError::UdpBehindProxy);
            }
        } else if !url.is_http() {
            return Err(SourceError::UnsupportedTracker);
        } else if !leads_somewhere(&url) {
            return Err(SourceError::NotWebAddress);
        }
        let udp = UdpTracker::default();
        let knows_us = [false; FAMILIES.len()];
        Ok(Tracker { url, by, udp, each_family, knows_us })
    }

    /// Announces once, and passes replies on as they arrive: a UDP tracker may reply over IPv4 and
    /// over IPv6.
    ///
    /// `time` returns the clock's time, or `None` once the reply is no longer needed. It is called
    /// often. An announce over HTTP has a deadline, and only [`Client::shut_down`] ends it earlier.
    /// Peers that are named by host name follow in a separate reply, once their names are resolved.
    ///
    /// # Errors
    /// No reply, an HTTP error, a failure reason, or an invalid reply.
    pub fn announce(
        &mut self,
        client: &Client,
        announce: &Announce,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), TrackerFailure> {
        let own_url = self.url.clone();
        let mut answered = |mut reply: Reply| {
            // The tracker's text may quote the passkey.
            reply.warning = reply.warning.map(|warning| own_url.redacted(&warning));
            answered(reply);
        };
        if self.url.is_udp() {
            let tracker = (self.by, &self.url);
            return Ok(self.udp.announce(client, tracker, announce, time, &mut answered)?);
        }
        let url = announce_url(&self.url, announce);
        let leaves =
            matches!(announce.event, Some(AnnounceEvent::Stopped | AnnounceEvent::Completed));
        // The tracker only needs to hear this over families over which it has answered.
        let over = match leaves {
            true => self.knows_us,
            false => [self.each_family && client.reaches_both_families(&self.url); FAMILIES.len()],
        };
        if over.iter().all(|over| !over) {
            return ask(client, self.by, &url, IpFamily::Any, time, &mut answered);
        }
        let mut failures = Vec::new();
        let (mut has_answered, mut retry_after) = (false, None);
        for (index, (family, name)) in FAMILIES.into_iter().enumerate().filter(|it| over[it.0]) {
            match ask(client, self.by, &url, family, time, &mut answered) {
                Ok(()) => (has_answered, self.knows_us[index]) = (true, true),
                Err(failure) => {
                    failures.push((failure.why, Some(name)));
                    retry_after = retry_after.max(failure.retry_after);
                }
            }
        }
        match has_answered {
            true => Ok(()),
            false => Err(TrackerFailure { why: SourceError::OverFamilies(failures), retry_after }),
        }
    }
}

impl Client {
    /// Removes peers that this tracker may not name.
    pub(super) fn leave_out(&self, tracker: Option<IpAddr>, reply: &mut Reply) {
        let named = reply.peers.len();
        reply.peers.retain(|peer| self.may_hear(tracker, *peer));
        reply.left_out = named - reply.peers.len();
    }
}

/// Whether an http(s) URL has a host and, if any, a valid port.
fn leads_somewhere(url: &Url) -> bool {
    let Ok(uri) = url.without_login().parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    !authority.host().is_empty() && (port.len() < 2 || authority.port_u16().is_some())
}

/// Announces once over HTTP, over a new connection: the peers that the tracker may name depend on
/// its address.
fn ask(
    client: &Client,
    by: NamedBy,
    url: &Url,
    family: IpFamily,
    time: &dyn Fn() -> Option<Duration>,
    answered: &mut dyn FnMut(Reply),
) -> Result<(), TrackerFailure> {
    let (most, within) = (MAX_REPLY_BYTES as u64, client.timing().reply);
    // The texts of the tracker, and of a redirect's target, may quote the passkey.
    let reply = client
        .fetch_over(by, Some(family), url, Credential::Nothing, most, within)
        .map_err(|why| why.redacted(url))?;
    // Trackers send failure reasons with any status; a bencoded body says more than the status.
    match parse_reply(&reply.body) {
        Ok(mut answer) => {
            client.leave_out(reply.from, &mut answer);
            let names = std::mem::take(&mut answer.names);
            if names.is_empty() || !answer.peers.is_empty() {
                answered(answer.clone());
            }
            if !names.is_empty() {
                (answer.peers, answer.left_out, answer.warning) = (Vec::new(), 0, None);
                client.look_up_peers(names, &mut answer, time);
                client.leave_out(reply.from, &mut answer);
                answered(answer);
            }
            Ok(())
        }
        Err(why) => {
            let is_worded = why.is_worded();
            let why = SourceError::Tracker(why).redacted(url);
            let why = match reply.status {
                status if reply.page == Some(WebPage::BotCheck) => SourceError::BotCheck(status),
                200 => why,
                status if is_worded => SourceError::StatusSaying(status, Box::new(why)),
                status => SourceError::Status(status),
            };
            Err(TrackerFailure { why, retry_after: reply.retry_after })
        }
    }
}

impl Client {
    /// Resolves the host names of peers that a tracker named, in parallel. Unresolved names stay in
    /// the reply, as do names that the proxy resolves.
    fn look_up_peers(
        &self,
        mut names: Vec<String>,
        reply: &mut Reply,
        time: &dyn Fn() -> Option<Duration>,
    ) {
        names.retain(|name| {
            let is_ours = !self.names_are_for_the_proxy(name);
            reply.names.extend((!is_ours).then(|| name.clone()));
            is_ours
        });
        let time = || time().filter(|_| !self.is_shut_down());
        let found = look_up_all(&names, self.timing().connect, &time);
        for (name, found) in names.iter().zip(found) {
            match found {
                Ok(addresses) => reply.peers.extend(addresses),
                Err(_) => reply.names.push(name.clone()),
            }
        }
        reply.peers = distinct(&mut std::mem::take(&mut reply.peers).into_iter());
    }
}
