//! Rules that the compiler does not check: which module may use which, and who may touch what.
//!
//! A rule takes a file and returns what is wrong with it. Each test first applies its rule to a
//! file that breaks it, so that a rule that matches nothing fails. Unit tests are exempt
//! from all but the general rules.

mod api;
mod imports;
mod limits;
mod names;
mod rendered;
mod repository;
mod source;

use std::path::{Path, PathBuf};

use source::{Source, names_after};

/// The modules, from the lowest layer to the highest: a module uses only modules of earlier lines,
/// and modules of one line never use each other. The comments have ARCHITECTURE.md's layer numbers;
/// some layers have several lines.
const MODULES: [&[&str]; 11] = [
    // Layer 0.
    &["mutex", "url"],
    &["address", "counters", "error", "hash", "process", "size", "suggest"],
    &["origin", "settings"],
    &["torrent"],
    // Layer 1.
    &["manifest", "protocol", "picker"],
    &["plan"],
    &["unpack"],
    // Layers 2, 3 and 4, and the entry points.
    &["net", "storage"],
    &["engine", "progress"],
    &["bench", "build_script", "get", "guide", "seed"],
    &["fuzz", "lib", "bin"],
];

/// Modules of the command line that the subcommands are built on: they use no subcommand and print
/// nothing.
const BASE: [&str; 8] =
    ["app", "catalogue", "dataset_spec", "edit", "provide", "store_usage", "torrent", "probes"];

/// Names that only some files may use.
struct Reserved {
    what: &'static str,
    words: &'static [&'static str],
    /// Path prefixes of the files that may.
    to: &'static [&'static str],
}

const RESERVED: [Reserved; 17] = [
    Reserved {
        what: "opens sockets",
        words: &["TcpStream", "UdpSocket", "ToSocketAddrs", "ureq", "rustls", "native_tls"],
        to: &["src/net/"],
    },
    Reserved {
        what: "starts threads",
        words: &["thread::spawn", "thread::Builder", "thread::scope", "rayon"],
        to: &["src/", "cargo-academictorrents/src/"],
    },
    // Its modules are imported in one place, so that paths show the layers.
    Reserved {
        what: "names the core instead of its modules",
        words: &["academictorrents_core"],
        to: &["src/lib.rs", "src/fuzz/mod.rs"],
    },
    Reserved { what: "listens", words: &["TcpListener"], to: &["src/net/listen.rs"] },
    // Its decoder overflows the stack on a datagram with a nested list of 2,000 bytes.
    Reserved {
        what: "uses the crate mainline, which is only for tests",
        words: &["mainline"],
        to: &[],
    },
    Reserved {
        what: "uses ureq's unstable API",
        words: &["unversioned"],
        to: &["src/net/raw_transport"],
    },
    Reserved {
        what: "changes files",
        words: &[
            "File::create",
            "File::create_new",
            "File::options",
            "OpenOptions",
            "DirBuilder",
            "fs::write",
            "fs::rename",
            "fs::copy",
            "fs::remove_dir",
            "fs::create_dir",
            "symlink",
            "set_permissions",
            "set_len",
            "set_times",
            "set_modified",
            "remove_file",
            "remove_dir_all",
            "create_dir_all",
            "hard_link",
        ],
        // `progress` opens the terminal, and the lock that decides which process draws; `fuzz`
        // tests the store in its own directory.
        to: &["src/storage/", "src/progress/terminal.rs", "src/fuzz/"],
    },
    Reserved {
        what: "creates or opens files without `storage::fs`, and so follows symbolic links",
        words: &[
            "File::create",
            "File::create_new",
            "File::options",
            "OpenOptions",
            "std::fs::write",
            "std::fs::copy",
        ],
        to: &["src/storage/fs", "src/progress/terminal.rs", "src/fuzz/"],
    },
    Reserved {
        what: "renames or removes files without `storage::fs`; on Windows, that fails for files that are read-only or briefly open",
        words: &["std::fs::rename", "std::fs::remove_file", "std::fs::remove_dir_all"],
        to: &["src/storage/fs", "src/fuzz/"],
    },
    Reserved {
        what: "reads the environment",
        words: &[
            "std::env",
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::args",
            "env::args_os",
            "env::current_dir",
            "env::temp_dir",
            "env::home_dir",
        ],
        // The command line reads its own arguments.
        to: &[
            "core/src/settings/environment.rs",
            "core/src/settings/kind.rs",
            "cargo-academictorrents/src/main.rs",
        ],
    },
    Reserved {
        what: "examines the parent process",
        words: &["parent_id"],
        to: &["core/src/settings/"],
    },
    Reserved {
        what: "ends or starts a process",
        words: &["process::exit", "process::abort", "process::Command"],
        to: &[
            "src/build_script/mod.rs",
            "cargo-academictorrents/src/commands/seed.rs",
            "cargo-academictorrents/src/interrupt.rs",
        ],
    },
    Reserved {
        what: "reads the clock",
        words: &["Instant::now", "SystemTime::now", ".elapsed"],
        // The build script checks the age of its note on a missing dataset; `list` and `gc` report
        // when something was last used.
        to: &[
            "src/engine/",
            "src/progress/",
            "src/build_script/mod.rs",
            "cargo-academictorrents/src/store_usage.rs",
            "cargo-academictorrents/src/seed_table.rs",
        ],
    },
    Reserved {
        what: "prints to stdout",
        words: &["print!", "println!", "io::stdout", "stdout()"],
        to: &[
            "src/build_script/directives.rs",
            "cargo-academictorrents/src/commands/",
            "cargo-academictorrents/src/output.rs",
            "cargo-academictorrents/src/table.rs",
        ],
    },
    Reserved {
        what: "prints to stderr",
        words: &["eprint!", "eprintln!", "io::stderr", "stderr()"],
        to: &[
            "src/progress/",
            "cargo-academictorrents/src/interrupt.rs",
            "cargo-academictorrents/src/seed_table.rs",
            "cargo-academictorrents/src/main.rs",
            "cargo-academictorrents/src/output.rs",
        ],
    },
    Reserved { what: "is unfinished", words: &["todo!", "unimplemented!", "dbg!"], to: &[] },
    Reserved {
        what: "has unsafe code",
        words: &["unsafe", "unsafe_code"],
        to: &["core/src/hash/sha1.rs"],
    },
];

