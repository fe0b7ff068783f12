//! Documents of the catalog, cached in the store for a day. Used only by the command line.
//!
//! A copy younger than that is used as it is. For an older copy, a conditional request is sent (304
//! avoids the download); if that fails, the old copy is used with a note. Offline, a copy of any
//! age is used.

use std::time::{Duration, Instant, SystemTime};

use crate::engine::report::advise;
use crate::engine::resolve::catalog_credential;
use crate::error::{Error, ErrorKind, printable};
use crate::net::{Client, SourceError};
use crate::settings::Settings;
use crate::storage::Store;
use crate::storage::inventory::Kept;
use crate::url::Url;

/// How long a copy is used without asking: the catalog rebuilds its database every night.
const CURRENT: Duration = Duration::from_secs(24 * 3600);

/// Number of requests to a busy server.
const ATTEMPTS: u32 = 3;

/// While data arrives, a document may take this multiple of the timeout: the database has several
/// megabytes.
const SLOW: u32 = 5;

/// A document to get, and how.
#[derive(Debug)]
pub struct DocumentRequest<'a> {
    /// The path after the catalog's base URL, with the leading slash.
    pub path: &'a str,
    /// The document's name in the store.
    pub name: &'a str,
    /// A description for errors, such as "the catalog's database".
    pub what: &'a str,
    pub max_bytes: u64,
    /// The help text if the catalog does not have the document.
    pub if_missing: &'a str,
    /// Ask the catalog even if the copy is recent.
    pub refresh: bool,
    /// Returns what is wrong with the contents. A document with a flaw is not stored.
    pub flaw: fn(&[u8]) -> Option<String>,
}

/// A document from the catalog or from the store.
#[derive(Debug)]
pub struct Document {
    pub body: Vec<u8>,
    pub url: Url,
    /// Time since the document was known to be current.
    pub age: Duration,
    /// Notes for the user: an old copy is used, or the document could not be stored.
    pub notes: Vec<String>,
}

/// Returns the document: a recent copy, otherwise the catalog's current version, otherwise an old
/// copy.
///
/// # Errors
/// [`ErrorKind::Offline`] or [`ErrorKind::Network`] if there is no copy; with `refresh`, even if
/// there is one.
pub fn document(
    settings: &Settings,
    store: &Store,
    wanted: &DocumentRequest<'_>,
) -> Result<Document, Error> {
    let url = settings.catalogue.with(wanted.path);
    let kept = store.kept_document(&settings.catalogue, wanted.name, wanted.max_bytes);
    let kept = kept.filter(|kept| (wanted.flaw)(&kept.body).is_none());
    // A copy from the future, after a change of the clock, is treated as expired.
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
        let what =
            format!("{} is not on this machine, and network access is disabled", wanted.what);
        return Err(Error::new(ErrorKind::Offline, what)
            .why(settings.offline_reason())
            .help("run the command once with network access: the catalog's reply is stored"));
    }
    let client = Client::new(settings)?;
    let fetched = fetch(&client, &url, settings, kept.as_ref(), wanted);
    client.shut_down();
    match (fetched, kept) {
        (Ok(DocumentReply::Same), Some(mut kept)) => {
            kept.at = SystemTime::now();
            let noted = store.note_document(&settings.catalogue, wanted.name, kept.at);
            Ok(of_kept(kept, noted.err().map(|error| not_kept(&error)).into_iter().collect()))
        }
        (Ok(DocumentReply::New { body, head }), _) => {
            let noted = store.keep_document(&settings.catalogue, wanted.name, &head, &body);
            let notes = noted.err().map(|error| not_kept(&error)).into_iter().collect();
            Ok(Document { body, url, age: Duration::ZERO, notes })
        }
        (Err(why), Some(kept)) if !wanted.refresh => {
            let why = printable(&why.to_string());
            let note = format!("{} could not be refreshed\n  {url}: {why}", wanted.what);
            Ok(of_kept(kept, vec![note]))
        }
        (Err(why), _) => Err(failed(&url, wanted, &why)),
        (Ok(DocumentReply::Same), None) => Err(failed(&url, wanted, &SourceError::Status(304))),
    }
}

fn failed(url: &Url, wanted: &DocumentRequest<'_>, why: &SourceError) -> Error {
    let help = match why.status() == Some(404) {
        true => wanted.if_missing,
        false => "try again later: the catalog or the network may be down",
    };
    let error = Error::new(ErrorKind::Network, format!("{} could not be downloaded", wanted.what));
    advise(error.why(format!("{url}: {why}")), std::iter::once(why)).help(help)
}

fn not_kept(error: &Error) -> String {
    format!("the catalog's reply could not be stored\n  {}", error.what())
}

enum DocumentReply {
    New { body: Vec<u8>, head: Vec<(String, String)> },
    Same,
}

/// Sends the request, and retries after a pause if the server is busy.
fn fetch(
    client: &Client,
    url: &Url,
    settings: &Settings,
    kept: Option<&Kept>,
    wanted: &DocumentRequest<'_>,
) -> Result<DocumentReply, SourceError> {
    let timing = client.timing();
    let begun = Instant::now();
    let mut pause = timing.back_off;
    let credential = catalog_credential(settings);
    let known = kept.map(|kept| kept.head.as_slice()).unwrap_or_default();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (reply, head) = client.fetch_newer(
            settings.catalogue_by(),
            url,
            credential,
            known,
            wanted.max_bytes,
            timing.give_up * SLOW,
        )?;
        match reply.status {
            200 => {
                if let Some(why) = (wanted.flaw)(&reply.body) {
                    return Err(SourceError::Unusable(why));
                }
                return Ok(DocumentReply::New { body: reply.body, head });
            }
            304 if kept.is_some() => return Ok(DocumentReply::Same),
            408 | 429 | 500..=599 => {
                let wait = reply.retry_after.unwrap_or(pause).max(pause);
                // A user is waiting for the answer.
                if attempts == ATTEMPTS || begun.elapsed() + wait > timing.reply {
                    return Err(SourceError::Status(reply.status));
                }
                std::thread::sleep(wait);
                pause *= 2;
            }
            status => return Err(SourceError::Status(status)),
        }
    }
}
