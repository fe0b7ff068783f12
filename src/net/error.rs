//! Why a source (server, tracker, peer, DHT node, directory) did not provide what it was asked for.
//!
//! Callers that react to a failure match on it. Its messages are here; those of the protocols' own
//! errors ([`HttpError`], [`TrackerError`], [`PeerError`] and so on) are next to these types.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::address::Refused;
use crate::error::{OUT_OF_DESCRIPTORS, is_out_of_descriptors, printable};
use crate::protocol::http::HttpError;
use crate::protocol::http::proxy::HttpProxyFailure;
use crate::protocol::peer::PeerError;
use crate::protocol::socks::{LoginFailure, SocksFailure};
use crate::protocol::tracker::TrackerError;
use crate::protocol::ut_metadata::MetadataError;
use crate::size::seconds;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;
use crate::url::Url;

use super::MAX_REDIRECTS;

/// A failure of a source. Its message continues after the source's name: "https://…: connection
/// refused".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    // Name and address.
    NotWebAddress,
    NotUrl,
    NotHostPort,
    UnsupportedTracker,
    UnsupportedWebSeed,
    UdpAddress(&'static str),
    /// UDP would bypass the proxy that the user wants for everything.
    UdpBehindProxy,
    /// The address may not be contacted.
    Refused(Refused),
    Unjudged,
    UnknownHost,
    /// An unknown host, in the system's words.
    LookUp(String),
    NoAddress,

    // The connection.
    TimedOut(Stage),
    ConnectionRefused,
    ConnectionReset,
    Closed,
    ClosedEarly,
    OutOfDescriptors,
    /// In the words of the system or of a library.
    Other(String),
    /// Nobody waits for the result any more.
    Ended,
    NoThread,

    // TLS.
    NotTls,
    /// No authority that we know signed its certificate. Where TLS is inspected, every server fails
    /// so.
    UnknownAuthority,
    Certificate(String),

    // The proxy, as `host:port`.
    Through(String, Box<SourceError>),
    /// The host's name was looked up on this machine instead of by the proxy.
    LookedUpHere(Box<SourceError>),
    Socks(String, SocksFailure),
    HttpProxy(String, HttpProxyFailure),
    /// A proxy of either kind; the text includes the kind.
    ProxyUnreachable(String, Box<SourceError>),
    ProxyBroken(String, Box<SourceError>),

    // HTTP.
    Status(u16),
    /// An HTTP status whose reply gives the reason.
    StatusSaying(u16, Box<SourceError>),
    Reply(HttpError),
    /// A page that only lets browsers through.
    BotCheck(u16),
    WebPage,
    Compressed,
    ReplyTooLong(u64),
    NoLength,
    /// The connection (`CutOff`) or the reply (`EndedEarly`) ended this many bytes early.
    CutOff(u64),
    EndedEarly(u64),
    TakesNoRequests,
    OddRedirect(Url),
    DowngradedRedirect(Url),
    LongRedirect(usize),
    TooManyRedirects,
    QuotesCredentials,

    // Trackers and the DHT.
    Tracker(TrackerError),
    NotAsked,
    NoAnswerYet,
    NoAnswer(Duration),
    /// Not asked, because only this many sources are.
    BeyondMost(usize),
    /// Asked over each address family, without success.
    OverFamilies(Vec<(SourceError, Option<&'static str>)>),
    NoNodeAnswered,
    /// No node could be asked; the failure is that of the last one.
    NoNode(String, Box<SourceError>),
    NoIpv4,

    // Peers.
    Peer(PeerError),
    Metadata(MetadataError),
    NoHandshake(Box<SourceError>),
    DoesNotRead,
    /// The peer did not do this within that time.
    Silent(Awaited, Duration),
    NoPlace,
    GaveWay,
    MadeRoom,

    // Data.
    Corrupt {
        piece: PieceIndex,
        banned: bool,
        /// For a web server, the torrent's files that have part of the piece, in words.
        files: Option<String>,
    },
    /// Several corrupt pieces have this file in common.
    OtherVersion(PieceIndex, String),
    Banned,
    HoldsWrongBytes,
    Changed,
    InFile(String, Box<SourceError>),
    /// The file's length, and its length in the torrent.
    WrongLength(u64, u64),
    NoSuchFile,
    /// The server has another version of the file, or none.
    Stale(String),
    NoRanges,
    Pause(Duration),
    RefusedFiles(u32, Box<SourceError>),
    AskedFor(Url, Box<SourceError>),
    OtherTorrent(Infohash),
    /// The catalog has no newer `.torrent`, or one that names no other sources.
    NoNewerTorrent(Box<SourceError>),
    NoOtherSources,
    /// The file or document cannot be used.
    Unusable(String),

    // The download or search as a whole.
    Stopped,
    NoPeer,
    /// How many peers were asked, and within which time.
    NobodyGaveIt(usize, Option<Duration>),
    /// Our own fault, as is [`SourceError::FeederFailed`].
    WorkerFailed,
    FeederFailed,
}

/// The step of a request that timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    LookUp,
    Connect,
    Reply,
    Transfer,
}

/// What a peer was expected to send or do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    Handshake,
    ExtensionHandshake,
    TorrentBlock,
    Unchoke,
    Offer,
    Data,
}

