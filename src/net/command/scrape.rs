//! Scrapes of trackers: how many peers have a torrent (feature `engine`).

use std::time::Duration;

use crate::address::NamedBy;
use crate::net::Client;
use crate::net::credentials::Credential;
use crate::net::error::SourceError;
use crate::net::tracker::Tracker;
use crate::net::udp_tracker::UdpTracker;
use crate::protocol::scrape::{ScrapeCounts, parse_scrape, scrape_url};
use crate::protocol::tracker::{MAX_REPLY_BYTES, Reply, TrackerError};
use crate::protocol::udp_tracker::UdpTrackerSession;
use crate::torrent::infohash::Infohash;
use crate::url::Url;

impl Tracker {
    /// Asks how many peers have a torrent, without joining the swarm (BEP 48, BEP 15). Returns
    /// `Ok(None)` if the tracker has no scrape, or does not announce that it has.
    ///
    /// # Errors
    /// The tracker cannot be reached.
    pub fn scrape(
        &mut self,
        client: &Client,
        infohash: Infohash,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<Option<ScrapeCounts>, SourceError> {
        if self.url.is_udp() {
            let mut counts = ScrapeCounts::default();
            let mut add = |reply: Reply| {
                counts.seeds = counts.seeds.max(reply.complete);
                counts.leechers = counts.leechers.max(reply.incomplete);
            };
            loop {
                let tracker = (self.by, &self.url);
                match self.udp.scrape(client, tracker, infohash, time, &mut add) {
                    Ok(()) => return Ok(Some(counts)),
                    // A datagram may be lost: each attempt waits longer.
                    Err(why) if why.is_unanswered() && time().is_some() => {}
                    Err(why) if why.is_refusal() => return Ok(None),
                    Err(why) => return Err(why),
                }
            }
        }
        let Some(url) = scrape_url(&self.url, infohash) else { return Ok(None) };
        let within = client.timing().reply;
        let reply =
            client.fetch(self.by, &url, Credential::Nothing, MAX_REPLY_BYTES as u64, within)?;
        Ok(parse_scrape(&reply.body, infohash))
    }
}

impl UdpTracker {
    /// Asks over UDP how many peers have a torrent.
    ///
    /// # Errors
    /// The tracker cannot be reached, or does not answer scrapes.
    fn scrape(
        &mut self,
        client: &Client,
        tracker: (NamedBy, &Url),
        infohash: Infohash,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), SourceError> {
        let begin = |session: &mut UdpTrackerSession, _: &str| session.scrape(infohash);
        self.ask(client, tracker, &begin, false, time, answered)
    }
}

impl SourceError {
    /// Whether a UDP tracker did not answer, in which case a datagram may have been lost.
    fn is_unanswered(&self) -> bool {
        self.is(&|why| matches!(why, SourceError::Tracker(TrackerError::NoAnswer { .. })))
    }

    /// Whether the tracker answered with an error.
    fn is_refusal(&self) -> bool {
        self.is(&|why| matches!(why, SourceError::Tracker(TrackerError::Failure(_))))
    }
}
