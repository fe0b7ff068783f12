//! Who answers right now: trackers, web seeds, peers, the catalogue; all side by side, within one deadline (feature `cli`).
//!
//! Nobody is waited for after it: the threads end with their sockets. Trackers are scraped, which makes nobody a peer. One that has no
//! scrape is announced to, and told at once that we leave.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Host, start_thread};
use crate::context::Settings;
use crate::error::Error;
use crate::infohash::Infohash;
use crate::metainfo::Metainfo;
use crate::net::{Client, Tracker, join, resolve};
use crate::protocol::http::verdict::{Verdict, judge, status_text};
use crate::protocol::scrape::Counts;
use crate::protocol::socks::Target;
use crate::protocol::tracker::{Announce, AnnounceEvent};
use crate::protocol::web_url::FileUrls;

/// How long each of them has.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// More than any torrent has that works; a thread each.
const MOST: usize = 128;

const MAX_REDIRECTS: usize = 5;

/// Whether an announce shows a swarm: what is wanted is the counts.
const NUMWANT: u32 = 50;

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// How many have the torrent of so many bytes.
    Tracker { url: String, infohash: Infohash, bytes: u64 },
    /// Whether it has a file of this length; the URL is the file's.
    WebSeed { url: String, length: u64 },
    /// Whether it takes a connection: `host:port`.
    Peer(String),
    /// Whether it answers at all.
    Site(String),
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Counts(Counts),
    /// It is there, and has what it should.
    Alive,
}

/// Whether the clock may be right: TLS refuses all certificates where it is not.
pub fn clock_is_plausible() -> bool {
    // 2026-01-01: this program is younger.
    let earliest = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    SystemTime::now() >= earliest
}

/// The question to a web seed: whether it has the torrent's first file that is not empty.
pub fn of_web_seed(seed: &str, metainfo: &Metainfo) -> Option<Question> {
    let file = metainfo.files.iter().find(|file| !file.pad && file.length > 0)?;
    let url = FileUrls::new(seed, metainfo.multi, &metainfo.name).of(&file.path);
    Some(Question::WebSeed { url, length: file.length })
}

/// Asks all of them; an answer for each, or why there is none. It takes [`DEADLINE`] at most, or the user's `TIMEOUT`.
///
/// # Errors
/// Of the user's proxy and certificates.
pub fn ask(
    settings: &Settings,
    questions: &[Question],
) -> Result<Vec<Result<Answer, String>>, Error> {
    let mut settings = settings.clone();
    let deadline = DEADLINE.min(settings.timeout);
    // Connections and replies have parts of that, a try over UDP an eighth.
    settings.timeout = settings.timeout.min(2 * deadline);
    let client = Client::new(&settings)?;
    let silent = || Err(format!("no answer within {}", crate::size::seconds(deadline)));
    let answers: Vec<_> = questions.iter().map(|_| silent()).collect();
    let answers = Arc::new(Mutex::new(answers));
    let begun = Instant::now();
    let (working, ended) = channel::<()>();
    for (index, question) in questions.iter().enumerate() {
        let note = move |answers: &Mutex<Vec<_>>, answer| {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = answers.get_mut(index) {
                *place = answer;
            }
        };
        if index >= MOST {
            note(&answers, Err(format!("not asked: it is beyond the first {MOST}")));
            continue;
        }
        let (client, question) = (client.clone(), question.clone());
        let (theirs, working) = (Arc::clone(&answers), working.clone());
        let work = move || {
            let time = || Some(begun.elapsed()).filter(|now| *now < deadline);
            let answer = answer(&client, &question, &time);
            // After the deadline nobody looks: what a socket says that was shut down is no answer.
            if time().is_some() {
                note(&theirs, answer);
            }
            drop(working);
        };
        if let Err(why) = start_thread("at-ask", Box::new(work)) {
            note(&answers, Err(why.to_string()));
        }
    }
    drop(working);
    let left = deadline.saturating_sub(begun.elapsed());
    // Nothing is ever sent: the channel's end is that of the last of them.
    let _: Result<(), RecvTimeoutError> = ended.recv_timeout(left);
    let found = answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    client.shut_down();
    Ok(found)
}