impl SourceError {
    /// Removes what the server quotes of this URL: redirects may have sent the URL's secrets to
    /// another server.
    pub(super) fn redacted(self, url: &Url) -> SourceError {
        let redirect = |location: Url| url.redacted(location.exposed()).into();
        match self {
            SourceError::Reply(why) => SourceError::Reply(why.redacted(|said| url.redacted(said))),
            SourceError::Tracker(why) => SourceError::Tracker(why.redacted(url)),
            SourceError::Other(text) => SourceError::Other(url.redacted(&text)),
            SourceError::OddRedirect(location) => SourceError::OddRedirect(redirect(location)),
            SourceError::DowngradedRedirect(location) => {
                SourceError::DowngradedRedirect(redirect(location))
            }
            other => other,
        }
    }

    /// Returns the first result of `say` for this failure or one nested in it.
    fn look_for<T>(&self, say: &dyn Fn(&SourceError) -> Option<T>) -> Option<T> {
        say(self).or_else(|| match self {
            SourceError::Through(_, why)
            | SourceError::LookedUpHere(why)
            | SourceError::AskedFor(_, why)
            | SourceError::RefusedFiles(_, why)
            | SourceError::StatusSaying(_, why)
            | SourceError::NoNode(_, why)
            | SourceError::NoNewerTorrent(why)
            | SourceError::ProxyUnreachable(_, why) => why.look_for(say),
            SourceError::OverFamilies(all) => all.iter().find_map(|(why, _)| why.look_for(say)),
            _ => None,
        })
    }

    /// Whether `such` holds for this failure or one nested in it.
    pub(super) fn is(&self, such: &dyn Fn(&SourceError) -> bool) -> bool {
        self.look_for(&|why| such(why).then_some(())).is_some()
    }

    /// Whether the address may not be contacted, so that retrying cannot help.
    pub fn is_refused(&self) -> bool {
        self.is(&|why| matches!(why, SourceError::Refused(_)))
    }

    pub fn is_bot_check(&self) -> bool {
        self.is(&|why| matches!(why, SourceError::BotCheck(_)))
    }

    pub fn is_timeout(&self) -> bool {
        self.is(&|why| matches!(why, SourceError::TimedOut(_)))
    }

    pub fn is_unknown_authority(&self) -> bool {
        self.is(&|why| *why == SourceError::UnknownAuthority)
    }

    /// Whether the server requires a login.
    pub fn wants_login(&self) -> bool {
        self.is(&|why| *why == SourceError::Status(401))
    }

    /// Returns the status of an HTTP reply.
    pub fn status(&self) -> Option<u16> {
        if let SourceError::Status(status) = self { Some(*status) } else { None }
    }

    /// Whether the proxy itself failed, or reported a failure.
    pub fn is_of_proxy(&self) -> bool {
        use SourceError::{HttpProxy, ProxyBroken, ProxyUnreachable, Socks};
        matches!(self, Socks(..) | HttpProxy(..) | ProxyBroken(..) | ProxyUnreachable(..))
    }

