//! A web seed worker's connection, with HTTP requests pipelined ahead of their replies.

use std::collections::VecDeque;
use std::time::Duration;

use super::stream::Part;
use super::swarm::Swarm;
use super::web_seed::WebSeed;
use crate::net::{Connection, SourceError};
use crate::protocol::http::Head;
use crate::url::Url;

/// Limit on requests sent ahead of the current reply, which hide the round trips of small files.
const PIPELINED_REQUESTS: usize = 16;

/// Limit on the bytes that those requests ask for: a worker whose run is stolen discards the
/// replies.
const PIPELINED_BYTES: u64 = 1 << 20;

/// How long to wait for the reply to a request that was sent ahead, until the server has proven
/// that it answers pipelined requests: some servers drop them.
const PATIENCE_AHEAD: Duration = Duration::from_secs(2);

/// Limit for reading past an error page; a longer page costs more than a new connection.
const DRAINED_BYTES: u64 = 64 << 10;

/// Limit on idle connections kept: where a server redirects each file to another server, the two
/// connections alternate.
const MOST_ASIDE: usize = 2;

/// A worker's connection, with the requests whose replies are outstanding.
#[derive(Debug, Default)]
pub struct HttpPipeline {
    pub connection: Option<Connection>,
    /// Idle connections to other servers.
    aside: Vec<Connection>,
    /// Requests sent after the current one: their parts and URLs.
    ahead: VecDeque<(Part, Url)>,
    /// The current reply answers a request that was sent ahead.
    was_ahead: bool,
    /// A request was sent ahead, on this connection or an earlier one.
    pub has_asked_ahead: bool,
    /// The connection has delivered a file, or part of a file.
    pub has_served: bool,
}

impl HttpPipeline {
    pub fn is_idle(&self) -> bool {
        self.ahead.is_empty()
            && self.connection.as_ref().is_none_or(|c| c.left() == 0 && c.keep_alive)
    }

    /// Reads past the rest of an unwanted reply, so that the replies behind it can be read. Returns
    /// false if the rest is too long, or the connection takes no more requests.
    pub fn drain(&mut self) -> bool {
        let Some(connection) =
            self.connection.as_mut().filter(|c| c.keep_alive && c.left() <= DRAINED_BYTES)
        else {
            return false;
        };
        while connection.left() > 0 {
            match connection.read(DRAINED_BYTES).map(<[u8]>::len) {
                Ok(count) if count > 0 => connection.consume(count),
                _ => return false,
            }
        }
        true
    }

    /// Closes the connection, because its remaining data is not needed.
    pub fn close(&mut self) {
        self.connection = None;
        self.ahead.clear();
    }

    /// Called after a reply: closes a connection that takes no more requests.
    pub fn shut_if_ended(&mut self) {
        if self.connection.as_ref().is_some_and(|it| !it.keep_alive || it.left() > 0) {
            self.close();
        }
    }

    /// Called when a reply is not what was requested. Returns whether it may answer another
    /// pipelined request; if so, the seed gets one request at a time from now on.
    pub fn is_mixed_up(&self, seed: &WebSeed) -> bool {
        if self.was_ahead {
            seed.ask_one_at_a_time();
        }
        self.was_ahead
    }

    /// Returns the head of the reply for this part, and the URL that was requested. Sends the
    /// request if it was not sent ahead, and sends those that follow.
    pub fn reply(
        &mut self,
        seed: &WebSeed,
        swarm: &Swarm,
        file: u32,
        part: &Part,
        following: &VecDeque<Part>,
    ) -> Result<(Head, Url), SourceError> {
        let range = part.file_range();
        let (asked, url) = match self.ahead.pop_front() {
            Some((ahead, url)) if ahead == *part => (true, url),
            other => {
                if other.is_some() {
                    self.close(); // the replies to other requests would arrive first
                }
                let url = seed.url_of(swarm, file);
                let url = url.ok_or(SourceError::NoSuchFile)?;
                self.turn_to(&url);
                (false, url)
            }
        };
        if let Some(connection) = &mut self.connection {
            if !asked {
                connection.ask(&url, seed.kept(swarm, file, &url), &range);
            }
            let patience = match asked && !seed.answers_ahead() {
                true => PATIENCE_AHEAD,
                false => Duration::MAX,
            };
            match connection.next_head(patience, &|| swarm.now()) {
                Ok(head) => {
                    self.was_ahead = asked;
                    if asked {
                        seed.answered_ahead();
                    }
                    self.ask_ahead(seed, swarm, &head, following);
                    return Ok((head, url));
                }
                // A server that answers pipelined requests may still close a connection after a
                // number of them.
                Err(why) if asked && (!seed.answers_ahead() || why.is_timeout()) => {
                    seed.ask_one_at_a_time();
                }
                Err(_) => {}
            }
            // The server may have closed an idle connection, or one that reached its request limit:
            // tries once more, on a new connection.
            self.close();
        }
        (self.was_ahead, self.has_served) = (false, false);
        let credential = seed.credential(swarm, file, &url);
        let opened = swarm.phase.client.open(seed.named_by(&url), &url, credential, &range);
        let opened = opened.map_err(|why| seed.asked(&url, why))?;
        self.connection = opened.connection;
        self.ask_ahead(seed, swarm, &opened.head, following);
        Ok((opened.head, url))
    }

    /// Switches to a connection that reaches the URL, if there is one. The previous connection is
    /// kept aside if it is idle.
    fn turn_to(&mut self, url: &Url) {
        if self.connection.as_ref().is_some_and(|connection| connection.reaches(url)) {
            return;
        }
        let can_wait = self.is_idle() && self.aside.len() < MOST_ASIDE;
        let before = self.connection.take().filter(|_| can_wait);
        let found = self.aside.iter().position(|connection| connection.reaches(url));
        self.connection = found.map(|index| self.aside.swap_remove(index));
        self.aside.extend(before);
    }

    /// Sends the requests for the small files that follow, to avoid a round trip for each: many in
    /// one message, once half of the previous ones are answered.
    fn ask_ahead(
        &mut self,
        seed: &WebSeed,
        swarm: &Swarm,
        head: &Head,
        following: &VecDeque<Part>,
    ) {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.keep_alive)
        else {
            return;
        };
        let is_served = matches!(head.status, 200 | 206) && seed.takes_requests_ahead();
        if !is_served || self.ahead.len() > PIPELINED_REQUESTS / 2 {
            return;
        }
        let mut bytes: u64 = self.ahead.iter().map(|(part, _)| part.length()).sum();
        let data_parts = following
            .iter()
            .filter_map(|part| Some((part, part.file?.0)))
            .filter(|(_, file)| !seed.lost.contains(*file))
            .skip(self.ahead.len());
        for (part, file) in data_parts.take(PIPELINED_REQUESTS - self.ahead.len()) {
            bytes += part.length();
            let url = seed.url_of(swarm, file).filter(|url| connection.reaches(url));
            let Some(url) = url.filter(|_| bytes <= PIPELINED_BYTES) else { break };
            connection.ask(&url, seed.kept(swarm, file, &url), &part.file_range());
            self.ahead.push_back((part.clone(), url));
            self.has_asked_ahead = true;
        }
        // If sending fails, so will the wait for the next head.
        let _ = connection.send();
    }
}
