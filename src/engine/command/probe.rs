//! Probes which trackers, web seeds, peers and catalogs answer right now: all side by side, within one
//! deadline (feature `engine`).
//!
//! Nothing is awaited after the deadline: the threads end when their sockets are shut down.
//! Trackers are scraped, which does not add us to a swarm. A tracker without scrape support gets an
//! announce, followed at once by `stopped`.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use crate::address::{NamedBy, NamedPlace};
use crate::engine::local_peer::LocalPeer;
use crate::engine::resolve::credential_of;
use crate::engine::sources::web_seed::file_urls;
use crate::engine::thread::start_thread;
use crate::error::Error;
use crate::mutex::Mutex;
use crate::net::{Client, Credential, MAX_REDIRECTS, SourceError, Tracker, join, resolve};
use crate::process;
use crate::protocol::http::verdict::{Verdict, judge};
use crate::protocol::scrape::ScrapeCounts;
use crate::protocol::socks::Destination;
use crate::protocol::tracker::{Announce, AnnounceEvent};
use crate::settings::{ApiKey, Settings};
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;
use crate::url::Url;

/// The time limit for all probes.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Limit on probes: more than a working torrent needs. Each has a thread, and the process's limit
/// on concurrent connects applies, too.
const MOST: usize = 128;

/// Number of peers to request in an announce. Only the counts matter, but some trackers return
/// peers without counts.
const NUMWANT: u32 = 50;

/// How much of a web seed's file is read if one byte is not enough.
const PART_BYTES: u64 = 1 << 10;

/// What to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The number of peers of the torrent, which has `bytes` bytes.
    Tracker { by: NamedBy, url: Url, infohash: Infohash, bytes: u64 },
    /// Whether the seed has a file of this length, at one of the URLs that are possible for it. If
    /// `is_own`, the dataset is the user's, and the user's credential for the host is sent.
    WebSeed { by: NamedBy, urls: Vec<Url>, length: u64, is_own: bool },
    /// Whether a peer accepts a connection; `host:port`.
    Peer(NamedBy, String),
    /// Whether the catalog answers at all, and accepts the user's key.
    Catalog(NamedBy, Url, Option<ApiKey>),
}

/// Hosts and ports that the user named as sources of a dataset. They may be contacted even if an
/// untrusted source names them.
pub type UserPlaces = Arc<[NamedPlace]>;

/// The answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    Counts(ScrapeCounts),
    /// It answered and has what it should.
    Alive,
}

/// Whether the clock is plausible: TLS rejects every certificate if it is far off.
pub fn clock_is_plausible() -> bool {
    // 2026-01-01, which is before the first release.
    let earliest = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    SystemTime::now() >= earliest
}

/// The probe of a web seed: whether it has the torrent's first non-empty file.
pub fn of_web_seed(by: NamedBy, seed: &Url, metainfo: &Metainfo, is_own: bool) -> Option<Question> {
    let file = metainfo.files.iter().find(|file| file.is_listed() && file.length > 0)?;
    let urls = file_urls(seed, metainfo);
    let urls = (0..urls.forms()).map(|form| urls.in_form(form, metainfo.components(file)));
    Some(Question::WebSeed { by, urls: urls.collect(), length: file.length, is_own })
}

