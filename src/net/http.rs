//! HTTP requests: the agent's configuration, redirects, and small replies that are read whole (a
//! `.torrent`, a tracker's reply).

use std::io::{self, Read as _};
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
use super::{Client, MAX_REDIRECT_BYTES, MAX_REDIRECTS, Timing, USER_AGENT, raw_transport};
use crate::address::{self, NamedBy};
use crate::protocol::http::Head;
use crate::protocol::http::page::{WebPage, web_page};
use crate::protocol::http::proxy::HttpProxyFailure;
use crate::protocol::web_url::NO_URL;
use crate::settings::AuthHeader;
use crate::torrent::bencode::{self, Limits};
use crate::torrent::metainfo;
use crate::url::{Url, UrlParts};

/// Bytes read from a socket at a time: large enough that system calls cost little, small enough for
/// the CPU cache.
const INPUT_BYTES: usize = 256 << 10;

/// Requests are short, and ureq's default of 128 KiB is zeroed byte by byte at opt-level 0.
const OUTPUT_BYTES: usize = 16 << 10;

/// A reply that was read whole.
#[derive(Debug)]
pub struct Fetched {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<Duration>,
    /// Set if the body is a web page.
    pub page: Option<WebPage>,
    /// The server's address, if there is no proxy. Of several candidates, the most public.
    pub from: Option<IpAddr>,
}

/// Options of a request whose body is read whole.
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
        // We follow redirects ourselves: ureq would follow them from https to http.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .input_buffer_size(INPUT_BYTES)
        .output_buffer_size(OUTPUT_BYTES)
        .max_response_header_size(64 << 10)
        .timeout_resolve(Some(timing.connect))
        .timeout_connect(Some(timing.connect))
        .timeout_send_request(Some(timing.silence))
        .timeout_recv_response(Some(timing.silence))
        // For bodies that ureq reads (chunked ones): they may take long, but not pause for long.
        .timeout_per_read(Some(timing.silence))
        // Our transport connects through proxies, and the settings have read the environment.
        .proxy(None)
        .tls_config(tls.build())
        .build()
}

impl Client {
    /// Downloads a URL whole. Follows redirects, except from https to http. The credential is for
    /// this URL alone: see [`Credential::redirected`].
    ///
    /// # Errors
    /// No reply, a redirect that is not followed, a body longer than `max_bytes` or slower than
    /// `within`.
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

    /// As [`Client::fetch`], over one address family or any. If `family` is given (even
    /// [`IpFamily::Any`]), the connection is new: the address of a reused one need not be among the
    /// name's current addresses.
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
            let read = reply.body_mut().as_reader().take(limit).read_to_end(&mut body);
            let ended_early = match read {
                Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Some(why),
                read => read.map(|_| None)?,
            };
            if body.len() as u64 > max_bytes {
                return Err(SourceError::ReplyTooLong(max_bytes));
            }
            let body = match (inflated(body, max_bytes), ended_early) {
                (Ok(body), Some(_)) if is_whole(&body) => body,
                (_, Some(why)) => return Err(why.into()),
                // An error page's status matters more than its body.
                (Err(_), None) if head.status != 200 => Vec::new(),
                (body, None) => body?,
            };
            let page = web_page(&head, &body);
            if head.status == 200 && page.is_none() && !head.content_encoding_identity {
                // Compressed by another method than gzip. Some servers declare an encoding for a
                // plain bencoded body (which starts with `d`), which is therefore accepted.
                if !body.starts_with(b"d") {
                    return Err(SourceError::Compressed);
                }
            }
            let Head { status, retry_after, .. } = head;
            return Ok(Fetched { status, body, retry_after, from, page });
        }
        Err(SourceError::TooManyRedirects)
    }

    /// Whether a URL's host is reached without a proxy and has addresses of both families.
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

    /// Sends one request without following redirects, and does not read the body. `part` is the
    /// range to request, or the options of a body that is read whole.
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
            // The caller watches how fast a web seed's body arrives.
            Ok(range) => request = request.header("Range", range),
            Err(Whole { within, family }) => {
                request = request.config().timeout_recv_body(Some(within)).build();
                if let Some(family) = family {
                    // ureq does not report the address of a reused connection, nor its family.
                    let config = request.config().ip_family(family);
                    request = config.max_idle_age(Duration::ZERO).build();
                }
            }
        }
        let (reply, from) = self.judged(by, url, || request.call())?;
        let head = head_of(url, auth.as_ref(), &reply)?;
        Ok((reply, head, from))
    }

    /// Makes a request, if the host that `by` named may be contacted. Also returns the address that
    /// the reply came from, if known.
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
        // What can be judged without a name look-up, which may be left to a proxy.
        let port = uri.port_u16().unwrap_or(if proven { 443 } else { 80 });
        self.private_hosts.judge_name(by, host, port)?;
        let hosts = Arc::clone(&self.private_hosts);
        let judge = raw_transport::Judge { hosts, by, host: host.to_owned(), proven };
        let (reply, addresses) = raw_transport::judged(judge, call);
        let from = addresses.into_iter().map(|it| it.ip()).min_by_key(|ip| address::kind(*ip));
        let reply = reply.map_err(|why| proxy::blamed(proxy, &url, why.into()))?;
        let proxy = proxy.filter(|proxy| proxy.carries(&url));
        // Only the proxy can send a 407, not the server behind it.
        if let Some(proxy) = proxy.filter(|it| reply.status() == 407 && it.forwards(&url)) {
            let head = head_of(&Url::from(&*url), None, &reply)?;
            let why = HttpProxyFailure::of(&head, proxy.authorization().is_some());
            return Err(SourceError::HttpProxy(proxy.place(), why));
        }
        Ok((reply, from.filter(|_| proxy.is_none())))
    }

    /// Starts a request. ureq never sees a URL's login: it would quote it in errors, and would not
    /// send it over a borrowed connection.
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

