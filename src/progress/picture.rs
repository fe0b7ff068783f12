//! Draws the bars on the terminal, and messages below them.

use std::path::Path;
use std::time::Duration;

use super::bars::Bars;
use super::frame::{Begin, kept};
use super::terminal::{self, Terminal, Watched};
use super::view::{self, View};
use crate::counters::{Phase, UserMessage};
use crate::settings::{Context, Progress};

/// An unchanged picture is redrawn at this interval, because Cargo's own lines overwrite parts of
/// it.
const REPAIR: Duration = Duration::from_secs(1);
/// How long a process that only waits leaves the terminal to others: longer than they take to check
/// the terminal again.
const OTHERS_FIRST: Duration = Duration::from_secs(2);
/// How long a message is shown below the bars.
const MESSAGE_STAYS: Duration = Duration::from_secs(30);

/// Whether a message of this age is still shown below the bars.
pub(super) fn still_holds(message: &UserMessage, age: Duration, views: &[View]) -> bool {
    match &message.waiting {
        Some(name) => {
            let name = view::printable(name);
            views.iter().any(|view| view.name == name && view.phase == Phase::Waiting)
        }
        None => age < MESSAGE_STAYS,
    }
}

/// Whether this process only waits for others, and has not done so for long: a process that
/// fetches, perhaps on this terminal, may then draw first. `since` keeps when the waiting began.
pub(super) fn lets_others_draw(
    since: &mut Option<Duration>,
    now: Duration,
    views: &[View],
) -> bool {
    let idle = |view: &View| matches!(view.phase, Phase::Queued | Phase::Waiting);
    if views.iter().filter(|view| !view.phase.is_over()).all(idle) {
        now.saturating_sub(*since.get_or_insert(now)) < OTHERS_FIRST
    } else {
        *since = None;
        false
    }
}

/// Returns the terminal if bars may be drawn on it.
pub(super) fn place(
    context: &Context,
    mode: Progress,
    lock_dir: &Path,
    watched: Watched,
) -> Option<Terminal> {
    let has_bars = mode == Progress::Auto && terminal::environment_allows(context);
    has_bars.then(|| Terminal::new(lock_dir, watched))
}

/// The picture on the terminal, if there is one.
pub(super) struct Picture {
    pub(super) bars: Bars,
    terminal: Option<Terminal>,
    messages: Vec<(Duration, UserMessage)>,
    shown: String,
    drawn_at: Duration,
    idle_since: Option<Duration>,
    begin_at: Begin,
}

impl Picture {
    /// Creates a picture. Without a terminal nothing is drawn.
    pub(super) fn new(terminal: Option<Terminal>, begin_at: Begin) -> Picture {
        Picture {
            bars: Bars::new(),
            terminal,
            messages: Vec::new(),
            shown: String::new(),
            drawn_at: Duration::ZERO,
            idle_since: None,
            begin_at,
        }
    }

    /// Creates the picture of a build script.
    pub(super) fn of_build(context: &Context, mode: Progress, lock_dir: &Path) -> Picture {
        Picture::new(place(context, mode, lock_dir, Watched::Parent(None)), Begin::Below)
    }

    pub(super) fn is_shown(&self) -> bool {
        !self.shown.is_empty()
    }

    /// Whether bars will replace the log from the start. True for commands, which report the result
    /// themselves.
    pub(super) fn will_draw(&mut self, now: Duration) -> bool {
        self.begin_at == Begin::Here
            && self.terminal.as_mut().is_some_and(|terminal| terminal.open(now).is_some())
    }

    /// Whether the picture belongs to a command that the user called, which reports its result
    /// itself.
    pub(super) fn is_of_command(&self) -> bool {
        self.begin_at == Begin::Here
    }

    /// Writes lines that stay on the terminal, above the bars. Other processes may be drawing
    /// there, and continue below the lines.
    pub(super) fn keep(&mut self, lines: &[String]) {
        if lines.is_empty() || self.is_of_command() {
            return;
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.write_beside(&kept(lines));
            self.shown.clear();
        }
    }

    /// Adds a message to be shown below the bars.
    pub(super) fn say(&mut self, now: Duration, message: UserMessage) {
        self.messages.push((now, message));
    }

    pub(super) fn draw(&mut self, now: Duration, views: &[View]) {
        // A command reports at once that it waits.
        if self.begin_at == Begin::Below && lets_others_draw(&mut self.idle_since, now, views) {
            self.erase();
            if let Some(terminal) = &mut self.terminal {
                terminal.release();
            }
            return;
        }
        let Some(terminal) = &mut self.terminal else { return };
        let Some(size) = terminal.open(now) else {
            self.shown.clear();
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
        } else if picture != self.shown || now.saturating_sub(self.drawn_at) >= REPAIR {
            let drawn = terminal.write(&picture);
            self.shown = if drawn { picture } else { String::new() };
            self.drawn_at = now;
        }
    }

    pub(super) fn erase(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| !self.shown.is_empty()) {
            // The write is refused if we are in the background: the terminal then belongs to the
            // shell.
            terminal.write(self.begin_at.erase());
            self.shown.clear();
        }
    }
}