/// Runs all probes. Returns an answer or an error for each, within [`DEADLINE`] or the user's
/// `TIMEOUT`, whichever is shorter.
///
/// # Errors
/// The user's proxy or certificates are invalid.
pub fn ask(
    settings: &Settings,
    questions: &[(Question, UserPlaces)],
) -> Result<Vec<Result<ProbeAnswer, SourceError>>, Error> {
    let mut settings = settings.clone();
    let deadline = DEADLINE.min(settings.timeout);
    // The timeouts of connections and replies are fractions of this, and a UDP attempt gets an
    // eighth.
    settings.timeout = settings.timeout.min(2 * deadline);
    let client = Client::new(&settings)?.with_credentials(&settings);
    let silent = || Err(SourceError::NoAnswer(deadline));
    let answers: Vec<_> = questions.iter().map(|_| silent()).collect();
    let answers = Arc::new(Mutex::new(answers));
    let most = MOST.min(process::descriptors().connecting);
    let begun = Instant::now();
    let (working, ended) = channel::<()>();
    for (index, (question, places)) in questions.iter().enumerate() {
        let note = move |answers: &Mutex<Vec<_>>, answer| {
            let mut answers = answers.lock();
            if let Some(place) = answers.get_mut(index) {
                *place = answer;
            }
        };
        if index >= most {
            note(&answers, Err(SourceError::BeyondMost(most)));
            continue;
        }
        // Applies the same address rules as a download of the dataset.
        let (client, question) = (client.clone().naming(places.iter().cloned()), question.clone());
        let (theirs, working) = (Arc::clone(&answers), working.clone());
        let work = move || {
            let time = || Some(begun.elapsed()).filter(|now| *now < deadline);
            let answer = answer(&client, &question, &time);
            // Results after the deadline are ignored: they only come from sockets that were shut
            // down.
            if time().is_some() {
                note(&theirs, answer);
            }
            drop(working);
        };
        if let Err(why) = start_thread("at-ask", Box::new(work)) {
            note(&answers, Err(SourceError::Other(why.to_string())));
        }
    }
    drop(working);
    let left = deadline.saturating_sub(begun.elapsed());
    // Nothing is ever sent on the channel: it closes when the last probe ends.
    let _: Result<(), RecvTimeoutError> = ended.recv_timeout(left);
    let found = answers.lock().clone();
    client.shut_down();
    Ok(found)
}

type Time<'a> = dyn Fn() -> Option<Duration> + 'a;

fn answer(
    client: &Client,
    question: &Question,
    time: &Time<'_>,
) -> Result<ProbeAnswer, SourceError> {
    match question {
        Question::Tracker { by, url, infohash, bytes } => {
            tracker(client, (*by, url), *infohash, *bytes, time).map(ProbeAnswer::Counts)
        }
        Question::WebSeed { by, urls, length, is_own } => {
            let mut said = Err(SourceError::NoAddress);
            for url in urls {
                let credential = if *is_own { Credential::OfHost } else { Credential::Nothing };
                match web_seed(client, *by, url, credential, *length) {
                    Ok(()) => return Ok(ProbeAnswer::Alive),
                    // Reports the error of the first form, which is BEP 19's.
                    Err(why) if *url == urls[0] => said = Err(why),
                    Err(_) => {}
                }
            }
            said
        }
        Question::Peer(by, peer) => {
            self::peer(client, *by, peer, time).map(|()| ProbeAnswer::Alive)
        }
        Question::Catalog(by, url, key) => {
            catalog(client, *by, url, key.as_ref()).map(|()| ProbeAnswer::Alive)
        }
    }
}

fn tracker(
    client: &Client,
    (by, url): (NamedBy, &Url),
    infohash: Infohash,
    bytes: u64,
    time: &Time<'_>,
) -> Result<ScrapeCounts, SourceError> {
    let mut tracker = Tracker::new(client, by, url, false)?;
    // If the tracker is unreachable, an announce would fail, too.
    if let Some(counts) = tracker.scrape(client, infohash, time)? {
        return Ok(counts);
    }
    let host = LocalPeer::not_listening();
    let mut announce = Announce {
        infohash,
        peer_id: host.peer_id,
        port: host.port,
        uploaded_bytes: 0,
        downloaded_bytes: 0,
        left_bytes: bytes,
        event: None,
        numwant: NUMWANT,
        key: host.key,
    };
    let mut counts = ScrapeCounts::default();
    let mut peers = 0;
    tracker
        .announce(client, &announce, time, &mut |reply| {
            counts.seeds = counts.seeds.max(reply.complete);
            counts.leechers = counts.leechers.max(reply.incomplete);
            peers += (reply.peers.len() + reply.left_out) as u64;
        })
        .map_err(|failure| failure.why)?;
    if counts == ScrapeCounts::default() {
        // The tracker returned no counts, so the peers are counted without knowing which are seeds.
        counts.leechers = Some(peers);
    } else if let Some(leechers) = &mut counts.leechers {
        // One of the leechers is this process.
        *leechers = leechers.saturating_sub(1);
    }
    announce.event = Some(AnnounceEvent::Stopped);
    (announce.numwant, announce.left_bytes) = (0, bytes);
    // if it fails, the tracker forgets us anyway
    let _ = tracker.announce(client, &announce, time, &mut |_| {});
    Ok(counts)
}

