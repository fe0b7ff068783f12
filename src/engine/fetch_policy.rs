//! The fetch policy (`ACADEMICTORRENTS_FETCH`): whether missing data may be downloaded.

use crate::engine::session::Session;
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
use crate::settings::Fetch;

/// Whether the policy allows downloads.
pub fn allows(session: &Session<'_>) -> bool {
    match session.settings.fetch {
        Fetch::Always => true,
        Fetch::Local => !session.foreign,
        Fetch::Never => false,
    }
}

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
    // The command follows the setting too, and counts all packages as the user's own.
    let setting = match session.settings.fetch {
        Fetch::Never => "ACADEMICTORRENTS_FETCH=local ",
        Fetch::Always | Fetch::Local => "",
    };
    Err(error.help(format!(
        "or download it yourself: {setting}cargo academictorrents fetch {}\n\
         (after: cargo install cargo-academictorrents)",
        request.name
    )))
}