/// Whether a body that ended early is nevertheless a whole `.torrent` or tracker reply. Some servers
/// state a wrong length, or end a chunked body without the last chunk.
fn is_whole(body: &[u8]) -> bool {
    let limits = Limits { max_bytes: body.len(), ..metainfo::LIMITS };
    bencode::scan(body, &limits).is_ok()
}

/// Parses the head of a reply. A redirect that quotes a secret of the request is refused: following
/// it would send the secret to its target.
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

/// Refuses a redirect that quotes a secret: see [`head_of`].
pub(super) fn checked(head: Head, auth: Option<&AuthHeader>) -> Result<Head, SourceError> {
    let is_quoted = |location: &String| auth.is_some_and(|auth| auth.is_in(location));
    if head.location.as_ref().is_some_and(is_quoted) {
        return Err(SourceError::QuotesCredentials);
    }
    Ok(head)
}

/// Resolves the target of a redirect (RFC 3986, section 5). The login of `base` is kept only for
/// the same server.
///
/// # Errors
/// The location is not an http(s) URL, is longer than [`MAX_REDIRECT_BYTES`], or leads from https to
/// http.
pub fn join(base: &Url, location: &str) -> Result<Url, SourceError> {
    let within_limit = |bytes| match bytes > MAX_REDIRECT_BYTES {
        true => Err(SourceError::LongRedirect(bytes)),
        false => Ok(()),
    };
    within_limit(location.len())?;
    let odd = || SourceError::OddRedirect(base.redacted(location).into());
    let UrlParts { scheme, host, target, .. } = base.parts().ok_or_else(odd)?;
    let path = target.split(['?', '#']).next().unwrap_or_default();
    // Many servers send spaces and other invalid characters unencoded.
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
    within_limit(joined.exposed().len())?;
    joined.without_login().parse::<Uri>().map_err(|_| odd())?;
    Ok(base.hand_login_to(joined))
}

/// Whether a reference starts with a scheme: `ftp://x`, `mailto:x`.
fn has_scheme(reference: &str) -> bool {
    let begin = reference.split(['/', '?']).next().unwrap_or_default();
    begin.split_once(':').is_some_and(|(scheme, _)| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits)
    })
}

/// Removes `.` and `..` from a path (RFC 3986, section 5.2.4).
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
        // A query, and one that contains a URL.
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
        // Characters that are not valid in a URL.
        check("http://a/b", "/new place/x.bin", Some("http://a/new%20place/x.bin"));
        check("http://a/b", "http://a/new place/x.bin", Some("http://a/new%20place/x.bin"));
        check("http://a/b", " /x\t", Some("http://a/x"));
        check("http://a/b", "/\u{e9}|<x>", Some("http://a/%C3%A9%7C%3Cx%3E"));
        check("http://a/b", "/x%20y", Some("http://a/x%20y"));
        check("http://a/b", "//[::1]:8/x", Some("http://[::1]:8/x"));
        // A login is kept for its own server alone.
        check("http://u:p@a/b/c", "d", Some("http://u:p@a/b/d"));
        check("http://u:p@a/b/c", "http://A:80/d", Some("http://u:p@A:80/d"));
        check("http://u:p@a/b/c", "http://a:81/d", Some("http://a:81/d"));
        check("http://u:p@a/b/c", "//b/d", Some("http://b/d"));
        check("http://u:p@a/b/c", "https://a/d", Some("https://a/d"));
        check("https://u:p@a/b/c", "http://a/d", None);
    }
}