/// Asks for the last byte, which a shorter file lacks. A 206 that does not state the file's length
/// proves little with one byte, so more is asked for then.
fn web_seed(
    client: &Client,
    by: NamedBy,
    url: &Url,
    credential: Credential<'_>,
    length: u64,
) -> Result<(), SourceError> {
    let has_length =
        part(client, by, url, credential, &(length.saturating_sub(1)..length), length)?;
    if !has_length {
        part(client, by, url, credential, &(0..length.min(PART_BYTES)), length)?;
    }
    Ok(())
}

/// Reads a part of a file that has `length` bytes, under the conditions of a download. Returns
/// whether the server states the file's length, or sends all of it.
fn part(
    client: &Client,
    by: NamedBy,
    url: &Url,
    mut credential: Credential<'_>,
    range: &Range<u64>,
    length: u64,
) -> Result<bool, SourceError> {
    let (mut url, first) = (url.clone(), url.origin());
    for _ in 0..=MAX_REDIRECTS {
        let by = by.redirect(url.origin() == first);
        let opened = client.open(by, &url, credential, range)?;
        let head = opened.head;
        match judge(&head, range, length) {
            Verdict::Body { skip, len } => {
                let mut left = if skip == 0 { len } else { 1 };
                let mut connection = opened.connection.ok_or(SourceError::EndedEarly(left))?;
                while left > 0 {
                    let bytes = connection.read(left)?.len();
                    if bytes == 0 {
                        return Err(SourceError::EndedEarly(left));
                    }
                    connection.consume(bytes);
                    left -= bytes as u64;
                }
                let total = head.content_range.and_then(|range| range.total);
                return Ok(head.status == 200 || total.is_some());
            }
            Verdict::Redirect(location) => {
                url = join(&url, &location)?;
                credential = credential.redirected(url.origin() == first);
            }
            Verdict::Stale(why) => return Err(SourceError::Stale(why)),
            Verdict::Gone(status) | Verdict::Retry(status) | Verdict::Refused(status) => {
                return Err(SourceError::Status(status));
            }
            Verdict::BotCheck(status) => return Err(SourceError::BotCheck(status)),
            Verdict::Pause(_) => return Err(SourceError::Status(head.status)),
        }
    }
    Err(SourceError::TooManyRedirects)
}

fn peer(client: &Client, by: NamedBy, peer: &str, time: &Time<'_>) -> Result<(), SourceError> {
    client.judge_peer(by, peer, None)?;
    let target = Destination::parse(peer).ok_or(SourceError::NotHostPort)?;
    if matches!(target, Destination::Address(_)) || client.names_are_for_the_proxy(peer) {
        return client.connect_peer(&target, time).map(drop);
    }
    let mut why = SourceError::NoAddress;
    for address in resolve(peer)? {
        let judged = client.judge_peer(by, peer, Some(address));
        match judged.and_then(|()| client.connect_peer(&Destination::Address(address), time)) {
            Ok(_) => return Ok(()),
            Err(failed) => why = failed,
        }
    }
    Err(why)
}

/// Any answer except a refusal or an overload counts: the contents of the root page do not matter.
fn catalog(
    client: &Client,
    by: NamedBy,
    url: &Url,
    key: Option<&ApiKey>,
) -> Result<(), SourceError> {
    match client.open(by, url, credential_of(key), &(0..1))?.head.status {
        status @ (401 | 403 | 407 | 429 | 500..=599) => Err(SourceError::Status(status)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Context;

    #[test]
    fn a_place_that_the_user_named_may_be_asked_whoever_names_it_too() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = Url::from(format!("http://{closed}/data.bin"));
        let named: UserPlaces =
            Arc::new([NamedPlace::of_url(&format!("http://127.0.0.1:{}/", closed.port()))]);
        let question =
            Question::WebSeed { by: NamedBy::Torrent, urls: vec![url], length: 1, is_own: true };
        let questions = [(question.clone(), named), (question, Arc::default())];
        let said = ask(&Context::default().settings().unwrap(), &questions).unwrap();
        assert_eq!(said[0], Err(SourceError::ConnectionRefused));
        let refused = said[1].as_ref().unwrap_err();
        assert!(refused.is_refused(), "{refused}");
    }
}
