//! The live table of `seed`: on a terminal redrawn each second, elsewhere plain lines now and then.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use academictorrents::tools::size;
use academictorrents::{SeededDataset, Seeding};
use console::Term;

use crate::output::Output;
use crate::table;

/// Between two pictures, over which rates are taken.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether the seed has ended.
const LOOK: Duration = Duration::from_millis(50);
/// Between two plain lines.
const LINE: Duration = Duration::from_secs(5 * 60);

/// Tells how a seed goes until it ends; what is drawn is erased then. Gives how its datasets stood at last.
pub(crate) fn watch(seeding: &Seeding, output: &Output) -> Vec<SeededDataset> {
    let terminal = Term::stderr();
    let draws = terminal.is_term() && !output.quiet;
    let mut drawn = 0;
    let mut said = HashSet::new();
    let mut before: Option<(Instant, u64)> = None;
    let mut line_at = Instant::now();
    let mut sent_at_line = 0;
    loop {
        let ended = seeding.has_ended();
        let mut datasets = seeding.datasets();
        let _ = terminal.clear_last_lines(drawn); // a terminal that is gone shows nothing
        drawn = 0;
        for dataset in &mut datasets {
            for (who, what) in dataset.notes.drain(..) {
                // A tracker of many datasets says the same of all.
                if said.insert((who.clone(), what.clone())) {
                    output.say(format_args!("{}: {who}: {what}", dataset.name));
                }
            }
        }
        if ended {
            return datasets;
        }
        let (now, sent) = (Instant::now(), seeding.uploaded());
        let rate = before.map_or(0.0, |(then, sent_then)| {
            (sent - sent_then.min(sent)) as f64 / (now - then).as_secs_f64().max(0.001)
        });
        before = Some((now, sent));
        if draws {
            let (height, width) = terminal.size();
            for line in
                picture(&Shown::all(&datasets), rate, usize::from(width), usize::from(height))
            {
                let _ = terminal.write_line(&line);
                drawn += 1;
            }
        } else if now - line_at >= LINE && sent > sent_at_line {
            output.say(summary(&Shown::all(&datasets), sent));
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
    there_bytes: u64,
    total_bytes: u64,
    peers: usize,
    uploaded_bytes: u64,
}

impl Shown {
    fn all(datasets: &[SeededDataset]) -> Vec<Shown> {
        let shown = |it: &SeededDataset| Shown {
            name: it.name.clone(),
            there_bytes: it.there_bytes,
            total_bytes: it.total_bytes,
            peers: it.peers,
            uploaded_bytes: it.uploaded_bytes,
        };
        datasets.iter().map(shown).collect()
    }
}

fn summary(datasets: &[Shown], sent: u64) -> String {
    let peers: usize = datasets.iter().map(|dataset| dataset.peers).sum();
    format!("{} sent; {}", size(sent), connected(peers))
}

fn connected(peers: usize) -> String {
    if peers == 1 { "1 peer".to_owned() } else { format!("{peers} peers") }
}

/// Lines that fit the terminal: those datasets first that have most peers, then those of which most was sent.
fn picture(datasets: &[Shown], rate: f64, width: usize, height: usize) -> Vec<String> {
    let mut order: Vec<&Shown> = datasets.iter().collect();
    order.sort_by_key(|it| std::cmp::Reverse((it.peers, it.uploaded_bytes)));
    // A line for those that are left out, one for the sum, one for the cursor.
    let most = height.saturating_sub(3).max(1);
    let shown = order.len().min(most);
    let left_out = order.len() - shown;
    let rows = order.iter().take(shown).map(|it| {
        let there = match it.there_bytes * 100 / it.total_bytes.max(1) {
            _ if it.there_bytes == it.total_bytes => size(it.total_bytes),
            percent => format!("{percent} % of {}", size(it.total_bytes)),
        };
        let sent = format!("{} sent", size(it.uploaded_bytes));
        vec![it.name.clone(), there, connected(it.peers), sent]
    });
    let mut rows: Vec<_> = rows.collect();
    let sent: u64 = datasets.iter().map(|it| it.uploaded_bytes).sum();
    let peers: usize = datasets.iter().map(|it| it.peers).sum();
    let sum = format!("{} sent  {}/s", size(sent), size(rate as u64));
    rows.push(vec![format!("total {}", datasets.len()), String::new(), connected(peers), sum]);
    let mut lines = table::lines(&rows, None);
    if left_out > 0 {
        lines.insert(lines.len() - 1, format!("  and {left_out} more"));
    }
    let fits =
        |line: String| console::truncate_str(&line, width.saturating_sub(1), "…").into_owned();
    lines.into_iter().map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, there_bytes: u64, peers: usize, uploaded_bytes: u64) -> Shown {
        Shown { name: name.to_owned(), there_bytes, total_bytes: 4 << 20, peers, uploaded_bytes }
    }

    #[test]
    fn who_has_most_peers_comes_first_and_all_fits_the_terminal() {
        let datasets = [shown("mnist", 4 << 20, 0, 0), shown("cifar", 1 << 20, 2, 3 << 20)];
        let lines = |width, height| picture(&datasets, 1_048_576.0, width, height);
        assert_eq!(
            lines(80, 24),
            [
                "  cifar    25 % of 4.0 MiB  2 peers  3.0 MiB sent",
                "  mnist            4.0 MiB  0 peers  0 B sent",
                "  total 2                   2 peers  3.0 MiB sent  1.0 MiB/s",
            ]
        );
        let small = lines(30, 4);
        assert_eq!(small.len(), 3, "{small:?}");
        assert_eq!(small[1], "  and 1 more");
        assert!(small.iter().all(|line| console::measure_text_width(line) < 30), "{small:?}");
    }

    #[test]
    fn a_line_for_a_log_says_how_much_and_to_whom() {
        assert_eq!(summary(&[shown("a", 1, 1, 5)], 5), "5 B sent; 1 peer");
    }
}
