//! `info`: what a torrent holds, and who answers for it right now.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::{Asked, Desk};
use crate::context::SourceSet;
use crate::counters::{Counters, Phase};
use crate::download::{self, Answer, Question};
use crate::error::{Error, printable};
use crate::infohash::Infohash;
use crate::metainfo::Metainfo;
use crate::plan::{self, SourceKind};

/// What a torrent holds. All texts are printable; several lines may be in the comment alone.
#[derive(Clone, Debug)]
pub struct Info {
    /// What it is.
    pub infohash: Infohash,
    /// Of the file, or of the root directory.
    pub name: String,
    /// Whether its files lie in a directory.
    pub is_folder: bool,
    /// Of all its files.
    pub size_bytes: u64,
    /// Each file's components below the torrent's own directory, and its length; of a single file its name.
    pub files: Vec<(Vec<String>, u64)>,
    /// How long a piece is.
    pub piece_bytes: u32,
    /// How many there are.
    pub pieces: u32,
    /// Its peers come from its own trackers alone.
    pub is_private: bool,
    /// What is written beside.
    pub about: Described,
    /// A magnet link with all its trackers and web seeds.
    pub magnet: String,
    /// Trackers, by tier.
    pub trackers: Vec<Witness>,
    /// Web seeds, and mirrors that are asked like these.
    pub web_seeds: Vec<Witness>,
    /// What a build of its crate takes: files, and their bytes.
    pub selected: Option<(usize, u64)>,
}

/// What its makers wrote about it.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// In their words, line by line.
    pub comment: Option<String>,
    /// The program.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub created: Option<i64>,
    /// In their words.
    pub licence: Option<String>,
    /// The site that it comes from.
    pub source: Option<String>,
}

/// A tracker or web seed.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Its URL, printable.
    pub url: String,
    /// Which tier a tracker is in, from 1; 0 for what the manifest or the user names.
    pub tier: usize,
    question: Option<Question>,
    /// The user or the manifest does not allow it.
    is_left_out: bool,
}

/// What a source said, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A tracker's counts, where it has them.
    Counts {
        /// Peers that have everything.
        seeds: Option<u64>,
        /// Peers that do not.
        leeches: Option<u64>,
    },
    /// A web seed has the torrent's first file.
    Alive,
    /// `sources` leaves it out.
    LeftOut,
    /// Why it does not help.
    Failed(String),
}

impl Witness {
    pub(super) fn of(url: &str, question: Question) -> Witness {
        Witness { url: printable(url), tier: 0, question: Some(question), is_left_out: false }
    }

    pub(super) fn left_out(self, is_left_out: bool) -> Witness {
        Witness { is_left_out, ..self }
    }
}

impl Answered {
    /// Whether data may come from there: a web seed that has it, or peers that a tracker knows.
    pub(super) fn has_data(&self) -> bool {
        match self {
            Answered::Counts { seeds, leeches } => {
                seeds.is_some_and(|seeds| seeds > 0)
                    || (seeds.is_none() && leeches.is_some_and(|peers| peers > 0))
            }
            Answered::Alive => true,
            Answered::LeftOut | Answered::Failed(_) => false,
        }
    }

    pub(super) fn of(answer: Result<Answer, String>) -> Answered {
        match answer {
            Ok(Answer::Counts(counts)) => {
                Answered::Counts { seeds: counts.seeds, leeches: counts.leeches }
            }
            Ok(Answer::Alive) => Answered::Alive,
            Err(why) => Answered::Failed(printable(&why)),
        }
    }
}

impl Desk {
    /// What the torrent holds. Its metainfo comes from wherever a download has it: vendored, the store, mirrors, the catalogue,
    /// peers; it is not kept.
    ///
    /// # Errors
    /// As [`crate::get()`], before any data is fetched; of `files`, where they do not fit.
    pub fn info(&self, dataset: &Asked) -> Result<Info, Error> {
        let counters = Arc::new(Counters::default());
        let request = &dataset.request;
        let row = counters.add(dataset.name());
        row.set_phase(Phase::Metainfo);
        let session = self.session(&counters);
        let drawing = self.draw(&counters);
        let found = download::metainfo(&session, request);
        row.set_phase(Phase::Done);
        drop(drawing);
        let found = found.and_then(|(info, bytes)| self.describe(dataset, &info, &bytes));
        // What was named by an infohash is named in the error already.
        found.map_err(|error| match &dataset.manifest {
            Some(_) => error.for_dataset(dataset.name()),
            None => error,
        })
    }

    /// The same, of a torrent that is on this machine: nobody is asked.
    pub(super) fn info_at_hand(&self, dataset: &Asked) -> Option<Info> {
        let counters = Counters::default();
        let (metainfo, torrent) =
            download::at_hand(&self.session(&counters), &dataset.request).ok().flatten()?;
        self.describe(dataset, &metainfo, &torrent).ok()
    }

