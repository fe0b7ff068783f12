//! Credentials of requests: the login in a URL, the catalog's cookie, and the user's credentials
//! for mirrors and web seeds.
//!
//! The user's credentials (the setting `credentials`, a netrc file) are sent to mirrors and web
//! seeds of the user's own datasets only: over https to exactly the host they are for, over http
//! only if the user named that host and port as an http source. They are never sent along a
//! redirect, not even on the same server.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use super::Client;
use crate::address::{self, NamedBy, PrivateHosts};
use crate::settings::{AuthHeader, HostCredentials, Netrc, NetrcFile, Settings, is_absent};
use crate::url::Url;

/// The number of bytes that are read of a netrc file.
const MAX_NETRC_BYTES: u64 = 1 << 20;

/// What a request sends besides the login in its URL.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    Nothing,
    /// The catalog's cookie, for the server of the first URL alone.
    Cookie(&'a str),
    /// The user's credentials for the host of the first URL.
    OfHost,
}

impl<'a> Credential<'a> {
    /// Returns what is sent to the target of a redirect.
    pub fn redirected(self, same_server: bool) -> Credential<'a> {
        match self {
            Credential::Cookie(_) if same_server => self,
            _ => Credential::Nothing,
        }
    }

    pub(super) fn cookie(self) -> Option<&'a str> {
        if let Credential::Cookie(cookie) = self { Some(cookie) } else { None }
    }
}

/// The user's credentials by host. The netrc file is read before the first request to a host.
#[derive(Debug)]
pub(super) struct Credentials {
    hosts: HostCredentials,
    netrc: Option<NetrcFile>,
    read: OnceLock<Netrc>,
}

impl Credentials {
    pub(super) fn of(settings: &Settings) -> Credentials {
        let (hosts, netrc) = (settings.credentials.clone(), settings.netrc.clone());
        Credentials { hosts, netrc, read: OnceLock::new() }
    }

    fn netrc(&self) -> &Netrc {
        // An unreadable file provides no login; `doctor` reports it.
        let read = || self.netrc.as_ref().and_then(|file| read_netrc(file).ok().flatten());
        self.read.get_or_init(|| read().unwrap_or_default())
    }

    fn header(&self, private_hosts: &PrivateHosts, by: NamedBy, url: &Url) -> Option<AuthHeader> {
        let (_, port) = address::place_of_url(url.exposed());
        let is_secure = url.exposed().get(..6).is_some_and(|it| it.eq_ignore_ascii_case("https:"));
        let is_users = || by == NamedBy::User || private_hosts.is_named_for_http(url.exposed());
        if !is_secure && !is_users() {
            return None;
        }
        let (host, name) = (address::host_of_url(url.exposed()), url.name_alone());
        let of_host = || self.hosts.of(&host, port).cloned().filter(|_| name.is_none());
        of_host().or_else(|| self.netrc().of(&host, port, name.as_deref()))
    }
}

