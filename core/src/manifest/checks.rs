//! Checks and converts single values of the manifest.
//!
//! Each check explains a rejection, with help if possible. Quoted values have their control
//! characters escaped, because errors are printed line by line.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::findings::Refusal;
use super::{DatasetName, FileGlob, Mirror, StoreKind};
pub(super) use crate::error::printable;
use crate::hash::unhex;
use crate::settings::SourceSet;
use crate::size;
use crate::suggest::nearest;
use crate::torrent::infohash::Infohash;
use crate::torrent::magnet::Magnet;
use crate::torrent::metainfo::{check_given_name, storable_name};
use crate::url::{Url, is_http, is_udp};

/// The value has a different type than the key requires.
pub(super) fn mistyped(expected: &str, found: &DeValue<'_>) -> Refusal {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Refusal::new(format!("expected {expected}, found {found}"))
}

/// The value as a string.
pub(super) fn string<'v>(value: &'v DeValue<'_>, expected: &str) -> Result<&'v str, Refusal> {
    value.as_str().ok_or_else(|| mistyped(expected, value))
}

pub(super) fn name(text: &str) -> Result<DatasetName, Refusal> {
    let fits = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    if fits(text) {
        return Ok(DatasetName(text.to_owned()));
    }
    let near: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    let near = near.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('-');
    let refusal = Refusal::new(
        "names must match `[a-z][a-z0-9_-]*`, because they become part of variable names",
    );
    Err(refusal.or_help(fits(near).then(|| format!("name it `{near}`"))))
}

pub(super) fn infohash(text: &str) -> Result<Infohash, Refusal> {
    // The infohash's own error is one line: the value, and why it is invalid.
    text.parse().map_err(|why: crate::Error| {
        Refusal::new(printable(&why.to_string())).or_help(
            if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
                Some(
                    "use the v1 infohash, which has 40 digits; v2-only torrents are not supported"
                        .to_owned(),
                )
            } else if text.ends_with(".torrent") && !text.contains("://") {
                Some(format!("for a vendored torrent write `{{ torrent = {text:?} }}`"))
            } else {
                // A pasted URL or magnet link may contain the infohash.
                text.split(|c: char| !c.is_ascii_alphanumeric())
                    .find_map(|word| word.parse::<Infohash>().ok())
                    .map(|infohash| format!("did you mean `\"{infohash}\"`?"))
            },
        )
    })
}

pub(super) fn magnet(text: &str) -> Result<Magnet, Refusal> {
    Magnet::parse(text).map_err(|why| {
        let refusal = Refusal::new(printable(&format!("it {why}")));
        let infohash = text.parse::<Infohash>().ok();
        refusal.or_help(infohash.map(|it| format!("write `infohash = \"{it}\"`")))
    })
}

pub(super) fn torrent(text: &str, base_dir: &Path) -> Result<PathBuf, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new("it is empty").help("write the path of a .torrent file"));
    }
    if text.contains("://") {
        return Err(Refusal::new(format!("{} is a URL, not a path", quoted(text))).help(
            "vendor the .torrent file and write its path, or use the infohash: the catalog has the torrent",
        ));
    }
    Ok(base_dir.join(text))
}

/// Checks the name under which a dataset is stored.
pub(super) fn rename(text: &str) -> Result<String, Refusal> {
    check_given_name(text).map(|()| text.to_owned()).map_err(|why| {
        let name = storable_name(text.as_bytes());
        Refusal::new(format!("{} {why}", quoted(text))).help(format!("for example {name:?}"))
    })
}

pub(super) fn glob(text: &str) -> Result<FileGlob, Refusal> {
    if text.is_empty() || text == "!" {
        return Err(
            Refusal::new("an empty glob matches no file").help("omit `files` to select all files")
        );
    }
    FileGlob::parse(text).map_err(|why| {
        Refusal::new(format!("{} is not a valid glob: {} (at {})", quoted(text), why.msg, why.pos))
    })
}

pub(super) fn web_seed(text: &str) -> Result<Url, Refusal> {
    url(text, is_http, "http:// or https://")
}

pub(super) fn tracker(text: &str) -> Result<Url, Refusal> {
    let text = url(text, |text| is_http(text) || is_udp(text), "http://, https:// or udp://")?;
    if is_udp(text.exposed()) {
        host_and_port(authority(text.exposed()).unwrap_or_default()).map_err(|why| {
            Refusal::new(format!("{} {why}", quoted(text.exposed())))
                .help("write it as udp://host:port")
        })?;
    }
    Ok(text)
}

