//! Entry points for fuzzing what is not in academictorrents-core: redirects, stamps, and the storage as a state machine.
//!
//! Layer 4, compiled only for `cargo fuzz` (`--cfg fuzzing`) and for unit tests; not part of the API.

#![allow(clippy::missing_panics_doc, reason = "a failed assertion is what a fuzzer looks for")]

mod storage;
#[cfg(test)]
mod tests;

pub use academictorrents_core::fuzz::*;

pub use storage::storage;

use crate::net::join;
use crate::storage::Stamp;
use crate::url::Url;

/// A redirect: a URL, and where a server at that URL leads to.
pub fn redirect(data: &[u8]) {
    let mut input = Input(data);
    let (first, second) = (input.chunk(), input.chunk());
    let (base, location) = (String::from_utf8_lossy(first), String::from_utf8_lossy(second));
    let url = Url::from(&*base);
    if let Ok(joined) = join(&url, &location) {
        let from_https = base.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("https:"));
        let to_http = joined.exposed().get(..5).is_some_and(|it| it.eq_ignore_ascii_case("http:"));
        assert!(!(from_https && to_http), "{url} -> {joined}");
    }
}

/// A stamp: encoding a parsed stamp and parsing it again results in the same stamp.
pub fn stamp(data: &[u8]) {
    if let Some(stamp) = Stamp::parse(&mut &data[..]) {
        let mut text = Vec::new();
        assert!(stamp.encode(&mut text).is_ok());
        assert_eq!(Stamp::parse(&mut &text[..]), Some(stamp));
    }
}
