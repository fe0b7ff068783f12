//! Finds the parts of a URL that identify one user and must not be shared in a `.torrent`.

use percent_encoding::percent_decode_str;

use super::Url;
use super::mask::{is_key, is_tracker};

/// Query parameters that identify or authenticate the user. Signatures count as such.
const PERSONAL: [&str; 19] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_key",
    "authkey",
    "awsaccesskeyid",
    "key",
    "pass",
    "pass_key",
    "passkey",
    "passwd",
    "password",
    "pid",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
];

/// Prefixes of further parameters.
const PERSONAL_BEGINNINGS: [&str; 4] = ["torrent_pass", "torrent-pass", "x-amz-", "x-goog-"];

/// Whether a URL contains a user's passkey.
#[derive(Debug, PartialEq, Eq)]
pub enum Passkey {
    None,
    /// In the query. Contains the URL without it.
    InQuery(Url),
    /// In the path, host or login. It cannot be removed without changing where the URL points.
    Fixed,
}

impl Url {
    /// Searches the URL for a passkey.
    pub fn passkey(&self) -> Passkey {
        let text = self.exposed();
        let Some((scheme, rest)) = text.split_once("://") else { return Passkey::None };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_in_path =
            is_tracker(text, path) && path.split(['/', ';', '=', '.']).any(is_tracker_passkey);
        if is_in_path || authority.contains('@') || authority.split(['.', ':']).any(is_key) {
            return Passkey::Fixed;
        }
        let kept: Vec<&str> = query.split(['&', ';']).filter(|pair| !is_personal(pair)).collect();
        if kept.len() == query.split(['&', ';']).count() {
            return Passkey::None;
        }
        let joint = if kept.is_empty() { "" } else { "?" };
        let kept = kept.join("&");
        Passkey::InQuery(Url::from(
            [scheme, "://", authority, path, joint, &kept, fragment].concat(),
        ))
    }
}

fn is_personal(pair: &str) -> bool {
    let (key, value) = pair.split_once('=').unwrap_or((pair, pair));
    let key = percent_decode_str(key).decode_utf8_lossy().to_ascii_lowercase();
    let is_named = PERSONAL.contains(&&*key)
        || PERSONAL_BEGINNINGS.iter().any(|beginning| key.starts_with(beginning));
    is_key(value) || (is_named && !value.is_empty() && value != pair)
}

/// Whether a path component looks like a passkey: at least 16 alphanumeric characters with digits
/// among them.
fn is_tracker_passkey(part: &str) -> bool {
    let decoded = percent_decode_str(part).decode_utf8_lossy();
    decoded.len() >= 16
        && decoded.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && decoded.bytes().any(|byte| byte.is_ascii_digit())
}
