//! Rules for all text files of the repository.

use std::path::{Path, PathBuf};

use super::root;

/// Paths of one machine, split so that this file does not match.
const PLACES: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/tm", "p/w/")];

/// Markers of unfinished work.
const NOTES: [&str; 3] = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];

/// Git's conflict markers.
const CONFLICTS: [&str; 2] = [concat!("<<<<", "<<< "), concat!(">>>>", ">>> ")];

/// Forbidden parts of this text.
fn findings(path: &str, text: &str, machine: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut add =
            |what: &str, word: &str| found.push(format!("{path}:{}: {what}: {word}", at + 1));
        for word in PLACES.into_iter().chain(machine.iter().map(String::as_str)) {
            if names_place(line, word) {
                add("names a path or host of one machine", word);
            }
        }
        if CONFLICTS.iter().any(|mark| line.starts_with(mark)) {
            add("is a merge conflict marker", line);
        }
        for word in NOTES {
            let mut words = line.split(|c: char| !c.is_alphanumeric());
            if words.any(|it| it == word) {
                add("is a reminder", word);
            }
        }
    }
    found
}

/// Whether the line has this path, other than as the path of a URL.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}".contains(c))
    })
}

/// This checkout's path, and the hosts of registry mirrors configured on this machine.
fn of_this_machine() -> Vec<String> {
    let mut machine = vec![root().display().to_string()];
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let config = home.and_then(|home| std::fs::read_to_string(home.join("config.toml")).ok());
    machine.extend(hosts(&config.unwrap_or_default()));
    machine
}

/// The hosts of a configuration's URLs, except for public registries.
fn hosts(config: &str) -> Vec<String> {
    let urls = config.split("://").skip(1);
    let authority = |url: &str| url.split(['/', '"', '\'', '\n', ' ']).next().map(str::to_owned);
    let host =
        |it: String| it.rsplit('@').next().and_then(|it| it.split(':').next().map(str::to_owned));
    let everybodys = |host: &String| {
        host.is_empty() || ["crates.io", "github.com"].iter().any(|public| host.ends_with(public))
    };
    urls.filter_map(authority).filter_map(host).filter(|host| !everybodys(host)).collect()
}

/// Relative paths of all files of the repository, without build output and installed packages.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if ["target", ".git", "node_modules", "corpus", "artifacts"]
            .iter()
            .any(|other| name == *other)
        {
            continue;
        }
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), found),
            false => found.push(entry.path().strip_prefix(root()).unwrap().to_owned()),
        }
    }
}

#[test]
fn no_text_names_this_machine_or_puts_something_off() {
    let machine = ["registry.example".to_owned()];
    for broken in [
        "see /ho|me/me/data",
        "https://registry.exa|mple/index",
        "// TO|DO: more",
        "FIX|ME",
        "<<<|<<<< HEAD",
    ] {
        let broken = broken.replace('|', "");
        assert_eq!(findings("a", &broken, &machine).len(), 1, "{broken}");
    }
    for fine in ["https://example.org/ho|me/me", "the home directory", "MASTO|DON", "~/ro|ot/a"] {
        assert_eq!(findings("a", &fine.replace('|', ""), &machine), [""; 0], "{fine}");
    }
    let config = "[source.a]\nregistry = \"sparse+https://me:key@mirror.example:8080/index/\"\n\
                  [source.b]\nregistry = \"https://github.com/rust-lang/crates.io-index\"\n";
    assert_eq!(hosts(config), ["mirror.example"]);

    let (machine, mut paths, mut found, mut texts) = (of_this_machine(), Vec::new(), Vec::new(), 0);
    files(root(), &mut paths);
    for path in paths {
        // Skip files that are not text, such as the example's dataset.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        texts += 1;
        found.extend(findings(&path.display().to_string(), &text, &machine));
    }
    assert!(texts > 20, "{texts} texts");
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether a file's name is that of compiler output, which would stay in the history if committed
/// by accident.
fn is_built(path: &Path) -> bool {
    let ends = ["o", "d", "rlib", "rmeta", "so", "dylib", "dll", "pdb", "lib", "a"];
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.extension().and_then(|end| end.to_str()).is_some_and(|end| ends.contains(&end))
        || name == "dep-graph.bin"
}

#[test]
fn nothing_that_a_compiler_wrote_is_among_the_sources() {
    for (name, built) in [("a/s-1/0x.o", true), ("a/dep-graph.bin", true), ("src/a.rs", false)] {
        assert_eq!(is_built(Path::new(name)), built, "{name}");
    }
    let mut paths = Vec::new();
    files(root(), &mut paths);
    paths.retain(|path| is_built(path));
    assert!(paths.is_empty(), "{} files: {:#?}", paths.len(), paths.first());
}

/// The numbers and lengths of lines of prose that have more than 160 characters. Tables, code and
/// addresses of links may be longer.
fn long_lines(page: &str) -> Vec<(usize, usize)> {
    let (mut is_code, mut found) = (false, Vec::new());
    for (at, line) in page.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let is_prose = !is_code && !line.starts_with(['|', '<']);
        let links = line.split("](").skip(1).filter_map(|it| it.split_once(')'));
        let in_links: usize = links.map(|(target, _)| target.chars().count()).sum();
        let length = line.chars().count() - in_links;
        if is_prose && length > 160 {
            found.push((at + 1, length));
        }
    }
    found
}