    fn describe(
        &self,
        dataset: &Asked,
        metainfo: &Metainfo,
        torrent: &[u8],
    ) -> Result<Info, Error> {
        let request = &dataset.request;
        let text = |bytes: &[u8]| printable(&String::from_utf8_lossy(bytes));
        let about = Metainfo::about(torrent);
        let lines = |text: String| {
            let lines: Vec<_> = text.lines().map(|line| printable(line.trim_end())).collect();
            lines.join("\n")
        };
        let files = metainfo.files.iter().filter(|file| !file.pad);
        let components = |path: &[Vec<u8>]| match path {
            [] => vec![text(&metainfo.name)],
            path => path.iter().map(|component| text(component)).collect(),
        };
        let selected = match request.is_whole() {
            true => None,
            false => {
                let selection = plan::selection(metainfo, request)?;
                let bytes = selection.files().iter();
                let bytes = bytes.map(|index| metainfo.files[*index as usize].length).sum();
                Some((selection.files().len(), bytes))
            }
        };
        let (trackers, web_seeds) = self.sources(dataset, metainfo)?;
        Ok(Info {
            infohash: metainfo.infohash,
            name: text(&metainfo.name),
            is_folder: metainfo.multi,
            size_bytes: files.clone().map(|file| file.length).sum(),
            files: files.map(|file| (components(&file.path), file.length)).collect(),
            piece_bytes: metainfo.geometry.piece_bytes(),
            pieces: metainfo.geometry.piece_count(),
            is_private: metainfo.private,
            about: Described {
                comment: about.comment.map(lines),
                created_by: about.created_by.map(|it| printable(&it)),
                created: about.created,
                licence: about.licence.map(|it| printable(&it)),
                source: about.source.map(|it| printable(&it)),
            },
            magnet: magnet(metainfo),
            trackers,
            web_seeds,
            selected,
        })
    }

    /// All that a download would ask, whatever the user allows: what is left out is told.
    fn sources(
        &self,
        dataset: &Asked,
        metainfo: &Metainfo,
    ) -> Result<(Vec<Witness>, Vec<Witness>), Error> {
        let (mut request, mut settings) = (dataset.request.clone(), self.settings.clone());
        let allowed = request.sources.and(settings.sources);
        (request.sources, settings.sources) = (SourceSet::ALL, SourceSet::ALL);
        settings.offline = false;
        let mirrors = plan::metainfo_mirrors(&request, &settings)?;
        let is_mirror = |url: &str| {
            let ends = format!("/{}/", metainfo.infohash);
            url.ends_with(&ends)
        };
        let (mut trackers, mut web_seeds) = (Vec::new(), Vec::new());
        for source in plan::sources(&request, &settings, &mirrors, metainfo) {
            match source.kind {
                SourceKind::Trackers(tiers) => {
                    let is_named = source.rank == plan::Rank::Named;
                    for (tier, url) in (1..)
                        .zip(tiers)
                        .flat_map(|(tier, urls)| urls.into_iter().map(move |url| (tier, url)))
                    {
                        let bytes = metainfo.geometry.total_bytes();
                        let infohash = metainfo.infohash;
                        trackers.push(Witness {
                            tier: if is_named { 0 } else { tier },
                            is_left_out: !allowed.peers,
                            url: printable(&url),
                            question: Some(Question::Tracker { url, infohash, bytes }),
                        });
                    }
                }
                SourceKind::WebSeed(url) => web_seeds.push(Witness {
                    tier: 0,
                    is_left_out: if is_mirror(&url) {
                        !allowed.mirrors
                    } else {
                        !allowed.web_seeds
                    },
                    question: download::of_web_seed(&url, metainfo),
                    url: printable(&url),
                }),
                SourceKind::Directory(_) | SourceKind::Peer(_) | SourceKind::Dht => {}
            }
        }
        Ok((trackers, web_seeds))
    }

    /// Asks these right now, all side by side: each has five seconds. `None` offline, where nobody is asked.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for a proxy or a file of certificates that cannot be used.
    pub fn ask(&self, sources: &[&Witness]) -> Result<Option<Vec<Answered>>, Error> {
        if self.settings.offline {
            return Ok(None);
        }
        let may_ask = |source: &&&Witness| !source.is_left_out && source.question.is_some();
        let questions: Vec<Question> =
            sources.iter().filter(may_ask).filter_map(|source| source.question.clone()).collect();
        let mut answers = download::ask(&self.settings, &questions)?.into_iter();
        let answered = sources.iter().map(|source| {
            if source.is_left_out {
                return Answered::LeftOut;
            }
            let answer = source.question.as_ref().and_then(|_| answers.next());
            answer.map_or(Answered::Failed("it has nothing to be asked for".into()), Answered::of)
        });
        Ok(Some(answered.collect()))
    }

    /// Why nobody is asked, where that is so.
    #[must_use]
    pub fn offline_reason(&self) -> Option<String> {
        self.settings.offline.then(|| self.settings.offline_reason())
    }
}

/// What may stand in a query is left as it is (RFC 3986), so that a person can read the URLs in it.
const IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

fn magnet(metainfo: &Metainfo) -> String {
    let encoded = |bytes: &[u8]| percent_encode(bytes, IN_QUERY).to_string();
    let mut link = format!(
        "magnet:?xt=urn:btih:{}&dn={}&xl={}",
        metainfo.infohash,
        encoded(&metainfo.name),
        metainfo.geometry.total_bytes()
    );
    for url in metainfo.trackers.iter().flatten().filter(|url| !url.is_empty()) {
        link += &format!("&tr={}", encoded(url.as_bytes()));
    }
    for url in &metainfo.web_seeds {
        link += &format!("&ws={}", encoded(url.as_bytes()));
    }
    link
}
