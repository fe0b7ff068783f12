//! The part of Cargo's own configuration (`.cargo/config.toml`) that applies to us.
//!
//! Cargo treats `[net] offline` and the variable `CARGO_NET_OFFLINE` as one value, and the other
//! keys likewise. Here, too, a key takes the place of its variable if that is not set. The nearest
//! file takes precedence, starting from the directory in which cargo was called; the file in
//! Cargo's home comes last. A file takes precedence over those that it includes. `--config`
//! arguments are ignored, because only Linux shows them.
//!
//! Cargo sets the variables of `[env]` for build scripts, but not for subcommands such as ours,
//! which sets them itself.
//!
//! Files and values that cannot be read are ignored, because Cargo reports them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// Table, key, and the corresponding variable.
const KEYS: [(&str, &str, &str); 5] = [
    ("net", "offline", "CARGO_NET_OFFLINE"),
    ("http", "proxy", "CARGO_HTTP_PROXY"),
    ("http", "cainfo", "CARGO_HTTP_CAINFO"),
    ("term", "quiet", "CARGO_TERM_QUIET"),
    ("term.progress", "when", "CARGO_TERM_PROGRESS_WHEN"),
];

/// A key that is set.
#[derive(Clone)]
pub(super) struct CargoValue {
    pub(super) variable: &'static str,
    pub(super) value: OsString,
    /// The key and the file that sets it, for messages.
    pub(super) place: String,
}

/// A variable of `[env]`.
#[cfg(feature = "engine")]
#[derive(Clone)]
pub(super) struct EnvValue {
    pub(super) name: String,
    pub(super) value: OsString,
    /// Whether it replaces a variable that is already set.
    pub(super) is_forced: bool,
    /// The key and the file that sets it, for messages.
    pub(super) place: String,
}

/// The keys that are set, in order of precedence.
#[derive(Clone, Default)]
pub(super) struct CargoConfig {
    values: Vec<CargoValue>,
    #[cfg(feature = "engine")]
    env: Vec<EnvValue>,
    /// The files that exist.
    files: Vec<PathBuf>,
}

/// How deep included files may include others. Cargo rejects cycles.
const MAX_INCLUDES: usize = 16;

impl CargoConfig {
    /// Reads the files from this directory upward, and the one in Cargo's home.
    pub(super) fn read(directory: &Path, home: Option<&Path>) -> CargoConfig {
        let (mut config, mut seen) = (CargoConfig::default(), Vec::new());
        let above = directory.ancestors().map(|above| above.join(".cargo"));
        for directory in above.chain(home.map(Path::to_owned)) {
            // If both names exist, Cargo prefers the one without extension.
            let mut names = ["config", "config.toml"].into_iter().map(|name| directory.join(name));
            let Some(file) = names.find(|file| file.is_file()) else { continue };
            config.add(file, MAX_INCLUDES, &mut seen);
        }
        config
    }

    /// Reads a file, and then those that it includes, the last one first. Each counts once, whatever
    /// path leads to it.
    fn add(&mut self, file: PathBuf, depth: usize, seen: &mut Vec<PathBuf>) {
        let canonical = file.canonicalize().unwrap_or_else(|_| file.clone());
        if seen.contains(&canonical) {
            return;
        }
        seen.push(canonical);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        self.files.push(file.clone());
        let Ok(document) = DeTable::parse(&text) else { return };
        let document = document.into_inner();
        let directory = file.parent().unwrap_or(&file);
        // Relative paths in the file start at the parent of `.cargo`.
        let base = directory.parent().unwrap_or(directory);
        self.values.extend(values_of(&document, &file, base));
        #[cfg(feature = "engine")]
        self.env.extend(env_of(&document, &file, base));
        let included = included(&document).into_iter().rev().map(|path| directory.join(path));
        for file in included.filter(|file| depth > 0 && file.is_file()) {
            self.add(file, depth - 1, seen);
        }
    }

    /// The variables of `[env]`, in order of precedence.
    #[cfg(feature = "engine")]
    pub(super) fn env(&self) -> &[EnvValue] {
        &self.env
    }

