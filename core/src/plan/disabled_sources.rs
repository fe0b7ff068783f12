//! Which known sources the setting and the key `sources` disable, to explain why a download failed.

use crate::error::Error;
use crate::manifest::Request;
use crate::settings::{Settings, SourceSet};
use crate::torrent::magnet::Magnet;
use crate::torrent::metainfo::Metainfo;

/// The disabled sources, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisabledSources {
    /// Manifest and environment each allow some kinds, but none in common.
    nothing_in_common: bool,
    kinds: Vec<DisabledKind>,
    /// Whether the request is declared in a manifest, to which more sources can be added.
    declared: bool,
    /// Where the user's `sources` is set.
    environment: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DisabledKind {
    /// The name of the kind in `sources`.
    name: &'static str,
    /// Number and kind, such as `"2 web seeds"`.
    which: String,
    by_manifest: bool,
    by_environment: bool,
}

const MANIFEST: &str = "`sources` in the manifest";

impl DisabledSources {
    /// Finds the disabled sources among those that user, manifest and torrent name. Offline, only
    /// mirrors count, because others would not be used anyway. The catalog never counts: it
    /// provides torrents, not data.
    pub fn of(request: &Request, settings: &Settings, metainfo: &Metainfo) -> DisabledSources {
        let (manifest, environment) = (request.sources, settings.sources);
        let mut kinds = Vec::new();
        let mut add = |name, allows: fn(SourceSet) -> bool, counts: &[(usize, &str)]| {
            let which: Vec<_> = counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, noun)| {
                    format!("{count} {noun}{}", if *count == 1 { "" } else { "s" })
                })
                .collect();
            let (by_manifest, by_environment) = (!allows(manifest), !allows(environment));
            if (by_manifest || by_environment) && !which.is_empty() {
                kinds.push(DisabledKind {
                    name,
                    which: which.join(" and "),
                    by_manifest,
                    by_environment,
                });
            }
        };
        let mirrors = settings.mirrors.len() + request.mirrors.len();
        add("mirrors", |set| set.mirrors, &[(mirrors, "mirror")]);
        if !settings.offline {
            let magnet = request.identity.magnet.as_ref();
            let of_magnet = |count: fn(&Magnet) -> usize| magnet.map_or(0, count);
            let web_seeds = request.web_seeds.len()
                + metainfo.web_seeds.len()
                + of_magnet(|magnet| magnet.web_seeds.len());
            add("web-seeds", |set| set.web_seeds, &[(web_seeds, "web seed")]);
            let trackers = request.trackers.len()
                + metainfo.trackers.iter().map(Vec::len).sum::<usize>()
                + of_magnet(|magnet| magnet.trackers.len());
            let peers =
                settings.peers.len() + request.peers.len() + of_magnet(|magnet| magnet.peers.len());
            add("peers", |set| set.peers, &[(trackers, "tracker"), (peers, "peer")]);
        }
        let allows_any =
            |set: SourceSet| set.mirrors || set.catalogue || set.web_seeds || set.peers;
        let nothing_in_common = allows_any(manifest)
            && allows_any(environment)
            && !allows_any(manifest.and(environment));
        DisabledSources {
            nothing_in_common,
            kinds,
            declared: request.origin.is_declared(),
            environment: settings.configured.place_of("SOURCES"),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Adds help on how to name more sources.
    pub fn advise(&self, error: Error) -> Error {
        error.help(if self.declared {
            "add `mirrors`, `web-seeds` or `peers` to the dataset in Cargo.toml, if you know any"
        } else {
            "add more to ACADEMICTORRENTS_MIRRORS or ACADEMICTORRENTS_PEERS, if you know any"
        })
    }

    /// Adds what was disabled, and how to enable it.
    pub fn explain(&self, mut error: Error) -> Error {
        let environment = &*self.environment;
        if self.nothing_in_common {
            error = error.why(format!(
                "{MANIFEST} and {environment} have nothing in common, so no source may be used"
            ));
        }
        for kind in &self.kinds {
            let by: Vec<_> = kind.by(environment).collect();
            error = error.why(format!("excluded by {}: {}", by.join(" and by "), kind.which));
        }
        for place in [MANIFEST, environment] {
            let names: Vec<_> = self
                .kinds
                .iter()
                .filter(|kind| kind.by(environment).any(|by| by == place))
                .map(|kind| format!("`{}`", kind.name))
                .collect();
            if !names.is_empty() {
                error = error.help(format!("to use them, add {} to {place}", names.join(", ")));
            }
        }
        error
    }
}

impl DisabledKind {
    fn by<'e>(&self, environment: &'e str) -> impl Iterator<Item = &'e str> {
        let (manifest, user) = (self.by_manifest, self.by_environment);
        [(manifest, MANIFEST), (user, environment)]
            .into_iter()
            .filter_map(|(leaves_out, place)| leaves_out.then_some(place))
    }
}
