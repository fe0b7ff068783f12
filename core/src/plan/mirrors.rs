//! Mirrors, and the check of what the user's settings name.

use std::path::Path;

use crate::address::NamedBy;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Mirror, Request, check_peer, check_tracker};
use crate::settings::Settings;
use crate::url::Url;

/// In the setting `default-trackers`: disables the built-in trackers.
pub(super) const NO_DEFAULTS: &str = "off";

/// Mirrors, and who named each.
pub type Mirrors = Vec<(NamedBy, Mirror)>;

/// The mirrors that may have this request's data: first the environment's, then the manifest's.
///
/// # Errors
/// [`crate::ErrorKind::Manifest`] for a mirror of the environment that is neither a URL nor an
/// absolute directory.
pub fn metainfo_mirrors(request: &Request, settings: &Settings) -> Result<Mirrors, Error> {
    if !request.sources.and(settings.sources).mirrors {
        return Ok(Vec::new());
    }
    let mut mirrors: Mirrors = Vec::new();
    let mut add = |by, mirror: Mirror| {
        if mirrors.iter().all(|(_, known)| *known != mirror) {
            mirrors.push((by, mirror));
        }
    };
    for text in &settings.mirrors {
        add(NamedBy::User, mirror_of_user(text, settings)?);
    }
    for mirror in &request.mirrors {
        add(request.origin.named_by(), mirror.clone());
    }
    Ok(mirrors)
}

/// Validates the mirrors, peers, DHT nodes and trackers of the environment or the user's
/// configuration file: once, not for each dataset that would use them.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check_named(settings: &Settings) -> Result<(), Error> {
    settings.mirrors.iter().try_for_each(|text| mirror_of_user(text, settings).map(drop))?;
    let nodes = settings.dht_bootstrap.as_deref().unwrap_or_default();
    for (name, addresses) in [("PEERS", &settings.peers[..]), ("DHT_BOOTSTRAP", nodes)] {
        addresses.iter().try_for_each(|text| {
            check_peer(text).map_err(|error| error.instead(invalid(name, settings)))
        })?;
    }
    let trackers = settings.default_trackers.iter().flatten();
    for url in trackers.filter(|url| **url != NO_DEFAULTS) {
        check_tracker(url.exposed())
            .map_err(|error| error.instead(invalid("DEFAULT_TRACKERS", settings)))?;
    }
    Ok(())
}

/// Parses a mirror of the user, which must not be a relative path: there is no base directory.
fn mirror_of_user(text: &Url, settings: &Settings) -> Result<Mirror, Error> {
    let what = || invalid("MIRRORS", settings);
    match Mirror::parse(text.exposed(), Path::new("")) {
        Ok(Mirror::Directory(path)) if !path.is_absolute() => {
            Err(Error::new(ErrorKind::Manifest, what())
                .why(format!("`{text}` is a relative path, and Cargo runs build scripts in each package's own directory"))
                .help("use absolute paths; put a path with a space or a comma into `mirrors` of the configuration file"))
        }
        Ok(mirror) => Ok(mirror),
        Err(error) => Err(error.instead(what())),
    }
}

fn invalid(name: &str, settings: &Settings) -> String {
    let place = settings.configured.place_of(name);
    let kind = if place.starts_with('`') { "" } else { "environment variable " };
    format!("invalid {kind}{place}")
}
