//! HTTP: the agent, and whole small replies (a `.torrent`, a tracker's answer).

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use ureq::config::{Config, IpFamily};
use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, RequestBuilder};

use super::credentials::Credential;
use super::error::SourceError;
use super::inflate::inflated;
use super::name_lookup::look_up;
use super::proxy;
use super::{Client, MAX_REDIRECTS, Timing, USER_AGENT, raw_transport};
use crate::address::{self, NamedBy};
use crate::protocol::http::Head;
use crate::protocol::http::page::{WebPage, web_page};
use crate::protocol::http::proxy::HttpProxyFailure;
use crate::protocol::web_url::NO_URL;
use crate::settings::AuthHeader;
use crate::url::{Url, UrlParts};

/// Read from a socket at a time: large enough that system calls do not count, small enough for the cache.
const INPUT_BYTES: usize = 256 << 10;

/// Requests are short; the default of 128 KiB is zeroed byte by byte at opt-level 0.
const OUTPUT_BYTES: usize = 16 << 10;

/// A reply that was read whole.
#[derive(Debug)]
pub struct Fetched {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<Duration>,
    /// A web page came.
    pub page: Option<WebPage>,
    /// Where it came from, where that is known: without a proxy. Of several possible addresses the most public.
    pub from: Option<IpAddr>,
}

/// How a body is asked for that is read whole.
pub(super) struct Whole {
    within: Duration,
    family: Option<IpFamily>,
}

pub(super) fn config(timing: Timing, roots: RootCerts) -> Config {
    let mut tls = TlsConfig::builder().root_certs(roots);
    if cfg!(not(feature = "rustls")) {
        tls = tls.provider(ureq::tls::TlsProvider::NativeTls);
    }
    Agent::config_builder()
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        // We follow redirects ourselves: ureq would follow https to http.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .input_buffer_size(INPUT_BYTES)
        .output_buffer_size(OUTPUT_BYTES)
        .max_response_header_size(64 << 10)
        .timeout_resolve(Some(timing.connect))
        .timeout_connect(Some(timing.connect))
        .timeout_send_request(Some(timing.silence))
        .timeout_recv_response(Some(timing.silence))
        // For bodies that ureq reads (chunked ones): they may take long, and not be silent for long.
        .timeout_per_read(Some(timing.silence))
        // ours; and never one of the environment, which the settings have read
        .proxy(None)
        .tls_config(tls.build())
        .build()
}

impl Client {
    /// Gets a URL whole, following redirects, never from https to http. The credential is for this URL alone: see
    /// [`Credential::redirected`].
    ///
    /// # Errors
    /// No reply, a redirect that is not followed, a body over `max_bytes` or slower than `within`.
    pub fn fetch(
        &self,
        by: NamedBy,
        url: &Url,
        credential: Credential<'_>,
        max_bytes: u64,
        within: Duration,
    ) -> Result<Fetched, SourceError> {
        self.fetch_over(by, None, url, credential, max_bytes, within)
    }

    /// The same over one family of addresses, or any, and never over a connection that was used before: its address need not be
    /// among those that the name has now.
    pub(super) fn fetch_over(
        &self,
        by: NamedBy,
        family: Option<IpFamily>,
        url: &Url,
        mut credential: Credential<'_>,
        max_bytes: u64,
        within: Duration,
    ) -> Result<Fetched, SourceError> {
        let mut url = url.clone();
        let meant_for = url.origin();
        for _ in 0..=MAX_REDIRECTS {
            let by = by.redirect(url.origin() == meant_for);
            let part = Err(Whole { within, family });
            let (mut reply, head, from) = self.request(by, &url, credential, part)?;
            if let (300..=399, Some(location)) = (head.status, &head.location) {
                url = join(&url, location)?;
                credential = credential.redirected(url.origin() == meant_for);
                continue;
            }
            let mut body = Vec::new();
            let limit = max_bytes.saturating_add(1);
            reply.body_mut().as_reader().take(limit).read_to_end(&mut body)?;
            if body.len() as u64 > max_bytes {
                return Err(SourceError::ReplyTooLong(max_bytes));
            }
            let body = match inflated(body, max_bytes) {
                // What matters then is the status.
                Err(_) if head.status != 200 => Vec::new(),
                other => other?,
            };
            let page = web_page(&head, &body);
            if head.status == 200 && page.is_none() && !head.content_encoding_identity {
                // By another one than gzip, of which nothing can be made; a plain body may be called so by mistake.
                if !body.starts_with(b"d") {
                    return Err(SourceError::Compressed);
                }
            }
            let Head { status, retry_after, .. } = head;
            return Ok(Fetched { status, body, retry_after, from, page });
        }
        Err(SourceError::TooManyRedirects)
    }

