//! A document that is kept, and asked for whole only where it has changed (RFC 9110, section 13). For the command line alone.

use std::io::Read as _;
use std::time::Duration;

use super::http::{Fetched, HttpFailure, MAX_REDIRECTS, authority, head_of, io_reason, join};
use super::{Client, proxy};

/// What a server said of a document, and the question that goes with it.
const VALIDATORS: [(&str, &str); 2] =
    [("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")];

/// A validator that is longer is not kept.
const MAX_VALIDATOR_BYTES: usize = 200;

impl Client {
    /// Gets a URL whole, as [`Client::fetch`] does. `known` is what the server said of the copy that is here, by header: where
    /// that is still the same the status is 304. What it says of this one comes with the reply. The cookie is for this URL's
    /// server alone: it is left out from the first redirect to another one on.
    ///
    /// # Errors
    /// As of [`Client::fetch`].
    pub fn fetch_newer(
        &self,
        url: &str,
        mut cookie: Option<&str>,
        known: &[(String, String)],
        max_bytes: u64,
        within: Duration,
    ) -> Result<(Fetched, Vec<(String, String)>), HttpFailure> {
        let (mut url, meant_for) = (url.to_owned(), authority(url));
        for _ in 0..=MAX_REDIRECTS {
            cookie = cookie.filter(|_| authority(&url) == meant_for);
            let mut request = self.agent.get(&url).header("Accept-Encoding", "identity");
            if let Some(cookie) = cookie {
                request = request.header("Cookie", cookie);
            }
            for (header, question) in VALIDATORS {
                if let Some((_, value)) =
                    known.iter().find(|(it, value)| it == header && fits(value))
                {
                    request = request.header(question, value);
                }
            }
            let request = request.config().timeout_recv_body(Some(within)).build();
            let called = request.call();
            let mut reply = called
                .map_err(|why| proxy::blamed(self.agent.config().proxy(), &url, why.into()))?;
            let head = head_of(&reply)?;
            // A 304 has no body, and leads nowhere.
            if let (300..=303 | 305..=399, Some(location)) = (head.status, &head.location) {
                url = join(&url, location)?;
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
                let read = reply.body_mut().as_reader().take(limit).read_to_end(&mut body);
                read.map_err(|why| HttpFailure(io_reason(&why)))?;
            }
            if body.len() as u64 > max_bytes {
                return Err(HttpFailure(format!("the reply is longer than {max_bytes} bytes")));
            }
            let fetched = Fetched { status: head.status, body, retry_after: head.retry_after };
            return Ok((fetched, validators));
        }
        Err(HttpFailure(format!("more than {MAX_REDIRECTS} redirects")))
    }
}

/// Whether it can be a header's value: it may come from a file.
fn fits(value: &str) -> bool {
    value.len() <= MAX_VALIDATOR_BYTES && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
