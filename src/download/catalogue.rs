//! Documents of the catalogue, kept in the store for a day. For the command line alone.
//!
//! A copy that is younger is used as it is. An older one is asked for again, with what the server said of it (304 costs no
//! download); where that fails the old one stands in, and says so. Offline it is used whatever its age.

use std::time::{Duration, Instant, SystemTime};

use super::report::advise;
use crate::context::{ApiKey, Settings};
use crate::error::{Error, ErrorKind, printable};
use crate::net::Client;
use crate::protocol::http::verdict::status_text;
use crate::store::{Kept, Store};

/// So long a copy is used without asking: the catalogue writes its database anew each night.
const CURRENT: Duration = Duration::from_secs(24 * 3600);

/// Times that a busy server is asked.
const ATTEMPTS: u32 = 3;

/// As long as bytes come, a document may take so many times what is waited for without any: the database has
/// several megabytes.
const SLOW: u32 = 5;

/// Which document.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Behind the catalogue's base URL, with the slash.
    pub path: &'a str,
    /// Its name in the store.
    pub name: &'a str,
    /// What it is, for errors: "the catalogue's database".
    pub what: &'a str,
    pub max_bytes: u64,
    /// What to do where the catalogue does not have it.
    pub if_missing: &'a str,
    /// Ask, however young the copy is.
    pub refresh: bool,
    /// Why it is not what it should be: such a one is not kept.
    pub check: fn(&[u8]) -> Result<(), String>,
}

/// A document, from the catalogue or the store.
#[derive(Debug)]
pub struct Document {
    pub body: Vec<u8>,
    pub url: String,
    /// How long ago it was known to be current.
    pub age: Duration,
    /// What its reader should know: an old copy stands in, it could not be kept.
    pub notes: Vec<String>,
}

/// The document, as new as it should be and can be had.
///
/// # Errors
/// [`ErrorKind::Offline`] or [`ErrorKind::Network`] where no copy is here; with `refresh`, also where one is.
pub fn document(
    settings: &Settings,
    store: &Store,
    wanted: &Wanted<'_>,
) -> Result<Document, Error> {
    let url = [settings.catalogue.as_str(), wanted.path].concat();
    let kept = store.kept_document(&settings.catalogue, wanted.name, wanted.max_bytes);
    let kept = kept.filter(|kept| (wanted.check)(&kept.body).is_ok());
    // One of the future has a clock of its own: it is asked for.
    let age = |kept: &Kept| SystemTime::now().duration_since(kept.at).unwrap_or(CURRENT);
    let of_kept =
        |kept: Kept, notes| Document { age: age(&kept), body: kept.body, url: url.clone(), notes };
    let kept = match kept {
        Some(kept) if settings.offline || (!wanted.refresh && age(&kept) < CURRENT) => {
            return Ok(of_kept(kept, Vec::new()));
        }
        kept => kept,
    };
    if settings.offline {
        let what = format!("{} is not here, and the network may not be used", wanted.what);
        return Err(Error::new(ErrorKind::Offline, what)
            .why(settings.offline_reason())
            .help("run it once with the network: what the catalogue says is kept"));
    }
    let client = Client::new(settings)?;
    let fetched = fetch(&client, &url, settings, kept.as_ref(), wanted);
    client.shut_down();
    match (fetched, kept) {
        (Ok(Fetched::Same), Some(mut kept)) => {
            kept.at = SystemTime::now();
            let noted = store.note_document(&settings.catalogue, wanted.name, kept.at);
            Ok(of_kept(kept, noted.err().map(|error| not_kept(&error)).into_iter().collect()))
        }
        (Ok(Fetched::New { body, head }), _) => {
            let noted = store.keep_document(&settings.catalogue, wanted.name, &head, &body);
            let notes = noted.err().map(|error| not_kept(&error)).into_iter().collect();
            Ok(Document { body, url, age: Duration::ZERO, notes })
        }
        (Err(why), Some(kept)) if !wanted.refresh => {
            let why = printable(&why);
            let note = format!("{} could not be asked for again\n  {url}: {why}", wanted.what);
            Ok(of_kept(kept, vec![note]))
        }
        (Err(why), _) => Err(failed(&url, wanted, why)),
        (Ok(Fetched::Same), None) => Err(failed(&url, wanted, status_text(304))),
    }
}

fn failed(url: &str, wanted: &Wanted<'_>, why: String) -> Error {
    let help = match why == status_text(404) {
        true => wanted.if_missing,
        false => "try again later: the catalogue may be down, or the line to it",
    };
    let said = format!("{url}: {why}");
    let error = Error::new(ErrorKind::Network, format!("{} could not be had", wanted.what));
    advise(error.why(&said), [&said].into_iter()).help(help)
}

fn not_kept(error: &Error) -> String {
    format!("what the catalogue said is not kept\n  {}", error.what())
}

enum Fetched {
    New { body: Vec<u8>, head: Vec<(String, String)> },
    Same,
}

/// Asks, again after a pause where the server is busy.
fn fetch(
    client: &Client,
    url: &str,
    settings: &Settings,
    kept: Option<&Kept>,
    wanted: &Wanted<'_>,
) -> Result<Fetched, String> {
    let timing = client.timing();
    let begun = Instant::now();
    let mut pause = timing.back_off;
    let cookie = settings.api_key.as_ref().map(ApiKey::cookie);
    let known = kept.map(|kept| kept.head.as_slice()).unwrap_or_default();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (reply, head) = client
            .fetch_newer(url, cookie, known, wanted.max_bytes, timing.give_up * SLOW)
            .map_err(|why| why.to_string())?;
        match reply.status {
            200 => {
                (wanted.check)(&reply.body)?;
                return Ok(Fetched::New { body: reply.body, head });
            }
            304 if kept.is_some() => return Ok(Fetched::Same),
            408 | 429 | 500..=599 => {
                let wait = reply.retry_after.unwrap_or(pause).max(pause);
                // Someone sits there and waits.
                if attempts == ATTEMPTS || begun.elapsed() + wait > timing.reply {
                    return Err(status_text(reply.status));
                }
                std::thread::sleep(wait);
                pause *= 2;
            }
            status => return Err(status_text(status)),
        }
    }
}
