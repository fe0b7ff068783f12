//! Conditional requests (RFC 9110, section 13): downloads a document again only if it has changed.
//! Used by the command line alone.

use std::io::Read as _;
use std::time::Duration;

use crate::address::NamedBy;
use crate::net::credentials::Credential;
use crate::net::error::SourceError;
use crate::net::http::{Fetched, head_of, join};
use crate::net::{Client, MAX_REDIRECTS};
use crate::protocol::http::page::web_page;
use crate::url::Url;

/// The validators that a server sends, and the request headers that send them back.
const VALIDATORS: [(&str, &str); 2] =
    [("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")];

/// Longer validators are not kept.
const MAX_VALIDATOR_BYTES: usize = 200;

impl Client {
    /// Downloads a URL whole, as [`Client::fetch`] does. `known` holds the validators of the local
    /// copy, by header: if the document has not changed, the status is 304. Returns the validators
    /// of the new copy along with the reply. The credential is for this URL alone: see
    /// [`Credential::redirected`].
    ///
    /// # Errors
    /// Those of [`Client::fetch`].
    pub fn fetch_newer(
        &self,
        by: NamedBy,
        url: &Url,
        mut credential: Credential<'_>,
        known: &[(String, String)],
        max_bytes: u64,
        within: Duration,
    ) -> Result<(Fetched, Vec<(String, String)>), SourceError> {
        let (mut url, meant_for) = (url.clone(), url.origin());
        for _ in 0..=MAX_REDIRECTS {
            let by = by.redirect(url.origin() == meant_for);
            let auth = self.auth_header(by, &url, credential);
            let mut request = self.get(&url, auth.as_ref(), credential.cookie());
            for (header, question) in VALIDATORS {
                if let Some((_, value)) =
                    known.iter().find(|(it, value)| it == header && fits(value))
                {
                    request = request.header(question, value);
                }
            }
            let request = request.config().timeout_recv_body(Some(within)).build();
            let (mut reply, from) = self.judged(by, &url, || request.call())?;
            let head = head_of(&url, auth.as_ref(), &reply)?;
            // A 304 has no body and is not a redirect.
            if let (300..=303 | 305..=399, Some(location)) = (head.status, &head.location) {
                url = join(&url, location)?;
                credential = credential.redirected(url.origin() == meant_for);
                continue;
            }
            let said = |header: &str| {
                let value = reply.headers().get(header)?.to_str().ok()?;
                fits(value).then(|| (header.to_owned(), value.to_owned()))
            };
            let validators = VALIDATORS.iter().filter_map(|(header, _)| said(header)).collect();
            let mut body = Vec::new();
            if head.status != 304 {
                let limit = max_bytes.saturating_add(1);
                reply.body_mut().as_reader().take(limit).read_to_end(&mut body)?;
            }
            if body.len() as u64 > max_bytes {
                return Err(SourceError::ReplyTooLong(max_bytes));
            }
            let (status, retry_after) = (head.status, head.retry_after);
            let page = web_page(&head, &body);
            let fetched = Fetched { status, body, retry_after, from, page };
            return Ok((fetched, validators));
        }
        Err(SourceError::TooManyRedirects)
    }
}

/// Whether `value` is a valid header value: it may come from a file.
fn fits(value: &str) -> bool {
    value.len() <= MAX_VALIDATOR_BYTES && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
