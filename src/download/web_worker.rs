//! A connection to a web seed (BEP 19), or to a mirror that is a URL.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::line::Line;
use super::lost::LostFiles;
use super::redirects::Redirects;
use super::stream::{Feeder, Flow, Outcome, Part, parts};
use super::swarm::Swarm;
use crate::error::printable;
use crate::metainfo::Metainfo;
use crate::net::{Connection, HttpFailure};
use crate::protocol::http::Head;
use crate::protocol::http::verdict::{Verdict, judge, status_text};
use crate::protocol::web_url::FileUrls;
use crate::schedule::{Next, SourceId, WorkerId};

/// A reply that begins so far before what was asked is read past; beyond that only where nobody else has it.
const NEAR_BYTES: u64 = 1 << 20;

/// So many files refused, and none served in between, count as a failure of the server.
const REFUSED_IN_A_ROW: u32 = 16;

/// The longest pause that a server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What the connections of one web seed share.
#[derive(Debug)]
pub struct WebSeed {
    pub id: SourceId,
    url: String,
    urls: FileUrls,
    redirects: Redirects,
    pub lost: LostFiles,
    received_bytes: AtomicU64,
    refused_in_a_row: AtomicU32,
}

/// Why a run was left.
enum Left {
    /// The next one, on this connection.
    Run,
    /// The next one; what this connection still brings is of no use.
    Connection,
    /// The seed does not have this file: the run goes on behind it.
    File,
    /// The next one: the file is to be asked for elsewhere.
    Elsewhere,
    Worker(Outcome),
}

impl WebSeed {
    pub fn new(id: SourceId, url: String, metainfo: &Metainfo) -> WebSeed {
        WebSeed {
            id,
            urls: FileUrls::new(&url, metainfo.multi, &metainfo.name),
            url,
            redirects: Redirects::default(),
            lost: LostFiles::default(),
            received_bytes: AtomicU64::new(0),
            refused_in_a_row: AtomicU32::new(0),
        }
    }

    /// Bytes that all its connections have brought.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Where the file is asked for, as far as is known.
    pub fn url_of(&self, swarm: &Swarm, file: u32) -> Option<String> {
        self.redirects.target(file).or_else(|| self.first_url(swarm, file))
    }

    /// Without redirects.
    fn first_url(&self, swarm: &Swarm, file: u32) -> Option<String> {
        Some(self.urls.of(&swarm.partial.metainfo().files.get(file as usize)?.path))
    }

    /// Fetches runs until there are none.
    pub fn work(&self, swarm: &Swarm, worker: WorkerId) -> Outcome {
        let mut line = Line::default();
        while let Some(run) = swarm.next_run(self.id, worker) {
            match self.fetch_run(swarm, worker, &mut line, run) {
                Left::Run => {}
                Left::Elsewhere if line.drain() => {}
                Left::Connection | Left::File | Left::Elsewhere => line.close(),
                Left::Worker(outcome) => return outcome,
            }
        }
        Outcome::Ended
    }

    fn fetch_run(&self, swarm: &Swarm, worker: WorkerId, line: &mut Line, run: Range<u32>) -> Left {
        let before = self.lost.partly(swarm, &run);
        let left = self.fetch_parts(swarm, worker, line, &run);
        self.lost.settle(swarm, self.id, &run, &before);
        left
    }

    fn fetch_parts(
        &self,
        swarm: &Swarm,
        worker: WorkerId,
        line: &mut Line,
        run: &Range<u32>,
    ) -> Left {
        let mut parts = parts(swarm, self.id, run);
        let mut feeder = Feeder::new(swarm, self.id, worker);
        while let Some(part) = parts.pop_front() {
            let Some((file, _)) = part.file else {
                match feeder.feed_zeros(part.range) {
                    Flow::Onward => continue,
                    flow => return self.left(line, flow),
                }
            };
            if self.lost.contains(file) {
                continue;
            }
            let (head, url) = match line.reply(self, swarm, file, &part, &parts) {
                Ok(reply) => reply,
                Err(why) => return Left::Worker(Outcome::Failed(why.to_string())),
            };
            match self.read_body(swarm, worker, line, &mut feeder, &head, &url, &part) {
                Ok(Flow::Onward) => line.shut_if_ended(),
                Ok(flow) => return self.left(line, flow),
                // What was asked for behind it is on its way.
                Err(Left::File) if line.drain() => {}
                Err(left) => return left,
            }
        }
        Left::Run
    }