/// Reads a netrc file. Returns `None` if the user did not name it and it does not exist.
///
/// # Errors
/// Why the file cannot be read.
pub fn read_netrc(file: &NetrcFile) -> std::io::Result<Option<Netrc>> {
    let opened = std::fs::File::open(&file.path).or_else(|why| match file.by {
        // The default name where file names conventionally do not start with a dot.
        None if cfg!(windows) => std::fs::File::open(file.path.with_file_name("_netrc")),
        _ => Err(why),
    });
    let opened = match opened {
        Err(why) if is_absent(&why) && file.by.is_none() => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    opened.take(MAX_NETRC_BYTES).read_to_end(&mut text)?;
    Ok(Some(Netrc::parse(&text)))
}

impl Client {
    /// Returns this client with the user's credentials, which it sends to mirrors and web seeds.
    /// Only for the user's own datasets, not for those of dependencies.
    pub fn with_credentials(mut self, settings: &Settings) -> Client {
        self.credentials = Some(Arc::new(Credentials::of(settings)));
        self
    }

    /// Returns the user's credentials for the host of this URL. A complete login in the URL takes
    /// precedence.
    pub fn kept_header(&self, by: NamedBy, url: &Url) -> Option<AuthHeader> {
        let credentials = self.credentials.as_ref()?;
        let is_whole = url.authorization().is_some() && url.name_alone().is_none();
        if is_whole { None } else { credentials.header(&self.private_hosts, by, url) }
    }

    /// Returns the header that authenticates a request for this URL.
    pub(super) fn auth_header(
        &self,
        by: NamedBy,
        url: &Url,
        credential: Credential<'_>,
    ) -> Option<AuthHeader> {
        let kept = match credential {
            Credential::OfHost => self.kept_header(by, url),
            Credential::Nothing | Credential::Cookie(_) => None,
        };
        kept.or_else(|| url.authorization().map(AuthHeader::of_url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::NamedPlace;
    use crate::settings::Context;

    fn client(netrc: &str, named: &[&str]) -> Client {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("netrc");
        std::fs::write(&path, netrc).unwrap();
        let mut context = Context::default();
        context.set("NETRC", &path);
        context.set("ACADEMICTORRENTS_CREDENTIALS", "token.org=abc,token.org:444=X-Key:def");
        let settings = context.settings().unwrap();
        let client =
            Client::new(&settings).unwrap().naming(named.iter().map(|url| NamedPlace::of_url(url)));
        let client = client.with_credentials(&settings);
        // Read the file before the directory is removed.
        client.credentials.as_ref().unwrap().netrc();
        client
    }

    fn sent(client: &Client, by: NamedBy, url: &str, credential: Credential<'_>) -> Option<String> {
        let header = client.auth_header(by, &Url::from(url), credential)?;
        let (name, value) = header.name_and_value();
        Some(format!("{name}: {value}"))
    }

    const NETRC: &str = "machine h.org login me password pw\nmachine 127.0.0.1 login me password pw\ndefault login x password y";
    const ME: &str = "Authorization: Basic bWU6cHc=";

    #[test]
    fn http_is_for_hosts_that_the_user_named_and_https_for_exactly_the_host() {
        let named = ["http://127.0.0.1:8080/x", "https://token.org/", "udp://h.org:80/announce"];
        let client = client(NETRC, &named);
        let check = |by, url: &str, expected: Option<&str>| {
            let found = sent(&client, by, url, Credential::OfHost);
            assert_eq!(found.as_deref(), expected, "{by:?} {url}");
        };
        for by in [NamedBy::UserTorrent, NamedBy::Torrent, NamedBy::Catalog] {
            check(by, "http://h.org/a", None);
            check(by, "https://h.org/a", Some(ME));
            check(by, "HTTPS://H.ORG:8443/a", Some(ME));
            check(by, "https://www.h.org/a", None);
            check(by, "https://h.org.evil.org/a", None);
            check(by, "https://h.org:a@evil.org/a", Some("Authorization: Basic aC5vcmc6YQ=="));
            check(by, "http://token.org/a", None);
            // The user named these ports for https and for UDP.
            check(by, "http://token.org:443/a", None);
            check(by, "http://h.org:80/a", None);
            check(by, "https://token.org/a", Some("Authorization: Bearer abc"));
            check(by, "https://token.org:444/a", Some("X-Key: def"));
            // The user named this host and port as a source.
            check(by, "http://127.0.0.1:8080/a", Some(ME));
            check(by, "http://127.0.0.1:8081/a", None);
            check(by, "https://unknown.org/a", None);
        }
        check(NamedBy::User, "http://h.org/a", Some(ME));
        check(NamedBy::User, "http://token.org/a", Some("Authorization: Bearer abc"));
        check(NamedBy::User, "http://unknown.org/a", None);
    }

    #[test]
    fn a_login_in_the_url_takes_precedence_and_a_name_alone_chooses() {
        let client = client(NETRC, &[]);
        let check = |url: &str, expected: Option<&str>| {
            let found = sent(&client, NamedBy::User, url, Credential::OfHost);
            assert_eq!(found.as_deref(), expected, "{url}");
        };
        check("https://a:b@h.org/", Some("Authorization: Basic YTpi"));
        check("https://me@h.org/", Some(ME));
        check("https://you@h.org/", Some("Authorization: Basic eW91Og=="));
        check("https://you@token.org/", Some("Authorization: Basic eW91Og=="));
    }

    #[test]
    fn nothing_is_sent_along_a_redirect_to_others_or_for_a_dependency() {
        let client = client(NETRC, &[]);
        let check = |credential: Credential<'_>| {
            assert_eq!(sent(&client, NamedBy::User, "https://h.org/", credential), None);
        };
        check(Credential::OfHost.redirected(true));
        check(Credential::OfHost.redirected(false));
        check(Credential::Nothing);
        check(Credential::Cookie("a=b"));
        assert_eq!(Credential::Cookie("a=b").redirected(true).cookie(), Some("a=b"));
        assert_eq!(Credential::Cookie("a=b").redirected(false).cookie(), None);
        let mut context = Context::default();
        context.set("ACADEMICTORRENTS_CREDENTIALS", "h.org=abc");
        let of_dependency = Client::new(&context.settings().unwrap()).unwrap();
        assert_eq!(sent(&of_dependency, NamedBy::User, "https://h.org/", Credential::OfHost), None);
    }

    #[test]
    fn a_file_that_is_named_must_be_there_and_the_one_at_home_need_not() {
        let path = std::path::PathBuf::from("/nowhere/netrc");
        assert!(read_netrc(&NetrcFile { path: path.clone(), by: None }).unwrap().is_none());
        assert!(read_netrc(&NetrcFile { path, by: Some("NETRC".to_owned()) }).is_err());
        // The home directory is a file.
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().join(".netrc");
        assert!(read_netrc(&NetrcFile { path, by: None }).unwrap().is_none());
    }
}
