//! Which bytes of a torrent's stream a server has sent, and how often.

use std::ops::Range;

/// Ranges of the torrent's stream (all files concatenated), in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    ranges: Vec<Range<u64>>,
}

impl Coverage {
    pub fn record(&mut self, range: Range<u64>) {
        match self.ranges.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    pub fn merge(&mut self, other: &Coverage) {
        self.ranges.extend(other.ranges.iter().cloned());
    }

    /// All bytes sent, including repeated ones.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Bytes sent at least once.
    pub fn distinct_bytes(&self) -> u64 {
        self.steps().iter().filter(|(_, times)| *times > 0).map(|(at, _)| at.end - at.start).sum()
    }

    /// How often the byte at `offset` was sent.
    pub fn times(&self, offset: u64) -> usize {
        self.ranges.iter().filter(|range| range.contains(&offset)).count()
    }

    /// The largest number of times that any byte was sent.
    pub fn most_times(&self) -> usize {
        self.steps().iter().map(|(_, times)| *times).max().unwrap_or(0)
    }

    /// Whether each byte of `range` was sent exactly once.
    pub fn once(&self, range: Range<u64>) -> bool {
        let steps = self.steps();
        let inside = steps.iter().filter(|(at, _)| at.start < range.end && range.start < at.end);
        let once = inside.clone().all(|(_, times)| *times == 1);
        let sent: u64 =
            inside.map(|(at, _)| at.end.min(range.end) - at.start.max(range.start)).sum();
        once && sent == range.end - range.start
    }

    /// Splits the stream where the count changes.
    fn steps(&self) -> Vec<(Range<u64>, usize)> {
        let mut edges: Vec<(u64, i32)> =
            self.ranges.iter().flat_map(|range| [(range.start, 1), (range.end, -1)]).collect();
        edges.sort_unstable();
        let mut times = 0;
        let mut steps = Vec::new();
        for pair in edges.windows(2) {
            times += pair[0].1;
            if pair[0].0 < pair[1].0 {
                steps.push((pair[0].0..pair[1].0, usize::try_from(times).unwrap()));
            }
        }
        steps
    }
}
