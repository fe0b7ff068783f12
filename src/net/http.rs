//! HTTP: the agent, and whole small replies (a `.torrent`, a tracker's answer).

use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use ureq::config::IpFamily;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

use super::{Client, Timing, USER_AGENT, lent, proxy, unusable};
use crate::context::{CaFile, Settings};
use crate::error::Error;
use crate::protocol::http::Head;

/// Read from a socket at a time: large enough that system calls do not count, small enough for the cache.
const INPUT_BYTES: usize = 256 << 10;

/// Requests are short; the default of 128 KiB is zeroed byte by byte at opt-level 0.
const OUTPUT_BYTES: usize = 16 << 10;

/// Redirects followed for one request.
pub(super) const MAX_REDIRECTS: usize = 5;

/// A reply that was read whole.
#[derive(Debug)]
pub struct Fetched {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<Duration>,
}

/// How a body is asked for that is read whole.
pub(super) struct Whole<'a> {
    within: Duration,
    cookie: Option<&'a str>,
    family: Option<IpFamily>,
}

/// Why a request brought no reply. Reads on from a URL: "https://…: connection refused".
#[derive(Debug)]
pub struct HttpFailure(pub String);

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ureq::Error> for HttpFailure {
    fn from(error: ureq::Error) -> HttpFailure {
        HttpFailure(match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve) => "the name look-up timed out".to_owned(),
            ureq::Error::Timeout(ureq::Timeout::Connect) => "timed out while connecting".to_owned(),
            ureq::Error::Timeout(_) => "timed out waiting for the reply".to_owned(),
            ureq::Error::HostNotFound => UNKNOWN_HOST.to_owned(),
            ureq::Error::Io(why) if why.kind() == std::io::ErrorKind::InvalidData => {
                tls_reason(why.to_string())
            }
            ureq::Error::Io(why) => super::http::io_reason(&why),
            other => tls_reason(other.to_string()),
        })
    }
}

pub(super) const UNKNOWN_HOST: &str = "the host name is not known";

/// Said of a server whose certificate nobody vouches for that we know: where TLS is inspected, of all servers.
pub const UNKNOWN_AUTHORITY: &str = "its certificate is from an authority that is not known here";

/// What rustls and OpenSSL say of certificates is for those who know their types.
fn tls_reason(said: String) -> String {
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if has(&["InvalidContentType"]) {
        return "the server does not speak TLS on this port".to_owned();
    }
    if has(&["UnknownIssuer", "local issuer certificate", "self-signed", "self signed"]) {
        return UNKNOWN_AUTHORITY.to_owned();
    }
    match said.split_once("invalid peer certificate: ") {
        Some((_, why)) => format!("its certificate is not valid: {why}"),
        None => said,
    }
}

/// An I/O error without the number that the platform adds.
pub(super) fn io_reason(why: &std::io::Error) -> String {
    let ureqs = why.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    if matches!(ureqs, Some(ureq::Error::Timeout(_))) {
        return "timed out".to_owned();
    }
    match why.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => "timed out".to_owned(),
        std::io::ErrorKind::UnexpectedEof => "the connection was closed early".to_owned(),
        _ => why.to_string(),
    }
}

pub(super) fn agent(
    settings: &Settings,
    timing: Timing,
    proxy: Option<Proxy>,
) -> Result<Agent, Error> {
    let mut tls = TlsConfig::builder();
    if cfg!(not(feature = "rustls")) {
        tls = tls.provider(ureq::tls::TlsProvider::NativeTls);
    }
    if let Some(file) = &settings.ca_file {
        tls = tls.root_certs(RootCerts::new_with_certs(&roots(file)?));
    }
    let config = Agent::config_builder()
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
        .proxy(proxy)
        .tls_config(tls.build())
        .build();
    Ok(lent::agent(config))
}

/// The built-in roots, and those of the user's file.
fn roots(file: &CaFile) -> Result<Vec<Certificate<'static>>, Error> {
    let CaFile { path, variable } = file;
    let refused = |why: &str| {
        unusable("the file of certificates", &path.display().to_string(), why)
            .why(format!("{variable} names it"))
            .help(format!("correct {variable}, or unset it"))
    };
    let pem = std::fs::read(path).map_err(|why| refused(&why.to_string()))?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            Ok(_) => {}
            Err(why) => return Err(refused(&why.to_string())),
        }
    }
    if roots.is_empty() {
        return Err(refused("it holds no certificate in PEM form"));
    }
    roots.extend(
        webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|root| Certificate::from_der(root).to_owned()),
    );
    Ok(roots)
}

impl Client {
    /// Gets a URL whole, following redirects, never from https to http. The cookie is for this URL's server alone:
    /// once a redirect leads to another scheme, host or port, it is sent no more.
    ///
    /// # Errors
    /// No reply, a redirect that is not followed, a body over `max_bytes` or slower than `within`.
    pub fn fetch(
        &self,
        url: &str,
        cookie: Option<&str>,
        max_bytes: u64,
        within: Duration,
    ) -> Result<Fetched, HttpFailure> {
        self.fetch_over(None, url, cookie, max_bytes, within)
    }

