//! A connection to a web seed (BEP 19), or to a mirror that is a URL.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::event::WorkerOutcome;
use super::stream::{Feeder, Flow, Part, parts};
use super::swarm::Swarm;
use super::web_seed::WebSeed;
use crate::engine::sources::http_pipeline::HttpPipeline;
use crate::net::{Connection, SourceError};
use crate::picker::{Next, WorkerId};
use crate::protocol::http::Head;
use crate::protocol::http::verdict::{Verdict, judge};
use crate::url::Url;

/// A reply that begins so far before what was asked is read past; beyond that only where nobody else has it.
const NEAR_BYTES: u64 = 1 << 20;

/// So many files refused, and none served in between, count as a failure of the server.
const REFUSED_IN_A_ROW: u32 = 16;

/// The longest pause that a server may ask for.
const MAX_SEED_PAUSE: Duration = Duration::from_secs(60);

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
    Worker(WorkerOutcome),
}

impl WebSeed {
    /// Fetches runs until there are none.
    pub fn work(&self, swarm: &Swarm, worker: WorkerId) -> WorkerOutcome {
        let mut pipeline = HttpPipeline::default();
        while let Some(run) = swarm.next_run(self.id, worker) {
            match self.fetch_run(swarm, worker, &mut pipeline, run) {
                Left::Run => {}
                Left::Elsewhere if pipeline.drain() => {}
                Left::Connection | Left::File | Left::Elsewhere => pipeline.close(),
                Left::Worker(outcome) => return outcome,
            }
        }
        WorkerOutcome::Ended
    }

    fn fetch_run(
        &self,
        swarm: &Swarm,
        worker: WorkerId,
        pipeline: &mut HttpPipeline,
        run: Range<u32>,
    ) -> Left {
        let before = self.lost.partly(swarm, &run);
        let left = self.fetch_parts(swarm, worker, pipeline, &run);
        self.ends_streams(worker);
        self.lost.settle(swarm, self.id, &run, &before);
        left
    }

    fn fetch_parts(
        &self,
        swarm: &Swarm,
        worker: WorkerId,
        pipeline: &mut HttpPipeline,
        run: &Range<u32>,
    ) -> Left {
        let mut parts = parts(swarm, self.id, run);
        let mut feeder = Feeder::new(swarm, self.id, worker);
        while let Some(part) = parts.pop_front() {
            let Some((file, _)) = part.file else {
                match feeder.feed_zeros(part.range) {
                    Flow::Onward => continue,
                    flow => return self.left(pipeline, flow),
                }
            };
            if self.lost.contains(file) {
                continue;
            }
            if self.most_connections().is_some() && !self.streams(file, worker) {
                return self.leave_to_others(swarm);
            }
            let (head, url) = match pipeline.reply(self, swarm, file, &part, &parts) {
                Ok(reply) => reply,
                Err(why) if why.is_refused() => return self.refused_address(swarm, file, why),
                Err(why) => return Left::Worker(WorkerOutcome::Failed(why)),
            };
            let read = self.read_body(swarm, worker, pipeline, &mut feeder, &head, &url, &part);
            // Right bytes, as it may be, of another request.
            if feeder.fed_wrong && self.may_mix_up() {
                self.ask_one_at_a_time();
                swarm.schedule().forgive_strikes(self.id);
                return Left::Connection;
            }
            match read {
                Ok(Flow::Onward) => pipeline.shut_if_ended(),
                Ok(flow) => return self.left(pipeline, flow),
                // What was asked for behind it is on its way.
                Err(Left::File) if pipeline.drain() => {}
                Err(left) => return left,
            }
        }
        Left::Run
    }

    /// Others read the file, of a server without ranges.
    fn leave_to_others(&self, swarm: &Swarm) -> Left {
        let pause = swarm.phase.client.timing().back_off * 4;
        Left::Worker(WorkerOutcome::Paused(pause, SourceError::NoRanges))
    }

    /// The seed's own address is not asked again. Of a redirect only that file is lost: others may lead elsewhere.
    fn refused_address(&self, swarm: &Swarm, file: u32, why: SourceError) -> Left {
        if self.redirects.target(file).is_none() {
            return Left::Worker(WorkerOutcome::Lost(why));
        }
        swarm.phase.report.note(&self.url.to_string(), Err(why));
        self.lost.lose(swarm, self.id, file);
        Left::File
    }

    fn left(&self, pipeline: &HttpPipeline, flow: Flow) -> Left {
        match flow {
            Flow::Banned => Left::Worker(WorkerOutcome::Lost(SourceError::Banned)),
            Flow::Over => Left::Worker(WorkerOutcome::Ended),
            // What was asked for behind the run's end would come first on this connection.
            Flow::RunEnded | Flow::Onward if pipeline.is_idle() => Left::Run,
            Flow::RunEnded | Flow::Onward => Left::Connection,
        }
    }

