//! TLS in front of another server of the swarm, with a certificate authority of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

/// A server that takes TLS connections and hands what comes to a plain one.
pub struct TlsFront {
    address: SocketAddr,
    ca_pem: String,
    over: Arc<AtomicBool>,
}

impl TlsFront {
    /// In front of the server at `upstream`; the certificate is for `localhost`.
    pub fn before(upstream: SocketAddr) -> TlsFront {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
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
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let (config, ended) = (Arc::clone(&config), Arc::clone(&ended));
                std::thread::spawn(move || forward(client.unwrap(), upstream, config, &ended));
            }
        });
        TlsFront { address, ca_pem, over }
    }

    /// `https://localhost:<port>`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Writes the authority's certificate, as `CA_FILE` wants it.
    pub fn write_ca(&self, path: &Path) {
        std::fs::write(path, &self.ca_pem).unwrap();
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // wakes the listener
    }
}

/// Both ways on one thread: each side is looked at in turn.
fn forward(
    mut client: TcpStream,
    upstream: SocketAddr,
    config: Arc<ServerConfig>,
    over: &AtomicBool,
) {
    let mut tls = ServerConnection::new(config).unwrap();
    if tls.complete_io(&mut client).is_err() {
        return; // the client does not trust us
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
