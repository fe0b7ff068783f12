//! Whence a dataset may come, in which order.

use std::path::{Path, PathBuf};

use crate::context::{Settings, SourceSet};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Mirror, Request, check_peer};
use crate::metainfo::Metainfo;

/// Who named a source. Those of a later rank join only for what the earlier lack or fail to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The user or the manifest.
    Named,
    /// The torrent itself.
    Torrent,
}

/// A place to fetch from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A directory that holds the torrent's own layout.
    Directory(PathBuf),
    /// An HTTP server (BEP 19).
    WebSeed(String),
    /// A peer's `host:port`.
    Peer(String),
    /// Tiers of trackers (BEP 12).
    Trackers(Vec<Vec<String>>),
    /// The DHT (BEP 5).
    #[cfg(feature = "dht")]
    Dht,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    pub rank: Rank,
    pub kind: SourceKind,
}

/// The mirrors that may serve this request: the environment's, then the manifest's.
///
/// # Errors
/// [`crate::ErrorKind::Manifest`] for a mirror of the environment that is neither URL nor absolute directory.
pub fn metainfo_mirrors(request: &Request, settings: &Settings) -> Result<Vec<Mirror>, Error> {
    if !request.sources.and(settings.sources).mirrors {
        return Ok(Vec::new());
    }
    let mut mirrors = Vec::new();
    for text in &settings.mirrors {
        let mirror = mirror_of_user(text, settings)?;
        if !mirrors.contains(&mirror) {
            mirrors.push(mirror);
        }
    }
    for mirror in &request.mirrors {
        if !mirrors.contains(mirror) {
            mirrors.push(mirror.clone());
        }
    }
    Ok(mirrors)
}

/// Refuses mirrors, peers and nodes of the DHT of the environment or the user's configuration file that are none: once, not for each
/// dataset that would ask them.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check_named(settings: &Settings) -> Result<(), Error> {
    settings.mirrors.iter().try_for_each(|text| mirror_of_user(text, settings).map(drop))?;
    let nodes = settings.dht_bootstrap.as_deref().unwrap_or_default();
    for (name, addresses) in [("PEERS", &settings.peers[..]), ("DHT_BOOTSTRAP", nodes)] {
        addresses.iter().try_for_each(|text| {
            check_peer(text).map_err(|error| error.instead(cannot_be_used(name, settings)))
        })?;
    }
    Ok(())
}

/// A mirror that the user names: there is no directory that a relative path could begin at.
fn mirror_of_user(text: &str, settings: &Settings) -> Result<Mirror, Error> {
    let what = || cannot_be_used("MIRRORS", settings);
    match Mirror::parse(text, Path::new("")) {
        Ok(Mirror::Directory(path)) if !path.is_absolute() => {
            Err(Error::new(ErrorKind::Manifest, what())
                .why(format!("`{text}` is a relative path, and Cargo runs build scripts in each package's own directory"))
                .help("write absolute paths; one with a space or a comma goes into `mirrors` of the configuration file"))
        }
        Ok(mirror) => Ok(mirror),
        Err(error) => Err(error.instead(what())),
    }
}

fn cannot_be_used(name: &str, settings: &Settings) -> String {
    let place = settings.configured.place_of(name);
    let kind = if place.starts_with('`') { "" } else { "the environment variable " };
    format!("{kind}{place} cannot be used")
}

