//! The sources of a dataset, and their order.

use std::collections::HashMap;
use std::path::PathBuf;

use super::mirrors::NO_DEFAULTS;
use crate::address::{self, NamedBy, NamedPlace};
use crate::manifest::{Mirror, Request};
use crate::settings::{Settings, SourceSet};
use crate::torrent::metainfo::Metainfo;
use crate::url::Url;

/// Who named a source. Sources of a later rank are used only for what earlier ones lack or fail to
/// provide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The user or the manifest.
    Named,
    /// The torrent itself.
    Torrent,
}

/// A place to download from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A directory that contains the torrent's own layout.
    Directory(PathBuf),
    /// An HTTP server (BEP 19).
    WebSeed(Url),
    /// A peer's `host:port`.
    Peer(String),
    /// Tracker tiers (BEP 12).
    Trackers(Vec<Vec<Url>>),
    /// The DHT (BEP 5).
    #[cfg(feature = "dht")]
    Dht,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    pub rank: Rank,
    pub kind: SourceKind,
    pub by: NamedBy,
}

/// The trackers of Academic Torrents, and the catalog that they belong to.
const SITE_TRACKERS: [&str; 2] =
    ["https://academictorrents.com/announce.php", "https://ipv6.academictorrents.com/announce.php"];
const SITE: &str = "https://academictorrents.com";

/// Tracker tiers, and who named them.
pub type NamedTiers = Vec<(NamedBy, Vec<Vec<Url>>)>;

/// Maximum number of trackers and web seeds used per host, except those that the user names.
/// Prevents a torrent from making many builds flood a server.
pub const MAX_PER_HOST: usize = 8;

/// All sources of a request, by rank. Offline, only directories.
pub fn sources(
    request: &Request,
    settings: &Settings,
    mirrors: &[(NamedBy, Mirror)],
    metainfo: &Metainfo,
) -> Vec<SourceSpec> {
    let allowed: SourceSet = request.sources.and(settings.sources);
    let mut all: Vec<SourceSpec> = Vec::new();
    let mut add = |rank, by, kind| {
        if settings.offline && !matches!(kind, SourceKind::Directory(_)) {
            return;
        }
        match all.iter_mut().find(|source| source.kind == kind) {
            // A more trusted party may name the same source.
            Some(known) => known.by = known.by.min(by),
            None => all.push(SourceSpec { rank, kind, by }),
        }
    };
    for (by, mirror) in mirrors {
        let infohash = metainfo.infohash.to_string();
        add(
            Rank::Named,
            *by,
            match mirror {
                Mirror::Directory(directory) => SourceKind::Directory(directory.join(infohash)),
                // BEP 19: a web seed of several files is the parent of `name`; so is that of a
                // single file, if it ends in `/`.
                Mirror::Url(url) => SourceKind::WebSeed(url.with(&format!("/{infohash}/"))),
            },
        );
    }
    let magnet = request.identity.magnet.as_ref();
    let (by_request, by_magnet) = (request.origin.named_by(), request.origin.named_by().torrent());
    if allowed.web_seeds {
        let magnets = magnet.map_or(&[][..], |magnet| &magnet.web_seeds);
        for (rank, by, urls) in [
            (Rank::Named, by_request, &request.web_seeds[..]),
            (Rank::Torrent, by_magnet, magnets),
            (Rank::Torrent, metainfo.origin.named_by(), &metainfo.web_seeds),
        ] {
            urls.iter().for_each(|url| add(rank, by, SourceKind::WebSeed(url.clone())));
        }
    }
    if allowed.peers {
        for (by, peers) in [(NamedBy::User, &settings.peers), (by_request, &request.peers)] {
            peers.iter().for_each(|it| add(Rank::Named, by, SourceKind::Peer(it.clone())));
        }
        let named = tiers_of(&request.trackers, &[]);
        if !named.is_empty() {
            add(Rank::Named, by_request, SourceKind::Trackers(named.clone()));
        }
        let trackers = magnet.map_or(&[][..], |magnet| &magnet.trackers);
        // A `.torrent` from peers repeats the request's trackers. They count as named by the more
        // trusted party.
        let is_magnets =
            |url: &Url| by_magnet < metainfo.origin.named_by() && trackers.contains(url);
        let mut own = metainfo.trackers.clone();
        retain(&mut own, |url| !names(&named, url) && !is_magnets(url));
        let of_magnet = tiers_of(trackers, &[&named, &own]);
        for (by, tiers) in [(metainfo.origin.named_by(), own), (by_magnet, of_magnet)] {
            if !tiers.is_empty() {
                add(Rank::Torrent, by, SourceKind::Trackers(tiers));
            }
        }
        for peer in magnet.map_or(&[][..], |magnet| &magnet.peers) {
            add(Rank::Torrent, by_magnet, SourceKind::Peer(peer.clone()));
        }
    }
    #[cfg(feature = "dht")]
    if allows_dht(request, settings) && !metainfo.private {
        add(Rank::Torrent, NamedBy::Dht, SourceKind::Dht);
    }
    limit_per_host(&mut all);
    all
}

