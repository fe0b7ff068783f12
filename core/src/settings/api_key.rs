//! The API key of the user's account at the catalog. It must be sent to the catalog only.

use std::fmt;

pub(super) const FORM: &str =
    "expected a key as the catalog shows it: `uid=<number>;pass=<letters and digits>`";

/// An API key in the form of the cookies that Academic Torrents accepts: `uid=1; pass=0f…`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Parses the pairs, which the catalog shows with `;` or `&` between them. Rejects characters
    /// that cookies must not contain (RFC 6265), because they could start another header or end the
    /// request.
    pub(super) fn parse(value: &str) -> Option<ApiKey> {
        let may_be = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b'\\');
        let is_pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or_default();
            !name.is_empty() && !value.is_empty() && pair.bytes().all(may_be)
        };
        let mut cookie = String::new();
        for pair in value.split([';', '&']).map(|pair| pair.trim_matches(' ')) {
            if !is_pair(pair) {
                return None;
            }
            if !cookie.is_empty() {
                cookie.push_str("; ");
            }
            cookie.push_str(pair);
        }
        Some(ApiKey(cookie))
    }

    /// The value of the `Cookie` header.
    pub fn cookie(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use super::*;

    #[test]
    fn a_key_is_what_the_catalogue_shows_and_a_cookie_is_made_of_it() {
        let check = |value: &str, expected: Option<&str>| {
            let key = ApiKey::parse(value);
            assert_eq!(key.as_ref().map(ApiKey::cookie), expected, "{value:?}");
        };
        check("uid=14;pass=0f", Some("uid=14; pass=0f"));
        check(" uid=14 ; pass=0f= ", Some("uid=14; pass=0f="));
        check("uid=14&pass=0f", Some("uid=14; pass=0f"));
        for value in ["", "0f", "=0f", "uid=", "uid=14;", "uid=1 4", "uid=\"1\"", "uid=1,2", "ü=1"]
        {
            check(value, None);
        }
        for control in (0..32).chain([127]).map(char::from) {
            check(&format!("uid=14;pass=0f{control}"), None);
            check(&format!("uid=14;{control}pass=0f"), None);
        }
        check("uid=14\r\nX-Other: 1", None);
    }

    #[test]
    fn a_key_is_shown_by_no_error_and_by_no_debug_output() {
        let mut context = Context::default();
        for value in ["sesame", "uid=1;pass=sesame\n", "uid=1;pass=sesame\u{0}"] {
            context.set("ACADEMICTORRENTS_API_KEY", value);
            let error = context.settings().unwrap_err().to_string();
            assert!(error.contains("environment variable ACADEMICTORRENTS_API_KEY"), "{error}");
            assert!(error.contains("uid=<number>") && !error.contains("sesame"), "{error}");
        }
        context.set("ACADEMICTORRENTS_API_KEY", "uid=1;pass=sesame");
        let shown = format!("{context:?} {:?}", context.settings().unwrap());
        assert!(!shown.contains("sesame"), "{shown}");
    }
}
