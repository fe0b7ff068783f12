//! What a command of the user shows in addition to a build's bars: a line for all datasets together
//! and, if requested, the sources of each dataset.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::frame::Begin;
use super::picture::{Picture, place};
use super::rate::Rate;
use super::terminal::Watched;
use super::view::{View, printable};
use super::{Drawing, ProgressDisplay, run};
use crate::counters::sources::SourceCounters;
use crate::counters::{Counters, DatasetCounters, Phase};
use crate::settings::{Context, Progress};
use crate::size;

/// The maximum number of sources below a dataset, however tall the terminal is.
const SOURCES: usize = 10;

/// Options of the display.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Whether each source is shown with its rate.
    pub sources: bool,
}

/// As [`super::start`], for a command that the user called: its stderr shows which terminal the
/// user watches, and it owns the cursor's line.
pub fn start_for(
    command: Command,
    counters: Arc<Counters>,
    context: &Context,
    mode: Progress,
    lock_dir: &Path,
) -> ProgressDisplay {
    if mode == Progress::Off {
        return ProgressDisplay { running: None };
    }
    let terminal = place(context, mode, lock_dir, Watched::Own);
    let mut drawing = Drawing::new(counters, Picture::new(terminal, Begin::Here));
    let bars = &mut drawing.picture.bars;
    (bars.total, bars.with_sources) = (total, with_sources);
    drawing.log.with_sources = command.sources;
    if command.sources {
        let mut rates = SourceRates::default();
        drawing.sources = Some(Box::new(move |now, dataset, counters, is_over| {
            rates.push(now, dataset, counters, is_over)
        }));
    }
    run(drawing)
}

/// Smooths the rates of all sources.
#[derive(Debug, Default)]
struct SourceRates(Vec<Vec<Rate>>);

impl SourceRates {
    /// Returns the sources of a dataset that are working or have sent data, the fastest first:
    /// lines for below a bar, and for the log.
    fn push(
        &mut self,
        now: Duration,
        dataset: usize,
        counters: &DatasetCounters,
        is_over: bool,
    ) -> Vec<(String, String)> {
        if self.0.len() <= dataset {
            self.0.resize_with(dataset + 1, Vec::new);
        }
        let sources = counters.sources.all().clone();
        let Some(rates) = self.0.get_mut(dataset) else { return Vec::new() };
        rates.resize_with(sources.len(), Rate::default);
        let seen = sources.into_iter().zip(rates).filter_map(|(source, rate)| {
            let SourceCounters { name, received_bytes, works } = source;
            let rate_bytes = rate.push(now, received_bytes);
            (works || received_bytes > 0).then_some((rate_bytes, received_bytes, name))
        });
        let mut seen: Vec<_> = seen.collect();
        seen.sort_by_key(|(rate, received, _)| std::cmp::Reverse((*rate, *received)));
        let words = |(rate, received, name): (u64, u64, String)| {
            let (name, bytes) = (printable(&name), size::display(received));
            let rate = size::display(rate) + "/s";
            // The name is last because the line may be cut.
            let line = format!("  {rate:>13}  {bytes:>10}  {name}");
            let rate = if is_over { String::new() } else { format!(", {rate}") };
            (line, format!("{bytes} from {name}{rate}"))
        };
        seen.into_iter().map(words).collect()
    }
}

/// Summarizes several datasets in one view, whose name counts those that have ended.
fn total(views: &[View]) -> Option<View> {
    let over = views.iter().filter(|view| view.phase.is_over()).count();
    if views.len() < 2 || over == views.len() {
        return None;
    }
    let is_open = views.iter().any(|view| view.total_bytes == 0 && !view.phase.is_over());
    let sum = |of: fn(&View) -> u64| views.iter().map(of).fold(0, u64::saturating_add);
    let sources = |of: fn(&View) -> u32| views.iter().map(of).fold(0, u32::saturating_add);
    Some(View {
        name: format!("total {over}/{}", views.len()),
        phase: Phase::Fetching,
        total_bytes: sum(|view| view.total_bytes),
        done_bytes: sum(|view| view.done_bytes),
        received_bytes: sum(|view| view.received_bytes),
        peers: sources(|view| view.peers),
        web_seeds: sources(|view| view.web_seeds),
        rate_bytes: sum(|view| if view.phase.is_over() { 0 } else { view.rate_bytes }),
        sources: Vec::new(),
        path: String::new(),
        open: is_open.then_some((over as u64, views.len() as u64)),
    })
    .filter(|total| total.total_bytes > 0)
}