/// The web seeds and trackers of a newer `.torrent` that are not known yet. A URL that was refused
/// counts as new if the newer `.torrent` comes from a more trusted party.
pub fn further_sources(
    request: &Request,
    settings: &Settings,
    newer: &Metainfo,
    known: &[SourceSpec],
    was_refused: &dyn Fn(&Url) -> bool,
) -> Vec<SourceSpec> {
    let mut further = sources(request, settings, &[], newer);
    further.retain_mut(|SourceSpec { kind, by, .. }| {
        let is_known = |url: &Url| {
            known.iter().filter(|source| source.by <= *by || !was_refused(url)).any(|source| {
                match &source.kind {
                    SourceKind::WebSeed(known) => known == url,
                    SourceKind::Trackers(tiers) => names(tiers, url),
                    _ => false,
                }
            })
        };
        match kind {
            SourceKind::WebSeed(url) => !is_known(url),
            // A private torrent is announced only to its own trackers (BEP 27), and those of the
            // newer `.torrent` were chosen by whoever uploaded it.
            SourceKind::Trackers(_) if newer.private => false,
            SourceKind::Trackers(tiers) => {
                retain(tiers, |url| !is_known(url));
                !tiers.is_empty()
            }
            _ => false,
        }
    });
    further
}

/// Removes sources that exceed [`MAX_PER_HOST`].
fn limit_per_host(sources: &mut Vec<SourceSpec>) {
    let mut asked = PerHost::default();
    sources.retain_mut(|source| match &mut source.kind {
        SourceKind::Trackers(tiers) => {
            asked.limit(source.by, tiers);
            !tiers.is_empty()
        }
        SourceKind::WebSeed(url) => asked.may(source.by, url),
        _ => true,
    });
}

/// Counts URLs per host.
#[derive(Default)]
struct PerHost(HashMap<String, usize>);

impl PerHost {
    fn may(&mut self, by: NamedBy, url: &Url) -> bool {
        let count = self.0.entry(address::host_of_url(url.exposed())).or_default();
        *count += 1;
        by == NamedBy::User || *count <= MAX_PER_HOST
    }

    fn limit(&mut self, by: NamedBy, tiers: &mut Vec<Vec<Url>>) {
        retain(tiers, |url| self.may(by, url));
    }
}

/// The hosts and ports that the user names as sources.
pub fn user_places<'a>(
    request: &'a Request,
    settings: &'a Settings,
) -> impl Iterator<Item = NamedPlace> + use<'a> {
    let of_user = |by: NamedBy| by == NamedBy::User;
    let own = Some(request).filter(|request| of_user(request.origin.named_by()));
    let catalogue = Some(&settings.catalogue).filter(|_| of_user(settings.catalogue_by()));
    let mirrors = own.into_iter().flat_map(|request| &request.mirrors);
    let urls = mirrors.filter_map(|mirror| match mirror {
        Mirror::Url(url) => Some(url),
        Mirror::Directory(_) => None,
    });
    let named = own.into_iter().flat_map(|it| it.web_seeds.iter().chain(&it.trackers));
    let urls = urls.chain(named).chain(&settings.mirrors).chain(catalogue);
    let peers = own.into_iter().flat_map(|request| &request.peers).chain(&settings.peers);
    urls.filter(|url| url.is_http() || url.is_udp())
        .map(|url| NamedPlace::of_url(url.exposed()))
        .chain(peers.filter_map(|peer| NamedPlace::of_peer(peer)))
}

/// Whether the DHT may be used. The caller must also check that the torrent is not private (BEP
/// 27).
pub fn allows_dht(request: &Request, settings: &Settings) -> bool {
    let is_off = settings.dht_bootstrap.as_ref().is_some_and(Vec::is_empty);
    request.sources.and(settings.sources).peers && !settings.offline && !is_off
}

/// A message for users who name DHT nodes in a build without DHT support.
#[cfg(not(feature = "dht"))]
pub fn without_dht(request: &Request, settings: &Settings) -> Option<String> {
    let named = settings.dht_bootstrap.is_some() && allows_dht(request, settings);
    named.then(|| {
        let place = settings.configured.place_of("DHT_BOOTSTRAP");
        format!("{place} has no effect: academictorrents was built without its feature `dht`")
    })
}

/// Keeps only matching trackers, and tiers that are not empty.
fn retain(tiers: &mut Vec<Vec<Url>>, mut is_kept: impl FnMut(&Url) -> bool) {
    tiers.iter_mut().for_each(|tier| tier.retain(&mut is_kept));
    tiers.retain(|tier| !tier.is_empty());
}

fn names(tiers: &[Vec<Url>], url: &Url) -> bool {
    tiers.iter().any(|tier| tier.contains(url))
}

