//! The worker of one connection to a web seed (BEP 19), or to a mirror that is a URL.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::event::WorkerOutcome;
use super::stream::{Feeder, Flow, Part, parts};
use super::swarm::Swarm;
use super::web_seed::WebSeed;
use crate::engine::sources::http_pipeline::HttpPipeline;
use crate::net::SourceError;
use crate::picker::{Next, WorkerId};
use crate::protocol::http::Head;
use crate::protocol::http::verdict::{Verdict, judge};
use crate::url::Url;

/// If a reply begins before the requested range by at most this much, the excess is read and
/// discarded; by more than this, only if no other source has the data.
const NEAR_BYTES: u64 = 1 << 20;

/// After this many refused files in a row, the server is considered to have failed.
const REFUSED_IN_A_ROW: u32 = 16;

/// The longest pause that a server may ask for.
const MAX_SEED_PAUSE: Duration = Duration::from_secs(60);

/// Why a run was left, and how to continue.
enum Left {
    /// Continue with the next run on this connection.
    Run,
    /// Continue with the next run on a new connection: the rest of this one's data is useless.
    Connection,
    /// The seed does not have this file: continue the run after it.
    File,
    /// Continue with the next run: the file must be requested at another URL.
    Elsewhere,
    Worker(WorkerOutcome),
}

/// Fetches runs from a web seed until none are left.
pub fn work(swarm: &Swarm, seed: &WebSeed, worker: WorkerId) -> WorkerOutcome {
    let mut it = WebWorker { swarm, seed, worker, pipeline: HttpPipeline::default(), begins: None };
    while let Some(run) = swarm.next_run(seed.id, worker) {
        match it.fetch_run(&run) {
            Left::Run => {}
            Left::Elsewhere if it.pipeline.drain() => {}
            Left::Connection | Left::File | Left::Elsewhere => it.pipeline.close(),
            Left::Worker(outcome) => return outcome,
        }
    }
    WorkerOutcome::Ended
}

struct WebWorker<'a> {
    swarm: &'a Swarm,
    seed: &'a WebSeed,
    worker: WorkerId,
    pipeline: HttpPipeline,
    /// The file of a reply whose body has not begun yet.
    begins: Option<u32>,
}

impl<'a> WebWorker<'a> {
    fn fetch_run(&mut self, run: &Range<u32>) -> Left {
        let lost = &self.seed.lost;
        let before = lost.begin(self.swarm, run);
        let left = self.fetch_parts(run);
        self.seed.ends_streams(self.worker);
        lost.settle(self.swarm, self.seed.id, run, &before);
        left
    }

    fn fetch_parts(&mut self, run: &Range<u32>) -> Left {
        let (swarm, seed) = (self.swarm, self.seed);
        let mut parts = parts(swarm, seed.id, run);
        let mut feeder = Feeder::new(swarm, seed.id, self.worker);
        while let Some(part) = parts.pop_front() {
            let Some((file, _)) = part.file else {
                match feeder.feed_zeros(part.range) {
                    _ if self.is_mixed_up(&feeder) => return Left::Connection,
                    Flow::Onward => continue,
                    flow => return self.left(flow),
                }
            };
            if seed.lost.contains(file) {
                continue;
            }
            if seed.most_connections().is_some() && !seed.streams(file, self.worker) {
                return self.leave_to_others();
            }
            let (head, url) = match self.pipeline.reply(seed, swarm, file, &part, &parts) {
                Ok(reply) => reply,
                Err(why) if why.is_refused() => return self.refused_address(file, why),
                Err(why) => return failed(why),
            };
            match self.read_body(&mut feeder, &head, &url, &part) {
                Ok(Flow::Onward) => self.pipeline.shut_if_ended(),
                Ok(flow) => return self.left(flow),
                // The replies to the requests behind it are on their way.
                Err(Left::File) if self.pipeline.drain() => {}
                Err(left) => return left,
            }
        }
        Left::Run
    }