    /// Returns advice about a proxy, if the proxy is at fault and not the host behind it.
    pub fn proxy_advice(&self) -> Option<&'static str> {
        use LoginFailure::{Refused, Wanted};
        self.look_for(&|why| match why {
            SourceError::Socks(_, SocksFailure::Closed | SocksFailure::Reply(1 | 3..=6)) => None,
            // With these statuses a proxy reports that the host is down or unknown.
            SourceError::HttpProxy(_, HttpProxyFailure::Status(500..)) => None,
            SourceError::Socks(_, SocksFailure::Login(Wanted | Refused))
            | SourceError::HttpProxy(_, HttpProxyFailure::Login(Wanted | Refused)) => Some(
                "write `name:password@` before the host in the proxy's URL,\n\
                 with special characters percent-encoded",
            ),
            why => why.is_of_proxy().then_some(
                "check the proxy (CARGO_HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, or `proxy` in the configuration file);\n\
                 hosts in NO_PROXY are reached without it",
            ),
        })
    }

    /// Classifies the text of a TLS error: the error types of rustls and OpenSSL cannot be named
    /// here.
    fn of_tls(said: String) -> SourceError {
        let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
        if has(&["InvalidContentType"]) {
            return SourceError::NotTls;
        }
        if has(&["UnknownIssuer", "local issuer certificate", "self-signed", "self signed"]) {
            return SourceError::UnknownAuthority;
        }
        match said.split_once("invalid peer certificate: ") {
            Some((_, why)) => SourceError::Certificate(why.to_owned()),
            None => SourceError::Other(said),
        }
    }
}

impl From<ureq::Error> for SourceError {
    fn from(error: ureq::Error) -> SourceError {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve) => SourceError::TimedOut(Stage::LookUp),
            ureq::Error::Timeout(ureq::Timeout::Connect) => SourceError::TimedOut(Stage::Connect),
            ureq::Error::Timeout(_) => SourceError::TimedOut(Stage::Reply),
            ureq::Error::HostNotFound => SourceError::UnknownHost,
            // Its own message would quote the URL.
            ureq::Error::BadUri(_) => SourceError::NotWebAddress,
            ureq::Error::Io(why) if why.kind() == io::ErrorKind::InvalidData => {
                SourceError::of_tls(why.to_string())
            }
            ureq::Error::Io(why) => why.into(),
            other => SourceError::of_tls(other.to_string()),
        }
    }
}

/// Carries a failure through ureq and through `Read` and `Write`; the reverse conversion unwraps
/// it.
impl From<SourceError> for io::Error {
    fn from(why: SourceError) -> io::Error {
        io::Error::other(why)
    }
}

impl From<io::Error> for SourceError {
    fn from(why: io::Error) -> SourceError {
        let inner = why.get_ref();
        if let Some(own) = inner.and_then(|inner| inner.downcast_ref::<SourceError>()) {
            return own.clone();
        }
        let ureqs = inner.and_then(|inner| inner.downcast_ref::<ureq::Error>());
        if matches!(ureqs, Some(ureq::Error::Timeout(_))) {
            return SourceError::TimedOut(Stage::Transfer);
        }
        if is_out_of_descriptors(&why) {
            return SourceError::OutOfDescriptors;
        }
        match why.kind() {
            io::ErrorKind::ConnectionRefused => SourceError::ConnectionRefused,
            io::ErrorKind::ConnectionReset => SourceError::ConnectionReset,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                SourceError::TimedOut(Stage::Transfer)
            }
            io::ErrorKind::UnexpectedEof => SourceError::ClosedEarly,
            _ => SourceError::Other(why.to_string()), // without the number that the platform appends
        }
    }
}

impl From<Refused> for SourceError {
    fn from(refused: Refused) -> SourceError {
        SourceError::Refused(refused)
    }
}