/// Puts each tracker into its own tier, so that all of them are used. Omits those in `others`.
fn tiers_of(trackers: &[Url], others: &[&[Vec<Url>]]) -> Vec<Vec<Url>> {
    let is_new = |url: &&Url| !others.iter().any(|tiers| names(tiers, url));
    trackers.iter().filter(is_new).map(|url| vec![url.clone()]).collect()
}

/// The trackers for a bare infohash, if neither manifest nor magnet link names any: the user's, and
/// the built-in ones of Academic Torrents if its catalog is used.
pub fn default_tiers(request: &Request, settings: &Settings) -> NamedTiers {
    let allowed = request.sources.and(settings.sources);
    if !allowed.peers || !metainfo_tiers(request).is_empty() {
        return Vec::new();
    }
    let chosen = settings.default_trackers.as_deref();
    let is_off = chosen.is_some_and(|all| all.is_empty() || all.contains(&NO_DEFAULTS.into()));
    let built_in = SITE_TRACKERS.map(Url::from);
    let built_in: &[Url] = match is_off || settings.catalogue != SITE || !allowed.catalogue {
        true => &[],
        false => &built_in,
    };
    let mut chosen = chosen.unwrap_or_default().to_vec();
    chosen.retain(|url| *url != NO_DEFAULTS);
    let chosen = tiers_of(&chosen, &[]);
    let built_in = tiers_of(built_in, &[&chosen]);
    let tiers = [(NamedBy::User, chosen), (NamedBy::Catalog, built_in)];
    tiers.into_iter().filter(|(_, tiers)| !tiers.is_empty()).collect()
}

/// [`default_tiers`] as sources of a download, for a public torrent that names no tracker or web
/// seed, such as one from peers.
pub fn default_sources(
    request: &Request,
    settings: &Settings,
    metainfo: &Metainfo,
) -> Vec<SourceSpec> {
    let names_none = metainfo.trackers.is_empty() && metainfo.web_seeds.is_empty();
    let is_bare = request.identity.torrent.is_none() && names_none && !metainfo.private;
    if !is_bare || settings.offline {
        return Vec::new();
    }
    let tiers = default_tiers(request, settings).into_iter();
    let source =
        |(by, tiers)| SourceSpec { rank: Rank::Torrent, kind: SourceKind::Trackers(tiers), by };
    tiers.map(source).collect()
}

/// The peers that may have the `.torrent`: the user's, the manifest's and the magnet link's.
pub fn metainfo_peers(request: &Request, settings: &Settings) -> Vec<(NamedBy, String)> {
    let magnets = request.identity.magnet.as_ref().map_or(&[][..], |magnet| &magnet.peers);
    let by = request.origin.named_by();
    let mut peers: Vec<(NamedBy, String)> = Vec::new();
    for (by, named) in
        [(NamedBy::User, &settings.peers[..]), (by, &request.peers), (by.torrent(), magnets)]
    {
        for peer in named {
            if peers.iter().all(|(_, known)| known != peer) {
                peers.push((by, peer.clone()));
            }
        }
    }
    peers
}

/// The trackers that may know peers with the `.torrent`: the manifest's and the magnet link's.
pub fn metainfo_tiers(request: &Request) -> NamedTiers {
    let named = tiers_of(&request.trackers, &[]);
    let magnet = request.identity.magnet.as_ref();
    let of_magnet = magnet.map(|magnet| tiers_of(&magnet.trackers, &[&named]));
    let mut asked = PerHost::default();
    let by = request.origin.named_by();
    let tiers = [(by, named), (by.torrent(), of_magnet.unwrap_or_default())];
    tiers
        .into_iter()
        .map(|(by, mut tiers)| {
            asked.limit(by, &mut tiers);
            (by, tiers)
        })
        .filter(|(_, tiers)| !tiers.is_empty())
        .collect()
}

/// The trackers to which a seed announces a torrent: the torrent's own, then those of the requests
/// and magnet links that name it.
#[cfg(feature = "seed")]
pub fn seed_tiers(requests: &[Request], metainfo: &Metainfo) -> NamedTiers {
    let is_its = |request: &&Request| request.identity.infohash == Some(metainfo.infohash);
    let of_requests: NamedTiers = requests.iter().filter(is_its).flat_map(metainfo_tiers).collect();
    let (by_torrent, mut own) = (metainfo.origin.named_by(), metainfo.trackers.clone());
    // As in `sources`, the more trusted party counts.
    for (_, tiers) in of_requests.iter().filter(|(by, _)| *by < by_torrent) {
        retain(&mut own, |url| !names(tiers, url));
    }
    let mut all = vec![(by_torrent, own)];
    for (by, mut tiers) in of_requests {
        retain(&mut tiers, |url| !all.iter().any(|(_, known)| names(known, url)));
        all.push((by, tiers));
    }
    all
}
