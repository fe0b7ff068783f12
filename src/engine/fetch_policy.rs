//! The fetch policy (`ACADEMICTORRENTS_FETCH`): whether missing data may be downloaded.

use crate::engine::session::Session;
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
use crate::settings::Fetch;

/// Fails if the policy forbids fetching `what` ("the torrent … is", "1 GiB are"). Local data may be
/// used under every policy, so callers check as late as possible: when something would be
/// downloaded.
///
/// # Errors
/// [`ErrorKind::Offline`], with the command that allows the download.
pub fn check(session: &Session<'_>, request: &Request, what: &str) -> Result<(), Error> {
    let never = format!("{} is `never`", session.settings.configured.place_of("FETCH"));
    let (why, mode) = match (session.settings.fetch, session.foreign) {
        (Fetch::Always, _) | (Fetch::Local, false) => return Ok(()),
        (Fetch::Local, true) => (
            "the package is a dependency from a registry, git or a vendored directory, which downloads only if you allow it".to_owned(),
            "always",
        ),
        (Fetch::Never, true) => (never, "always"),
        (Fetch::Never, false) => (never, "local"),
    };
    let mut error =
        Error::new(ErrorKind::Offline, format!("{what} missing, and downloading is not allowed"))
            .why(why);
    if session.settings.offline {
        error = error.why(session.settings.offline_reason());
    }
    if !request.origin.is_declared() {
        let in_file = session.settings.configured.in_file("FETCH").is_some();
        return Err(error.help(match in_file {
            true => "change it there, or set ACADEMICTORRENTS_FETCH=local, which takes precedence",
            false => "unset ACADEMICTORRENTS_FETCH",
        }));
    }
    error = error.help(format!("to allow it, run: ACADEMICTORRENTS_FETCH={mode} cargo build"));
    if session.settings.fetch == Fetch::Never {
        return Err(error);
    }
    Err(error.help(format!(
        "or download it yourself: cargo academictorrents fetch {}\n\
         (after: cargo install cargo-academictorrents)",
        request.name
    )))
}