    /// Whether a URL's host is reached without a proxy, and has addresses of both families.
    pub(super) fn reaches_both_families(&self, url: &Url) -> bool {
        if self.proxy.as_ref().is_some_and(|proxy| proxy.carries(url.exposed())) {
            return false;
        }
        let (host, port) = address::place_of_url(url.exposed());
        let found = look_up(&format!("{host}:{port}"), IpFamily::Any, self.timing().connect);
        let found = found.unwrap_or_default();
        let v6 = |address: &SocketAddr| !address.ip().to_canonical().is_ipv4();
        found.iter().any(v6) && !found.iter().all(v6)
    }

    /// One request, no redirects followed; the body is not read yet: a range of it, or all of it within a time.
    pub(super) fn request(
        &self,
        by: NamedBy,
        url: &Url,
        credential: Credential<'_>,
        part: Result<&str, Whole>,
    ) -> Result<(Response<Body>, Head, Option<IpAddr>), SourceError> {
        let auth = self.auth_header(by, url, credential);
        let mut request = self.get(url, auth.as_ref(), credential.cookie());
        match part {
            // A web seed's body is watched as it comes.
            Ok(range) => request = request.header("Range", range),
            Err(Whole { within, family }) => {
                request = request.config().timeout_recv_body(Some(within)).build();
                if let Some(family) = family {
                    // ureq does not tell which address a kept connection has, nor of which family it is.
                    let config = request.config().ip_family(family);
                    request = config.max_idle_age(Duration::ZERO).build();
                }
            }
        }
        let (reply, from) = self.judged(by, url, || request.call())?;
        let head = head_of(url, auth.as_ref(), &reply)?;
        Ok((reply, head, from))
    }

    /// Makes a request, if the host that `by` named may be contacted. Gives the address that the reply came from, too, if it is known.
    pub(super) fn judged(
        &self,
        by: NamedBy,
        url: &Url,
        call: impl FnOnce() -> Result<Response<Body>, ureq::Error>,
    ) -> Result<(Response<Body>, Option<IpAddr>), SourceError> {
        let (url, proxy) = (url.without_login(), self.proxy.as_ref());
        let uri: Uri = url.parse().map_err(|_| SourceError::NotUrl)?;
        let proven = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        // What is known without a look-up, which a proxy may do.
        let port = uri.port_u16().unwrap_or(if proven { 443 } else { 80 });
        self.private_hosts.judge_name(by, host, port)?;
        let hosts = Arc::clone(&self.private_hosts);
        let judge = raw_transport::Judge { hosts, by, host: host.to_owned(), proven };
        let (reply, addresses) = raw_transport::judged(judge, call);
        let from = addresses.into_iter().map(|it| it.ip()).min_by_key(|ip| address::kind(*ip));
        let reply = reply.map_err(|why| proxy::blamed(proxy, &url, why.into()))?;
        let proxy = proxy.filter(|proxy| proxy.carries(&url));
        // Whoever is behind it cannot ask for that.
        if let Some(proxy) = proxy.filter(|it| reply.status() == 407 && it.forwards(&url)) {
            let head = head_of(&Url::from(&*url), None, &reply)?;
            let why = HttpProxyFailure::of(&head, proxy.authorization().is_some());
            return Err(SourceError::HttpProxy(proxy.place(), why));
        }
        Ok((reply, from.filter(|_| proxy.is_none())))
    }

    /// A request. ureq never sees a URL's login: it sends none over a connection that we have borrowed, and quotes URLs in errors.
    pub(super) fn get(
        &self,
        url: &Url,
        auth: Option<&AuthHeader>,
        cookie: Option<&str>,
    ) -> RequestBuilder<WithoutBody> {
        let url = url.without_login();
        let request = self.agents.of(&url).get(&*url).header("Accept-Encoding", "identity");
        let request = match auth.map(AuthHeader::name_and_value) {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        match cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        }
    }
}

/// A reply's head in the protocol's words. A redirect that quotes a secret which the request was sent with is refused: it
/// would carry that to wherever it leads.
pub(super) fn head_of<T>(
    url: &Url,
    auth: Option<&AuthHeader>,
    reply: &Response<T>,
) -> Result<Head, SourceError> {
    let headers = reply.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let version_1_1 = reply.version() >= ureq::http::Version::HTTP_11;
    let head = Head::from_parts(reply.status().as_u16(), version_1_1, headers).map_err(|why| {
        SourceError::Reply(why.redacted(|said| match auth {
            Some(auth) => auth.redacted(&url.redacted(said)),
            None => url.redacted(said),
        }))
    })?;
    checked(head, auth)
}

/// See [`head_of`].
pub(super) fn checked(head: Head, auth: Option<&AuthHeader>) -> Result<Head, SourceError> {
    let is_quoted = |location: &String| auth.is_some_and(|auth| auth.is_in(location));
    if head.location.as_ref().is_some_and(is_quoted) {
        return Err(SourceError::QuotesCredentials);
    }
    Ok(head)
}

