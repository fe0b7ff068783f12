//! Draws a frame at or below the cursor's line, in one write.
//!
//! A command that the user called owns the cursor's line, and its frame starts there. A build
//! script does not: Cargo has its own bar on the terminal, leaves the cursor at the first column of
//! that line, and redraws or erases the line at any time. A build script's frame is therefore drawn
//! *below* the cursor and returns it, in a single write, which the terminal processes as a whole.
//! Lines leave the terminal's last column empty: a line that wraps, or is about to, would break the
//! way back.
//!
//! Ctrl-C ends a build script before it can erase its frame. The line between Cargo's and the frame
//! stays empty for this case: the shell's prompt appears there, and not across a bar.
//!
//! `indicatif` expects to own its lines. [`Line`] is the terminal that it sees: it keeps the text
//! and ignores cursor movements.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use indicatif::TermLike;

use crate::mutex::Mutex;

/// Where a frame starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Begin {
    /// Below the cursor's line, which belongs to Cargo.
    #[default]
    Below,
    /// In the cursor's line.
    Here,
}

impl Begin {
    /// Returns the text that erases the frame and leaves the cursor where it is.
    pub(super) fn erase(self) -> &'static str {
        match self {
            Begin::Below => "\r\n\x1b[J\x1b[1A\r",
            Begin::Here => "\r\x1b[J",
        }
    }

    /// Returns the frame that shows `lines`, clipped to the terminal's width.
    pub(super) fn frame(self, lines: &[String], columns: u16) -> String {
        let (first, above) = match self {
            Begin::Below => ("\r\n\x1b[K\r\n\x1b[K", 2),
            Begin::Here => ("\r\x1b[K", 0),
        };
        let mut frame = String::new();
        for (index, line) in lines.iter().enumerate() {
            frame.push_str(if index == 0 { first } else { "\r\n\x1b[K" });
            frame.push_str(clip(line, usize::from(columns).saturating_sub(1)));
        }
        frame.push_str("\x1b[J");
        // A terminal treats a move by 0 as a move by 1.
        match (above + lines.len()).saturating_sub(1) {
            0 => frame.push('\r'),
            up => {
                let _ = write!(frame, "\x1b[{up}A\r");
            }
        }
        frame
    }
}

/// Returns lines that replace the cursor's line and everything below. The cursor ends below them,
/// where other processes continue drawing.
pub(super) fn kept(lines: &[String]) -> String {
    lines.iter().fold("\r\x1b[J".to_owned(), |text, line| text + line + "\r\n")
}

/// Returns the longest prefix of `text` that certainly fits in this many columns.
///
/// Every non-ASCII character counts as two columns, the most that a terminal uses.
pub(super) fn clip(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += if c.is_ascii() { 1 } else { 2 };
        if used > columns {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// The line that `indicatif` draws its bar on. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    columns: Arc<AtomicU16>,
    text: Arc<Mutex<String>>,
}

impl Line {
    /// Sets the width for the next draw: `indicatif` queries it several times per draw, and
    /// subtracts.
    pub(super) fn set_columns(&self, columns: u16) {
        self.columns.store(columns, Ordering::Relaxed);
    }

    /// Takes what was drawn, without the spaces that `indicatif` pads the line with.
    pub(super) fn take(&self) -> String {
        let text = std::mem::take(&mut *self.text.lock());
        text.trim_end().to_owned()
    }
}

impl TermLike for Line {
    fn width(&self) -> u16 {
        // `indicatif` divides by the width.
        self.columns.load(Ordering::Relaxed).max(1)
    }

    fn height(&self) -> u16 {
        u16::MAX
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        self.text.lock().push_str(&text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.text.lock().clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
