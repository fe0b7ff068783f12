//! What of the environment concerns us, for `doctor` (feature `cli`).

use super::{Context, NAMES, PREFIX, PROXIES, is_path_of};
use crate::nearest::nearest;

/// Variables that are not ours, and are read.
const OTHERS: [&str; 6] =
    ["CARGO_NET_OFFLINE", "CARGO_HTTP_CAINFO", "SSL_CERT_FILE", "NO_PROXY", "no_proxy", "CI"];

impl Context {
    /// The names of the variables that are set and read; the values of some are secret.
    pub fn set_names(&self) -> Vec<String> {
        let ours = self.vars.iter().filter(|(_, value)| !value.is_empty());
        let ours = ours.filter_map(|(name, _)| name.to_str());
        let is_read = |name: &&str| {
            name.strip_prefix(PREFIX).is_some_and(|rest| NAMES.contains(&rest) || is_path_of(rest))
                || PROXIES.contains(name)
                || OTHERS.contains(name)
        };
        let mut names: Vec<String> = ours.filter(is_read).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Names that begin as ours do and are none, each with the one that was probably meant.
    pub fn unknown_names(&self) -> Vec<(String, Option<String>)> {
        let set = self.vars.iter().filter(|(_, value)| !value.is_empty());
        let rests = set.filter_map(|(name, _)| name.to_str()?.strip_prefix(PREFIX));
        let is_odd = |rest: &&str| !NAMES.contains(rest) && !is_path_of(rest);
        let mut names: Vec<_> = rests
            .filter(is_odd)
            .map(|rest| {
                let near = nearest(rest, NAMES);
                ([PREFIX, rest].concat(), near.map(|near| [PREFIX, near].concat()))
            })
            .collect();
        names.sort();
        names
    }
}
