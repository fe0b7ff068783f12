//! An independent program: finds it, starts it on a free port, and keeps its log until it ends.

#![allow(clippy::print_stderr, reason = "the log of a program, where a trial fails")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A program or another requirement of trials.
pub struct Tool {
    pub name: &'static str,
    /// How to install it, for people who lack it.
    pub origin: &'static str,
    /// Whether CI must have it.
    pub required: bool,
    look: fn(&'static str) -> Option<PathBuf>,
    path: OnceLock<Option<PathBuf>>,
}

impl Tool {
    /// A program that Debian packages.
    pub const fn debian(name: &'static str, origin: &'static str) -> Tool {
        Tool { name, origin, required: true, look: on_path, path: OnceLock::new() }
    }

    /// A program that is used if it is installed, but never required.
    pub const fn welcome(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.required = false;
        tool
    }

    /// Not a program: an address of this machine outside of loopback.
    pub const fn address(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::welcome(name, origin);
        tool.look = |_| own_address().map(|_| PathBuf::new());
        tool
    }

    /// Not a program: a feature of this crate.
    pub const fn feature(name: &'static str, origin: &'static str, is_on: bool) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = if is_on { |_| Some(PathBuf::new()) } else { |_| None };
        tool
    }

    /// `unshare`, if it may create network and mount namespaces.
    pub const fn namespaces(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = |name| {
            let program = on_path(name)?;
            let output = Command::new(&program).args(["-rnm", "true"]).output().ok()?;
            output.status.success().then_some(program)
        };
        tool
    }

    /// A Python interpreter that has this module.
    pub const fn python(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = python_with;
        tool
    }

    /// An npm package that `.ci/run` installs. The program that runs is Node.
    pub const fn node(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = node_with;
        tool
    }

    /// Its path. The programs are expected as Debian packages them, so other systems are not
    /// searched.
    pub fn found(&'static self) -> Option<&'static Path> {
        let look = || if cfg!(target_os = "linux") { (self.look)(self.name) } else { None };
        self.path.get_or_init(look).as_deref()
    }

    /// A command with its own home directory, and without the user's proxies, which would also
    /// receive requests to loopback.
    pub fn command(&'static self, home: &Path) -> Command {
        let mut command = Command::new(self.found().unwrap());
        let proxies = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy"));
        for name in proxies {
            command.env_remove(name);
        }
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        // UTF-8 file names, and logs without colors.
        command.env("HOME", home).env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").current_dir(home);
        command
    }
}

fn directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's users do not have /usr/sbin in `PATH`; it contains nginx, lighttpd and others.
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]).collect()
}

fn on_path(name: &'static str) -> Option<PathBuf> {
    directories().into_iter().map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The path of the interpreter itself, because `PATH` may contain a wrapper that depends on `HOME`.
/// Searches all of `PATH`: Debian's modules exist only for Debian's Python, which need not be the
/// first.
fn python_with(module: &'static str) -> Option<PathBuf> {
    let code = format!("import {module}, sys; print(sys.executable)");
    let pythons = directories().into_iter().map(|directory| directory.join("python3"));
    pythons.filter(|path| path.is_file()).find_map(|path| {
        let output = Command::new(path).args(["-c", &code]).output().ok()?;
        let printed = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| PathBuf::from(printed.trim()))
    })
}

/// The path of a file for Node.
pub fn in_node(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/node").join(file)
}

fn node_with(package: &'static str) -> Option<PathBuf> {
    on_path("node").filter(|_| in_node("node_modules").join(package).is_dir())
}

/// A running program on a loopback port. Dropping it kills the program. During a panic, that also
/// prints the last lines of its log.
pub struct Program {
    name: &'static str,
    child: Child,
    port: u16,
    log: PathBuf,
    /// Removed after the program has ended.
    _home: tempfile::TempDir,
}

impl Program {
    /// Starts the program and waits until it is ready. `command` receives its home directory and
    /// the port to listen on. The program must stay in the foreground, and its children must not
    /// outlive it, because it is killed.
    #[track_caller]
    pub fn start(
        tool: &'static Tool,
        command: impl Fn(&Path, u16) -> Command,
        is_ready: impl Fn(SocketAddr) -> bool,
    ) -> Program {
        let mut tries = 3;
        loop {
            tries -= 1;
            let mut program = Program::spawn(tool, &command);
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                // Checked first: another process may have taken the port in the meantime and look
                // ready.
                if let Some(status) = program.child.try_wait().unwrap() {
                    assert!(tries > 0, "{} ended: {status}", tool.name);
                    eprintln!("{} ended, and is tried again: {status}", tool.name);
                    break;
                }
                if is_ready(program.address()) {
                    return program;
                }
                let name = tool.name;
                assert!(Instant::now() < deadline, "{name} was not ready within 60 s");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn spawn(tool: &'static Tool, command: impl Fn(&Path, u16) -> Command) -> Program {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let port = free_port();
        // Some programs open their stderr again by name, so both must append.
        let file = || fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = command(home.path(), port)
            .stdin(Stdio::null())
            .stdout(file())
            .stderr(file())
            .spawn()
            .unwrap_or_else(|why| panic!("{}: {why}", tool.name));
        Program { name: tool.name, child, port, log, _home: home }
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        // It may have exited in the meantime.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n  ");
            let ended = ended.map_or("ran until now".into(), |status| format!("ended: {status}"));
            eprintln!("{} on {} {ended}. Its log's end:\n  {last}", self.name, self.address());
        }
    }
}

/// The address from which this machine would reach others. Sends nothing.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

/// Whether something listens at the address, which is enough for web servers and trackers to be
/// ready.
pub fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// A port that is free for TCP and UDP, for programs that cannot choose one themselves. It is below
/// the range that systems assign for port 0, so that no other connection takes it before the
/// program does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 10_000).unwrap();
    for _ in 0..10_000 {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port from 20000 to 29999 is free");
}
