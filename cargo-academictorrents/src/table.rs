//! Aligned rows for people; scripts use `--json`.

use std::time::Duration;

use console::Alignment;

/// A row. The last cell, a path, is not aligned, and is on a separate line if it does not fit.
pub(crate) type Row = Vec<String>;

/// Terminals with at least this width, and pipes, show infohashes whole.
const WHOLE: usize = 100;

/// Returns the terminal's width; `None` for a pipe or file, where nothing is cut or wrapped.
pub(crate) fn width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1))
}

/// Shortens an infohash or store id if the terminal is narrow.
pub(crate) fn id(id: &str, width: Option<usize>) -> String {
    match id.get(..12) {
        Some(first) if width.is_some_and(|width| width < WHOLE) => format!("{first}…"),
        _ => id.to_owned(),
    }
}

/// Formats rows with an indentation of two. A last cell that does not fit is on a second line.
pub(crate) fn lines(rows: &[Row], width: Option<usize>) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let longest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| console::measure_text_width(cell)).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(longest).collect();
    let are_sizes: Vec<bool> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).any(|cell| is_size(cell)))
        .collect();
    let mut lines = Vec::new();
    for row in rows {
        let mut line = String::from(" ");
        let (last, others) = row.split_last().map_or(("", &[][..]), |(last, rest)| (last, rest));
        for ((cell, width), is_right) in others.iter().zip(&widths).zip(&are_sizes) {
            let side = if *is_right { Alignment::Right } else { Alignment::Left };
            line += &format!(" {} ", console::pad_str(cell, *width, side, None));
        }
        let whole = format!("{line} {last}");
        lines.push(match width {
            Some(width) if console::measure_text_width(&whole) > width => {
                format!("{}\n      {last}", line.trim_end())
            }
            _ => whole.trim_end().to_owned(),
        });
    }
    lines
}

/// Whether a cell is a size, such as `12.0 MiB` or `5 B`. Sizes are aligned right, by their units.
fn is_size(cell: &str) -> bool {
    let Some((number, unit)) = cell.split_once(' ') else { return false };
    number.parse::<f64>().is_ok() && (unit == "B" || (unit.len() == 3 && unit.ends_with("iB")))
}

/// Describes how long ago something was.
pub(crate) fn ago(age: Option<Duration>) -> String {
    match age.map(|age| age.as_secs() / (24 * 60 * 60)) {
        None => "at an unknown time".to_owned(),
        Some(0) => "less than a day ago".to_owned(),
        Some(1) => "a day ago".to_owned(),
        Some(days) => format!("{days} days ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_a_path_that_does_not_fit_has_a_line_of_its_own() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["a", "1.0 MiB", "/a"]), row(["größer", "5 B", "/a/long/path"])];
        let check = |width, expected: &[&str]| assert_eq!(lines(&rows, width), expected);
        let wide = ["  a       1.0 MiB  /a", "  größer      5 B  /a/long/path"];
        check(None, &wide);
        check(Some(31), &wide);
        let narrow = ["  a       1.0 MiB  /a", "  größer      5 B\n      /a/long/path"];
        check(Some(30), &narrow);
        assert_eq!(lines(&[], None), [""; 0]);
    }

    #[test]
    fn sizes_end_below_each_other_and_names_begin_so() {
        for size in ["0 B", "12.0 MiB", "1.5 GiB"] {
            assert!(is_size(size), "{size}");
        }
        for other in ["", "MiB", "7 days", "7 B of cake", "partial 43 %", "old name.bin"] {
            assert!(!is_size(other), "{other}");
        }
    }

    #[test]
    fn infohashes_are_cut_in_narrow_terminals_alone() {
        let hash = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
        assert_eq!(id(hash, None), hash);
        assert_eq!(id(hash, Some(100)), hash);
        assert_eq!(id(hash, Some(99)), "323a0048d87c…");
        assert_eq!(id("unknown", Some(60)), "unknown");
    }
}
