//! BitTorrent clients. Each is given a torrent and a directory, and checks what lies there before it seeds. Each
//! keeps to loopback and to the trackers that the torrent names: no DHT, no local discovery, no router asked for a
//! port.

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::program::{Program, Tool, free_port, in_node};
use crate::swarm::Dataset;
use crate::swarm::wire::{BITFIELD, Handshake, Message, bitfield};

pub struct Client {
    pub tool: &'static Tool,
    /// What it makes of a magnet link when one peer alone has the dataset.
    pub magnet: Magnet,
    command: fn(&Start<'_>) -> Command,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Magnet {
    /// All of it.
    Dataset,
    /// `info`, and all of it when it is started again: to whom it had `info` from it comes back only after ten minutes.
    InfoFirst,
    /// All of it. It takes links by RPC only.
    ByRpc,
}

/// What a client is started with.
struct Start<'a> {
    home: &'a Path,
    port: u16,
    /// The .torrent.
    torrent: &'a Path,
    /// Its path, or a magnet link in its place.
    source: &'a str,
    /// Where the torrent's root lies.
    directory: &'a Path,
}

static TRANSMISSION: Tool = Tool::debian("transmission-daemon", "Debian: transmission-daemon");
static ARIA2: Tool = Tool::debian("aria2c", "Debian: aria2");
static LIBTORRENT_TOOL: Tool = Tool::python("libtorrent", "Debian: python3-libtorrent");
static RTORRENT: Tool = Tool::debian("rtorrent", "Debian: rtorrent");
static RQBIT: Tool = Tool::welcome("rqbit", "cargo install rqbit");

static WEBTORRENT: Tool = Tool::node("webtorrent", "npm ci --ignore-scripts in tests/interop/node");

pub const LIBTORRENT: Client =
    Client { tool: &LIBTORRENT_TOOL, magnet: Magnet::Dataset, command: libtorrent };

pub static ALL: [Client; 6] = [
    Client { tool: &TRANSMISSION, magnet: Magnet::ByRpc, command: transmission },
    Client { tool: &ARIA2, magnet: Magnet::Dataset, command: aria2 },
    LIBTORRENT,
    Client { tool: &RTORRENT, magnet: Magnet::InfoFirst, command: rtorrent },
    Client { tool: &WEBTORRENT, magnet: Magnet::Dataset, command: webtorrent },
    Client { tool: &RQBIT, magnet: Magnet::Dataset, command: rqbit },
];

/// Beside the dataset: where rtorrent keeps torrents.
const SESSION: &str = ".session";

/// Beside the dataset: the port where Transmission takes links.
const RPC: &str = ".rpc";

/// A client that has the whole dataset, and says so to peers.
pub struct Seeder {
    program: Program,
    _data: tempfile::TempDir,
}

impl Seeder {
    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }
}

impl Client {
    #[track_caller]
    pub fn seeding(&self, dataset: &Dataset) -> Seeder {
        let data = tempfile::tempdir().unwrap();
        dataset.write_to(data.path());
        let has_all = |address| offers_all(address, dataset).unwrap_or(false);
        let program = self.start(&dataset.torrent(), None, data.path(), has_all);
        Seeder { program, _data: data }
    }

    /// How often it tells a tracker that a download was completed when it had all from the beginning.
    pub fn completions(&self) -> u64 {
        u64::from(self.tool.name == WEBTORRENT.name)
    }

    /// Starts it with the .torrent, and waits until it has all in this directory.
    #[track_caller]
    pub fn leech(&self, dataset: &Dataset, directory: &Path) -> Program {
        let has_all = |address| offers_all(address, dataset).unwrap_or(false);
        self.start(&dataset.torrent(), None, directory, has_all)
    }

    /// Starts it with a magnet link, and waits until it has all.
    #[track_caller]
    pub fn leech_by_magnet(&self, dataset: &Dataset, link: &str, directory: &Path) -> Program {
        let has_all = |address| offers_all(address, dataset).unwrap_or(false);
        let start = |is_ready: &dyn Fn(SocketAddr) -> bool| {
            self.start(&dataset.torrent(), Some(link), directory, is_ready)
        };
        match self.magnet {
            Magnet::Dataset => start(&has_all),
            Magnet::InfoFirst => {
                let info = dataset.info_bytes();
                let kept = format!("{}.torrent", dataset.infohash_hex().to_uppercase());
                let kept = directory.join(SESSION).join(kept);
                let has_info = |_| {
                    fs::read(&kept).is_ok_and(|it| it.windows(info.len()).any(|part| part == info))
                };
                drop(start(&has_info));
                start(&has_all)
            }
            Magnet::ByRpc => {
                let was_told = Cell::new(false);
                start(&|address| {
                    if !was_told.get() {
                        was_told.set(add_by_rpc(directory, link).unwrap_or(false));
                    }
                    has_all(address)
                })
            }
        }
    }

    #[track_caller]
    fn start(
        &self,
        torrent: &[u8],
        magnet: Option<&str>,
        directory: &Path,
        is_ready: impl Fn(SocketAddr) -> bool,
    ) -> Program {
        let command = |home: &Path, port| {
            let path = home.join("data.torrent");
            fs::write(&path, torrent).unwrap();
            let source = magnet.unwrap_or(path.to_str().unwrap());
            (self.command)(&Start { home, port, torrent: &path, source, directory })
        };
        Program::start(self.tool, command, is_ready)
    }
}