    fn left(&self, line: &Line, flow: Flow) -> Left {
        match flow {
            Flow::Banned => {
                Left::Worker(Outcome::Lost("sent wrong bytes, and is not asked again".to_owned()))
            }
            Flow::Over => Left::Worker(Outcome::Ended),
            // What was asked for behind the run's end would come first on this connection.
            Flow::RunEnded | Flow::Onward if line.is_idle() => Left::Run,
            Flow::RunEnded | Flow::Onward => Left::Connection,
        }
    }

    /// Reads the reply's body, if it is one, into the pieces.
    #[expect(clippy::too_many_arguments, reason = "all of them are one request's")]
    fn read_body(
        &self,
        swarm: &Swarm,
        worker: WorkerId,
        line: &mut Line,
        feeder: &mut Feeder<'_>,
        head: &Head,
        url: &str,
        part: &Part,
    ) -> Result<Flow, Left> {
        let Some((file, _)) = part.file else { return Err(Left::Connection) };
        let file_length =
            swarm.partial.metainfo().files.get(file as usize).map_or(0, |file| file.length);
        let asked = part.file_range();
        let (mut skip, length) = match judge(head, &asked, file_length) {
            Verdict::Body { skip, len } => {
                self.redirects.brought(file);
                self.refused_in_a_row.store(0, Ordering::Relaxed);
                (skip, len)
            }
            other => return Err(self.refused(swarm, file, url, &other)),
        };
        let piece = swarm.geometry().piece_at(part.range.start);
        if skip > NEAR_BYTES {
            let schedule = swarm.schedule();
            // One stream from the file's beginning is enough, and none where others have it; they may fail later.
            if schedule.others_have(self.id, piece, swarm.now()) || schedule.workers_of(self.id) > 1
            {
                let why = "does not serve ranges: left to others as long as they have it";
                let pause = swarm.client.timing().back_off * 4;
                return Err(Left::Worker(Outcome::Paused(pause, why.to_owned())));
            }
        }
        let Some(connection) = &mut line.connection else { return Err(Left::Connection) };
        let failed = |why: HttpFailure| Left::Worker(Outcome::Failed(why.to_string()));
        let mut at = part.range.start;
        let end = part.range.start + length;
        while at < end {
            let wanted = if skip > 0 { skip } else { end - at };
            let bytes = connection.read(wanted).map_err(failed)?;
            let count = bytes.len();
            if count == 0 {
                return Err(Left::Worker(Outcome::Failed(format!(
                    "its reply ended {} bytes early",
                    end - at
                ))));
            }
            if skip > 0 {
                skip -= count as u64;
                swarm.skipped();
            } else {
                let flow = feeder.feed(at, bytes);
                self.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
                at += count as u64;
                if flow != Flow::Onward && head.status != 200 {
                    connection.consume(count);
                    return Ok(flow);
                }
                if flow != Flow::Onward {
                    connection.consume(count);
                    return self.go_on(
                        swarm,
                        worker,
                        connection,
                        feeder,
                        flow,
                        at,
                        part.range.start - asked.start + file_length,
                    );
                }
            }
            connection.consume(count);
        }
        if end < part.range.end {
            // A shorter range than asked: the rest is asked for anew.
            return Err(Left::Connection);
        }
        Ok(Flow::Onward)
    }