/// Names that sans-IO modules never use: they get time and bytes as arguments.
const IO: [&str; 10] = [
    "Instant",
    "SystemTime",
    "std::fs",
    "std::io",
    "std::thread",
    "thread::sleep",
    "std::sync",
    "std::process",
    "tty",
    "stderr",
];

fn wrong_layer(source: &Source, public: &[(String, String)]) -> Vec<String> {
    let layer = |module: &str| MODULES.iter().position(|modules| modules.contains(&module));
    let Some(own) = layer(source.module()) else {
        return vec![format!("{}: `{}` is in no layer", source.path, source.module())];
    };
    let mut names = names_after(&source.code, "crate::");
    // In the command line, `crate` is the command's own crate; the library's public API may be used
    // freely.
    if source.module() == "bin" {
        let own = source.path.strip_prefix("cargo-academictorrents/src/").unwrap_or_default();
        let own = own.split(['/', '.']).next().unwrap_or_default();
        names.retain(|name| BASE.contains(&own) && !BASE.contains(&name.as_str()));
        return names.iter().map(|name| format!("{}: uses `{name}`", source.path)).collect();
    }
    // This file re-exports items of all modules for the command line.
    if source.path == "src/engine/command/mod.rs" {
        return Vec::new();
    }
    // As many `super::` as the module is deep lead to the crate's root; fewer stay inside the
    // module.
    names.extend(names_after(&source.code, &"super::".repeat(source.depth().max(1))));
    let mut found = Vec::new();
    for name in names {
        let exported = public.iter().find(|(public, _)| *public == name).map(|(_, module)| module);
        let used = exported.map_or(name.as_str(), String::as_str);
        let is_below = |used| layer(used).is_some_and(|used| used < own);
        if source.module() != "lib"
            && used != source.module()
            && layer(used).is_some()
            && !is_below(used)
        {
            found.push(format!("{}: `{}` uses `{used}`", source.path, source.module()));
        } else if exported.is_none() && name.starts_with(char::is_uppercase) {
            found.push(format!("{}: `crate::{name}` is not a known module", source.path));
        }
    }
    found
}

/// The names that `lib.rs` exports, and their modules.
fn public_names(lib: &Source) -> Vec<(String, String)> {
    let exports = lib.code.split(';').filter_map(|item| item.trim().strip_prefix("pub use "));
    // Its own root has their modules.
    let exports = exports.filter(|export| !export.starts_with("academictorrents_core"));
    let mut public = Vec::new();
    for (module, names) in exports.filter_map(|export| export.split_once("::")) {
        let names = names.split(['{', '}', ',']).map(str::trim).filter(|name| !name.is_empty());
        let last = |path: &str| path.rsplit("::").next().unwrap_or_default().to_owned();
        public.extend(names.map(|path| (last(path), module.to_owned())));
    }
    public
}