/// All sources of a request, by rank; offline only directories are left.
pub fn sources(
    request: &Request,
    settings: &Settings,
    mirrors: &[Mirror],
    metainfo: &Metainfo,
) -> Vec<SourceSpec> {
    let allowed: SourceSet = request.sources.and(settings.sources);
    let mut all: Vec<SourceSpec> = Vec::new();
    let mut add = |rank, kind| {
        let usable = !settings.offline || matches!(kind, SourceKind::Directory(_));
        if usable && !all.iter().any(|source| source.kind == kind) {
            all.push(SourceSpec { rank, kind });
        }
    };
    for mirror in mirrors {
        let infohash = metainfo.infohash.to_string();
        add(
            Rank::Named,
            match mirror {
                Mirror::Directory(directory) => SourceKind::Directory(directory.join(infohash)),
                // A folder's seed is the parent of `name`; a single file's too, where the URL ends in `/`.
                Mirror::Url(url) => SourceKind::WebSeed(format!("{url}/{infohash}/")),
            },
        );
    }
    let magnet = request.identity.magnet.as_ref();
    if allowed.web_seeds {
        request.web_seeds.iter().for_each(|url| add(Rank::Named, SourceKind::WebSeed(url.clone())));
        let magnets = magnet.map_or(&[][..], |magnet| &magnet.web_seeds);
        for url in magnets.iter().chain(&metainfo.web_seeds) {
            add(Rank::Torrent, SourceKind::WebSeed(url.clone()));
        }
    }
    if allowed.peers {
        for peer in settings.peers.iter().chain(&request.peers) {
            add(Rank::Named, SourceKind::Peer(peer.clone()));
        }
        let named = tiers_of(&request.trackers, &[]);
        if !named.is_empty() {
            add(Rank::Named, SourceKind::Trackers(named.clone()));
        }
        // A torrent that came from peers names those trackers that the request does.
        let mut own = Vec::new();
        for tier in &metainfo.trackers {
            let tier: Vec<_> = tier.iter().filter(|url| !names(&named, url)).cloned().collect();
            if !tier.is_empty() {
                own.push(tier);
            }
        }
        if let Some(magnet) = magnet {
            own.extend(tiers_of(&magnet.trackers, &[&named, &own]));
        }
        if !own.is_empty() {
            add(Rank::Torrent, SourceKind::Trackers(own));
        }
        for peer in magnet.map_or(&[][..], |magnet| &magnet.peers) {
            add(Rank::Torrent, SourceKind::Peer(peer.clone()));
        }
    }
    #[cfg(feature = "dht")]
    if allows_dht(request, settings) && !metainfo.private {
        add(Rank::Torrent, SourceKind::Dht);
    }
    all
}

/// Whether the DHT may be asked for peers. Never for those of a private torrent (BEP 27), once that is known.
pub fn allows_dht(request: &Request, settings: &Settings) -> bool {
    let is_off = settings.dht_bootstrap.as_ref().is_some_and(Vec::is_empty);
    request.sources.and(settings.sources).peers && !settings.offline && !is_off
}

/// What to say where the user names nodes of the DHT, and it was left out of the build.
#[cfg(not(feature = "dht"))]
pub fn without_dht(request: &Request, settings: &Settings) -> Option<String> {
    let named = settings.dht_bootstrap.is_some() && allows_dht(request, settings);
    named.then(|| {
        let place = settings.configured.place_of("DHT_BOOTSTRAP");
        format!("not asked, though {place} names nodes: academictorrents was built without its feature `dht`")
    })
}

fn names(tiers: &[Vec<String>], url: &String) -> bool {
    tiers.iter().any(|tier| tier.contains(url))
}

/// Each tracker as a tier of its own, so that all of them are asked; without those of other tiers.
fn tiers_of(trackers: &[String], others: &[&[Vec<String>]]) -> Vec<Vec<String>> {
    let mut tiers = Vec::new();
    for url in trackers {
        if !others.iter().any(|tiers| names(tiers, url)) {
            tiers.push(vec![url.clone()]);
        }
    }
    tiers
}

/// The peers that may have the torrent itself: the user's, the manifest's and the magnet link's.
pub fn metainfo_peers(request: &Request, settings: &Settings) -> Vec<String> {
    let magnets = request.identity.magnet.as_ref().map_or(&[][..], |magnet| &magnet.peers);
    let mut peers = Vec::new();
    for named in [&settings.peers[..], &request.peers, magnets] {
        for peer in named {
            if !peers.contains(peer) {
                peers.push(peer.clone());
            }
        }
    }
    peers
}

/// The trackers that may know such peers: the manifest's and the magnet link's.
pub fn metainfo_tiers(request: &Request) -> Vec<Vec<String>> {
    let mut tiers = tiers_of(&request.trackers, &[]);
    if let Some(magnet) = &request.identity.magnet {
        tiers.extend(tiers_of(&magnet.trackers, &[&tiers]));
    }
    tiers
}
