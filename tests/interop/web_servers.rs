//! Web servers that serve a directory.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::program::{Program, Tool, listens};

pub struct WebServer {
    pub tool: &'static Tool,
    /// Arguments: the server's home, the port and the directory.
    command: fn(&Path, u16, &Path) -> Command,
}

static NGINX: Tool = Tool::debian("nginx", "Debian: nginx");
static LIGHTTPD: Tool = Tool::debian("lighttpd", "Debian: lighttpd");
static APACHE: Tool = Tool::debian("apache2", "Debian: apache2-bin");
static HTTP_SERVER: Tool = Tool::python("http.server", "Debian: python3");

pub static ALL: [WebServer; 4] = [
    WebServer { tool: &NGINX, command: nginx },
    WebServer { tool: &LIGHTTPD, command: lighttpd },
    WebServer { tool: &APACHE, command: apache },
    WebServer { tool: &HTTP_SERVER, command: http_server },
];

impl WebServer {
    #[track_caller]
    pub fn serve(&self, directory: &Path) -> Program {
        Program::start(self.tool, |home, port| (self.command)(home, port, directory), listens)
    }
}

/// The URL of a path below the served directory.
pub fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}/{path}")
}

fn nginx(home: &Path, port: u16, directory: &Path) -> Command {
    // One process in the foreground: worker processes would outlive a killed master. The default
    // directories of request bodies and the PID file are not writable for users.
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid pid;\nerror_log stderr info;\nevents {{}}\nhttp {{\n\
         access_log /dev/stderr;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n\
         server {{ listen 127.0.0.1:{port}; root \"{}\"; }}\n}}\n",
        directory.display()
    );
    fs::write(home.join("nginx.conf"), configuration).unwrap();
    let mut command = NGINX.command(home);
    // Without `-e`, it would first open its default log.
    command.arg("-p").arg(home).args(["-e", "stderr", "-c", "nginx.conf"]);
    command
}

fn lighttpd(home: &Path, port: u16, directory: &Path) -> Command {
    let configuration = format!(
        "server.modules = (\"mod_accesslog\")\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
         server.document-root = \"{}\"\naccesslog.filename = \"{}\"\n",
        directory.display(),
        home.join("log").display()
    );
    fs::write(home.join("lighttpd.conf"), configuration).unwrap();
    let mut command = LIGHTTPD.command(home);
    command.args(["-D", "-f", "lighttpd.conf"]);
    command
}

/// With `AddEncoding`, which Debian comments out but many sites use: compressed files are served
/// with a `Content-Encoding`.
fn apache(home: &Path, port: u16, directory: &Path) -> Command {
    let modules = Path::new("/usr/lib/apache2/modules");
    let load = |name: &str| {
        format!("LoadModule {name}_module {}\n", modules.join(format!("mod_{name}.so")).display())
    };
    let loaded: String =
        ["mpm_event", "authz_core", "mime"].iter().map(|name| load(name)).collect();
    // If Apache is started by root, it changes to this user, who needs access to the files.
    // Otherwise, the lines have no effect.
    let user = "User www-data\nGroup www-data\n";
    let configuration = format!(
        "{loaded}{user}ServerName localhost\nListen 127.0.0.1:{port}\nServerRoot \"{home}\"\nPidFile pid\n\
         DefaultRuntimeDir run\nErrorLog /dev/stderr\nDocumentRoot \"{directory}\"\nTypesConfig /dev/null\n\
         AddEncoding x-gzip .gz .tgz\n<Directory \"{directory}\">\nRequire all granted\n</Directory>\n",
        home = home.display(),
        directory = directory.display()
    );
    #[cfg(unix)]
    for path in [home, directory] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::create_dir_all(home.join("run")).unwrap();
    fs::write(home.join("apache.conf"), configuration).unwrap();
    let mut command = APACHE.command(home);
    // One process, which ends when it is killed.
    command.args(["-X", "-f"]).arg(home.join("apache.conf"));
    command
}

/// HTTP/1.0 without ranges: one connection per file.
fn http_server(home: &Path, port: u16, directory: &Path) -> Command {
    let mut command = HTTP_SERVER.command(home);
    command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]);
    command.arg("--directory").arg(directory);
    command
}