/// Where a redirect leads (RFC 3986, section 5). The login of `base` goes along to the same server alone.
///
/// # Errors
/// For a location that is no http(s) URL, and from https to http.
pub fn join(base: &Url, location: &str) -> Result<Url, SourceError> {
    let odd = || SourceError::OddRedirect(base.redacted(location).into());
    let UrlParts { scheme, host, target, .. } = base.parts().ok_or_else(odd)?;
    let path = target.split(['?', '#']).next().unwrap_or_default();
    // Blanks and the like are sent as they are by many.
    let written: String = utf8_percent_encode(location.trim(), NO_URL).collect();
    let mut written = written.split('#').next().unwrap_or_default().to_owned();
    if written.starts_with("//") {
        written = format!("{scheme}:{written}");
    }
    let written = Url::from(written);
    let (before, target) = match written.parts() {
        Some(parts) => {
            let before = written.exposed().strip_suffix(parts.target).unwrap_or_default();
            (before.to_owned(), parts.target.to_owned())
        }
        None if has_scheme(written.exposed()) || written.exposed().is_empty() => return Err(odd()),
        None => {
            let target = match written.exposed().chars().next() {
                Some('/') => written.exposed().to_owned(),
                Some('?') => [path, written.exposed()].concat(),
                _ => {
                    let directory = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                    [directory, written.exposed()].concat()
                }
            };
            (format!("{scheme}://{host}"), target)
        }
    };
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let joined = Url::from([&*before, &*without_dots(path), query].concat());
    if base.is_https() && !joined.is_https() {
        return Err(SourceError::DowngradedRedirect(base.redacted(joined.exposed()).into()));
    }
    joined.without_login().parse::<Uri>().map_err(|_| odd())?;
    Ok(base.hand_login_to(joined))
}

/// Whether a reference begins with a scheme: `ftp://x`, `mailto:x`.
fn has_scheme(reference: &str) -> bool {
    let begin = reference.split(['/', '?']).next().unwrap_or_default();
    begin.split_once(':').is_some_and(|(scheme, _)| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits)
    })
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined_and_never_lead_from_https_to_http() {
        let check = |base: &str, location: &str, expected: Option<&str>| {
            let joined = join(&base.into(), location).ok();
            assert_eq!(joined.as_ref().map(Url::exposed), expected, "{base} + {location}");
        };
        check("http://a/b/c?d", "http://e/f", Some("http://e/f"));
        check("http://a/b/c?d", "/f", Some("http://a/f"));
        check("http://a/b/c?d", "f", Some("http://a/b/f"));
        check("http://a", "f", Some("http://a/f"));
        check("https://a/b", "//c/d", Some("https://c/d"));
        check("http://a/b", "https://c/d", Some("https://c/d"));
        check("https://a/b", "http://c/d", None);
        check("http://a/b", "ftp://c/d", None);
        check("http://a/b", "", None);
        check("http://a/b", "http://", None);
        for other in ["mailto:me", "javascript:x", "http:c", "https:", "data:,x", " "] {
            check("http://a/b", other, None);
        }
        // A query, and a query that names a URL.
        check("http://a/b/c?d", "?token=1", Some("http://a/b/c?token=1"));
        check("http://a", "?token=1", Some("http://a?token=1"));
        check("http://a/b/c", "f?u=http://x/y", Some("http://a/b/f?u=http://x/y"));
        check("http://a/b/c", "?u=http://x/../y", Some("http://a/b/c?u=http://x/../y"));
        check("http://a/b/c?x=/y/z", "f", Some("http://a/b/f"));
        // RFC 3986, section 5.4.
        for (location, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("//g:81/h", "http://g:81/h"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("http://e/./f/../g", "http://e/g"),
            ("a//b", "http://a/b/c/a//b"),
        ] {
            check("http://a/b/c/d;p?q", location, Some(expected));
        }
        // What no URL may hold.
        check("http://a/b", "/new place/x.bin", Some("http://a/new%20place/x.bin"));
        check("http://a/b", "http://a/new place/x.bin", Some("http://a/new%20place/x.bin"));
        check("http://a/b", " /x\t", Some("http://a/x"));
        check("http://a/b", "/\u{e9}|<x>", Some("http://a/%C3%A9%7C%3Cx%3E"));
        check("http://a/b", "/x%20y", Some("http://a/x%20y"));
        check("http://a/b", "//[::1]:8/x", Some("http://[::1]:8/x"));
        // A login goes to its own server alone.
        check("http://u:p@a/b/c", "d", Some("http://u:p@a/b/d"));
        check("http://u:p@a/b/c", "http://A:80/d", Some("http://u:p@A:80/d"));
        check("http://u:p@a/b/c", "http://a:81/d", Some("http://a:81/d"));
        check("http://u:p@a/b/c", "//b/d", Some("http://b/d"));
        check("http://u:p@a/b/c", "https://a/d", Some("https://a/d"));
        check("https://u:p@a/b/c", "http://a/d", None);
    }
}
