//! Sources that the command line names in addition to the torrent's, for the commands that accept
//! them.

use std::path::Path;

use academictorrents::engine::manifest::CallOptions;
use academictorrents::engine::url::{Passkey, Url};

use crate::crates::relative_to;
use crate::dataset_spec::call_options;

/// Flags as the keys of a manifest.
#[derive(Debug, clap::Args)]
pub(crate) struct SourceFlags {
    /// Add a web seed: the URL of a single file, or of the directory that contains the torrent's. Can be repeated
    #[arg(long, value_name = "URL")]
    web_seed: Vec<String>,
    /// Add a peer. Can be repeated
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
    /// Add an http, https or udp tracker. Can be repeated
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Add a mirror: a URL or directory with `<infohash>.torrent` and `<infohash>/…`. Can be repeated
    #[arg(long, value_name = "URL|DIR")]
    mirror: Vec<String>,
}

impl SourceFlags {
    /// Returns the sources as options of a request.
    pub(crate) fn options(&self) -> CallOptions {
        let urls = |texts: &[String]| texts.iter().map(Url::from).collect();
        CallOptions {
            web_seeds: urls(&self.web_seed),
            trackers: urls(&self.tracker),
            peers: self.peer.clone(),
            mirrors: urls(&self.mirror),
            ..call_options()
        }
    }

    /// Returns the sources as keys of this manifest. Relative paths are made relative to its
    /// directory.
    pub(crate) fn keys(&self, manifest: &Path) -> [(&'static str, Vec<String>); 4] {
        let mirror = |text: &String| match text.contains("://") || Path::new(text).is_absolute() {
            true => text.clone(),
            false => relative_to(manifest, Path::new(text)),
        };
        [
            ("web-seeds", self.web_seed.clone()),
            ("trackers", self.tracker.clone()),
            ("peers", self.peer.clone()),
            ("mirrors", self.mirror.iter().map(mirror).collect()),
        ]
    }

    /// Returns the options that were given.
    pub(crate) fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("--web-seed", &self.web_seed),
            ("--peer", &self.peer),
            ("--tracker", &self.tracker),
            ("--mirror", &self.mirror),
        ];
        let given = all.map(|(name, values)| (!values.is_empty()).then_some(name));
        given.into_iter().flatten()
    }

    /// Returns a warning about passkeys in the URLs, which anyone with the manifest can use.
    pub(crate) fn passkey_warning(&self) -> Option<String> {
        let urls = self.web_seed.iter().chain(&self.tracker).chain(&self.mirror).map(Url::from);
        let urls: Vec<_> =
            urls.filter(|url| url.passkey() != Passkey::None).map(|url| url.to_string()).collect();
        (!urls.is_empty()).then(|| {
            format!(
                "the manifest contains a personal passkey: {}\nanyone who has it can use the tracker in your name",
                urls.join(", ")
            )
        })
    }
}