impl fmt::Display for SourceError {
    #[expect(clippy::too_many_lines, reason = "all the words are here")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use SourceError as E;
        match self {
            E::NotWebAddress => f.write_str("not a web address"),
            E::NotUrl => f.write_str("it is not a URL"),
            E::NotHostPort => f.write_str("it is not `host:port`"),
            E::UnsupportedTracker => f.write_str("only http, https and udp trackers are supported"),
            E::UnsupportedWebSeed => f.write_str("only http and https web seeds are supported"),
            E::UdpAddress(why) => f.write_str(why),
            E::UdpBehindProxy => f.write_str("not asked: UDP does not go through the SOCKS proxy"),
            E::Refused(refused) => refused.fmt(f),
            E::Unjudged => f.write_str("refused: the address was not checked"),
            E::UnknownHost => f.write_str("unknown host name"),
            E::NoAddress => f.write_str("the host has no address"),
            E::TimedOut(Stage::LookUp) => f.write_str("the name lookup timed out"),
            E::TimedOut(Stage::Connect) => f.write_str("timed out while connecting"),
            E::TimedOut(Stage::Reply) => f.write_str("timed out waiting for the reply"),
            E::TimedOut(Stage::Transfer) => f.write_str("timed out"),
            E::ConnectionRefused => f.write_str("connection refused"),
            E::ConnectionReset => f.write_str("connection reset"),
            E::Closed => f.write_str("the connection was closed"),
            E::ClosedEarly => f.write_str("the connection was closed early"),
            E::OutOfDescriptors => f.write_str(OUT_OF_DESCRIPTORS),
            E::LookUp(said) | E::Other(said) | E::Stale(said) | E::Unusable(said) => {
                f.write_str(said)
            }
            E::Ended => f.write_str("the download has ended"),
            E::NoThread => f.write_str("the system refused to create a thread"),
            E::NotTls => f.write_str("the server does not speak TLS on this port"),
            E::UnknownAuthority => f.write_str("its certificate is signed by an unknown authority"),
            E::Certificate(why) => write!(f, "its certificate is not valid: {why}"),
            E::Through(proxy, why) => write!(f, "{why} (through the proxy {proxy})"),
            E::LookedUpHere(why) => {
                write!(
                    f,
                    "{why} (resolved on this machine; with socks5h:// the proxy resolves names)"
                )
            }
            E::Socks(proxy, why) => write!(f, "the SOCKS proxy {proxy} {why}"),
            E::HttpProxy(proxy, HttpProxyFailure::Login(why)) => {
                write!(f, "the proxy {proxy} {why}")
            }
            E::HttpProxy(proxy, HttpProxyFailure::Status(status)) => {
                let words = words_of(*status);
                write!(f, "the proxy {proxy} refused the connection: HTTP status {status}{words}")
            }
            E::HttpProxy(proxy, HttpProxyFailure::Reply(why)) => {
                write!(f, "the proxy {proxy} sent an invalid reply: {why}")
            }
            E::ProxyUnreachable(proxy, why) => {
                write!(f, "the {proxy} cannot be reached: {why}")
            }
            E::ProxyBroken(proxy, why) => {
                write!(f, "the {proxy} ")?;
                match &**why {
                    E::Closed | E::ClosedEarly => f.write_str("closed the connection"),
                    E::TimedOut(_) => f.write_str("did not answer in time"),
                    why => write!(f, "failed: {why}"),
                }
            }
            E::Status(status) => write!(f, "HTTP status {status}{}", words_of(*status)),
            E::StatusSaying(status, why) => {
                write!(f, "HTTP status {status}{}: {why}", words_of(*status))
            }
            E::Reply(why) => why.fmt(f),
            E::BotCheck(status) => write!(
                f,
                "the server answered with a bot check that only browsers can pass (HTTP status {status})"
            ),
            E::WebPage => f.write_str("the server answered with a web page"),
            E::Compressed => f.write_str("the reply is compressed and cannot be decompressed"),
            E::ReplyTooLong(most) => write!(f, "the reply is longer than {most} bytes"),
            E::NoLength => f.write_str("the reply has no length"),
            E::CutOff(left) => write!(f, "the connection was closed {left} bytes before the end"),
            E::EndedEarly(left) => write!(f, "its reply ended {left} bytes early"),
            E::TakesNoRequests => f.write_str("the connection accepts no more requests"),
            E::OddRedirect(url) => write!(f, "redirects to `{url}`, which is not a web address"),
            E::DowngradedRedirect(url) => {
                write!(f, "redirects from https to `{url}`, which is not followed")
            }
            E::LongRedirect(bytes) => write!(f, "redirects to a URL of {bytes} bytes"),
            E::QuotesCredentials => f.write_str(
                "redirects to a URL that quotes the credentials it was sent: not followed",
            ),
            E::TooManyRedirects => write!(f, "more than {MAX_REDIRECTS} redirects"),
            E::Tracker(why) => why.fmt(f),
            E::NotAsked => f.write_str("no request was sent"),
            E::NoAnswerYet => f.write_str("it had not answered when the download ended"),
            E::NoAnswer(within) => write!(f, "no answer within {}", seconds(*within)),
            E::BeyondMost(most) => write!(f, "not used: only the first {most} are"),
            E::OverFamilies(all) => {
                for (index, (why, family)) in all.iter().enumerate() {
                    write!(f, "{}{why}", if index > 0 { ", " } else { "" })?;
                    family.map_or(Ok(()), |family| write!(f, " (over {family})"))?;
                }
                Ok(())
            }
            E::NoNodeAnswered => f.write_str("no node answered"),
            E::NoNode(node, why) => {
                write!(f, "no node could be queried: {node} ")?;
                match &**why {
                    E::NoIpv4 => why.fmt(f),
                    E::Refused(refused) => write!(f, "is {refused}"),
                    why => write!(f, "could not be resolved: {why}"),
                }
            }
            E::NoIpv4 => f.write_str("has no IPv4 address"),
            E::Peer(why) => why.fmt(f),
            E::Metadata(why) => why.fmt(f),
            E::NoHandshake(why) => write!(f, "no handshake: {why}"),
            E::DoesNotRead => f.write_str("it does not read from the connection"),
            E::Silent(awaited, within) => {
                let failed = match awaited {
                    Awaited::Handshake => "sent no handshake",
                    Awaited::ExtensionHandshake => "sent no extension handshake",
                    Awaited::TorrentBlock => "sent none of the requested metadata",
                    Awaited::Unchoke => "did not unchoke us",
                    Awaited::Offer => "offered no missing data",
                    Awaited::Data => "sent none of the requested data",
                };
                write!(f, "{failed} within {}", seconds(*within))
            }
            E::NoPlace => f.write_str("the limit of connections was reached"),
            E::GaveWay => f.write_str("sent nothing useful while other peers were waiting"),
            E::MadeRoom => {
                f.write_str("was disconnected in favor of other peers because it was too slow")
            }
            E::Corrupt { piece, banned, files } => {
                write!(f, "sent corrupt data (piece {piece})")?;
                match (banned, files) {
                    (true, Some(files)) => {
                        write!(f, "; banned; the server may hold another version of {files}")
                    }
                    (true, None) => f.write_str("; banned"),
                    (false, _) => Ok(()),
                }
            }
            E::OtherVersion(piece, file) => write!(
                f,
                "sent corrupt data (piece {piece}); `{file}` is no longer requested from it, because it may have another version"
            ),
            E::Banned => f.write_str("sent corrupt data; banned"),
            E::HoldsWrongBytes => f.write_str("contains corrupt data"),
            E::Changed => f.write_str("has changed since it was hashed and is no longer served"),
            E::InFile(path, why) => write!(f, "`{}`: {why}", printable(path)),
            E::WrongLength(bytes, expected_bytes) => {
                write!(f, "has {bytes} bytes instead of {expected_bytes}")
            }
            E::NoSuchFile => f.write_str("the torrent has no such file"),
            E::NoRanges => f.write_str(
                "does not support range requests; used only if no other source has the file",
            ),
            E::Pause(pause) => write!(f, "asked to wait {}", seconds(*pause)),
            E::RefusedFiles(count, why) => {
                write!(f, "refused {count} files in a row, the last with: {why}")
            }
            E::AskedFor(url, why) => write!(f, "asked for {}: {why}", printable(&url.to_string())),
            E::OtherTorrent(infohash) => write!(f, "it is another torrent, {infohash}"),
            E::NoNewerTorrent(why) => write!(f, "no newer .torrent: {why}"),
            E::NoOtherSources => f.write_str("its .torrent lists no other sources"),
            E::Stopped => f.write_str("the search was stopped"),
            E::NoPeer => f.write_str("no peer is known"),
            E::NobodyGaveIt(peers, within) => {
                let peers = match peers {
                    1 => "1 peer was".to_owned(),
                    _ => format!("{peers} peers were"),
                };
                write!(f, "{peers} asked, but none provided it")?;
                within.map_or(Ok(()), |within| write!(f, " within {}", seconds(within)))
            }
            E::WorkerFailed => f.write_str("its worker failed: this is a bug in academictorrents"),
            E::FeederFailed => f.write_str("its feeder failed: this is a bug in academictorrents"),
        }
    }
}

impl std::error::Error for SourceError {}

/// Explains the most frequent statuses.
fn words_of(status: u16) -> &'static str {
    match status {
        401 => " (a login is required, or was rejected)",
        403 => " (forbidden)",
        404 => " (not found)",
        407 => " (the proxy requires a login)",
        410 => " (gone)",
        429 => " (too many requests)",
        451 => " (withheld for legal reasons)",
        500 => " (server error)",
        502..=504 => " (the server is down or overloaded)",
        _ => "",
    }
}