    /// Whether `is_it` returns true for a variable that this file alone sets, and its value.
    #[cfg(feature = "engine")]
    pub(super) fn any_in(file: &Path, is_it: impl Fn(&str, &OsStr) -> bool) -> bool {
        let mut config = CargoConfig::default();
        config.add(file.to_owned(), 0, &mut Vec::new());
        config.values.iter().any(|it| is_it(it.variable, &it.value))
            || config.env.iter().any(|it| is_it(&it.name, &it.value))
    }

    /// The value that takes the place of this variable.
    pub(super) fn value(&self, variable: &str) -> Option<&CargoValue> {
        self.values.iter().find(|it| it.variable == variable)
    }

    /// The files that exist. A build must run again when one changes.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// The files in the key `include`, which Cargo reads from version 1.94; a build script does not know
/// Cargo's version. The items are paths, or tables with a `path`.
fn included(document: &DeTable<'_>) -> Vec<String> {
    let path = |item: &DeValue<'_>| match item {
        DeValue::String(path) => Some(path.to_string()),
        DeValue::Table(table) => table.get("path")?.get_ref().as_str().map(str::to_owned),
        _ => None,
    };
    let include = document.get("include").and_then(|it| it.get_ref().as_array());
    include.into_iter().flat_map(|it| it.iter()).filter_map(|it| path(it.get_ref())).collect()
}

/// The variables that a file sets: text, or a table with `value`, `force` and `relative`.
#[cfg(feature = "engine")]
fn env_of(document: &DeTable<'_>, file: &Path, base: &Path) -> Vec<EnvValue> {
    let env = document.get("env").and_then(|it| it.get_ref().as_table());
    let value_of = |(name, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = name.get_ref();
        let (text, flags) = match value.get_ref() {
            DeValue::String(text) => (&**text, None),
            DeValue::Table(table) => (table.get("value")?.get_ref().as_str()?, Some(table)),
            _ => return None,
        };
        let is = |flag| flags.and_then(|it| it.get(flag)?.get_ref().as_bool()) == Some(true);
        Some(EnvValue {
            name: name.to_string(),
            value: if is("relative") { base.join(text).into() } else { text.into() },
            is_forced: is("force"),
            place: format!("`env.{name}` in {}", file.display()),
        })
    };
    env.into_iter().flatten().filter_map(value_of).collect()
}