type Time<'a> = dyn Fn() -> Option<Duration> + 'a;

fn answer(client: &Client, question: &Question, time: &Time<'_>) -> Result<Answer, String> {
    match question {
        Question::Tracker { url, infohash, bytes } => {
            tracker(client, url, *infohash, *bytes, time).map(Answer::Counts)
        }
        Question::WebSeed { url, length } => web_seed(client, url, *length).map(|()| Answer::Alive),
        Question::Peer(peer) => self::peer(client, peer, time).map(|()| Answer::Alive),
        Question::Site(url) => site(client, url).map(|()| Answer::Alive),
    }
}

fn tracker(
    client: &Client,
    url: &str,
    infohash: Infohash,
    bytes: u64,
    time: &Time<'_>,
) -> Result<Counts, String> {
    let mut tracker = Tracker::new(client, url, false)?;
    // Who cannot be reached hears no announce either.
    if let Some(counts) = tracker.scrape(client, infohash, time)? {
        return Ok(counts);
    }
    let host = Host::deaf();
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
    let mut counts = Counts::default();
    let mut peers = 0;
    tracker
        .announce(client, &announce, time, &mut |reply| {
            counts.seeds = counts.seeds.max(reply.complete);
            counts.leeches = counts.leeches.max(reply.incomplete);
            peers += reply.peers.len() as u64;
        })
        .map_err(|failure| failure.why)?;
    if counts == Counts::default() {
        // It counts nobody: who they are it does not say.
        counts.leeches = Some(peers);
    } else if let Some(leeches) = &mut counts.leeches {
        // We are one of them.
        *leeches = leeches.saturating_sub(1);
    }
    announce.event = Some(AnnounceEvent::Stopped);
    (announce.numwant, announce.left_bytes) = (0, bytes);
    let _ = tracker.announce(client, &announce, time, &mut |_| {}); // it forgets us by itself
    Ok(counts)
}

fn web_seed(client: &Client, url: &str, length: u64) -> Result<(), String> {
    let mut url = url.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let opened = client.open(&url, &(0..1)).map_err(|why| why.to_string())?;
        match judge(&opened.head, &(0..1), length) {
            Verdict::Body { .. } => return Ok(()),
            Verdict::Redirect(location) => {
                url = join(&url, &location).map_err(|why| why.to_string())?;
            }
            Verdict::Stale(why) => return Err(why),
            Verdict::Gone(status) | Verdict::Retry(status) | Verdict::Refused(status) => {
                return Err(status_text(status));
            }
            Verdict::Pause(_) => return Err(status_text(opened.head.status)),
        }
    }
    Err(format!("more than {MAX_REDIRECTS} redirects"))
}

fn peer(client: &Client, peer: &str, time: &Time<'_>) -> Result<(), String> {
    let (host, port) = peer.rsplit_once(':').ok_or("it is no host:port")?;
    let port: u16 = port.parse().map_err(|_| "it is no host:port")?;
    if let Ok(address) = peer.parse() {
        return client.connect_peer(&Target::Address(address), time).map(drop);
    }
    if client.names_are_for_the_proxy(peer) {
        return client.connect_peer(&Target::Name(host.to_owned(), port), time).map(drop);
    }
    let mut why = "the host has no address".to_owned();
    for address in resolve(peer)? {
        match client.connect_peer(&Target::Address(address), time) {
            Ok(_) => return Ok(()),
            Err(failed) => why = failed,
        }
    }
    Err(why)
}

/// Any answer but a refusal is one: what lies at the root of a site is its own matter.
fn site(client: &Client, url: &str) -> Result<(), String> {
    let opened = client.open(url, &(0..1)).map_err(|why| why.to_string())?;
    match opened.head.status {
        403 | 407 | 429 | 500..=599 => Err(status_text(opened.head.status)),
        _ => Ok(()),
    }
}
