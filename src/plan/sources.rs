//! Whence a dataset may come, in which order.

use std::path::{Path, PathBuf};

use crate::context::{Settings, SourceSet};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Mirror, Request};
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
        let mirror = mirror_of_environment(text)?;
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

/// A mirror that the environment names: it has no directory that a relative path could begin at.
fn mirror_of_environment(text: &str) -> Result<Mirror, Error> {
    let name = "ACADEMICTORRENTS_MIRRORS";
    let odd =
        |why: String| Error::new(ErrorKind::Manifest, format!("{name} names `{text}`")).why(why);
    match Mirror::parse(text, Path::new("")) {
        Ok(Mirror::Directory(path)) if !path.is_absolute() => Err(odd(
            "that is a relative path, and Cargo runs build scripts in each package's own directory"
                .to_owned(),
        )
        .help(format!("write absolute paths in {name}"))),
        Ok(mirror) => Ok(mirror),
        Err(why) => Err(odd(why.to_string())),
    }
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
    if allowed.web_seeds {
        request.web_seeds.iter().for_each(|url| add(Rank::Named, SourceKind::WebSeed(url.clone())));
        metainfo
            .web_seeds
            .iter()
            .for_each(|url| add(Rank::Torrent, SourceKind::WebSeed(url.clone())));
    }
    if allowed.peers {
        settings
            .peers
            .iter()
            .chain(&request.peers)
            .for_each(|peer| add(Rank::Named, SourceKind::Peer(peer.clone())));
        if !request.trackers.is_empty() {
            // Each tracker of the manifest is a tier of its own: all of them are asked.
            let tiers = request.trackers.iter().map(|tracker| vec![tracker.clone()]).collect();
            add(Rank::Named, SourceKind::Trackers(tiers));
        }
        if !metainfo.trackers.is_empty() {
            add(Rank::Torrent, SourceKind::Trackers(metainfo.trackers.clone()));
        }
    }
    all
}
