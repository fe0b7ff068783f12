//! For tests: simulates a kill after a step, lower overlay layers and several disks.

use std::cell::Cell;
use std::path::Path;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    static HAS_LAYERS: Cell<bool> = const { Cell::new(false) };
    static HAS_DISKS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` and stops it after `steps` steps. Returns whether it was stopped.
pub fn after(steps: usize, work: impl FnOnce()) -> bool {
    LEFT.set(steps);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let was_stopped = LEFT.replace(usize::MAX) == 0;
    match result {
        Ok(()) => false,
        Err(_) if was_stopped => true,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Sets whether existing directories cannot be renamed on this thread, like those of a lower
/// layer; new ones (`.tmp-…`) can.
pub fn set_layers(has_layers: bool) {
    HAS_LAYERS.set(has_layers);
}

/// Sets whether files cannot be renamed or linked on this thread, as if to another file system.
pub fn set_disks(has_disks: bool) {
    HAS_DISKS.set(has_disks);
}

pub fn is_elsewhere(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_new = name.as_encoded_bytes().starts_with(b".tmp-");
    !is_new && if path.is_dir() { HAS_LAYERS.get() } else { HAS_DISKS.get() }
}

pub fn step() {
    let left = LEFT.get();
    if left == usize::MAX {
        return;
    }
    LEFT.set(left.saturating_sub(1));
    if left <= 1 {
        // Without a message: the test asked for it.
        std::panic::resume_unwind(Box::new(()));
    }
}
