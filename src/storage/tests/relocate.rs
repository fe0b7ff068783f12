//! Publishing that stops after each of its steps, with directories that can be renamed and with
//! those of a lower overlay layer.

use std::fs::Permissions;
use std::path::Path;

use super::super::relocate::move_file;
use super::super::stops;
use super::*;

/// What exists when publishing begins.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    /// Data with a damaged piece, and a stamp that does not match.
    Damaged,
}

impl Fixture {
    /// Returns the dataset before it is published, with all pieces.
    fn whole(&self, before: Before) -> Partial {
        if let Before::Damaged = before {
            let id = self.provide(&[]);
            let path = self.file(&id, "d/b");
            fs::set_read_only(&path, false).unwrap();
            std::fs::write(&path, [9; 12]).unwrap();
        }
        let (partial, verified) = self.open(&[]);
        let missing = (0..4).filter(|piece| !verified.contains(*piece));
        missing.for_each(|piece| self.bring(&partial, piece));
        partial
    }

    /// Returns the temporary names in a directory of the store.
    fn temporary(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.store.root().join(below)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".tmp-")).collect()
    }
}

/// Stops after each step in turn; `go_on` is the next run. Returns the number of steps.
fn stopped_after_each(
    prepare: impl Fn(&Fixture) -> Option<Partial>,
    work: impl Fn(&Fixture, Option<Partial>),
    go_on: impl Fn(&Fixture, usize),
) -> usize {
    for steps in 1.. {
        let fixture = Fixture::new();
        let partial = prepare(&fixture);
        let was_stopped = stops::after(steps, || work(&fixture, partial));
        if !was_stopped {
            return steps - 1;
        }
        go_on(&fixture, steps);
    }
    0
}

#[test]
fn what_a_kill_leaves_after_each_step_of_publishing_is_completed_and_nothing_is_fetched_again() {
    for (has_layers, before) in [
        (false, Before::Nothing),
        (false, Before::Damaged),
        (true, Before::Nothing),
        (true, Before::Damaged),
    ] {
        stops::set_layers(has_layers);
        let steps = stopped_after_each(
            |fixture| Some(fixture.whole(before)),
            |_, partial| partial.unwrap().publish(&Pins::new()).unwrap(),
            |fixture, steps| {
                let case = format!("{before:?}, layers: {has_layers}, after step {steps}");
                let (id, layout) = fixture.selected(&[]);
                let all = ["a", "d/b", "empty", "c"];
                if fixture.store.present(&id).is_some() {
                    // What counts as complete is complete.
                    fixture.check(&id, &all);
                }
                let hashed = AtomicU64::new(0);
                let target = fixture.target();
                let existing = LocalCopy::in_place(
                    target,
                    &id,
                    &fixture.metainfo,
                    &layout,
                    DiskWork::counting(&hashed),
                )
                .unwrap();
                match existing.filter(LocalCopy::is_complete) {
                    Some(it) => it.stamp(target, &id, &Pins::new()).unwrap(),
                    None => {
                        let (partial, verified) = fixture.open(&[]);
                        assert_eq!(verified, set(&[0, 1, 2, 3]), "{case}");
                        partial.publish(&Pins::new()).unwrap();
                    }
                }
                fixture.check(&id, &all);
                assert_eq!(fixture.temporary(&format!("data/{id}")), [""; 0], "{case}");
                assert!(!fixture.store.partial_path(&id).exists(), "{case}");
            },
        );
        stops::set_layers(false);
        assert!(steps >= 6 + 3 * usize::from(has_layers), "{steps}");
    }
}

#[test]
#[cfg(feature = "engine")]
fn a_removal_that_stops_after_each_step_leaves_nothing_that_is_called_complete() {
    for has_layers in [false, true] {
        stops::set_layers(has_layers);
        let scan = |fixture: &Fixture| fixture.store.scan(std::time::SystemTime::now());
        let remove = |fixture: &Fixture| {
            let entries = scan(fixture).entries;
            entries.iter().for_each(|it| assert!(fixture.store.remove(it).unwrap().is_ok()));
        };
        let steps = stopped_after_each(
            |fixture| {
                fixture.provide(&[]);
                None
            },
            |fixture, _| remove(fixture),
            |fixture, steps| {
                let (id, _) = fixture.selected(&[]);
                assert!(fixture.store.present(&id).is_none(), "after step {steps}");
                remove(fixture);
                for leftover in scan(fixture).leftovers {
                    assert!(fixture.store.remove_leftover(&leftover).unwrap());
                }
                let left = std::fs::read_dir(fixture.store.root().join("data")).unwrap();
                assert_eq!(left.count(), 0, "after step {steps}");
            },
        );
        stops::set_layers(false);
        assert!(steps >= 1, "{steps}");
    }
}

/// Restricted permissions are kept, and at each moment one complete file exists.
#[test]
fn a_file_that_moves_to_another_file_system_keeps_its_permissions_and_is_never_lost() {
    for permissions in some_permissions() {
        let steps = stopped_after_each(
            |fixture| {
                let from = fixture.directory.path().join("from");
                std::fs::write(&from, "content").unwrap();
                std::fs::set_permissions(&from, permissions.clone()).unwrap();
                std::fs::create_dir(fixture.directory.path().join("disk")).unwrap();
                None
            },
            |fixture, _| {
                let directory = fixture.directory.path();
                stops::set_disks(true);
                move_file(&directory.join("from"), &directory.join("disk/to")).unwrap();
                let to = directory.join("disk/to");
                assert_eq!(std::fs::read(&to).unwrap(), b"content");
                assert_eq!(permissions_of(&to), permissions);
                assert!(!directory.join("from").exists());
            },
            |fixture, steps| {
                let places = ["from", "disk/to"].map(|it| fixture.directory.path().join(it));
                let whole = places.iter().find(|it| it.exists()).unwrap();
                assert_eq!(std::fs::read(whole).unwrap(), b"content", "after step {steps}");
            },
        );
        stops::set_disks(false);
        assert_eq!(steps, 2, "{permissions:?}");
    }
}

#[cfg(unix)]
fn some_permissions() -> Vec<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    [0o600, 0o640, 0o400, 0o444, 0o666, 0o755].map(Permissions::from_mode).to_vec()
}

#[cfg(unix)]
fn permissions_of(path: &Path) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(std::fs::metadata(path).unwrap().permissions().mode() & 0o7777)
}

/// On this platform a file is either read-only or not.
#[cfg(not(unix))]
#[expect(
    clippy::permissions_set_readonly_false,
    reason = "this platform has a single read-only attribute"
)]
fn some_permissions() -> Vec<Permissions> {
    let permissions = tempfile::tempfile().unwrap().metadata().unwrap().permissions();
    let (mut read_only, mut writable) = (permissions.clone(), permissions);
    read_only.set_readonly(true);
    writable.set_readonly(false);
    vec![read_only, writable]
}

#[cfg(not(unix))]
fn permissions_of(path: &Path) -> Permissions {
    std::fs::metadata(path).unwrap().permissions()
}
