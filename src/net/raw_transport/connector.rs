//! Connects for ureq: TCP, proxy, TLS. Replaces ureq's own connectors, which send CONNECT even for
//! plain http and try a host's addresses one after another.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use ureq::config::IpFamily;
#[cfg(feature = "native-tls")]
use ureq::unversioned::transport::NativeTlsConnector;
#[cfg(feature = "rustls")]
use ureq::unversioned::transport::RustlsConnector;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, TransportAdapter, time,
};

use super::{LendingTransport, RawTransport, tcp};
use crate::net::USER_AGENT;
use crate::net::error::SourceError;
use crate::net::happy_eyeballs::HappyEyeballs;
use crate::net::name_lookup::look_up;
use crate::net::proxy::{Proxy, handshake, targets};
use crate::protocol::http::parse_head;
use crate::protocol::http::proxy::{Forwarded, HttpProxyFailure, encode_connect};

type Boxed = Box<dyn Transport>;

#[derive(Debug)]
pub(super) struct ProxyConnector {
    proxy: Option<Proxy>,
    eyeballs: HappyEyeballs,
    #[cfg(feature = "rustls")]
    rustls: RustlsConnector,
    #[cfg(feature = "native-tls")]
    native_tls: NativeTlsConnector,
}

impl Connector<()> for ProxyConnector {
    type Out = LendingTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let url = details.uri.to_string();
        let transport = match self.proxy.as_ref().filter(|proxy| proxy.carries(&url)) {
            None => {
                let tcp = self.tcp(details)?;
                self.tls(details, tcp)?
            }
            Some(proxy) if proxy.forwards(&url) => {
                let host = details.uri.authority().map_or("", |it| it.as_str());
                let origin = format!("http://{host}");
                let inner = self.to_proxy(details, proxy)?;
                let forwarded = Forwarded::new(origin, proxy.authorization());
                boxed(ForwardingTransport { inner, forwarded })
            }
            Some(proxy) if proxy.is_socks() => {
                let through = self.through_socks(details, proxy)?;
                self.tls(details, through)?
            }
            Some(proxy) => {
                let tunnel = self.tunnel(details, proxy)?;
                self.tls(details, boxed(TunnelTransport(tunnel)))?
            }
        };
        Ok(Some(LendingTransport(Some(transport))))
    }
}

impl ProxyConnector {
    pub(super) fn new(proxy: Option<Proxy>, eyeballs: HappyEyeballs) -> ProxyConnector {
        ProxyConnector {
            proxy,
            eyeballs,
            #[cfg(feature = "rustls")]
            rustls: RustlsConnector::default(),
            #[cfg(feature = "native-tls")]
            native_tls: NativeTlsConnector::default(),
        }
    }

    fn tcp(&self, details: &ConnectionDetails<'_>) -> Result<Boxed, ureq::Error> {
        tcp::connect(details, &self.eyeballs).map(boxed)
    }

    /// Adds TLS for an https URL.
    fn tls(&self, details: &ConnectionDetails<'_>, inner: Boxed) -> Result<Boxed, ureq::Error> {
        let transport = Some(inner);
        #[cfg(feature = "rustls")]
        let transport = self.rustls.connect(details, transport)?.map(boxed);
        #[cfg(feature = "native-tls")]
        let transport = self.native_tls.connect(details, transport)?.map(boxed);
        transport.ok_or(ureq::Error::ConnectionFailed)
    }

    /// Connects to the proxy itself, with TLS if the proxy's URL is https.
    fn to_proxy(
        &self,
        details: &ConnectionDetails<'_>,
        proxy: &Proxy,
    ) -> Result<Boxed, ureq::Error> {
        let unreachable = |why: SourceError| failed(proxy.unreachable(why));
        let addresses =
            look_up(&proxy.place(), IpFamily::Any, *left(details)?.after).map_err(unreachable)?;
        self.to_address_of(details, proxy, &addresses).map_err(|why| unreachable(why.into()))
    }