fn reserved(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for Reserved { what, words, to } in RESERVED {
        if to.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        for word in words {
            let lines = source.lines_with(word);
            found
                .extend(lines.iter().map(|line| format!("{}:{line}: {what}: {word}", source.path)));
        }
    }
    found
}

fn io_in_sans_io(source: &Source) -> Vec<String> {
    if !["protocol", "picker"].contains(&source.module()) {
        return Vec::new();
    }
    let lines =
        IO.iter().flat_map(|word| source.lines_with(word).into_iter().map(move |at| (at, word)));
    lines.map(|(line, word)| format!("{}:{line}: names {word}", source.path)).collect()
}

/// Each `unsafe` needs a comment above it that says why it is sound.
fn unsafe_without_a_reason(source: &Source) -> Vec<String> {
    let text: Vec<_> = source.text.lines().collect();
    let is_reasoned = |line: &usize| {
        let above = text[..line - 1].iter().rev().map(|line| line.trim_start());
        let mut comment = above.take_while(|line| line.starts_with("//") || line.starts_with("#["));
        comment.any(|line| line.starts_with("// SAFETY: ") || line.starts_with("/// # Safety"))
    };
    let lines = source.lines_with("unsafe").into_iter().filter(|line| !is_reasoned(line));
    lines.map(|line| format!("{}:{line}: unsafe without a SAFETY comment", source.path)).collect()
}

/// A lint that is disabled without a reason.
fn silent_allow(source: &Source) -> Vec<String> {
    let code = source::code(&source.text);
    let mut found = Vec::new();
    for word in ["allow(", "expect("] {
        // `.expect(…)` is a method, not an attribute.
        let attributes = code.match_indices(word).filter(|(at, _)| {
            code[..*at].trim_end().ends_with(['[', ',']) && in_attribute(&code[..*at])
        });
        for (at, _) in attributes {
            let end = code[at..].find(']').map_or(code.len(), |end| at + end);
            if !code[at..end].contains("reason =") {
                let line = code[..at].lines().count();
                found.push(format!("{}:{line}: `{word}…)` without a reason", source.path));
            }
        }
    }
    found
}

fn in_attribute(before: &str) -> bool {
    let open = before.rfind("#[").into_iter().chain(before.rfind("#![")).max();
    open.is_some_and(|open| !before[open..].contains(']'))
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let is_long = lines > 1_000;
    is_long
        .then(|| format!("{}: {lines} lines; a file with more than 1,000 lines probably has several concepts", source.path))
        .into_iter()
        .collect()
}

/// Let chains need Rust 1.88. Clippy checks the use of newer std APIs by `rust-version`.
fn let_chain(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("let ") {
        let before = source.code[..at].trim_end();
        let is_chained = ["if", "while"].iter().any(|word| before.ends_with(word))
            && condition(&source.code[at..]).contains("&&");
        if is_chained || before.ends_with("&&") {
            let line = before.lines().count();
            found.push(format!("{}:{line}: a `let` chain requires Rust 1.88", source.path));
        }
    }
    found
}

