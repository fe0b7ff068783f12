//! A picture below cargo's line, in one write.
//!
//! Cargo has its own bar on the terminal, and leaves the cursor at the first column of that line; it
//! redraws or erases the line at any time. So a frame goes to the lines *below* the cursor and
//! brings the cursor back, in a single write, which the terminal takes whole. No line is wider than
//! the terminal less one column: one that wraps, or waits to, would break the way back.
//!
//! `indicatif` expects to own its lines. [`Line`] is the terminal that it sees: it keeps the text
//! and ignores the cursor moves.

use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::TermLike;

/// Erases what is below the cursor, and leaves the cursor where it is.
pub(super) const ERASE: &str = "\r\n\x1b[J\x1b[1A\r";

/// The frame that shows `lines`, clipped to the terminal's width.
pub(super) fn frame(lines: &[String], columns: u16) -> String {
    let mut frame = String::new();
    for line in lines {
        frame.push_str("\r\n\x1b[K");
        frame.push_str(clip(line, usize::from(columns).saturating_sub(1)));
    }
    let _ = write!(frame, "\x1b[J\x1b[{}A\r", lines.len().max(1));
    frame
}

/// The beginning of `text` that surely fits in so many columns.
///
/// What is not ASCII counts as two columns each: at most that, for all that a terminal draws.
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

/// The one line that `indicatif` draws its bar on; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    columns: Arc<AtomicU16>,
    text: Arc<Mutex<String>>,
}

impl Line {
    /// Sets the width for the next draw: `indicatif` asks several times a draw, and subtracts.
    pub(super) fn set_columns(&self, columns: u16) {
        self.columns.store(columns, Ordering::Relaxed);
    }

    /// Takes what was drawn, without the blanks with which `indicatif` fills the line.
    pub(super) fn take(&self) -> String {
        let text = std::mem::take(&mut *self.text.lock().unwrap_or_else(PoisonError::into_inner));
        text.trim_end().to_owned()
    }
}

impl TermLike for Line {
    fn width(&self) -> u16 {
        // At no width, indicatif divides by it.
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
        self.text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
