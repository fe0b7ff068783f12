//! The command line of the cargo that runs this build script, for flags that no variable contains.
//!
//! The parent of a build script is cargo itself. Its arguments are read from `/proc`, so only on
//! Linux; on other systems they count as absent. Arguments from an alias or from Cargo's
//! configuration are not included.

use std::path::{Path, PathBuf};

/// The arguments of a cargo call up to `--`, after which the program's arguments follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CargoCall {
    arguments: Vec<String>,
    /// The directory of the call, from which Cargo searches its configuration.
    directory: Option<PathBuf>,
}

/// Options of cargo and `cargo install` that take their value as a separate argument.
const WITH_VALUE: &str = "--config --color -C -Z --version --vers --git --branch --tag --rev --path --root --registry --index --bin --example --features -F --profile --target --target-dir --jobs -j --message-format --lockfile-path";

impl CargoCall {
    /// Reads the call from this process's parent, if that is cargo.
    ///
    /// `pwd` is the value of the variable `PWD`: cargo changes the script's directory, but not this
    /// variable.
    pub fn of_parent(pwd: Option<PathBuf>) -> CargoCall {
        let Some(line) = parent_command_line() else {
            // The platform does not show the parent's command line.
            let directory = pwd.filter(|it| it.is_absolute() && !cfg!(target_os = "linux"));
            return CargoCall { arguments: Vec::new(), directory };
        };
        let mut call = CargoCall::parse(&line);
        if !call.arguments.is_empty() {
            call.directory = parent_directory();
        }
        call
    }

    /// The call of the cargo that ran this command in the same directory.
    #[cfg(feature = "engine")]
    pub fn of_command(directory: Option<PathBuf>) -> CargoCall {
        CargoCall { arguments: Vec::new(), directory }
    }

    #[cfg(test)]
    pub(super) fn in_directory(directory: &Path) -> CargoCall {
        CargoCall { arguments: Vec::new(), directory: Some(directory.to_owned()) }
    }

    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Parses `/proc/<process>/cmdline`: arguments, each terminated by NUL.
    fn parse(command_line: &[u8]) -> CargoCall {
        let mut arguments = command_line
            .split(|byte| *byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into_owned());
        let program = arguments.next().unwrap_or_default();
        let file = program.rsplit(['/', '\\']).next().unwrap_or_default();
        // `cargo`, `cargo.exe`, and tools that embed cargo, such as `cargo-auditable`.
        if !file.starts_with("cargo") {
            return CargoCall::default();
        }
        let own = arguments.take_while(|argument| argument != "--");
        let arguments = own.filter(|argument| !argument.is_empty()).collect();
        CargoCall { arguments, directory: None }
    }

    /// The flag that disables cargo's network access.
    pub fn offline_flag(&self) -> Option<&'static str> {
        ["--offline", "--frozen"].into_iter().find(|flag| self.has(flag))
    }

    /// Whether cargo was asked to print nothing: `--quiet`, or `-q` alone or among other letters.
    #[cfg(any(feature = "fetch", test))] // without it, nothing is drawn
    pub fn is_quiet(&self) -> bool {
        let has_q = |argument: &String| {
            let letters = argument.strip_prefix('-').filter(|it| !it.starts_with('-'));
            // The value of an option may follow its letter.
            let mut flags = letters.unwrap_or_default().chars();
            flags.by_ref().take_while(|c| !"CFZjp".contains(*c)).any(|c| c == 'q')
        };
        self.has("--quiet") || self.arguments.iter().any(has_q)
    }

    /// Whether only build scripts and proc macros are compiled, as when rust-analyzer starts.
    pub fn compile_time_deps(&self) -> bool {
        self.has("--compile-time-deps")
    }

    /// Whether this is `cargo install`.
    pub fn is_install(&self) -> bool {
        self.plain().next() == Some("install")
    }

    /// Whether this `cargo install` was asked for the package, by name or by the URL of its git
    /// checkout. Cargo names the directory of a checkout by the last part of the URL and a digest.
    pub fn installs(&self, package: &str, checkout: Option<&str>) -> bool {
        let mut plain = self.plain();
        if plain.next() != Some("install") {
            return false;
        }
        let mut named = false;
        for argument in plain {
            named = true;
            if argument.split('@').next() == Some(package) {
                return true;
            }
        }
        let is_of = |url: &str| {
            let url = url.trim_end_matches('/').trim_end_matches(".git");
            let last = url.rsplit(['/', ':']).next().unwrap_or_default();
            let of = checkout.and_then(|name| name.rsplit_once('-')).map(|(of, _)| of);
            of.is_some_and(|of| of.eq_ignore_ascii_case(last))
        };
        !named && self.value("--git").is_some_and(is_of)
    }

    fn has(&self, flag: &str) -> bool {
        self.arguments.iter().any(|argument| argument == flag)
    }

    /// The value of an option, written as `--option value` or `--option=value`.
    fn value(&self, option: &str) -> Option<&str> {
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == option {
                return arguments.next().map(String::as_str);
            }
            let value = argument.strip_prefix(option).and_then(|rest| rest.strip_prefix('='));
            if value.is_some() {
                return value;
            }
        }
        None
    }

    /// The arguments that are neither options nor their values, starting with the subcommand.
    fn plain(&self) -> impl Iterator<Item = &str> {
        let mut is_value = false;
        self.arguments.iter().map(String::as_str).filter(move |argument| {
            let skipped =
                std::mem::replace(&mut is_value, WITH_VALUE.split(' ').any(|it| it == *argument));
            // `+stable` is an argument of rustup.
            !skipped && !argument.starts_with(['-', '+'])
        })
    }
}