    fn to_address_of(
        &self,
        details: &ConnectionDetails<'_>,
        proxy: &Proxy,
        addresses: &[SocketAddr],
    ) -> Result<Boxed, ureq::Error> {
        let mut addrs = details.resolver.empty();
        addresses.iter().for_each(|address| addrs.push(*address));
        let to_proxy = ConnectionDetails {
            uri: proxy.uri(),
            addrs,
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: (details.current_time)(),
            timeout: left(details)?,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let tcp = self.tcp(&to_proxy)?;
        self.tls(&to_proxy, tcp)
    }

    fn through_socks(
        &self,
        details: &ConnectionDetails<'_>,
        proxy: &Proxy,
    ) -> Result<Boxed, ureq::Error> {
        let mut refused = ureq::Error::HostNotFound;
        for target in targets(&details.addrs, details.uri) {
            // A new connection for each attempt: the proxy closes it after a refusal.
            let transport = self.to_proxy(details, proxy)?;
            let mut wire = TransportAdapter::new(transport, details.current_time.clone());
            wire.set_timeout(left(details)?);
            let mut exchange = |send: &[u8], answer: &mut [u8]| {
                wire.write_all(send)?;
                wire.read_exact(answer)
            };
            match handshake(&mut exchange, proxy, &target).map_err(failed)? {
                Ok(()) => return Ok(wire.into_inner()),
                Err(why) => refused = failed(why),
            }
        }
        Err(refused)
    }

    /// Has an HTTP proxy open a connection to the host (CONNECT).
    fn tunnel(&self, details: &ConnectionDetails<'_>, proxy: &Proxy) -> Result<Boxed, ureq::Error> {
        let Some(target) = targets(&[], details.uri).pop() else {
            return Err(ureq::Error::HostNotFound);
        };
        let refused = |why| failed(SourceError::HttpProxy(proxy.place(), why));
        let broken = |why: SourceError| failed(proxy.broken(why));
        let mut raw = RawTransport(self.to_proxy(details, proxy)?);
        let request = encode_connect(&target.to_string(), USER_AGENT, proxy.authorization());
        raw.send(&request, *left(details)?.after).map_err(|why| broken(why.into()))?;
        loop {
            let head = parse_head(raw.input());
            match head.map_err(|why| refused(HttpProxyFailure::Reply(why)))? {
                Some((head, used)) => {
                    raw.consume(used);
                    if (200..300).contains(&head.status) {
                        return Ok(raw.0);
                    }
                    let has_login = proxy.authorization().is_some();
                    return Err(refused(HttpProxyFailure::of(&head, has_login)));
                }
                None if raw.fill(*left(details)?.after).map_err(|why| broken(why.into()))? => {}
                None => return Err(broken(SourceError::Closed)),
            }
        }
    }
}

fn failed(why: SourceError) -> ureq::Error {
    ureq::Error::Io(why.into())
}

/// Returns what remains of the time to connect.
fn left(details: &ConnectionDetails<'_>) -> Result<NextTimeout, ureq::Error> {
    let mut timeout = details.timeout;
    if let (time::Duration::Exact(all), time::Instant::Exact(now), time::Instant::Exact(begun)) =
        (timeout.after, (details.current_time)(), details.now)
    {
        let left = all.saturating_sub(now.saturating_duration_since(begun));
        if left.is_zero() {
            return Err(ureq::Error::Timeout(timeout.reason));
        }
        timeout.after = time::Duration::Exact(left);
    }
    Ok(timeout)
}

fn boxed(transport: impl Transport) -> Boxed {
    Box::new(transport)
}

/// A tunnel through the proxy. `is_tls` is false even if the connection to the proxy uses TLS, so
/// that TLS to the host is added.
#[derive(Debug)]
struct TunnelTransport(Boxed);

impl Transport for TunnelTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }
}

/// A connection to a proxy that makes the requests itself. Rewrites all requests: ureq's first one,
/// and those that follow on the borrowed connection.
struct ForwardingTransport {
    inner: Boxed,
    forwarded: Forwarded,
}

impl Transport for ForwardingTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let output = self.inner.buffers().output();
        let mut rewritten = Vec::with_capacity(2 * amount);
        self.forwarded.rewrite(output.get(..amount).unwrap_or_default(), &mut rewritten);
        super::transmit(&mut self.inner, &rewritten, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl fmt::Debug for ForwardingTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForwardingTransport").field(&self.forwarded).finish()
    }
}