    /// Reads the reply's body, if it is one, into the pieces.
    #[expect(clippy::too_many_arguments, reason = "all of them are one request's")]
    fn read_body(
        &self,
        swarm: &Swarm,
        worker: WorkerId,
        pipeline: &mut HttpPipeline,
        feeder: &mut Feeder<'_>,
        head: &Head,
        url: &Url,
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
            Verdict::Stale(_) | Verdict::Refused(_) | Verdict::Retry(_)
                if pipeline.is_mixed_up(self) =>
            {
                return Err(Left::Connection);
            }
            // So some say that a client has too many connections: whoever is served over one is not forbidden the file.
            Verdict::Gone(403)
                if !pipeline.has_served && swarm.schedule().workers_of(self.id) > 1 =>
            {
                let pause = swarm.phase.client.timing().back_off;
                let why = self.asked(url, SourceError::Status(403));
                return Err(Left::Worker(WorkerOutcome::Paused(pause, why)));
            }
            other => return Err(self.refused(swarm, file, url, &other)),
        };
        pipeline.has_served = true;
        let whole_from = part.range.start - asked.start;
        if head.status == 200 && asked != (0..file_length) {
            let was_known = self.has_no_ranges();
            let (others_have, is_alone, front_comes) = {
                let schedule = swarm.schedule();
                let piece = swarm.geometry().piece_at(part.range.start);
                let others_have = schedule.others_have(self.id, piece, swarm.now());
                let first = swarm.geometry().piece_at(whole_from);
                let front_comes = schedule.is_fetched_beside(worker, first..piece);
                (others_have, schedule.workers_of(self.id) <= 1, front_comes)
            };
            // One stream from the file's beginning is enough, and none where others have it; they may fail later. Who began at the
            // front goes on, though the reply to a request behind it comes first: that stream would pass over what is claimed.
            let gives_way = skip > 0 && (front_comes || (!was_known && !is_alone));
            if gives_way || (skip > NEAR_BYTES && others_have) || !self.streams(file, worker) {
                return Err(self.leave_to_others(swarm));
            }
        }
        let Some(connection) = &mut pipeline.connection else { return Err(Left::Connection) };
        if head.status == 200 && skip > 0 {
            // What comes first is of use, too.
            let end = whole_from + file_length;
            let begin = Flow::RunEnded;
            return self.go_on(swarm, worker, connection, feeder, begin, whole_from, end);
        }
        let failed = |why| Left::Worker(WorkerOutcome::Failed(why));
        let mut at = part.range.start;
        let end = part.range.start + length;
        while at < end {
            let wanted = if skip > 0 { skip } else { end - at };
            let bytes = connection.read(wanted).map_err(failed)?;
            let count = bytes.len();
            if count == 0 {
                return Err(failed(SourceError::EndedEarly(end - at)));
            }
            if skip > 0 {
                skip -= count as u64;
                swarm.skipped(count as u64);
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
                        whole_from + file_length,
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
        let failed = |why| Left::Worker(WorkerOutcome::Failed(why));
        while flow == Flow::RunEnded && connection.left() > 0 && at < file_end {
            let geometry = swarm.geometry();
            let pieces = geometry.pieces(at..file_end);
            let first =
                if geometry.start(pieces.start) < at { pieces.start + 1 } else { pieces.start };
            let Next::Fetch(run) =
                swarm.schedule().next_run_within(worker, first..pieces.end, swarm.now())
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
                swarm.skipped(count as u64);
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
    fn refused(&self, swarm: &Swarm, file: u32, url: &Url, verdict: &Verdict) -> Left {
        let Some(first) = self.first_url(swarm, file) else { return Left::Connection };
        let lost = |why: SourceError| {
            if self.redirects.begin_anew(file, &first, url) {
                return Left::Elsewhere;
            }
            if self.is_other_form(swarm, file, url) {
                return Left::Elsewhere;
            }
            swarm.phase.report.note(&self.url.to_string(), Err(self.asked(url, why.clone())));
            if self.redirects.next_form(file, self.urls.forms()) {
                return Left::Elsewhere;
            }
            self.lost.lose(swarm, self.id, file);
            // A server that has nothing is not asked for each of 100,000 files.
            let in_a_row = self.refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
            if in_a_row % REFUSED_IN_A_ROW == 0 {
                let why = SourceError::RefusedFiles(in_a_row, Box::new(self.asked(url, why)));
                return Left::Worker(WorkerOutcome::Failed(why));
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
            Verdict::Gone(status) | Verdict::Refused(status) => lost(SourceError::Status(*status)),
            Verdict::Stale(why) => lost(SourceError::Stale(why.clone())),
            // The same for each file.
            Verdict::BotCheck(status) => {
                let why = self.asked(url, SourceError::BotCheck(*status));
                Left::Worker(WorkerOutcome::Lost(why))
            }
            Verdict::Pause(pause) => {
                let back_off = swarm.phase.client.timing().back_off;
                let pause = pause.unwrap_or(back_off * 4).max(back_off).min(MAX_SEED_PAUSE);
                Left::Worker(WorkerOutcome::Paused(pause, SourceError::Pause(pause)))
            }
            Verdict::Retry(status) => {
                Left::Worker(WorkerOutcome::Failed(self.asked(url, SourceError::Status(*status))))
            }
        }
    }
}

/// Runs a web seed's worker.
pub fn work(swarm: &Arc<Swarm>, seed: &Arc<WebSeed>, worker: WorkerId) -> WorkerOutcome {
    seed.work(swarm, worker)
}