#[cfg(target_os = "linux")]
fn parent_command_line() -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{}/cmdline", std::os::unix::process::parent_id())).ok()
}

#[cfg(target_os = "linux")]
fn parent_directory() -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{}/cwd", std::os::unix::process::parent_id())).ok()
}

#[cfg(not(target_os = "linux"))]
fn parent_directory() -> Option<PathBuf> {
    None
}

#[cfg(not(target_os = "linux"))]
fn parent_command_line() -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use super::CargoCall;

    fn call(line: &str) -> CargoCall {
        CargoCall::parse(line.replace(' ', "\0").as_bytes())
    }

    #[test]
    fn flags_are_cargos_own_up_to_two_dashes() {
        let check = |line: &str, flag| assert_eq!(call(line).offline_flag(), flag, "{line}");
        check("/usr/bin/cargo build --offline", Some("--offline"));
        check("cargo --frozen build", Some("--frozen"));
        check("cargo run -- --offline", None);
        check("cargo build", None);
        check("bash --offline", None);
        check("", None);
        assert!(call("cargo check --compile-time-deps -Zunstable-options").compile_time_deps());
        assert!(!call("cargo run -- --compile-time-deps").compile_time_deps());
    }

    #[test]
    fn quiet_may_be_one_letter_of_several() {
        let check = |line: &str, quiet| assert_eq!(call(line).is_quiet(), quiet, "{line}");
        for line in ["cargo build -q", "cargo -q build", "cargo b --quiet", "cargo build -rq"] {
            check(line, true);
        }
        for line in [
            "cargo build",
            "cargo build -pquux",
            "cargo build -Fsqlite",
            "cargo build -Zquick",
            "cargo build --features=q",
            "cargo run -- -q",
            "bash -q",
        ] {
            check(line, false);
        }
    }

    #[test]
    fn what_is_installed_is_the_users_own_and_its_dependencies_are_not() {
        let check = |line: &str, package: &str, checkout: Option<&str>, expected: bool| {
            assert_eq!(call(line).installs(package, checkout), expected, "{line}: {package}");
        };
        check("cargo install app", "app", None, true);
        check(
            "cargo +stable --color never install --root x -j 2 app@1.2 --locked",
            "app",
            None,
            true,
        );
        check("cargo install app", "data", None, false);
        check("cargo install app --features data", "data", None, false);
        check("cargo build app", "app", None, false);
        check("cargo build install", "install", None, false);
        let data = Some("data-0123456789abcdef");
        check("cargo install --git https://example.org/Data.git/", "any", data, true);
        check("cargo install --git=https://example.org/data --tag v1", "any", data, true);
        check("cargo install --git https://example.org/app", "any", data, false);
        check("cargo install --git https://example.org/data app", "any", data, false);
        check("cargo install --git https://example.org/data any", "any", data, true);
        check("cargo install --git https://example.org/data", "any", None, false);
    }
}