    /// Whether bytes of a corrupt piece may be correct but belong to another request. Then the source
    /// is not to blame, and gets one request at a time from now on.
    fn is_mixed_up(&mut self, feeder: &Feeder<'_>) -> bool {
        let (swarm, seed) = (self.swarm, self.seed);
        // If another connection was the first to notice, `may_mix_up` is false now.
        let may_be = self.pipeline.has_asked_ahead || seed.may_mix_up();
        if !feeder.fed_wrong || !may_be {
            return false;
        }
        self.pipeline.has_asked_ahead = false;
        seed.ask_one_at_a_time();
        swarm.schedule().forgive_strikes(seed.id);
        true
    }

    /// Pauses, since other workers read the file from a server without ranges.
    fn leave_to_others(&self) -> Left {
        let pause = self.swarm.phase.client.timing().back_off * 4;
        Left::Worker(WorkerOutcome::Paused(pause, SourceError::NoRanges))
    }

    /// If the seed's own address is refused, the seed is lost. For a redirect, only this file is
    /// lost: other files may redirect elsewhere.
    fn refused_address(&self, file: u32, why: SourceError) -> Left {
        let (swarm, seed) = (self.swarm, self.seed);
        if seed.redirects.target(file).is_none() {
            return Left::Worker(WorkerOutcome::Lost(why));
        }
        swarm.phase.report.note(&seed.url.to_string(), Err(why));
        seed.lost.lose(swarm, seed.id, file);
        Left::File
    }

    fn left(&self, flow: Flow) -> Left {
        match flow {
            Flow::Banned => Left::Worker(WorkerOutcome::Lost(SourceError::Banned)),
            Flow::Over => Left::Worker(WorkerOutcome::Ended),
            Flow::OtherVersion(file, piece) => {
                self.seed.lost.lose_version(self.swarm, self.seed.id, file, piece);
                Left::File
            }
            // Replies to requests beyond the run's end would arrive first on this connection.
            Flow::RunEnded | Flow::Onward if self.pipeline.is_idle() => Left::Run,
            Flow::RunEnded | Flow::Onward => Left::Connection,
        }
    }

