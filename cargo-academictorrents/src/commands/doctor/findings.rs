//! The findings of `doctor`, and how they are printed.

use academictorrents::Error;
use serde_json::{Value, json};

use crate::output::{Output, stdout};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// One check: what was checked, its status, reasons and help.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) area: &'static str,
    pub(super) status: Status,
    pub(super) what: String,
    pub(super) why: Vec<String>,
    pub(super) help: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct DoctorReport(pub(super) Vec<Finding>);

impl DoctorReport {
    pub(super) fn add(
        &mut self,
        area: &'static str,
        status: Status,
        what: impl Into<String>,
    ) -> &mut Finding {
        let (why, help) = (Vec::new(), Vec::new());
        self.0.push(Finding { area, status, what: what.into(), why, help });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Adds an error of the library, and the errors that accompany it.
    pub(super) fn error(&mut self, area: &'static str, error: &Error) {
        for error in std::iter::once(error).chain(error.others()) {
            let (what, why, help) = error.lines();
            self.0.push(Finding { area, status: Status::Fail, what, why, help });
        }
    }
}

impl Finding {
    pub(super) fn why(&mut self, why: impl Into<String>) -> &mut Finding {
        self.why.push(why.into());
        self
    }

    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Finding {
        self.help.push(help.into());
        self
    }
}

const AREA_WIDTH: usize = 12;
/// The widths of status and area, with their gaps.
const INDENT: usize = 4 + 2 + AREA_WIDTH + 2;
/// Longer lines are hard to read.
const WIDEST: usize = 100;

pub(super) fn show(finding: &Finding, output: &Output) {
    let terminal = console::Term::stdout();
    // Texts are not wrapped in a pipe.
    let width =
        terminal.is_term().then(|| usize::from(terminal.size().1).min(WIDEST).saturating_sub(1));
    let width = width.map_or(usize::MAX, |width| width.saturating_sub(INDENT).max(INDENT));
    let word = stdout(format!("{:4}", finding.status.word()));
    let word = match finding.status {
        Status::Ok => word.green(),
        Status::Warn => word.yellow(),
        Status::Fail => word.red().bold(),
    };
    let help = finding.help.iter().map(|help| format!("help: {help}"));
    let texts = [finding.what.clone()].into_iter().chain(finding.why.clone()).chain(help);
    let mut lines = texts.flat_map(|text| wrapped(&text, width));
    let first = lines.next().unwrap_or_default();
    output.result(format_args!("{word}  {:AREA_WIDTH$}  {first}", finding.area));
    for line in lines {
        output.result(format_args!("{:INDENT$}{line}", ""));
    }
}

/// Wraps a text to this width. Words that are longer are not broken.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| console::measure_text_width(line));
        let fits = last + 1 + console::measure_text_width(word) <= width;
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if fits => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub(super) fn in_json(finding: &Finding) -> Value {
    json!({
        "area": finding.area,
        "status": finding.status.word(),
        "what": finding.what,
        "why": finding.why,
        "help": finding.help,
    })
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("a bc def", usize::MAX), ["a bc def"]);
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("a bc def", 3), ["a", "bc", "def"]);
        assert_eq!(wrapped("http://a/b c", 4), ["http://a/b", "c"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