/// The text before the block, without parenthesized parts.
fn condition(text: &str) -> String {
    let mut depth = 0_usize;
    let mut condition = String::new();
    for c in text.chars() {
        match c {
            '{' if depth == 0 => break,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => condition.push(c),
            _ => {}
        }
    }
    condition
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a directory of the repository.
fn sources(below: &str) -> Vec<Source> {
    let files = crate::support::files_below(&root().join(below));
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    let read = |path: PathBuf| {
        let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
        let text = std::fs::read_to_string(root().join(below).join(&path)).unwrap();
        Source::new(&format!("{below}/{}", parts.join("/")), &text)
    };
    let found: Vec<_> = rust.map(read).collect();
    assert!(!found.is_empty(), "no sources in {below}");
    found
}

/// The directories with the library's sources. Its modules have one order and different names, as if it were one crate.
const LIBRARY: [&str; 2] = ["src", "core/src"];

/// The sources of the library.
fn library() -> Vec<Source> {
    LIBRARY.into_iter().flat_map(sources).collect()
}

/// The roots of the library's crates.
fn library_roots() -> [Source; 2] {
    LIBRARY.map(|below| {
        let path = format!("{below}/lib.rs");
        Source::new(&path, &std::fs::read_to_string(root().join(&path)).unwrap())
    })
}

/// The sources of the library and the command.
fn shipped() -> Vec<Source> {
    library().into_iter().chain(sources("cargo-academictorrents/src")).collect()
}

/// Asserts that the rule rejects each broken file (path and text) and accepts all shipped files but
/// unit tests.
#[track_caller]
fn check(rule: impl Fn(&Source) -> Vec<String>, broken: &[(&str, &str)]) {
    for (path, text) in broken {
        assert!(!rule(&Source::new(path, text)).is_empty(), "{path}: not caught: {text}");
    }
    let files = shipped();
    let found: Vec<_> = files.iter().filter(|it| !it.is_test()).flat_map(rule).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn modules_use_only_modules_below() {
    let roots = library_roots();
    let public: Vec<_> = roots.iter().flat_map(public_names).collect();
    let error = ("Error".to_owned(), "error".to_owned());
    assert!(public.contains(&error), "{public:?}");
    check(
        |source| wrong_layer(source, &public),
        &[
            ("src/net/peer.rs", "use crate::storage::Store;"),
            ("src/storage/fs.rs", "use crate::{Error, net};"),
            ("src/storage/fs.rs", "fn a() { crate::net::b() }"),
            ("src/storage/fs.rs", "use super::super::net::Client;"),
            ("core/src/size.rs", "use super::net::Client;"),
            ("src/engine/mod.rs", "use crate::Build;"),
            ("src/engine/mod.rs", "use crate::Nobody;"),
            ("core/src/plan/mod.rs", "use crate::storage::{self, Store};"),
            ("core/src/manifest/mod.rs", "use crate::plan;"),
            ("src/common.rs", ""),
            ("cargo-academictorrents/src/store_usage.rs", "use crate::output::Output;"),
        ],
    );
    let fine = Source::new("src/storage/fs.rs", "use super::lock; // crate::net\nuse crate::plan;");
    assert_eq!(wrong_layer(&fine, &public), [""; 0]);
    // Otherwise, a name in `MODULES` might not be a module.
    let modules = |lib: &Source| names_after(&lib.code.replace("mod ", "crate::"), "crate::");
    let modules = roots.iter().flat_map(modules).filter(|module| module != "tests");
    let modules: Vec<_> = modules.collect();
    assert!(
        modules.len() > 20
            && modules.iter().all(|module| MODULES.concat().contains(&module.as_str()))
    );
}

#[test]
fn sockets_files_environment_clock_and_output_belong_to_their_modules() {
    let mut broken = Vec::new();
    for rule in &RESERVED {
        broken.extend(
            rule.words
                .iter()
                .map(|word| ("core/src/plan/mod.rs", format!("fn a() {{ {word}() }}"))),
        );
    }
    let broken: Vec<_> = broken.iter().map(|(path, text)| (*path, text.as_str())).collect();
    check(reserved, &broken);
    let fine = "//! unsafe\nfn a() { env!(\"println!\"); an_unsafe_name(); io::copy(b) }";
    assert_eq!(reserved(&Source::new("core/src/plan/mod.rs", fine)), [""; 0]);
    // Each exception must still be used.
    let files = shipped();
    for path in RESERVED.iter().flat_map(|rule| rule.to) {
        assert!(files.iter().any(|file| file.path.starts_with(path)), "{path} is not there");
    }
}

#[test]
fn no_condition_is_newer_than_the_minimum_rust_version() {
    let chains = [
        "fn a() { if let Some(b) = c(d)\n && b > e {} }",
        "fn a() { while b(|| c && d) && let Some(e) = f {} }",
    ];
    check(let_chain, &chains.map(|text| ("core/src/plan/mod.rs", text)));
    let fine = "fn a() { if let Some(b) = c.filter(|b| *b && d) { if e && f {} } }";
    assert_eq!(let_chain(&Source::new("core/src/plan/mod.rs", fine)), [""; 0]);
    let tests: Vec<_> = shipped().iter().filter(|it| it.is_test()).flat_map(let_chain).collect();
    assert!(tests.is_empty(), "{tests:#?}");
}

#[test]
fn state_machines_have_no_clock_and_no_io() {
    check(
        io_in_sans_io,
        &[
            ("core/src/protocol/wire.rs", "fn a(now: std::time::Instant) {}"),
            ("core/src/picker/pick.rs", "use std::time::{Duration, SystemTime};"),
            ("core/src/protocol/http.rs", "use std::io::Read;"),
        ],
    );
}

#[test]
fn one_file_has_unsafe_code_and_says_why_each_time() {
    let unsafe_here = |text: &str| ("core/src/hash/sha1.rs", format!("fn a() {{\n{text}\n}}"));
    let broken =
        [unsafe_here("unsafe { b() }"), unsafe_here("// SAFETY: c.\nb();\nunsafe { b() }")];
    check(unsafe_without_a_reason, &[(broken[0].0, &broken[0].1), (broken[1].0, &broken[1].1)]);
    let fine = unsafe_here("// SAFETY: c,\n// and d.\nunsafe { b() }");
    assert_eq!(unsafe_without_a_reason(&Source::new(fine.0, &fine.1)), [""; 0]);
    let expecting: Vec<_> = shipped()
        .into_iter()
        .flat_map(|source| {
            vec![source.path.clone(); source.code.matches("expect(unsafe_code").count()]
        })
        .collect();
    assert_eq!(expecting, ["core/src/hash/sha1.rs"]);
}

#[test]
fn each_lint_that_is_switched_off_has_its_reason() {
    let broken = [
        ("src/a.rs", "#[allow(dead_code)]\nfn a() {}"),
        ("src/a.rs", "#![allow(dead_code)]"),
        ("src/a.rs", "#[expect(\n    dead_code\n)]\nfn a() {}"),
        ("src/a.rs", "#[cfg_attr(test, allow(dead_code))]\nfn a() {}"),
    ];
    check(silent_allow, &broken);
    let fine = "#[allow(a, reason = \"b\")]\nfn a() { [b, c.expect(d)]; allow(e) }";
    assert_eq!(silent_allow(&Source::new("src/a.rs", fine)), [""; 0]);
    let found: Vec<_> = sources("tests")
        .iter()
        .chain(&shipped())
        .chain(&sources("cargo-academictorrents/tests"))
        .chain(&sources("example-project/src"))
        .flat_map(silent_allow)
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_file_is_longer_than_1000_lines() {
    let long = "\n".repeat(1_001);
    check(too_long, &[("src/a.rs", &long)]);
    // Unit tests too.
    let found: Vec<_> = shipped().iter().flat_map(too_long).collect();
    assert!(found.is_empty(), "{found:#?}");
}
#[test]
fn no_source_files_import_each_other_in_a_circle() {
    for (package, files) in
        [("library", library()), ("command", sources("cargo-academictorrents/src"))]
    {
        let files: Vec<_> = files.into_iter().filter(|source| !source.is_test()).collect();
        assert_eq!(imports::Imports::of(&files).circles(), [""; 0], "{package}");
    }
}

/// The layers inside these modules, lowest first, as in docs/internals. Modules of one line do not
/// use each other.
const LAYERS: [(&str, &[&[&str]]); 2] = [
    (
        "engine",
        &[
            &["stop"],
            &["thread", "report", "local_peer", "connection_limiter", "dataset"],
            &["budget"],
            &["upload"],
            &["network_share"],
            &["session"],
            &["fetch_policy"],
            &["announce"],
            &["sources"],
            &["resolve"],
            &["job"],
            &["seed"],
            &["command"],
            &["bench", "tests"],
        ],
    ),
    (
        "storage",
        &[
            &["file_size", "ids", "parallel", "positioned", "sha256", "site", "stops"],
            &["fs", "pins"],
            &["claims", "links", "lock", "folded_names", "relocate", "resume_record", "stamp"],
            &["directory", "origin", "roots"],
            &["user_files", "target"],
            &["files"],
            &["check", "file_fault"],
            &["local_copy"],
            &["offered", "replaceable", "salvage", "siblings"],
            &["partial"],
            &["elsewhere", "move_in", "publish"],
            &["tree", "into_directory"],
            &["inventory"],
            &["tests"],
        ],
    ),
];

#[test]
fn parts_of_a_module_use_only_layers_below() {
    let files: Vec<_> = library().into_iter().filter(|source| !source.is_test()).collect();
    let imports = imports::Imports::of(&files);
    for (module, layers) in LAYERS {
        assert_eq!(imports.upward(module, layers), []);
        for entry in std::fs::read_dir(root().join("src").join(module)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.trim_end_matches(".rs");
            assert!(name == "mod" || layers.concat().contains(&name), "{name} is in no layer");
        }
    }
}