    /// Reads the body of a successful reply into the pieces.
    fn read_body(
        &mut self,
        feeder: &mut Feeder<'a>,
        head: &Head,
        url: &Url,
        part: &Part,
    ) -> Result<Flow, Left> {
        let (swarm, seed) = (self.swarm, self.seed);
        let Some((file, _)) = part.file else { return Err(Left::Connection) };
        let file_length =
            swarm.partial.metainfo().files.get(file as usize).map_or(0, |file| file.length);
        let asked = part.file_range();
        let (skip, length) = match judge(head, &asked, file_length) {
            Verdict::Body { skip, len } => {
                seed.redirects.brought(file);
                self.begins = Some(file);
                seed.refused_in_a_row.store(0, Ordering::Relaxed);
                (skip, len)
            }
            Verdict::Stale(_) | Verdict::Refused(_) | Verdict::Retry(_)
                if self.pipeline.is_mixed_up(seed) =>
            {
                return Err(Left::Connection);
            }
            // Some servers use 403 for too many connections. After a connection has served data,
            // 403 refers to the file.
            Verdict::Gone(403)
                if !self.pipeline.has_served && swarm.schedule().workers_of(seed.id) > 1 =>
            {
                let pause = swarm.phase.client.timing().back_off;
                let why = seed.asked(url, SourceError::Status(403));
                return Err(Left::Worker(WorkerOutcome::Paused(pause, why)));
            }
            other => return Err(self.refused(file, url, &other)),
        };
        self.pipeline.has_served = true;
        let whole_from = part.range.start - asked.start;
        let mut is_found_again = false;
        if head.status == 200 && asked != (0..file_length) {
            let was_known = seed.has_no_ranges();
            let (others_have, is_alone, front_comes) = {
                let schedule = swarm.schedule();
                let piece = swarm.geometry().piece_at(part.range.start);
                let others_have = schedule.others_have(seed.id, piece, swarm.now());
                let first = swarm.geometry().piece_at(whole_from);
                let front_comes = schedule.is_fetched_beside(self.worker, first..piece);
                is_found_again = swarm.geometry().start(piece) >= whole_from
                    && schedule.is_found_again(seed.id, piece);
                (others_have, schedule.workers_of(seed.id) <= 1, front_comes)
            };
            // One stream from the beginning of the file is enough, and none is needed if other
            // sources have the data; those may fail later. A worker that reads from the front has
            // priority even if this worker's reply arrives first: this stream would have to skip
            // the pieces that the other worker has claimed.
            let gives_way = skip > 0 && (front_comes || (!was_known && !is_alone));
            if gives_way || (skip > NEAR_BYTES && others_have) || !seed.streams(file, self.worker) {
                return Err(self.leave_to_others());
            }
        }
        if self.pipeline.connection.is_none() {
            return Err(Left::Connection);
        }
        let file_end = whole_from + file_length;
        if skip > 0 && is_found_again {
            // The bytes before the requested range may be useful, too. This releases the run: one
            // that was not found again would be requested anew, without end.
            return self.go_on(feeder, Flow::RunEnded, whole_from, file_end);
        }
        let (mut skipped, mut at) = (0, part.range.start);
        let end = at + length;
        while at < end {
            let is_wanted = skipped == skip;
            let (from, until) = if is_wanted { (at, end) } else { (skipped, skip) };
            // The file's URL may explain the failure.
            let read = self.read_on(feeder, from..until, is_wanted).map_err(|left| match left {
                Left::Worker(WorkerOutcome::Failed(why)) => failed(seed.asked(url, why)),
                left => left,
            })?;
            let Some((count, flow)) = read else {
                return Err(failed(seed.asked(url, SourceError::EndedEarly(end - at))));
            };
            *(if is_wanted { &mut at } else { &mut skipped }) += count;
            match flow {
                Flow::Onward => {}
                flow if head.status == 200 => return self.go_on(feeder, flow, at, file_end),
                flow => return Ok(flow),
            }
        }
        if end < part.range.end {
            // The reply covers less than the requested range: the rest is requested again.
            return Err(Left::Connection);
        }
        Ok(Flow::Onward)
    }

    /// Reads some of the next bytes of the reply. If `is_wanted`, they are the bytes of `range` in
    /// the torrent's byte stream, and are fed. Returns how many bytes were read and what to do
    /// next; `None` at the end of the reply.
    fn read_on(
        &mut self,
        feeder: &mut Feeder<'a>,
        range: Range<u64>,
        is_wanted: bool,
    ) -> Result<Option<(u64, Flow)>, Left> {
        let Some(connection) = &mut self.pipeline.connection else { return Err(Left::Connection) };
        let bytes = connection.read(range.end - range.start).map_err(failed)?;
        let count = bytes.len();
        if let Some(file) = self.begins.take_if(|_| count > 0) {
            self.seed.lost.record_sent(file);
        }
        let flow = match is_wanted {
            true if count > 0 => feeder.feed(range.start, bytes),
            _ => Flow::Onward,
        };
        match is_wanted {
            true => drop(self.seed.received_bytes.fetch_add(count as u64, Ordering::Relaxed)),
            false => self.swarm.skipped(count as u64),
        }
        connection.consume(count);
        if self.is_mixed_up(feeder) {
            return Err(Left::Connection);
        }
        Ok((count > 0).then_some((count as u64, flow)))
    }

