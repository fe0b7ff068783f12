//! A web seed worker's connection, with the requests whose replies are to come.

use std::collections::VecDeque;
use std::time::Duration;

use super::stream::Part;
use super::swarm::Swarm;
use super::web_seed::WebSeed;
use crate::net::{Connection, SourceError};
use crate::protocol::http::Head;
use crate::url::Url;

/// Requests sent ahead of the reply that is read: they cost nothing where files are small.
const PIPELINED_REQUESTS: usize = 16;

/// And so many bytes of them: a robbed connection throws away what it asked for.
const PIPELINED_BYTES: u64 = 1 << 20;

/// So long a reply to a request that was sent ahead is waited for, until the server is known to answer such: some drop them.
const PATIENCE_AHEAD: Duration = Duration::from_secs(2);

/// An error page that is read past; a longer one costs more than a new connection.
const DRAINED_BYTES: u64 = 64 << 10;

/// Connections that wait: where a server redirects each file to another, the two are used in turns.
const MOST_ASIDE: usize = 2;

/// A worker's connection, with the requests whose replies are to come.
#[derive(Debug, Default)]
pub struct HttpPipeline {
    pub connection: Option<Connection>,
    /// Idle ones, to other servers.
    aside: Vec<Connection>,
    /// Requests behind the current reply: their parts and URLs.
    ahead: VecDeque<(Part, Url)>,
    /// The reply at hand is to a request that was sent ahead.
    was_ahead: bool,
    /// The connection has brought a file, or a part of one.
    pub has_served: bool,
}

impl HttpPipeline {
    pub fn is_idle(&self) -> bool {
        self.ahead.is_empty()
            && self.connection.as_ref().is_none_or(|c| c.left() == 0 && c.keep_alive)
    }

    /// Reads past the rest of a reply that is of no use, so that those behind it can be read; false where it is too
    /// long for that, or the connection takes no more requests.
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

    /// Closes the connection: what it still brings is of no use.
    pub fn close(&mut self) {
        self.connection = None;
        self.ahead.clear();
    }

    /// A reply has been read: a connection that takes no more requests is closed.
    pub fn shut_if_ended(&mut self) {
        if self.connection.as_ref().is_some_and(|it| !it.keep_alive || it.left() > 0) {
            self.close();
        }
    }

    /// The reply at hand is not what was asked for. Whether it may be another request's: such a server is asked one at a time from
    /// now on.
    pub fn is_mixed_up(&self, seed: &WebSeed) -> bool {
        if self.was_ahead {
            seed.ask_one_at_a_time();
        }
        self.was_ahead
    }

    /// The head of the reply to this part's request, and the URL that it was for; asks for it, and for those that
    /// follow, where that is still to do.
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
                    self.close(); // the replies to others would come first
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
                // Who answers many may close a connection for their number.
                Err(why) if asked && (!seed.answers_ahead() || why.is_timeout()) => {
                    seed.ask_one_at_a_time();
                }
                Err(_) => {}
            }
            // A server closes a connection that was idle, or had its number of requests: once more, on a new one.
            self.close();
        }
        (self.was_ahead, self.has_served) = (false, false);
        let credential = seed.credential(file, &url);
        let opened = swarm.phase.client.open(seed.named_by(&url), &url, credential, &range);
        let opened = opened.map_err(|why| seed.asked(&url, why))?;
        self.connection = opened.connection;
        self.ask_ahead(seed, swarm, &opened.head, following);
        Ok((opened.head, url))
    }

    /// Goes on with a connection that reaches the URL, if there is one; the one that was in use waits, if it can.
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

    /// Sends the requests of small files that follow one that was served, so that no round trip lies between them:
    /// many in one message, once half of those before are answered.
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
        }
        // Where it fails, so does the wait for the next head.
        let _ = connection.send();
    }
}
