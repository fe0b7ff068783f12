//! The live table of `seed`: redrawn each second on a terminal, otherwise plain lines every few
//! minutes.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use academictorrents::engine::size::display as size;
use academictorrents::{Infohash, SeededDataset, Seeding};
use console::{Alignment, Term, measure_text_width, pad_str};

use crate::output::Output;

/// The interval between pictures, over which rates are averaged.
const TICK: Duration = Duration::from_secs(1);
/// How often to check whether seeding has ended.
const LOOK: Duration = Duration::from_millis(50);
/// The minimum interval between plain lines.
const LINE: Duration = Duration::from_secs(5 * 60);

/// Displays the progress of seeding until it ends, then erases the table. Returns the final state
/// of the datasets.
pub(crate) fn watch(seeding: &Seeding, output: &Output) -> Vec<SeededDataset> {
    let terminal = Term::stderr();
    let draws = terminal.is_term() && !output.quiet;
    let mut drawn = 0;
    let mut said = HashSet::new();
    let mut rates = Rates::default();
    let mut line_at = Instant::now();
    let mut sent_at_line = 0;
    loop {
        let ended = seeding.has_ended();
        let mut datasets = seeding.datasets();
        let _ = terminal.clear_last_lines(drawn); // a terminal that is gone shows nothing
        drawn = 0;
        for dataset in &mut datasets {
            for note in dataset.notes.drain(..) {
                let text = format!("{}: {}", note.from, note.said);
                // A tracker of many datasets sends the same text for each.
                if (note.is_failure || output.verbose) && said.insert(text.clone()) {
                    output.say(format_args!("{}: {text}", dataset.name));
                }
            }
        }
        if ended {
            return datasets;
        }
        let (now, sent) = (Instant::now(), seeding.uploaded());
        let shown = rates.shown(now, &datasets);
        if draws {
            let (height, width) = terminal.size();
            for line in picture(&shown, usize::from(width), usize::from(height)) {
                let _ = terminal.write_line(&line);
                drawn += 1;
            }
        } else if now - line_at >= LINE && sent > sent_at_line {
            output.say(summary(&shown, sent));
            (line_at, sent_at_line) = (now, sent);
        }
        let until = now + TICK;
        while Instant::now() < until && !seeding.has_ended() {
            std::thread::sleep(LOOK);
        }
    }
}

/// A dataset's line.
struct Shown {
    name: String,
    done_bytes: u64,
    total_bytes: u64,
    peers: usize,
    uploaded_bytes: u64,
    rate_bytes: u64,
}

/// The bytes sent per dataset at the previous picture, and its time.
#[derive(Default)]
struct Rates {
    then: Option<Instant>,
    sent: HashMap<Infohash, u64>,
}

impl Rates {
    /// Returns the datasets' lines, with rates since the previous call.
    fn shown(&mut self, now: Instant, datasets: &[SeededDataset]) -> Vec<Shown> {
        let then = self.then.replace(now);
        let shown = |it: &SeededDataset| Shown {
            name: it.name.clone(),
            done_bytes: it.done_bytes,
            total_bytes: it.total_bytes,
            peers: it.peers,
            uploaded_bytes: it.uploaded_bytes,
            rate_bytes: {
                let before = self.sent.insert(it.infohash, it.uploaded_bytes).unwrap_or_default();
                then.map_or(0, |then| rate(it.uploaded_bytes.saturating_sub(before), now - then))
            },
        };
        datasets.iter().map(shown).collect()
    }
}

fn rate(bytes: u64, time: Duration) -> u64 {
    (bytes as f64 / time.as_secs_f64().max(0.001)) as u64
}

fn summary(datasets: &[Shown], sent: u64) -> String {
    let peers: usize = datasets.iter().map(|dataset| dataset.peers).sum();
    let peers = if peers == 1 { "1 peer".to_owned() } else { format!("{peers} peers") };
    format!("{} sent; {peers}", size(sent))
}

/// The minimum width of names. If the rest of a line does not fit then, it is cut.
const LEAST_NAME: usize = 12;

