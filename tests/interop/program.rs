//! A program that somebody else wrote: where it is, its start on a free port, its log, its end.

#![allow(clippy::print_stderr, reason = "the log of a program, where a trial fails")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A program by its name.
pub struct Tool {
    pub name: &'static str,
    /// How it comes onto a machine, for who lacks it.
    pub origin: &'static str,
    /// Whether CI has to have it.
    pub required: bool,
    look: fn(&'static str) -> Option<PathBuf>,
    path: OnceLock<Option<PathBuf>>,
}

impl Tool {
    /// A program of Debian's.
    pub const fn debian(name: &'static str, origin: &'static str) -> Tool {
        Tool { name, origin, required: true, look: on_path, path: OnceLock::new() }
    }

    /// A program that is used where it is there, and asked for nowhere.
    pub const fn welcome(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.required = false;
        tool
    }

    /// No program, but an address of this machine that is not loopback's.
    pub const fn address(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::welcome(name, origin);
        tool.look = |_| own_address().map(|_| PathBuf::new());
        tool
    }

    /// No program, but a feature of our own crate.
    pub const fn feature(name: &'static str, origin: &'static str, is_on: bool) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = if is_on { |_| Some(PathBuf::new()) } else { |_| None };
        tool
    }

    /// `unshare`, where it may make namespaces of networks and mounts.
    pub const fn namespaces(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = |name| {
            let program = on_path(name)?;
            let output = Command::new(&program).args(["-rnm", "true"]).output().ok()?;
            output.status.success().then_some(program)
        };
        tool
    }

    /// A Python that has this module.
    pub const fn python(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = python_with;
        tool
    }

    /// A package that `.ci/run` has npm install; what is started is Node.
    pub const fn node(name: &'static str, origin: &'static str) -> Tool {
        let mut tool = Tool::debian(name, origin);
        tool.look = node_with;
        tool
    }

    /// Where it is. They are Linux's programs as Debian has them; what has their names elsewhere is not looked at.
    pub fn found(&'static self) -> Option<&'static Path> {
        let look = || if cfg!(target_os = "linux") { (self.look)(self.name) } else { None };
        self.path.get_or_init(look).as_deref()
    }

    /// Its command, with a home of its own and without the user's proxies, which would be asked for loopback, too.
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
        // File names are UTF-8 for all of them, and logs are without colours.
        command.env("HOME", home).env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").current_dir(home);
        command
    }
}

fn directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's users do not have it in their PATH, and nginx, lighttpd and others are there.
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]).collect()
}

fn on_path(name: &'static str) -> Option<PathBuf> {
    directories().into_iter().map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The interpreter itself: what lies in the PATH may be a wrapper that looks at `HOME`. Debian's modules
/// are there for Debian's Python alone, which need not be the first one.
fn python_with(module: &'static str) -> Option<PathBuf> {
    let code = format!("import {module}, sys; print(sys.executable)");
    let pythons = directories().into_iter().map(|directory| directory.join("python3"));
    pythons.filter(|path| path.is_file()).find_map(|path| {
        let output = Command::new(path).args(["-c", &code]).output().ok()?;
        let printed = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| PathBuf::from(printed.trim()))
    })
}

/// A file of the directory with what is written for Node.
pub fn in_node(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/node").join(file)
}

fn node_with(package: &'static str) -> Option<PathBuf> {
    on_path("node").filter(|_| in_node("node_modules").join(package).is_dir())
}

/// A program that runs, on a port of loopback. It is killed on `Drop`; where that is in a panic, its log's
/// last lines are printed.
pub struct Program {
    name: &'static str,
    child: Child,
    port: u16,
    log: PathBuf,
    /// Removed after the program has ended.
    _home: tempfile::TempDir,
}

impl Program {
    /// Starts it, and waits until it is ready. `command` is given its home and the port to listen on; it is
    /// killed, so it must not go to the background, and neither may what it starts outlive it.
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
                // First: what is ready may be somebody else who was given the port in between.
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
        // Some open their stderr once more by its name: both must append.
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
        // It may end by itself meanwhile.
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

/// The address from which this machine would reach others. Nothing is sent for that.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

/// Whether somebody listens there: all that a web server or a tracker needs.
pub fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// A port that is free for TCP and UDP, for a program that cannot be told to choose one. It is below those that
/// systems give out for port 0: there another's connection might take it before the program does.
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