    /// A server without ranges goes on with the file: what comes next is taken where it is still wanted.
    #[expect(clippy::too_many_arguments, reason = "all of them are one reply's")]
    fn go_on(
        &self,
        swarm: &Swarm,
        worker: WorkerId,
        connection: &mut Connection,
        feeder: &mut Feeder<'_>,
        mut flow: Flow,
        mut at: u64,
        file_end: u64,
    ) -> Result<Flow, Left> {
        let failed = |why: HttpFailure| Left::Worker(Outcome::Failed(why.to_string()));
        while flow == Flow::RunEnded && connection.left() > 0 && at < file_end {
            let geometry = swarm.geometry();
            let pieces = geometry.pieces(at..file_end);
            let first =
                if geometry.start(pieces.start) < at { pieces.start + 1 } else { pieces.start };
            let Next::Fetch(run) = swarm.schedule().next_run_within(worker, first..pieces.end)
            else {
                break;
            };
            let start = geometry.start(run.start);
            while at < start {
                let count = connection.read(start - at).map_err(failed)?.len();
                if count == 0 {
                    return Err(Left::Connection);
                }
                connection.consume(count);
                swarm.skipped();
                at += count as u64;
            }
            let end = geometry.bytes(run).end.min(file_end);
            flow = Flow::RunEnded;
            while at < end {
                let bytes = connection.read(end - at).map_err(failed)?;
                let count = bytes.len();
                if count == 0 {
                    return Err(Left::Connection);
                }
                flow = feeder.feed(at, bytes);
                self.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
                connection.consume(count);
                at += count as u64;
                if flow != Flow::Onward {
                    break;
                }
            }
            if flow == Flow::Onward {
                // The run reaches into the next file: that is asked for anew.
                flow = Flow::RunEnded;
                break;
            }
        }
        Ok(flow)
    }

    /// What follows from a reply, to a request for `url`, that has no useful body.
    fn refused(&self, swarm: &Swarm, file: u32, url: &str, verdict: &Verdict) -> Left {
        let metainfo = swarm.partial.metainfo();
        let Some((torrent_file, first)) =
            metainfo.files.get(file as usize).zip(self.first_url(swarm, file))
        else {
            return Left::Connection;
        };
        let lost = |said: String| {
            if self.redirects.begin_anew(file, &first, url) {
                return Left::Elsewhere;
            }
            // The URL of a single file has its name.
            let said_of = match metainfo.multi {
                true => format!("`{}`: {said}", printable(&metainfo.display_path(torrent_file))),
                false => said.clone(),
            };
            swarm.report.note(&self.url, said_of);
            // First: whether all sources together lack it is asked when it is lost.
            if self.lost.is_empty() {
                swarm.tell(super::Event::Lacks(self.id));
            }
            self.lost.lose(swarm, self.id, file);
            // A server that has nothing is not asked for each of 100,000 files.
            let in_a_row = self.refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
            if in_a_row.is_multiple_of(REFUSED_IN_A_ROW) {
                return Left::Worker(Outcome::Failed(format!(
                    "refused {in_a_row} files in a row, the last one so: {said}"
                )));
            }
            Left::File
        };
        match verdict {
            Verdict::Body { .. } => Left::Connection,
            Verdict::Redirect(location) => match self.redirects.follow(file, &first, url, location)
            {
                Ok(()) => Left::Elsewhere,
                Err(why) => lost(why),
            },
            Verdict::Gone(status) | Verdict::Refused(status) => lost(status_text(*status)),
            Verdict::Stale(why) => lost(why.clone()),
            Verdict::Pause(pause) => {
                let back_off = swarm.client.timing().back_off;
                let pause = pause.unwrap_or(back_off * 4).max(back_off).min(MAX_PAUSE);
                Left::Worker(Outcome::Paused(
                    pause,
                    format!("asks for a pause of {}", crate::size::seconds(pause)),
                ))
            }
            Verdict::Retry(status) => Left::Worker(Outcome::Failed(status_text(*status))),
        }
    }
}

/// Runs a web seed's worker.
pub fn work(swarm: &Arc<Swarm>, seed: &Arc<WebSeed>, worker: WorkerId) -> Outcome {
    seed.work(swarm, worker)
}
