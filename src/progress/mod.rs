//! Draws [`Counters`] for a person: bars on the terminal, plain lines on stderr.
//!
//! Layer 3; the one module that touches the terminal and stderr. It reads counters and changes none:
//! a download that nobody draws is the same download.
//!
//! - **Plain lines** go to stderr (`plain.rs`): one where a dataset's phase changes, few while it
//!   fetches, and the messages. Cargo hides a build script's stderr unless the script fails, so
//!   they tell a failed build's story.
//! - **Bars** go to the terminal (`bars.rs`, `frame.rs`), which a build script can open although
//!   its output is hidden; only where that is polite (`terminal.rs`). On Linux alone: elsewhere
//!   there is no way, without foreign calls, to learn whether we are in the foreground, so there
//!   are plain lines only.
//!
//! One thread looks at the counters ten times a second. Nothing here can fail: what cannot be
//! written is not written. The end waits for the thread, but not for a terminal or a pipe that
//! takes no more.

mod bars;
#[cfg(feature = "engine")]
pub mod command;
mod frame;
mod plain;
mod rate;
mod terminal;
mod view;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::counters::{Counters, DatasetCounters, Phase, UserMessage};
use crate::settings::{Context, ProgressMode};

use bars::Bars;
use frame::Begin;
use plain::PlainLog;
use rate::Rate;
use terminal::{Terminal, Watched};
use view::View;

/// How often the counters are looked at, and at most drawn.
const TICK: Duration = Duration::from_millis(100);
/// An unchanged picture is drawn again after so long: cargo's own lines overwrite parts of it.
const REPAIR: Duration = Duration::from_secs(1);
/// How long the end waits for a terminal that takes no more (Ctrl-S).
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long who only waits leaves the terminal to others: longer than these need to look for it again.
const OTHERS_FIRST: Duration = Duration::from_secs(2);
/// How long a message stays below the bars.
const MESSAGE_STAYS: Duration = Duration::from_secs(30);

/// The drawing of one run. When it is dropped, the bars are erased and what is left to say is printed.
#[derive(Debug)]
#[must_use = "drawing ends when this is dropped"]
pub struct ProgressDisplay {
    running: Option<(Sender<()>, Receiver<()>)>,
}

/// Starts to draw `counters` as `mode` says; the lock that lets one process draw lies in `lock_dir`.
pub fn start(
    counters: Arc<Counters>,
    context: &Context,
    mode: ProgressMode,
    lock_dir: &Path,
) -> ProgressDisplay {
    let watched = Watched::Parent(None);
    let Some(terminal) = place(context, mode, lock_dir, watched) else {
        return ProgressDisplay { running: None };
    };
    run(Drawing::new(counters, terminal, Begin::Below))
}

/// Where it is drawn: `None` for nowhere, `Some(None)` for plain lines alone.
fn place(
    context: &Context,
    mode: ProgressMode,
    lock_dir: &Path,
    watched: Watched,
) -> Option<Option<Terminal>> {
    let has_bars = mode == ProgressMode::Auto && terminal::environment_allows(context);
    (mode != ProgressMode::Off).then(|| has_bars.then(|| Terminal::new(lock_dir, watched)))
}

fn run(mut drawing: Drawing) -> ProgressDisplay {
    let (stop, stopped) = mpsc::channel::<()>();
    let (ending, ended) = mpsc::channel::<()>();
    let drawn =
        thread::Builder::new().name("academictorrents-progress".to_owned()).spawn(move || {
            let _ending = ending;
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                drawing.tick();
            }
            drawing.end();
        });
    // Without a thread there is nothing to see, and nothing less to fetch.
    ProgressDisplay { running: drawn.is_ok().then_some((stop, ended)) }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some((stop, ended)) = self.running.take() {
            drop(stop);
            let _ = ended.recv_timeout(LAST_WORDS);
        }
    }
}

/// Whether a message that was said so long ago belongs below the bars.
fn still_holds(message: &UserMessage, age: Duration, views: &[View]) -> bool {
    match &message.waiting {
        Some(name) => {
            let name = view::printable(name);
            views.iter().any(|view| view.name == name && view.phase == Phase::Waiting)
        }
        None => age < MESSAGE_STAYS,
    }
}

/// Whether this process does nothing but wait for others, and not for long: whoever fetches, perhaps on this terminal, is then
/// let draw first. `since` keeps when that began.
fn lets_others_draw(since: &mut Option<Duration>, now: Duration, views: &[View]) -> bool {
    let idle = |view: &View| matches!(view.phase, Phase::Queued | Phase::Waiting);
    if views.iter().filter(|view| !view.phase.is_over()).all(idle) {
        now.saturating_sub(*since.get_or_insert(now)) < OTHERS_FIRST
    } else {
        *since = None;
        false
    }
}

/// Of a dataset with this number, that has ended or not: see [`View::sources`].
type SourcesOf = dyn FnMut(Duration, usize, &DatasetCounters, bool) -> Vec<(String, String)> + Send;

