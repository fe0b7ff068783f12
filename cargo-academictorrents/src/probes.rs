//! Sources that `info` and `doctor` ask about a dataset.

use std::sync::Arc;

use academictorrents::Error;
use academictorrents::engine::address::NamedBy;
use academictorrents::engine::error::printable;
use academictorrents::engine::net::SourceError;
use academictorrents::engine::plan::{self, Rank, SourceKind};
use academictorrents::engine::settings::SourceSet;
use academictorrents::engine::torrent::Metainfo;
use academictorrents::engine::{self, ProbeAnswer, Question, UserPlaces};

use crate::app::App;
use crate::dataset_spec::DatasetSpec;

/// A tracker, web seed, peer or site that can be asked.
#[derive(Clone, Debug)]
pub struct ProbeTarget {
    /// The source's URL, printable.
    pub url: String,
    /// A tracker's tier, from 1; 0 for sources that the manifest or the user names.
    pub tier: usize,
    pub question: Option<Question>,
    /// The places that the user named as sources of the dataset.
    pub user_places: UserPlaces,
    /// Whether the user or the manifest excludes the source.
    pub is_left_out: bool,
}

/// The answer of a target, or why there is none. `None` if `sources` excludes it.
pub type Answered = Option<Result<ProbeAnswer, SourceError>>;

/// Trackers by tier; web seeds, together with mirrors that are asked the same way.
pub type ProbeTargets = (Vec<ProbeTarget>, Vec<ProbeTarget>);

impl App {
    /// Returns all sources that a download could ask, including excluded ones, which the report
    /// shows.
    pub fn probe_targets(
        &self,
        dataset: &DatasetSpec,
        metainfo: &Metainfo,
    ) -> Result<ProbeTargets, Error> {
        let (mut request, mut settings) = (dataset.request.clone(), self.settings.clone());
        let allowed = request.sources.and(settings.sources);
        (request.sources, settings.sources) = (SourceSet::default(), SourceSet::default());
        settings.offline = false;
        let mirrors = plan::metainfo_mirrors(&request, &settings)?;
        let user_places: UserPlaces = plan::user_places(&request, &settings).collect();
        let is_own = request.origin.named_by() == NamedBy::User;
        let infohash = metainfo.infohash;
        let target = |url: &dyn std::fmt::Display, tier, question, is_allowed: bool| ProbeTarget {
            url: printable(&url.to_string()),
            tier,
            question,
            user_places: Arc::clone(&user_places),
            is_left_out: !is_allowed,
        };
        let (mut trackers, mut web_seeds) = (Vec::new(), Vec::new());
        for source in plan::sources(&request, &settings, &mirrors, metainfo) {
            let by = source.by;
            match source.kind {
                SourceKind::Trackers(tiers) => {
                    let is_named = source.rank == Rank::Named;
                    for (tier, urls) in (1..).zip(tiers) {
                        let tier = if is_named { 0 } else { tier };
                        trackers.extend(urls.into_iter().map(|url| {
                            let bytes = metainfo.geometry.total_bytes();
                            let shown = url.clone();
                            let question = Question::Tracker { by, url, infohash, bytes };
                            target(&shown, tier, Some(question), allowed.peers)
                        }));
                    }
                }
                SourceKind::WebSeed(url) => {
                    let is_mirror = url.exposed().ends_with(&format!("/{infohash}/"));
                    let is_allowed = if is_mirror { allowed.mirrors } else { allowed.web_seeds };
                    let question = engine::of_web_seed(by, &url, metainfo, is_own);
                    web_seeds.push(target(&url, 0, question, is_allowed));
                }
                SourceKind::Directory(_) | SourceKind::Peer(_) | SourceKind::Dht => {}
            }
        }
        Ok((trackers, web_seeds))
    }

    /// Asks these targets in parallel, each for at most five seconds. Returns `None` if offline.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Manifest`] for a proxy or certificate file that cannot be
    /// used.
    pub fn ask<'w>(
        &self,
        probe_targets: impl Iterator<Item = &'w ProbeTarget> + Clone,
    ) -> Result<Option<Vec<Answered>>, Error> {
        if self.settings.offline {
            return Ok(None);
        }
        let asked = probe_targets.clone().filter(|it| !it.is_left_out);
        let questions: Vec<_> = asked
            .filter_map(|it| Some((it.question.clone()?, Arc::clone(&it.user_places))))
            .collect();
        let mut answers = engine::ask(&self.settings, &questions)?.into_iter();
        let mut answered = |it: &ProbeTarget| {
            let nothing = || Err(SourceError::Other("it has nothing to be asked for".into()));
            it.question.as_ref().and_then(|_| answers.next()).unwrap_or_else(nothing)
        };
        Ok(Some(probe_targets.map(|it| (!it.is_left_out).then(|| answered(it))).collect()))
    }
}
