//! A TLS front for another server of the swarm, with its own certificate authority.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

/// A server that terminates TLS and forwards the data to a plain server.
pub struct TlsFront {
    address: SocketAddr,
    ca_pem: String,
    over: Arc<AtomicBool>,
}

impl TlsFront {
    /// Starts a front for the server at `upstream`, with a certificate for `localhost`.
    pub fn before(upstream: SocketAddr) -> TlsFront {
        TlsFront::start(upstream, "localhost", false)
    }

    /// A TLS-intercepting proxy, as some universities run: for `host`, it presents a certificate of
    /// its own authority, and forwards the data to the server at `upstream`.
    pub fn inspecting(host: &str, upstream: SocketAddr) -> TlsFront {
        TlsFront::start(upstream, host, true)
    }

    fn start(upstream: SocketAddr, host: &str, is_proxy: bool) -> TlsFront {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let chain = vec![CertificateDer::from(leaf.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let (config, over) = (Arc::new(config), Arc::new(AtomicBool::new(false)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::clone(&over);
        let tunnel = is_proxy.then(|| format!("CONNECT {host}:443 HTTP/1.1\r\n"));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let (config, ended) = (Arc::clone(&config), Arc::clone(&ended));
                let tunnel = tunnel.clone();
                std::thread::spawn(move || {
                    let mut client = client.unwrap();
                    if tunnel.is_none_or(|asked| open_tunnel(&mut client, &asked)) {
                        forward(client, upstream, config, &ended);
                    }
                });
            }
        });
        TlsFront { address, ca_pem, over }
    }

    /// `https://localhost:<port>`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:<port>`, for use as a proxy.
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The authority's certificate, in the format of `CA_FILE`.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Writes the authority's certificate.
    pub fn write_ca(&self, path: &Path) {
        std::fs::write(path, &self.ca_pem).unwrap();
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // unblocks the listener
    }
}

/// Answers a `CONNECT` request: 200 for the expected one, else 502.
fn open_tunnel(client: &mut TcpStream, asked: &str) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    // Read single bytes, because TLS data follows the head.
    while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
        if client.read_exact(&mut byte).is_err() {
            return false;
        }
        head.push(byte[0]);
    }
    let is_asked = head.starts_with(asked.as_bytes());
    let status = if is_asked { "200 OK" } else { "502 Bad Gateway" };
    client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).is_ok() && is_asked
}

/// Forwards both directions on one thread, by polling the sockets in turn.
fn forward(
    mut client: TcpStream,
    upstream: SocketAddr,
    config: Arc<ServerConfig>,
    over: &AtomicBool,
) {
    let mut tls = ServerConnection::new(config).unwrap();
    if tls.complete_io(&mut client).is_err() {
        return; // the client does not trust the certificate
    }
    let Ok(mut upstream) = TcpStream::connect(upstream) else { return };
    let look = Some(Duration::from_millis(2));
    client.set_read_timeout(look).unwrap();
    upstream.set_read_timeout(look).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let would_block = |why: &std::io::Error| {
        matches!(why.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    };
    while !over.load(Ordering::Relaxed) {
        match rustls::Stream::new(&mut tls, &mut client).read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => upstream.write_all(&buffer[..read]).unwrap_or(()),
            Err(why) if would_block(&why) => {}
            Err(_) => break,
        }
        match upstream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                if rustls::Stream::new(&mut tls, &mut client).write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Err(why) if would_block(&why) => {}
            Err(_) => break,
        }
    }
    tls.send_close_notify();
    let _ = tls.complete_io(&mut client);
}
