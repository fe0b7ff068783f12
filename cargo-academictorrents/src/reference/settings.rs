//! `environment.md` and `configuration-file.md`, from the table of settings.

use std::fmt::Write as _;

use academictorrents::engine::settings::{DefaultValue, SETTINGS, Setting, SettingKind};

use super::{check, head};

const TABLE: &str = "the table in core/src/settings/table.rs";

const PRECEDENCE: &str = "Precedence: options of the command line, environment variables, configuration file, manifest, defaults. Some settings are combined with the manifest
instead: `mirrors` and `peers` are added to those of the manifest and tried first. Only `sources` that both allow are used, and the lower `max-size`
applies.";

const ENVIRONMENT: &str = "An empty variable counts as not set. An unknown variable that begins with `ACADEMICTORRENTS_` is an error that suggests the most similar name. List
items are separated by commas or spaces, and directories as in `PATH`; put items that contain a separator into the configuration file. If there are
several fallbacks, the first one that is set is used.

Variables can be set for a project in `[env]` of its `.cargo/config.toml`, for builds and `cargo academictorrents`. A change of `ACADEMICTORRENTS_STORE`, `ACADEMICTORRENTS_LOAD_PATH`, or the `ACADEMICTORRENTS_PATH_<NAME>` of a declared dataset runs the build script again; other changes take effect the next time it runs. `cargo academictorrents config` shows the settings in effect and where each of them comes from.";

const OF_CARGO: &str = "## Cargo's configuration