/// Adds lines for sources below each dataset, as many as there is room for. The first of `lines`
/// are those of `shown`.
fn with_sources(lines: Vec<String>, shown: &[&View], rows: usize) -> Vec<String> {
    let fetching = shown.iter().filter(|view| !view.sources.is_empty()).count();
    let room = rows.saturating_sub(lines.len()).checked_div(fetching).unwrap_or(0).min(SOURCES);
    let mut all = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        all.push(line);
        let sources = shown.get(index).map_or(&[][..], |view| &view.sources);
        // A single line shows the fastest source: the bar already shows how many there are.
        let named = if sources.len() > room && room > 1 { room - 1 } else { room };
        all.extend(sources.iter().take(named).map(|(line, _)| line.clone()));
        if named < sources.len() && room > 1 {
            all.push(format!("  and {} more sources", sources.len() - named));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::bars::{Bars, Size};
    use super::*;

    const MIB: u64 = 1 << 20;

    fn view(name: &str, phase: Phase, percent: u64) -> View {
        let mut view = View::of(&DatasetCounters::new(name));
        view.phase = phase;
        (view.total_bytes, view.done_bytes) = (100 * MIB, percent * MIB);
        (view.peers, view.web_seeds, view.rate_bytes) = (2, 1, 3 * MIB);
        view
    }

    fn lines(views: &[View], rows: u16, columns: u16) -> Vec<String> {
        let mut bars = Bars::new();
        (bars.total, bars.with_sources) = (total, with_sources);
        bars.lines(views, &[], Size { rows, columns })
    }

    #[test]
    fn several_datasets_have_a_line_for_all_of_them() {
        let views = [
            view("mnist", Phase::Fetching, 43),
            view("cifar", Phase::Done, 100),
            view("coco", Phase::Fetching, 7),
        ];
        assert_eq!(
            lines(&views, 24, 60),
            [
                "mnist      [===>     ]   43%    43.0/100.0 MiB    3.0 MiB/s",
                "coco       [>        ]    7%     7.0/100.0 MiB    3.0 MiB/s",
                "total 1/3  [====>    ]   50%   150.0/300.0 MiB    6.0 MiB/s",
            ]
        );
        let wide = lines(&views, 24, 200);
        assert!(wide[2].ends_with("6.0 MiB/s   0:25 left   6 peers  3 web seeds"), "{}", wide[2]);
        assert_eq!(lines(&views[..1], 24, 60).len(), 1);
    }

    /// Datasets of known size may be almost complete while most have not started.
    #[test]
    fn before_all_sizes_are_known_it_is_told_how_many_have_ended_and_no_share_of_bytes() {
        let mut views = vec![
            view("a", Phase::Done, 100),
            view("b", Phase::Fetching, 43),
            view("c", Phase::Metainfo, 0),
            view("d", Phase::Queued, 0),
        ];
        for view in &mut views[2..] {
            (view.total_bytes, view.rate_bytes) = (0, 0);
        }
        let total = |views: &[View], columns| lines(views, 24, columns).pop().unwrap();
        assert!(lines(&views, 24, 200)[0].contains(" left "));
        assert_eq!(
            total(&views, 60),
            "total 1/4  [==>      ]               143.0 MiB    3.0 MiB/s"
        );
        assert_eq!(
            total(&views, 80),
            "total 1/4  [====>            ]               143.0 MiB    3.0 MiB/s"
        );
        let wide = total(&views, 200);
        assert!(!wide.contains('%') && !wide.contains(" left "), "{wide}");
        views.truncate(2);
        assert!(total(&views, 60).contains("71%"), "{}", total(&views, 60));
    }

    #[test]
    fn forty_datasets_leave_the_terminal_its_lines() {
        let mut views: Vec<_> =
            (0..8).map(|i| view(&format!("a{i}"), Phase::Fetching, 5)).collect();
        views.extend((8..40).map(|i| view(&format!("q{i}"), Phase::Queued, 0)));
        let shown = lines(&views, 24, 60);
        assert_eq!(shown.len(), 10, "{shown:#?}");
        assert_eq!(shown[8], "and 32 more");
        assert!(shown[9].starts_with("total 0/40 "), "{}", shown[9]);
        for rows in 3..60 {
            assert!(lines(&views, rows, 60).len() <= usize::from(rows) - 2, "{rows}");
        }
    }

    #[test]
    fn sources_stand_below_their_dataset_the_fastest_first_as_far_as_there_is_room() {
        let counters = DatasetCounters::new("mnist");
        for name in ["http://a/\x1b[2J", "peer 10.0.0.1:6881", "http://silent/"] {
            counters.sources.add(name);
        }
        let mut rates = SourceRates::default();
        rates.push(Duration::ZERO, 0, &counters, false);
        counters.sources.brought(0, MIB);
        counters.sources.brought(1, 2 * MIB);
        counters.sources.set_works(1, true);
        let mut mnist = view("mnist", Phase::Fetching, 43);
        mnist.sources = rates.push(Duration::from_secs(2), 0, &counters, false);
        let views = [mnist];
        assert_eq!(
            lines(&views, 24, 60)[1..],
            [
                "      1.0 MiB/s     2.0 MiB  peer 10.0.0.1:6881",
                "    512.0 KiB/s     1.0 MiB  http://a/ [2J",
            ]
        );
        assert_eq!(lines(&views, 4, 60)[1..], ["      1.0 MiB/s     2.0 MiB  peer 10.0.0.1:6881"]);
        let more = [&views[0].sources[..]; 3].concat();
        let views = [View { sources: more, ..views[0].clone() }];
        assert_eq!(lines(&views, 6, 60)[3..], ["  and 4 more sources"]);
        assert_eq!(lines(&views, 3, 60).len(), 1);
    }
}