/// The values that a file sets. Its relative paths start at `base`.
fn values_of(document: &DeTable<'_>, file: &Path, base: &Path) -> Vec<CargoValue> {
    let value_of = |(table, key, variable): (&str, &str, &'static str)| {
        let inside = |document, name| DeTable::get(document, name)?.get_ref().as_table();
        let value = table.split('.').try_fold(document, inside)?.get(key)?.get_ref();
        let value = match (key, value) {
            ("offline" | "quiet", DeValue::Boolean(yes)) => yes.to_string().into(),
            ("cainfo", DeValue::String(path)) => base.join(&**path).into_os_string(),
            ("proxy" | "when", DeValue::String(text)) => OsStr::new(&**text).to_owned(),
            _ => return None,
        };
        Some(CargoValue {
            variable,
            value,
            place: format!("`{table}.{key}` in {}", file.display()),
        })
    };
    KEYS.into_iter().filter_map(value_of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Context, OfflineBy, Settings};
    use super::*;

    /// Cargo is called in `<root>/a/b`, and `<root>/home` is Cargo's home.
    fn context(files: &[(&str, &str)], vars: &[(&str, &str)]) -> Context {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut context = Context::default();
        context.set("CARGO_HOME", root.path().join("home"));
        vars.iter().for_each(|(name, value)| context.set(name, value));
        context.called_in(&below);
        context.read_config().unwrap();
        context
    }

    fn settings(files: &[(&str, &str)], vars: &[(&str, &str)]) -> Settings {
        context(files, vars).settings().unwrap()
    }

    fn proxy(settings: &Settings) -> Option<&str> {
        settings.proxy.as_ref().map(|proxy| proxy.url.exposed())
    }

    #[test]
    fn the_nearest_file_counts_and_cargos_home_is_the_last() {
        let check = |files: &[&str], expected: &str| {
            let text = |file: &str| format!("[http]\nproxy = \"http://{file}\"\n");
            let texts: Vec<_> = files.iter().map(|file| (*file, text(file))).collect();
            let texts: Vec<_> = texts.iter().map(|(file, text)| (*file, &**text)).collect();
            let settings = settings(&texts, &[]);
            assert_eq!(proxy(&settings), Some(&*format!("http://{expected}")), "{files:?}");
        };
        let (home, root, above, here) = (
            "home/config.toml",
            ".cargo/config.toml",
            "a/.cargo/config.toml",
            "a/b/.cargo/config.toml",
        );
        check(&[home], home);
        check(&[home, root], root);
        check(&[home, root, above], above);
        check(&[home, root, above, here], here);
        check(&[here, "a/b/.cargo/config"], "a/b/.cargo/config");
        check(&["home/config"], "home/config");
    }

    #[test]
    fn each_step_of_precedence_is_cargos() {
        let file = [(
            "a/.cargo/config.toml",
            "http.proxy = 'http://file'\nnet.offline = true\nhttp.cainfo = 'ca.pem'",
        )];
        let found = settings(&file, &[]);
        assert_eq!(proxy(&found), Some("http://file"));
        let OfflineBy::Setting(by) = found.offline_by.clone().unwrap() else { panic!("{found:?}") };
        assert!(
            found.offline && by.starts_with("`net.offline` in ") && by.ends_with("config.toml")
        );
        let ca = found.ca_file.unwrap();
        assert!(ca.path.ends_with("a/ca.pem") && ca.path.is_absolute(), "{ca:?}");
        assert!(ca.variable.starts_with("`http.cainfo` in "), "{ca:?}");
        // Cargo's file takes precedence over variables of other programs, but not over Cargo's
        // variables.
        let others = [("HTTPS_PROXY", "http://other"), ("SSL_CERT_FILE", "/other.pem")];
        let found = settings(&file, &others);
        assert_eq!(proxy(&found), Some("http://file"));
        assert!(found.ca_file.unwrap().path.ends_with("a/ca.pem"));
        let ca = std::env::temp_dir().join("var.pem");
        let cargos = [
            ("CARGO_HTTP_PROXY", "http://var"),
            ("CARGO_NET_OFFLINE", "false"),
            ("CARGO_HTTP_CAINFO", ca.to_str().unwrap()),
        ];
        let found = settings(&file, &cargos);
        assert_eq!((proxy(&found), found.offline), (Some("http://var"), false));
        assert_eq!(found.ca_file.unwrap().path, ca);
        // Our own variable can enable offline mode, but not disable Cargo's.
        let ours = |value| settings(&file, &[("ACADEMICTORRENTS_OFFLINE", value)]).offline;
        assert!(ours("0") && ours("1"));
        let found = settings(&file, &[("ACADEMICTORRENTS_CA_FILE", "/our.pem")]);
        assert_eq!(found.ca_file.unwrap().path, Path::new("/our.pem"));
    }

    #[test]
    fn keys_of_the_terminal_apply_like_their_variables() {
        let check = |text: &str, vars: &[(&str, &str)], is_quiet: bool, when: Option<&str>| {
            let context = context(&[("a/.cargo/config.toml", text)], vars);
            let found = context.of_cargo("CARGO_TERM_PROGRESS_WHEN");
            assert_eq!((context.flag("CARGO_TERM_QUIET"), found), (is_quiet, when.map(OsStr::new)));
        };
        check("", &[], false, None);
        check("term.quiet = false\nterm.progress.when = 'always'", &[], false, Some("always"));
        check("[term]\nquiet = true\nprogress = { when = 'never' }", &[], true, Some("never"));
        let vars = [("CARGO_TERM_QUIET", "false"), ("CARGO_TERM_PROGRESS_WHEN", "auto")];
        check("term.quiet = true\nterm.progress.when = 'never'", &vars, false, Some("auto"));
        check("term = 1", &[], false, None);
        check("term.progress = 'never'", &[], false, None);
        check("term.progress.when = 1", &[], false, None);
    }

    #[test]
    fn a_relative_path_in_a_variable_starts_where_cargo_was_called() {
        for name in ["CARGO_HTTP_CAINFO", "SSL_CERT_FILE"] {
            let ca = settings(&[], &[(name, "certs/ca.pem")]).ca_file.unwrap();
            assert!(ca.path.is_absolute() && ca.path.ends_with("a/b/certs/ca.pem"), "{ca:?}");
            assert_eq!(ca.variable, name);
        }
    }

    #[test]
    fn a_file_counts_before_those_that_it_includes_and_the_last_of_these_first() {
        let file = |path: &str, include: &str, proxy: &str| {
            let proxy = if proxy.is_empty() {
                String::new()
            } else {
                format!("http.proxy = 'http://{proxy}'\n")
            };
            (path.to_owned(), format!("include = [{include}]\n{proxy}"))
        };
        let check = |files: &[(String, String)], expected: Option<&str>| {
            let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
            let found = settings(&files, &[]);
            assert_eq!(
                proxy(&found).map(|it| it.replace("http://", "")).as_deref(),
                expected,
                "{files:?}"
            );
        };
        let here = "a/b/.cargo/config.toml";
        let both = "'one.toml', { path = 'sub/two.toml' }, { path = 'none.toml', optional = true }";
        let (one, two) =
            (file("a/b/.cargo/one.toml", "", "one"), file("a/b/.cargo/sub/two.toml", "", "two"));
        check(&[file(here, both, "own"), one.clone(), two.clone()], Some("own"));
        check(&[file(here, both, ""), one.clone(), two.clone()], Some("two"));
        let deeper = file("a/b/.cargo/sub/two.toml", "'../one.toml'", "");
        check(&[file(here, both, ""), one.clone(), deeper], Some("one"));
        // An included file counts before those of directories above.
        check(
            &[file(here, both, ""), one.clone(), file("a/.cargo/config.toml", "", "above")],
            Some("one"),
        );
        // Cargo reports a cycle.
        let back = ("a/b/.cargo/x.toml", "include = ['../.cargo/config.toml']");
        let files = [(here, "include = ['./x.toml']"), back];
        assert_eq!(context(&files, &[]).cargo_config.files().len(), 2);
        check(&[file(here, "1, { x = 1 }", ""), one], None);
        let ca = [
            file(here, "'sub/ca.toml'", ""),
            ("a/b/.cargo/sub/ca.toml".to_owned(), "http.cainfo = 'ca.pem'".to_owned()),
        ];
        let ca: Vec<_> = ca.iter().map(|(path, text)| (&**path, &**text)).collect();
        assert!(settings(&ca, &[]).ca_file.unwrap().path.ends_with("b/.cargo/ca.pem"));
    }

    #[test]
    #[cfg(feature = "engine")]
    fn variables_of_env_are_those_that_cargo_sets() {
        let root = tempfile::tempdir().unwrap();
        let write = |below: &str, text: &str| {
            let path = root.path().join(below);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "a/b/.cargo/config.toml",
            "[env]\nPLAIN = 'near'\nTABLE = { value = 'x' }\nRELATIVE = { value = 'data', relative = true }\n\
             SET = 'file'\nFORCED = { value = 'file', force = true }\nODD = 1\nVALUELESS = { force = true }\n",
        );
        write("a/.cargo/config.toml", "[env]\nPLAIN = 'far'\nFAR = 'far'\n");
        let directory = root.path().join("a/b");
        let mut context = Context::default();
        context.set("SET", "own");
        context.set("FORCED", "own");
        context.called_in(&directory);
        context.read_config().unwrap();
        assert_eq!(context.var("PLAIN"), None); // Cargo has set it for a build script
        context.sets_env();
        context.read_config().unwrap();
        let data = directory.join("data");
        for (name, expected) in [
            ("PLAIN", Some("near")),
            ("TABLE", Some("x")),
            ("RELATIVE", data.to_str()),
            ("SET", Some("own")),
            ("FORCED", Some("file")),
            ("FAR", Some("far")),
            ("ODD", None),
            ("VALUELESS", None),
        ] {
            assert_eq!(context.var(name).and_then(OsStr::to_str), expected, "{name}");
        }
    }

    /// As in Cargo, which passes the empty value to curl.
    #[test]
    fn an_empty_proxy_is_none() {
        let file = [("a/.cargo/config.toml", "http.proxy = ''")];
        assert_eq!(proxy(&settings(&file, &[("HTTPS_PROXY", "http://other")])), None);
    }

    #[test]
    fn what_makes_no_sense_is_cargos_business() {
        for text in
            ["net.offline = 'yes'", "http = 1", "http.proxy = 1", "= =", "[http]\ncainfo = []"]
        {
            let found = settings(&[("a/.cargo/config.toml", text)], &[]);
            assert!(!found.offline && found.proxy.is_none() && found.ca_file.is_none(), "{text}");
        }
    }
}
