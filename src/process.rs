//! The system's limits for this process: open files and sockets (`ulimit -n`), and the length of a
//! file (`ulimit -f`).
//!
//! Layer 0. Limits are read once, on Linux, where `/proc` has them, and never raised, because they
//! are the user's choice.

use std::sync::OnceLock;

/// Default limit of open files and sockets: macOS's, the lowest of all supported systems.
const FEWEST_DESCRIPTORS: usize = 256;

/// Descriptors for everything that is not counted below: standard streams, Cargo's jobserver,
/// locks, records, the calling program's own files, and short-lived sockets (trackers, UDP, the
/// catalog).
const RESERVED: usize = 48;

/// How the open files and sockets of the process are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// Connections that transfer data.
    pub connections: usize,
    /// Connections to peers for metadata (BEP 9).
    pub metadata: usize,
    /// Connections that are being established.
    pub connecting: usize,
    /// Open files of datasets.
    pub files: usize,
    /// Incoming peers of a seed, while downloads run in the same process.
    #[cfg(feature = "seed")]
    pub guests: usize,
}

impl Descriptors {
    /// Divides this number of descriptors.
    fn of(all: usize) -> Descriptors {
        let most = all.saturating_sub(RESERVED);
        let connections = (most / 4).clamp(4, 64);
        let connecting = (most / 4).clamp(4, 128);
        let metadata = connections;
        let left = most.saturating_sub(connections + connecting + metadata);
        let files = (left / 3 * 2).clamp(4, 1_024);
        Descriptors {
            connections,
            metadata,
            connecting,
            files,
            #[cfg(feature = "seed")]
            guests: left.saturating_sub(files),
        }
    }

    /// Peers that a seed may have. Without downloads, it also gets their share.
    #[cfg(feature = "seed")]
    pub fn guests(self, with_downloads: bool) -> usize {
        let of_downloads = self.connections + self.connecting + self.metadata;
        let all = self.guests.saturating_add(if with_downloads { 0 } else { of_downloads });
        all.max(1)
    }
}

/// The descriptors of this process.
pub fn descriptors() -> Descriptors {
    static OURS: OnceLock<Descriptors> = OnceLock::new();
    *OURS.get_or_init(|| {
        let default = if cfg!(windows) { 8_192 } else { FEWEST_DESCRIPTORS };
        let all = limits()
            .as_deref()
            .map_or(Some(default as u64), |text| limit_in(text, "Max open files"));
        Descriptors::of(all.and_then(|all| usize::try_from(all).ok()).unwrap_or(usize::MAX))
    })
}

/// The maximum length of a file that the process may write. `None` if unlimited or unknown.
pub fn max_file_bytes() -> Option<u64> {
    static MOST: OnceLock<Option<u64>> = OnceLock::new();
    *MOST.get_or_init(|| limit_in(&limits()?, "Max file size"))
}

fn limits() -> Option<String> {
    std::fs::read_to_string("/proc/self/limits").ok()
}

/// Parses a soft limit. `None` if unlimited.
fn limit_in(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_where_there_is_one() {
        let head = "Limit  Soft Limit  Hard Limit  Units\nMax cpu time  1  2  seconds\n";
        let text = format!(
            "{head}Max file size   1048576   unlimited   bytes\nMax open files  256  512  files\n"
        );
        assert_eq!(limit_in(&text, "Max file size"), Some(1 << 20));
        assert_eq!(limit_in(&text, "Max open files"), Some(256));
        assert_eq!(
            limit_in(
                &format!("{head}Max file size  unlimited  unlimited  bytes\n"),
                "Max file size"
            ),
            None
        );
        assert_eq!(limit_in("", "Max open files"), None);
    }

    #[test]
    fn what_is_shared_out_is_no_more_than_there_is() {
        for all in [64, 100, 256, 1_024, 4_096, 1 << 20] {
            let shares = Descriptors::of(all);
            let Descriptors { connections, metadata, connecting, files, .. } = shares;
            let downloads = connections + metadata + connecting;
            assert!(downloads + files + RESERVED <= all.max(64), "{all}");
            assert!(connections >= 4 && metadata >= 4 && connecting >= 4 && files >= 4, "{all}");
            #[cfg(feature = "seed")]
            {
                let all = all.max(64);
                assert!(downloads + files + shares.guests + RESERVED <= all, "{all}");
                assert!(shares.guests(false) + files + RESERVED <= all, "{all}");
            }
        }
        let usual = Descriptors::of(1_024);
        assert_eq!((usual.connections, usual.connecting), (64, 128));
        assert_eq!(Descriptors::of(usize::MAX).files, 1_024);
        // What the documentation of `Seed` promises.
        #[cfg(feature = "seed")]
        assert!(usual.guests(true) >= 200 && usual.guests(false) >= 400);
    }
}
