//! Displays [`Counters`]: bars on the terminal, plain lines on stderr.
//!
//! Layer 3; the only module that accesses the terminal and stderr. It reads counters and changes
//! none: the display does not affect a download.
//!
//! - **Plain lines** go to stderr (`plain.rs`): one per change of a dataset's phase, a few while it
//!   is fetched, and the messages. Cargo hides a build script's stderr unless the script fails, so
//!   they document a failed build.
//! - **What was fetched** is also printed to the terminal, where it stays after the bars. A build
//!   that fetched nothing prints nothing.
//! - **Bars** go to the terminal (`picture.rs`, `bars.rs`, `frame.rs`), which a build script can
//!   open although its output is hidden. They are drawn only if nothing else uses the terminal
//!   (`terminal.rs`), which a build script can determine on Linux alone. Elsewhere, and without the
//!   feature `fetch` (`no_picture.rs`), there are only plain lines.
//!
//! A function of the program (`callback.rs`) is called on a separate thread, because it may be
//! slow.
//!
//! One thread reads the counters ten times a second. Nothing here fails: output that cannot be
//! written is dropped. The end waits for the thread, but not for a terminal or pipe that does not
//! accept output.

#[cfg(feature = "fetch")]
mod bars;
mod callback;
#[cfg(feature = "engine")]
pub mod command;
#[cfg(feature = "fetch")]
mod frame;
#[cfg(not(feature = "fetch"))]
mod no_picture;
#[cfg(feature = "fetch")]
mod picture;
mod plain;
mod rate;
#[cfg(feature = "fetch")]
mod terminal;
mod view;

#[cfg(feature = "fetch")]
#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::counters::{Counters, DatasetCounters, UserMessage};
use crate::settings::{Context, Progress};

#[cfg(not(feature = "fetch"))]
use no_picture::NoPicture as Picture;
#[cfg(feature = "fetch")]
use picture::Picture;
use plain::PlainLog;
use rate::Rate;
use view::View;

pub use callback::{ProgressCallback, Snapshot};

/// How often the counters are read; also the minimum interval between draws.
const TICK: Duration = Duration::from_millis(100);
/// How long the end waits for a terminal that is paused (Ctrl-S).
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The display of one run. Dropping it erases the bars and prints the remaining lines.
#[derive(Debug)]
#[must_use = "drawing ends when this is dropped"]
pub struct ProgressDisplay {
    running: Option<(Sender<()>, Receiver<()>)>,
}

/// Starts to display `counters` as `mode` says. `lock_dir` holds the lock that lets one process at
/// a time draw.
pub fn start(
    counters: Arc<Counters>,
    context: &Context,
    mode: Progress,
    lock_dir: &Path,
) -> ProgressDisplay {
    if mode == Progress::Off {
        return ProgressDisplay { running: None };
    }
    run(Drawing::new(counters, Picture::of_build(context, mode, lock_dir)))
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
    // Without the thread nothing is displayed, and the download runs all the same.
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

/// Returns [`View::sources`] of the dataset with this number. The last argument says whether it has
/// ended.
type SourcesOf = dyn FnMut(Duration, usize, &DatasetCounters, bool) -> Vec<(String, String)> + Send;

/// The state of the display thread.
struct Drawing {
    counters: Arc<Counters>,
    begin: Instant,
    rates: Vec<Rate>,
    log: PlainLog,
    picture: Picture,
    /// At run time (`get`), stderr may be the terminal that shows the bars.
    stderr_is_terminal: bool,
    /// Lists a dataset's sources, if requested.
    sources: Option<Box<SourcesOf>>,
}

impl Drawing {
    fn new(counters: Arc<Counters>, picture: Picture) -> Drawing {
        Drawing {
            counters,
            begin: Instant::now(),
            rates: Vec::new(),
            log: PlainLog::default(),
            picture,
            stderr_is_terminal: std::io::stderr().is_terminal(),
            sources: None,
        }
    }

    fn tick(&mut self) {
        if self.counters.is_stopped() {
            return self.picture.erase();
        }
        let now = self.begin.elapsed();
        // Before the phases are read: a process that waits sets its phase first and then adds its
        // message.
        let said = self.counters.take_messages();
        let views = self.views(now);
        let beside =
            self.stderr_is_terminal && (self.picture.is_shown() || self.picture.will_draw(now));
        self.print(now, &views, said, beside);
        self.picture.draw(now, &views);
    }

    fn end(&mut self) {
        self.picture.erase();
        if self.counters.is_stopped() {
            return;
        }
        let now = self.begin.elapsed();
        let said = self.counters.take_messages();
        let views = self.views(now);
        let beside = self.stderr_is_terminal && self.picture.will_draw(now);
        self.print(now, &views, said, beside);
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

    /// Prints to stderr. While bars are on the same terminal, only messages and what was fetched,
    /// above the bars.
    fn print(&mut self, now: Duration, views: &[View], said: Vec<UserMessage>, beside_bars: bool) {
        let mut lines = self.log.lines(now, views);
        let fetched = std::mem::take(&mut self.log.fetched);
        if beside_bars {
            lines = if self.picture.is_of_command() { Vec::new() } else { fetched };
        } else if !self.stderr_is_terminal {
            self.picture.keep(&fetched);
        }
        for message in said {
            lines.push(plain::prefixed(&message.text));
            if !self.stderr_is_terminal {
                self.picture.say(now, message);
            }
        }
        if lines.is_empty() {
            return;
        }
        self.picture.erase();
        // One write, so that lines of parallel processes do not mix. A closed pipe is not a
        // failure.
        let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}