    /// The same over one family of addresses.
    pub(super) fn fetch_over(
        &self,
        family: Option<IpFamily>,
        url: &str,
        mut cookie: Option<&str>,
        max_bytes: u64,
        within: Duration,
    ) -> Result<Fetched, HttpFailure> {
        let mut url = url.to_owned();
        let meant_for = authority(&url);
        for _ in 0..=MAX_REDIRECTS {
            cookie = cookie.filter(|_| authority(&url) == meant_for);
            let mut reply = self.request(&url, Err(Whole { within, cookie, family }))?;
            let head = head_of(&reply)?;
            if let (300..=399, Some(location)) = (head.status, &head.location) {
                url = join(&url, location)?;
                continue;
            }
            let mut body = Vec::new();
            let limit = max_bytes.saturating_add(1);
            reply
                .body_mut()
                .as_reader()
                .take(limit)
                .read_to_end(&mut body)
                .map_err(|why| HttpFailure(io_reason(&why)))?;
            if body.len() as u64 > max_bytes {
                return Err(HttpFailure(format!("the reply is longer than {max_bytes} bytes")));
            }
            return Ok(Fetched { status: head.status, body, retry_after: head.retry_after });
        }
        Err(HttpFailure(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Whether a URL's host is reached without a proxy, and has addresses of both families.
    pub(super) fn reaches_both_families(&self, url: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let config = self.agent.config();
        if config.proxy().is_some_and(|proxy| proxy::carries(proxy, url)) {
            return false;
        }
        let found = lent::look_up(&uri, config, self.timing().connect).unwrap_or_default();
        let v6 = |address: &SocketAddr| !address.ip().to_canonical().is_ipv4();
        found.iter().any(v6) && !found.iter().all(v6)
    }

    /// One request, no redirects followed; the body is not read yet: a range of it, or all of it within a time.
    pub(super) fn request(
        &self,
        url: &str,
        part: Result<&str, Whole<'_>>,
    ) -> Result<Response<Body>, HttpFailure> {
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        match part {
            // A web seed's body is watched as it comes.
            Ok(range) => request = request.header("Range", range),
            Err(Whole { within, cookie, family }) => {
                request = request.config().timeout_recv_body(Some(within)).build();
                if let Some(family) = family {
                    // A connection that is kept may be of the other one: ureq does not tell them apart.
                    let config = request.config().ip_family(family);
                    request = config.max_idle_age(Duration::ZERO).build();
                }
                if let Some(cookie) = cookie {
                    request = request.header("Cookie", cookie);
                }
            }
        }
        request.call().map_err(|why| proxy::blamed(self.agent.config().proxy(), url, why.into()))
    }
}

/// A reply's head in the protocol's words.
pub(super) fn head_of<T>(reply: &Response<T>) -> Result<Head, HttpFailure> {
    let headers = reply.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let version_1_1 = reply.version() >= ureq::http::Version::HTTP_11;
    Head::from_parts(reply.status().as_u16(), version_1_1, headers)
        .map_err(|why| HttpFailure(why.to_string()))
}

/// Where a redirect leads.
///
/// # Errors
/// For a location that is no http(s) URL, and from https to http.
pub fn join(base: &str, location: &str) -> Result<String, HttpFailure> {
    let odd = || HttpFailure(format!("redirects to `{location}`, which is no web address"));
    let (scheme, authority) = split(base).ok_or_else(odd)?;
    let path = base.get(scheme.len() + 3 + authority.len()..).unwrap_or("/");
    let path = path.split(['?', '#']).next().unwrap_or("/");
    let location = location.split('#').next().unwrap_or_default();
    let joined = if split(location).is_some() {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.contains("://") || location.is_empty() {
        return Err(odd());
    } else {
        let directory = path.rfind('/').map_or("/", |slash| &path[..=slash]);
        format!("{scheme}://{authority}{directory}{location}")
    };
    if scheme.eq_ignore_ascii_case("https")
        && !joined.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"))
    {
        return Err(HttpFailure(format!(
            "redirects from https to `{joined}`, which is not followed"
        )));
    }
    joined.parse::<Uri>().map_err(|_| odd())?;
    Ok(joined)
}

/// Scheme and authority of an http(s) URL.
fn split(url: &str) -> Option<(&str, &str)> {
    if !crate::context::is_http(url) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    (!authority.is_empty()).then_some((scheme, authority))
}

/// `scheme://host:port` of a URL: whose connections are counted together.
pub fn authority(url: &str) -> Option<String> {
    split(url).map(|(scheme, authority)| {
        format!("{}://{}", scheme.to_ascii_lowercase(), authority.to_ascii_lowercase())
    })
}

/// Scheme and authority of a URL, as they are written: what its beginning is that all URLs share which one connection
/// can be asked for.
pub(super) fn origin(url: &str) -> Option<&str> {
    let (scheme, authority) = split(url)?;
    url.get(..scheme.len() + 3 + authority.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined_and_never_lead_from_https_to_http() {
        let check = |base: &str, location: &str, expected: Option<&str>| {
            assert_eq!(join(base, location).ok().as_deref(), expected, "{base} + {location}");
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
    }

    #[test]
    fn the_origin_of_a_url_ends_where_its_path_begins() {
        assert_eq!(origin("http://a:1/b%20c?d#e"), Some("http://a:1"));
        assert_eq!(origin("https://u:p@a?b"), Some("https://u:p@a"));
        assert_eq!(origin("ftp://a/b"), None);
        assert_eq!(authority("HTTP://A:1/b").as_deref(), Some("http://a:1"));
    }
}