/// Returns lines that fit the terminal, sorted by peers, then by bytes sent.
fn picture(datasets: &[Shown], width: usize, height: usize) -> Vec<String> {
    let mut order: Vec<&Shown> = datasets.iter().collect();
    order.sort_by_key(|it| std::cmp::Reverse((it.peers, it.uploaded_bytes)));
    // One line each for the header, the datasets left out, the total, and the cursor.
    let most = height.saturating_sub(4).max(1);
    let left_out = order.len().saturating_sub(most);
    let mut rows = vec![["dataset", "have", "peers", "sent", "rate"].map(str::to_owned)];
    rows.extend(order.iter().take(most).map(|it| {
        let there = match it.done_bytes * 100 / it.total_bytes.max(1) {
            _ if it.done_bytes == it.total_bytes => size(it.total_bytes),
            percent => format!("{percent} % of {}", size(it.total_bytes)),
        };
        row(it.name.clone(), there, it.peers, it.uploaded_bytes, it.rate_bytes)
    }));
    if left_out > 0 {
        rows.push([format!("and {left_out} more"), "".into(), "".into(), "".into(), "".into()]);
    }
    let sum = |of: fn(&Shown) -> u64| datasets.iter().map(of).sum();
    let peers = datasets.iter().map(|it| it.peers).sum();
    let (sent, rate) = (sum(|it| it.uploaded_bytes), sum(|it| it.rate_bytes));
    rows.push(row(format!("total of {}", datasets.len()), String::new(), peers, sent, rate));
    let width = width.saturating_sub(1);
    let widest = |column: usize| {
        rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or_default()
    };
    let others: usize = (1..5).map(|column| 2 + widest(column)).sum();
    let room = width.saturating_sub(2 + others).max(LEAST_NAME).min(widest(0));
    let line = |[name, cells @ ..]: &[String; 5]| {
        let mut line = format!("  {}", pad_str(name, room, Alignment::Left, Some("…")));
        for (cell, column) in cells.iter().zip(1..) {
            line += &format!("  {}", pad_str(cell, widest(column), Alignment::Right, None));
        }
        console::truncate_str(line.trim_end(), width, "…").into_owned()
    };
    let lines = rows.iter().map(line);
    // On a very small terminal, datasets matter more than the header.
    lines.skip(usize::from(height < 6)).collect()
}

fn row(name: String, there: String, peers: usize, sent: u64, rate: u64) -> [String; 5] {
    [name, there, peers.to_string(), size(sent), format!("{}/s", size(rate))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, done_bytes: u64, peers: usize, uploaded_bytes: u64) -> Shown {
        let (total_bytes, rate_bytes) = (4 << 20, uploaded_bytes / 3);
        Shown { name: name.to_owned(), done_bytes, total_bytes, peers, uploaded_bytes, rate_bytes }
    }

    const LONG: &str = "MNIST Database of handwritten digits, normalised";

    #[test]
    fn who_has_most_peers_comes_first_and_all_fits_the_terminal() {
        let datasets = [shown(LONG, 4 << 20, 0, 9), shown("cifar", 1 << 20, 12, 3 << 20)];
        let lines = |width, height| picture(&datasets, width, height);
        let check = |width, expected: [&str; 4]| assert_eq!(lines(width, 24), expected);
        check(
            60,
            [
                "  dataset                   have  peers     sent       rate",
                "  cifar          25 % of 4.0 MiB     12  3.0 MiB  1.0 MiB/s",
                "  MNIST Databa…          4.0 MiB      0      9 B      3 B/s",
                "  total of 2                         12  3.0 MiB  1.0 MiB/s",
            ],
        );
        check(
            80,
            [
                "  dataset                                       have  peers     sent       rate",
                "  cifar                              25 % of 4.0 MiB     12  3.0 MiB  1.0 MiB/s",
                "  MNIST Database of handwritten di…          4.0 MiB      0      9 B      3 B/s",
                "  total of 2                                             12  3.0 MiB  1.0 MiB/s",
            ],
        );
        check(
            200,
            [
                "  dataset                                                      have  peers     sent       rate",
                "  cifar                                             25 % of 4.0 MiB     12  3.0 MiB  1.0 MiB/s",
                "  MNIST Database of handwritten digits, normalised          4.0 MiB      0      9 B      3 B/s",
                "  total of 2                                                            12  3.0 MiB  1.0 MiB/s",
            ],
        );
        let small = lines(30, 5);
        assert_eq!(small.len(), 3, "{small:?}");
        assert!(small[1].starts_with("  and 1 more"), "{small:?}");
        for (width, height) in [(0, 0), (1, 1), (30, 5), (40, 6), (60, 24), (80, 24), (200, 9)] {
            let lines = lines(width, height);
            let fits = |line: &String| measure_text_width(line) < width.max(2);
            assert!(lines.iter().all(fits) && lines.len() < height.max(4), "{lines:?}");
        }
    }

    #[test]
    fn a_rate_is_of_each_dataset_and_of_the_time_since_the_last_picture() {
        assert_eq!(rate(3 << 20, Duration::from_secs(3)), 1 << 20);
        assert_eq!((rate(0, Duration::ZERO), rate(5, Duration::ZERO)), (0, 5_000));
    }

    #[test]
    fn a_line_for_a_log_says_how_much_and_to_whom() {
        assert_eq!(summary(&[shown("a", 1, 1, 5)], 5), "5 B sent; 1 peer");
    }
}