/// What the thread knows.
struct Drawing {
    counters: Arc<Counters>,
    begin: Instant,
    rates: Vec<Rate>,
    log: PlainLog,
    bars: Bars,
    terminal: Option<Terminal>,
    /// At run time (`get`), stderr may be the very terminal that has the bars.
    stderr_is_terminal: bool,
    messages: Vec<(Duration, UserMessage)>,
    picture: String,
    drawn_at: Duration,
    idle_since: Option<Duration>,
    begin_at: Begin,
    /// What is shown of a dataset's sources, where they were asked for.
    sources: Option<Box<SourcesOf>>,
}

impl Drawing {
    fn new(counters: Arc<Counters>, terminal: Option<Terminal>, begin_at: Begin) -> Drawing {
        Drawing {
            counters,
            begin: Instant::now(),
            rates: Vec::new(),
            log: PlainLog::default(),
            bars: Bars::new(),
            terminal,
            stderr_is_terminal: std::io::stderr().is_terminal(),
            messages: Vec::new(),
            picture: String::new(),
            drawn_at: Duration::ZERO,
            idle_since: None,
            begin_at,
            sources: None,
        }
    }

    fn tick(&mut self) {
        if self.counters.is_stopped() {
            return self.erase();
        }
        let now = self.begin.elapsed();
        // Before the phases are read: whoever waits says so after its phase.
        let said = self.counters.take_messages();
        let views = self.views(now);
        let beside = self.stderr_is_terminal && (!self.picture.is_empty() || self.will_draw(now));
        self.print(now, &views, said, beside);
        self.draw(now, &views);
    }

    fn end(&mut self) {
        self.erase();
        if self.counters.is_stopped() {
            return;
        }
        let now = self.begin.elapsed();
        let said = self.counters.take_messages();
        let views = self.views(now);
        let beside = self.stderr_is_terminal && self.will_draw(now);
        self.print(now, &views, said, beside);
    }

    /// Whether bars tell, from the beginning on, what the lines of a log would: so for a command, which tells the end itself.
    fn will_draw(&mut self, now: Duration) -> bool {
        self.begin_at == Begin::Here
            && self.terminal.as_mut().is_some_and(|terminal| terminal.open(now).is_some())
    }

    fn views(&mut self, now: Duration) -> Vec<View> {
        let datasets = self.counters.datasets();
        self.rates.resize_with(datasets.len(), Rate::default);
        let mut views: Vec<View> = Vec::with_capacity(datasets.len());
        for (dataset, rate) in datasets.iter().zip(&mut self.rates) {
            let mut view = View::of(dataset);
            view.rate_bytes = rate.push(now, view.received_bytes);
            if let Some(sources) = &mut self.sources {
                view.sources = sources(now, views.len(), dataset, view.phase.is_over());
            }
            views.push(view);
        }
        views
    }

    /// Prints to stderr; while the bars are on that same terminal, the messages alone, above them.
    fn print(&mut self, now: Duration, views: &[View], said: Vec<UserMessage>, beside_bars: bool) {
        let mut lines = self.log.lines(now, views);
        if beside_bars {
            lines.clear();
        }
        for message in said {
            lines.push(plain::prefixed(&message.text));
            if !self.stderr_is_terminal {
                self.messages.push((now, message));
            }
        }
        if lines.is_empty() {
            return;
        }
        self.erase();
        // One write, so that lines of parallel processes do not mix; a closed pipe is no failure.
        let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn draw(&mut self, now: Duration, views: &[View]) {
        // What the user called says at once that it waits.
        if self.begin_at == Begin::Below && lets_others_draw(&mut self.idle_since, now, views) {
            self.erase();
            if let Some(terminal) = &mut self.terminal {
                terminal.release();
            }
            return;
        }
        let Some(terminal) = &mut self.terminal else { return };
        let Some(size) = terminal.open(now) else {
            self.picture.clear();
            return;
        };
        self.messages
            .retain(|(said, message)| still_holds(message, now.saturating_sub(*said), views));
        let messages: Vec<&str> =
            self.messages.iter().map(|(_, message)| message.text.as_str()).collect();
        let lines = self.bars.lines(views, &messages, size);
        let picture = if lines.is_empty() {
            String::new()
        } else {
            self.begin_at.frame(&lines, size.columns)
        };
        if picture.is_empty() {
            self.erase();
        } else if picture != self.picture || now.saturating_sub(self.drawn_at) >= REPAIR {
            let drawn = terminal.write(&picture);
            self.picture = if drawn { picture } else { String::new() };
            self.drawn_at = now;
        }
    }

    fn erase(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| !self.picture.is_empty()) {
            // Where this is refused, we are in the background: what is there is the shell's now.
            terminal.write(self.begin_at.erase());
            self.picture.clear();
        }
    }
}