    /// Continues to read a file from a server without ranges, and claims the runs that follow where
    /// they are still needed.
    fn go_on(
        &mut self,
        feeder: &mut Feeder<'a>,
        mut flow: Flow,
        mut at: u64,
        file_end: u64,
    ) -> Result<Flow, Left> {
        let (swarm, geometry) = (self.swarm, self.swarm.geometry());
        let has_more = |it: &HttpPipeline| it.connection.as_ref().is_some_and(|it| it.left() > 0);
        while flow == Flow::RunEnded && has_more(&self.pipeline) && at < file_end {
            let pieces = geometry.pieces(at..file_end);
            let first =
                if geometry.start(pieces.start) < at { pieces.start + 1 } else { pieces.start };
            let next =
                swarm.schedule().next_run_within(self.worker, first..pieces.end, swarm.now());
            let Next::Fetch(run) = next else { break };
            let (start, end) = (geometry.start(run.start), geometry.bytes(run).end.min(file_end));
            while at < end {
                let is_wanted = at >= start;
                let until = if is_wanted { end } else { start };
                let read = self.read_on(feeder, at..until, is_wanted)?;
                let (count, next) = read.ok_or(Left::Connection)?;
                at += count;
                if is_wanted {
                    flow = next;
                }
                if is_wanted && flow != Flow::Onward {
                    break;
                }
            }
            if flow == Flow::Onward {
                // The run continues in the next file, which is requested separately.
                return Ok(Flow::RunEnded);
            }
        }
        Ok(flow)
    }

    /// Handles a reply without a useful body to a request for `url`.
    fn refused(&self, file: u32, url: &Url, verdict: &Verdict) -> Left {
        let (swarm, seed) = (self.swarm, self.seed);
        let Some(first) = seed.first_url(swarm, file) else { return Left::Connection };
        let lost = |why: SourceError| {
            if seed.redirects.begin_anew(file, &first, url) || seed.is_other_form(swarm, file, url)
            {
                return Left::Elsewhere;
            }
            swarm.phase.report.note(&seed.url.to_string(), Err(seed.asked(url, why.clone())));
            if seed.redirects.next_form(file, seed.urls.forms()) {
                return Left::Elsewhere;
            }
            seed.lost.lose(swarm, seed.id, file);
            // A server that has none of 100,000 files is not asked for each.
            let in_a_row = seed.refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
            if in_a_row % REFUSED_IN_A_ROW == 0 {
                let why = SourceError::RefusedFiles(in_a_row, Box::new(seed.asked(url, why)));
                return failed(why);
            }
            Left::File
        };
        // Of several servers behind one name, some may lack a file that others have sent.
        let others_have = || url == &first && seed.lost.has_sent(file);
        match verdict {
            Verdict::Body { .. } => Left::Connection,
            Verdict::Redirect(location) => match seed.redirects.follow(file, &first, url, location)
            {
                Ok(()) => Left::Elsewhere,
                Err(why) => lost(why),
            },
            Verdict::Gone(status) | Verdict::Refused(status) if !others_have() => {
                lost(SourceError::Status(*status))
            }
            Verdict::Stale(why) => lost(SourceError::Stale(why.clone())),
            // The bot check would be the same for every file.
            Verdict::BotCheck(status) => {
                let why = seed.asked(url, SourceError::BotCheck(*status));
                Left::Worker(WorkerOutcome::Lost(why))
            }
            Verdict::Pause(pause) => {
                let back_off = swarm.phase.client.timing().back_off;
                let pause = pause.unwrap_or(back_off * 4).max(back_off).min(MAX_SEED_PAUSE);
                Left::Worker(WorkerOutcome::Paused(pause, SourceError::Pause(pause)))
            }
            Verdict::Gone(status) | Verdict::Refused(status) | Verdict::Retry(status) => {
                let pause = swarm.phase.client.timing().back_off;
                match seed.lost.keeps_failing(file, swarm.now(), pause) {
                    true => lost(SourceError::Status(*status)),
                    false => {
                        let why = seed.asked(url, SourceError::Status(*status));
                        Left::Worker(WorkerOutcome::FileFailed(why))
                    }
                }
            }
        }
    }
}

fn failed(why: SourceError) -> Left {
    Left::Worker(WorkerOutcome::Failed(why))
}