#[test]
fn prose_has_at_most_160_characters_a_line() {
    let (long, link) = ("a".repeat(161), format!("[a]({})", "b".repeat(200)));
    for fine in ["a", &link, &format!("```\n{long}\n```"), &format!("| {long} |")] {
        assert_eq!(long_lines(fine), [], "{fine}");
    }
    assert_eq!(long_lines(&format!("a\n{long}")), [(2, 161)]);
    assert_eq!(long_lines(&format!("```\n```\n{long} {link}")).len(), 1);

    let (mut paths, mut found, mut pages) = (Vec::new(), Vec::new(), 0);
    files(root(), &mut paths);
    // The chapters in `src/guide` are copies whose links are longer.
    paths.retain(|path| path.extension().is_some_and(|it| it == "md") && !path.starts_with("src"));
    for path in paths {
        let page = std::fs::read_to_string(root().join(&path)).unwrap();
        pages += 1;
        let long = long_lines(&page).into_iter();
        found.extend(long.map(|(at, length)| format!("{}:{at}: {length}", path.display())));
    }
    assert!(pages > 40, "{pages} pages");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_map_of_modules_names_each() {
    let Ok(map) = std::fs::read_to_string(root().join("ARCHITECTURE.md")) else { return };
    for module in super::MODULES.concat() {
        let is_named = [format!("`{module}`"), format!("`{module}/`"), format!("`{module}.rs`")]
            .iter()
            .any(|name| map.contains(name));
        assert!(is_named || ["lib", "bin"].contains(&module), "ARCHITECTURE.md lacks `{module}`");
    }
}

/// Paths of sources that this page quotes and that do not exist.
fn lost_paths(page: &str) -> Vec<&str> {
    let is_source = |it: &&str| {
        ["src/", "core/src/", "cargo-academictorrents/src/", "tests/"]
            .iter()
            .any(|below| it.starts_with(below))
            && !it.contains([' ', '*', '<'])
    };
    let paths = page.split('`').skip(1).step_by(2).filter(is_source);
    paths.filter(|it| !root().join(it).exists()).collect()
}

#[test]
fn pages_for_contributors_lead_to_sources() {
    let page = "`src/lib.rs`, `src/net/`, `src/nothing.rs`, `src/engine/*`, src/x.rs";
    assert_eq!(lost_paths(page), ["src/nothing.rs"]);

    let mut paths = Vec::new();
    files(root(), &mut paths);
    let is_for_contributors = |path: &PathBuf| {
        path.starts_with("docs/internals")
            || ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"]
                .iter()
                .any(|it| path == Path::new(it))
    };
    paths.retain(is_for_contributors);
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let page = std::fs::read_to_string(root().join(&path)).unwrap();
        assert_eq!(lost_paths(&page), [""; 0], "{}", path.display());
    }
}

/// Third-party actions that a workflow does not pin to a commit.
fn not_pinned(workflow: &str) -> Vec<&str> {
    let used = workflow.lines().filter_map(|line| {
        line.trim_start().trim_start_matches("- ").strip_prefix("uses:").map(str::trim)
    });
    let is_pinned = |action: &&str| {
        let Some((_, at)) = action.split_once('@') else { return action.starts_with("./") };
        let (hash, version) = at.split_once(" # ").unwrap_or((at, ""));
        hash.len() == 40 && hash.bytes().all(|it| it.is_ascii_hexdigit()) && !version.is_empty()
    };
    used.filter(|action| !is_pinned(action)).collect()
}

#[test]
fn workflows_run_actions_of_one_commit_each() {
    let hash = "0123456789".repeat(4);
    for fine in [format!("- uses: a/b@{hash} # v1.2.3"), "      uses: ./here".to_owned()] {
        assert_eq!(not_pinned(&fine), [""; 0], "{fine}");
    }
    for broken in ["a/b@v4".to_owned(), "a/b@main".into(), "a/b".into(), format!("a/b@{hash}")] {
        assert_eq!(not_pinned(&format!("      - uses: {broken}")), [&*broken]);
    }
    let mut actions = 0;
    for entry in std::fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        let workflow = std::fs::read_to_string(&path).unwrap();
        actions += workflow.matches("uses:").count();
        assert_eq!(not_pinned(&workflow), [""; 0], "{}", path.display());
    }
    assert!(actions > 5, "{actions} actions");
}

/// Each package has copies, because a symbolic link is a text file in some checkouts, and would be packaged as one.
#[test]
fn each_package_has_the_licenses() {
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let of_library = std::fs::read_to_string(root().join(name)).unwrap();
        for package in ["core", "cargo-academictorrents"] {
            let copy = std::fs::read_to_string(root().join(package).join(name)).unwrap();
            assert_eq!(copy, of_library, "{package}/{name}");
        }
    }
}