/// Checks a peer's `host:port`.
pub(super) fn peer(text: &str) -> Result<String, Refusal> {
    host_and_port(text).map(|()| text.to_owned()).map_err(|why| {
        Refusal::new(format!("{} {why}", quoted(text)))
            .help("write it as \"host:port\", or \"[2001:db8::1]:6881\" for an IPv6 address")
    })
}

/// Checks `host:port`. The error follows the text that contains it.
fn host_and_port(text: &str) -> Result<(), &'static str> {
    if text.contains('@') {
        return Err("has a user name before `@`, which is not supported");
    }
    let (host, port) = text.rsplit_once(':').ok_or("has no port")?;
    if port.starts_with('+') || port.parse::<u16>().ok().is_none_or(|port| port == 0) {
        return Err("has a port that is not a number from 1 to 65535");
    }
    let host_is_good = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
        }
    };
    if host_is_good { Ok(()) } else { Err("has an invalid host") }
}

pub(super) fn mirror(text: &str, base_dir: &Path) -> Result<Mirror, Refusal> {
    let file = "file://";
    if text.get(..file.len()).is_some_and(|start| start.eq_ignore_ascii_case(file)) {
        let path = text.get(file.len()..).unwrap_or_default();
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        return Err(Refusal::new(format!("{} is a file:// URL", quoted(text)))
            .help(format!("write the directory itself: {:?}", Url::from(&*path))));
    }
    if text.is_empty() {
        return Err(Refusal::new("it is empty").help("write a base URL or a directory"));
    }
    if is_http(text) || text.contains("://") {
        let url = url(text, is_http, "http:// or https://")?;
        return Ok(Mirror::Url(url.exposed().trim_end_matches('/').into()));
    }
    Ok(Mirror::Directory(base_dir.join(text)))
}

pub(super) fn source(text: &str) -> Result<String, Refusal> {
    if SourceSet::NAMES.contains(&text) {
        return Ok(text.to_owned());
    }
    let names = SourceSet::NAMES.map(|name| format!("`{name}`")).join(", ");
    Err(Refusal::new(format!("{} is not one of {names}", quoted(text)))
        .or_help(nearest(text, SourceSet::NAMES).map(|near| format!("did you mean {near:?}?"))))
}

pub(super) fn max_size(value: &DeValue<'_>) -> Result<u64, Refusal> {
    let expected = "a size, such as \"2GiB\", or a number of bytes";
    match value {
        DeValue::String(text) => size::parse(text)
            .ok_or_else(|| Refusal::new(format!("{} is not {expected}", quoted(text)))),
        DeValue::Integer(number) => {
            size::integer(number).ok_or_else(|| Refusal::new(format!("{number} is not {expected}")))
        }
        other => Err(mistyped(expected, other)),
    }
}

pub(super) fn sha256(text: &str) -> Result<[u8; 32], Refusal> {
    let why = || format!("{} is not a SHA-256 digest of 64 hexadecimal digits", quoted(text));
    unhex(text).ok_or_else(|| Refusal::new(why()))
}

/// Checks a file's path in a torrent, for a pin.
pub(super) fn torrent_path(text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Refusal::new(format!("{} is not a path in a torrent", quoted(text)))
            .help("write it relative to the torrent's root, with `/`: \"train/labels.gz\""));
    }
    Ok(text.to_owned())
}

pub(super) fn store(text: &str) -> Result<StoreKind, Refusal> {
    match text {
        "shared" => Ok(StoreKind::Shared),
        "out-dir" => Ok(StoreKind::Own),
        _ => Err(Refusal::new(format!("{} is neither \"shared\" nor \"out-dir\"", quoted(text)))
            .or_help(
                nearest(text, ["shared", "out-dir"]).map(|near| format!("did you mean {near:?}?")),
            )),
    }
}

/// Checks that a URL has an allowed scheme, and a host.
fn url(text: &str, allowed: impl Fn(&str) -> bool, schemes: &str) -> Result<Url, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new("it is empty").help("remove it"));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Refusal::new(format!("{} contains whitespace", quoted(text)))
            .help("write a space in a URL as %20"));
    }
    if !allowed(text) {
        let refusal = Refusal::new(format!("{} does not begin with {schemes}", quoted(text)));
        return Err(if text.contains("://") {
            refusal
        } else {
            refusal.help(format!("did you mean \"{}\"?", Url::from(format!("https://{text}"))))
        });
    }
    match authority(text) {
        Some(host) if !host.is_empty() && !host.starts_with(':') => Ok(text.into()),
        _ => Err(Refusal::new(format!("{} names no host", quoted(text)))),
    }
}

/// The part of a URL between `://` and the path.
fn authority(url: &str) -> Option<&str> {
    url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
}

fn quoted(text: &str) -> String {
    format!("`{}`", printable(&Url::from(text).to_string()))
}