Builds and the command read [Cargo's own configuration](https://doc.rust-lang.org/cargo/reference/config.html): `.cargo/config.toml` in the directory in which Cargo was called, in its parent directories, and in Cargo's home. As in Cargo, the nearest file takes precedence, and the corresponding variable takes precedence over files:

| key | variable |
| --- | --- |
| `[net] offline` | `CARGO_NET_OFFLINE` |
| `[http] proxy` | `CARGO_HTTP_PROXY` |
| `[http] cainfo` | `CARGO_HTTP_CAINFO` |
| `[term] quiet` (no bars) | `CARGO_TERM_QUIET` |
| `[term] progress.when` | `CARGO_TERM_PROGRESS_WHEN` |

Files that `include` names are read, too, even where Cargo is older than 1.94 and ignores them. Build scripts run again when such a file changes. Cargo's `--config` arguments are ignored. On systems other than Linux, the directory is taken from the variable `PWD`.
";

const PATH_OF_DATASET: &str = "## `ACADEMICTORRENTS_PATH_<NAME>`

The copy to use for one dataset, whose name is in upper case with `_` for `-`: the file of a single-file torrent, otherwise its root directory. It is verified once and then used where it is.

- **Type:** absolute path
- **Default:** none
- **Example:** `ACADEMICTORRENTS_PATH_MNIST=/data/mnist`
";

const FILE: &str = "The configuration file holds the settings of a person or a machine. It is `academictorrents/config.toml` in the configuration directory:

| platform | configuration directory |
| --- | --- |
| Linux and other Unix systems | `$XDG_CONFIG_HOME` or `~/.config` |
| macOS | `~/Library/Application Support` |
| Windows | `%APPDATA%` |

An unknown key is an error that names the line and suggests the most similar key. Build scripts run again when the file changes; after it is created,
it takes effect the next time they run. `cargo academictorrents config` shows the settings in effect and where each of them comes from.";

/// The types of the variable and of the key.
fn types(kind: &SettingKind) -> (String, &'static str) {
    let words = |words: &[&str]| format!("`{}`", words.join("`, `"));
    let (variable, key) = match kind {
        SettingKind::Flag(_) => {
            ("flag; `0`, `false` and `no` turn it off, any other value on", "boolean")
        }
        SettingKind::Word(all, _) => return (format!("one of {}", words(all)), "string"),
        SettingKind::Words(all, _) => {
            return (format!("list of {}", words(all)), "list of strings");
        }
        SettingKind::Duration(_) => (
            "duration of at least 100 ms: a number of seconds, or a number with the unit `ms`, `s`, `m`, `h` or `d`",
            "string, or integer of seconds",
        ),
        SettingKind::Size(_) => (
            "size: a number of bytes, or a number with a unit such as `kB`, `MB`, `GB` (powers of 1,000) or `KiB`, `MiB`, `GiB` (powers of 1,024)",
            "string, or integer of bytes",
        ),
        SettingKind::Rate(_) => (
            "bytes per second, as a size: `500kB`, `4MiB`, `0`",
            "string, or integer of bytes per second",
        ),
        SettingKind::Url(_) => ("`http://` or `https://` URL", "string"),
        SettingKind::Proxy(_) => ("URL", "string"),
        SettingKind::ApiKey(_) => ("key: `uid=<number>;pass=<letters and digits>`", "string"),
        SettingKind::Credentials(_) => ("list of `host=token` and `host=Name:value`", "table"),
        SettingKind::File(_) => ("absolute path", "string"),
        SettingKind::Directories(_) => ("list of absolute paths", "list of strings"),
        SettingKind::Mirrors(_) => {
            ("list of URLs and absolute paths of directories", "list of strings")
        }
        SettingKind::Trackers(_) => ("list of URLs of trackers, or `off`", "list of strings"),
        SettingKind::Peers(_) | SettingKind::Nodes(_) => ("list of `host:port`", "list of strings"),
        SettingKind::Hosts(_) => {
            ("list of hosts, addresses and networks, with or without a port", "list of strings")
        }
        SettingKind::Text(_) => ("list", "string"),
        SettingKind::Store => ("absolute path", "string"),
    };
    (variable.to_owned(), key)
}

fn default(row: &Setting) -> String {
    match row.default {
        DefaultValue::Unset => "none".to_owned(),
        DefaultValue::Value(value) => format!("`{value}`"),
        DefaultValue::OutsideCi(value, in_ci) => {
            format!("`{value}`; `{in_ci}` if the variable `CI` is set")
        }
        DefaultValue::Described(text) if !text.contains(' ') => format!("`{text}`"),
        DefaultValue::Described(text) => text.to_owned(),
    }
}

fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The variables, of which the first that is set counts.
fn first(names: &[&str]) -> String {
    let which = if names.len() > 1 { ", the first that is set" } else { "" };
    code(names) + which
}

fn environment() -> String {
    let mut page = head("Environment variables", TABLE);
    write!(page, "\n{PRECEDENCE}\n\n{ENVIRONMENT}\n\n{OF_CARGO}").unwrap();
    for row in &SETTINGS {
        let name = row.variable();
        let also = row.variables.get(1..).unwrap_or_default();
        write!(page, "\n## `{name}`\n\n{}\n\n- **Type:** {}\n", row.doc, types(&row.kind).0)
            .unwrap();
        writeln!(page, "- **Default:** {}", default(row)).unwrap();
        if !row.key.is_empty() {
            let key = row.key;
            writeln!(page, "- **Configuration file:** [`{key}`](configuration-file.md#{key})")
                .unwrap();
        }
        match (&row.kind, also) {
            (_, []) => {}
            (SettingKind::Flag(_), _) => {
                writeln!(page, "- **Also set by:** {}", code(also)).unwrap()
            }
            _ => writeln!(page, "- **If it is not set:** {}", first(also)).unwrap(),
        }
        if !row.fallbacks.is_empty() {
            let fallbacks = first(row.fallbacks);
            writeln!(page, "- **If neither it nor the key is set:** {fallbacks}").unwrap();
        }
        if row.secret {
            page.push_str("- **Secret:** `config` and `doctor` do not print it\n");
        }
        writeln!(page, "- **Example:** `{name}={}`", row.variable_example().unwrap()).unwrap();
        if name.ends_with("LOAD_PATH") {
            write!(page, "\n{PATH_OF_DATASET}").unwrap();
        }
    }
    page
}

fn configuration_file() -> String {
    let mut page = head("Configuration file", TABLE);
    write!(page, "\n{FILE}\n\n{PRECEDENCE}\n\n```toml\n").unwrap();
    let with_key = || SETTINGS.iter().filter(|row| !row.key.is_empty());
    for row in
        with_key().filter(|row| ["store", "load-path", "max-size", "proxy"].contains(&row.key))
    {
        writeln!(page, "{} = {}", row.key, row.example).unwrap();
    }
    page.push_str("```\n");
    for row in with_key() {
        let (of_variable, of_key) = types(&row.kind);
        write!(page, "\n## `{}`\n\n{}\n\n- **Type:** {of_key}", row.key, row.doc).unwrap();
        let items = of_variable.strip_prefix("list of ").unwrap_or(&of_variable);
        if !matches!(row.kind, SettingKind::Flag(_)) {
            write!(page, " ({items})").unwrap();
        }
        let default = match row.kind {
            SettingKind::Flag(_) => "`false`".to_owned(),
            _ => default(row),
        };
        write!(page, "\n- **Default:** {default}\n").unwrap();
        let name = row.variable();
        let anchor = name.to_lowercase();
        writeln!(page, "- **Environment:** [`{name}`](environment.md#{anchor})").unwrap();
        writeln!(page, "- **Example:** `{} = {}`", row.key, row.example).unwrap();
    }
    page
}

#[test]
fn the_reference_is_written_from_the_table() {
    check("environment.md", &environment());
    check("configuration-file.md", &configuration_file());
}