/// Whether a peer there has all pieces. Until a client has checked its files it hangs up, or lacks some.
fn offers_all(address: SocketAddr, dataset: &Dataset) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(&Handshake::new(dataset.infohash(), false).write())?;
    if Handshake::read(&mut stream)?.is_none_or(|it| it.infohash != dataset.infohash()) {
        return Ok(false);
    }
    let all = bitfield(&vec![true; dataset.piece_count()]);
    loop {
        let message = Message::read(&mut stream)?;
        if message.id == BITFIELD {
            return Ok(message.payload == all);
        }
    }
}

/// Whether Transmission took the link: it answers first with the id that a request has to have.
fn add_by_rpc(directory: &Path, link: &str) -> std::io::Result<bool> {
    let port = fs::read_to_string(directory.join(RPC))?;
    let body =
        format!("{{\"method\": \"torrent-add\", \"arguments\": {{\"filename\": \"{link}\"}}}}");
    let post = |id: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap()))?;
        write!(
            stream,
            "POST /transmission/rpc HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Transmission-Session-Id: {id}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        std::io::Result::Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    let refused = post("")?;
    let id = refused.lines().find_map(|line| line.strip_prefix("X-Transmission-Session-Id: "));
    Ok(post(id.unwrap_or_default())?.contains("\"success\""))
}

/// It watches a directory for the .torrent; a link it takes by RPC alone. (From `torrents` of its configuration it would load one
/// under another name than its own, too, and then not find it when peers ask for the metainfo.) It unchokes peers every ten seconds only, so that its trials take longest.
fn transmission(start: &Start<'_>) -> Command {
    let Start { home, port, torrent, source, directory } = start;
    let watched = home.join("watched");
    fs::create_dir(&watched).unwrap();
    let by_link = source.starts_with("magnet:");
    if !by_link {
        fs::copy(torrent, watched.join("data.torrent")).unwrap();
    }
    let rpc_port = free_port();
    fs::write(directory.join(RPC), rpc_port.to_string()).unwrap();
    // `Debug` of a path is a JSON string where the path is a temporary directory's.
    let settings = format!(
        "{{\"bind-address-ipv4\": \"127.0.0.1\", \"bind-address-ipv6\": \"::1\", \"peer-port\": {port}, \
         \"download-dir\": {directory:?}, \"watch-dir\": {watched:?}, \"watch-dir-enabled\": true, \"rpc-enabled\": {by_link}, \"rpc-bind-address\": \"127.0.0.1\", \"rpc-port\": {rpc_port}, \"dht-enabled\": false, \"lpd-enabled\": false, \
         \"pex-enabled\": false, \"utp-enabled\": false, \"port-forwarding-enabled\": false}}"
    );
    fs::write(home.join("settings.json"), settings).unwrap();
    let mut command = TRANSMISSION.command(home);
    command.args(["--foreground", "--log-info", "--config-dir"]).arg(home);
    command
}

/// `--check-integrity`: else it takes files that are there for somebody else's, and begins beside them.
fn aria2(start: &Start<'_>) -> Command {
    let mut command = ARIA2.command(start.home);
    command.args([
        "--no-conf",
        "--check-integrity=true",
        "--seed-ratio=0",
        "--interface=127.0.0.1",
        "--disable-ipv6=true",
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
        "--console-log-level=info",
        "--enable-color=false",
    ]);
    command.arg(format!("--listen-port={}", start.port));
    command.arg("--dir").arg(start.directory).arg(start.source);
    command
}

/// It is a library: the program is ours, and Python's binding is what is packaged.
fn libtorrent(start: &Start<'_>) -> Command {
    let script = start.home.join("libtorrent_client.py");
    fs::write(&script, include_str!("libtorrent_client.py")).unwrap();
    let mut command = LIBTORRENT_TOOL.command(start.home);
    command.arg(script).arg(start.source).arg(start.directory).arg(start.port.to_string());
    command
}

/// A library too, for Node.
fn webtorrent(start: &Start<'_>) -> Command {
    let mut command = WEBTORRENT.command(start.home);
    command.arg(in_node("webtorrent.mjs")).arg(start.source).arg(start.directory);
    command.arg(start.port.to_string());
    command
}

/// It draws on a terminal, and fails without one, unless it is a daemon; that stays in the foreground.
fn rtorrent(start: &Start<'_>) -> Command {
    let Start { home, port, source, directory, .. } = start;
    let (session, log) = (directory.join(SESSION), home.join("log"));
    fs::create_dir_all(&session).unwrap();
    let configuration = format!(
        "system.daemon.set = true\nnetwork.bind_address.set = 127.0.0.1\nnetwork.port_range.set = {port}-{port}\n\
         network.port_random.set = no\ndht.mode.set = off\nprotocol.pex.set = no\nsession.path.set = {}\n\
         directory.default.set = {}\nlog.open_file = \"log\", {}\nlog.add_output = \"info\", \"log\"\n\
         log.add_output = \"tracker_info\", \"log\"\n\
         schedule2 = begin, 0, 0, ((load.start, \"{}\"))\n",
        session.display(),
        directory.display(),
        log.display(),
        source,
    );
    fs::write(home.join("rtorrent.rc"), configuration).unwrap();
    let mut command = RTORRENT.command(home);
    command.args(["-n", "-o", "import=rtorrent.rc"]);
    command
}

/// `--overwrite`: else it refuses files that are there. `--announce-port`: else trackers are told its usual one. CI
/// does without it: no distribution has it, and two processors compile it for four minutes.
fn rqbit(start: &Start<'_>) -> Command {
    let port = &start.port.to_string();
    let mut command = RQBIT.command(start.home);
    command.args(["--disable-dht", "--disable-lsd", "--listen-ip", "127.0.0.1"]);
    command.args(["--listen-port", port, "--announce-port", port]);
    command.args(["download", "--disable-http-api", "--overwrite", "--output-folder"]);
    command.arg(start.directory).arg(start.source);
    command
}
