//! ureq's connections, borrowed: the only file that uses ureq's `unversioned` API.
//!
//! ureq resolves, connects (proxy, TLS, certificates) and reads the head of the first reply. Its body reader
//! then looks at each byte several times at opt-level 0, so bodies are read beneath it: the connector here wraps
//! each transport, and when ureq drops a reply whose body nobody read, the wrapper hands the transport to
//! whoever asked for it with [`borrow`], with the body's first bytes still in its buffer.
//!
//! ARCHITECTURE.md says which versions of ureq this was read against, and what to check before widening the range.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, Resolver as _};
#[cfg(feature = "native-tls")]
use ureq::unversioned::transport::NativeTlsConnector;
#[cfg(feature = "rustls")]
use ureq::unversioned::transport::RustlsConnector;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, TcpConnector, Transport,
    TransportAdapter, time,
};

use super::http::HttpFailure;
use super::proxy::{handshake, is_socks, targets, unreachable};

#[cfg(not(test))]
use DefaultResolver as Names;
#[cfg(test)]
pub use tests::{BOTH, Names};

#[cfg(test)]
mod tests;

thread_local! {
    /// `None`: nobody asks. `Some(None)`: someone does. `Some(Some(_))`: here it is. ureq runs a request on the
    /// thread that makes it, and drops a reply on the thread that does, so no other thread can meet it here.
    static LENDING: RefCell<Option<Option<Box<dyn Transport>>>> = const { RefCell::new(None) };
}

/// An agent whose transports can be borrowed.
pub fn agent(config: Config) -> ureq::Agent {
    let connector: Box<Inner> = match config.proxy().is_some_and(is_socks) {
        true => Box::new(SocksConnector::default()),
        false => Box::new(DefaultConnector::new()),
    };
    ureq::Agent::with_parts(config, LendingConnector(connector), Names::default())
}

/// The addresses of a URL's host, within a time.
pub fn look_up(
    uri: &Uri,
    config: &Config,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, ureq::Error> {
    let timeout = within(timeout, ureq::Timeout::Resolve);
    let found = Names::default().resolve(uri, config, timeout)?;
    Ok(found.iter().copied().collect())
}

/// Drops a reply whose body was not read, and gives the connection that it came over; `None` where ureq has put
/// that away already (no body).
pub fn borrow(reply: ureq::http::Response<ureq::Body>) -> Option<Lent> {
    LENDING.with_borrow_mut(|lending| *lending = Some(None));
    drop(reply);
    let transport = LENDING.with_borrow_mut(Option::take)??;
    Some(Lent(transport))
}

type Inner = dyn Connector<(), Out = Box<dyn Transport>>;

#[derive(Debug)]
struct LendingConnector(Box<Inner>);

impl Connector<()> for LendingConnector {
    type Out = LendingTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(self.0.connect(details, chained)?.map(|inner| LendingTransport(Some(inner))))
    }
}

/// Connects through a SOCKS proxy. What ureq's default connector does in one is put together here, since TLS comes
/// after the proxy.
#[derive(Debug, Default)]
struct SocksConnector {
    tcp: TcpConnector,
    #[cfg(feature = "rustls")]
    rustls: RustlsConnector,
    #[cfg(feature = "native-tls")]
    native_tls: NativeTlsConnector,
}

impl Connector<()> for SocksConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let transport = self.plain(details)?;
        #[cfg(feature = "rustls")]
        let transport = self.rustls.connect(details, transport)?.map(boxed);
        #[cfg(feature = "native-tls")]
        let transport = self.native_tls.connect(details, transport)?.map(boxed);
        Ok(transport)
    }
}

impl SocksConnector {
    fn plain(
        &self,
        details: &ConnectionDetails<'_>,
    ) -> Result<Option<Box<dyn Transport>>, ureq::Error> {
        let proxy = details.config.proxy().filter(|proxy| !proxy.is_no_proxy(details.uri));
        let Some(proxy) = proxy else {
            return Ok(self.tcp.connect(details, None::<()>)?.map(boxed));
        };
        let failed = |why: String| ureq::Error::Io(io::Error::other(why));
        let unreachable = |why| failed(unreachable(proxy, HttpFailure::from(why)));
        let addresses = details
            .resolver
            .resolve(proxy.uri(), details.config, left(details)?)
            .map_err(unreachable)?;
        let mut refused = ureq::Error::HostNotFound;
        for target in targets(&details.addrs, details.uri) {
            // Each try is a connection of its own: after a refusal the proxy closes it.
            let timeout = left(details)?;
            let to_proxy = ConnectionDetails {
                uri: proxy.uri(),
                addrs: addresses.clone(),
                config: details.config,
                request_level: details.request_level,
                resolver: details.resolver,
                now: (details.current_time)(),
                timeout,
                current_time: details.current_time.clone(),
                run_connector: details.run_connector.clone(),
                register_shutdown: details.register_shutdown.clone(),
            };
            let transport = self.tcp.connect(&to_proxy, None::<()>).map_err(unreachable)?;
            let Some(transport) = transport.map(boxed) else { break };
            let mut wire = TransportAdapter::new(transport, details.current_time.clone());
            wire.set_timeout(left(details)?);
            let mut exchange = |send: &[u8], answer: &mut [u8]| {
                wire.write_all(send)?;
                wire.read_exact(answer)
            };
            match handshake(&mut exchange, proxy, &target).map_err(failed)? {
                Ok(()) => return Ok(Some(wire.into_inner())),
                Err(why) => refused = failed(why),
            }
        }
        Err(refused)
    }
}

/// What is left of the time to connect.
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

fn boxed(transport: impl Transport) -> Box<dyn Transport> {
    Box::new(transport)
}

/// A transport that goes to the borrower, if there is one, when ureq is done with it.
#[derive(Debug)]
struct LendingTransport(Option<Box<dyn Transport>>);

impl LendingTransport {
    #[expect(clippy::expect_used, reason = "only Drop takes the transport out")]
    fn inner(&mut self) -> &mut Box<dyn Transport> {
        self.0.as_mut().expect("the transport is there until it is dropped")
    }
}

impl Transport for LendingTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner().buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.inner().transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner().await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner().is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.is_tls())
    }
}

impl Drop for LendingTransport {
    fn drop(&mut self) {
        let transport = self.0.take();
        // A thread that is ending has no cell any more: nobody can be asking on it.
        let _ = LENDING.try_with(|lending| {
            if let Ok(mut lending) = lending.try_borrow_mut()
                && let Some(slot @ None) = lending.as_mut()
            {
                *slot = transport;
            }
        });
    }
}

/// A connection that ureq made, in our hands.
pub struct Lent(Box<dyn Transport>);

impl Lent {
    /// Bytes that have arrived and were not consumed.
    pub fn input(&mut self) -> &[u8] {
        self.0.buffers().input()
    }

    /// Lets go of the first bytes of [`Lent::input`].
    pub fn consume(&mut self, bytes: usize) {
        self.0.buffers().input_consume(bytes);
    }

    /// Waits for more input; false at the end of the stream.
    pub fn fill(&mut self, timeout: Duration) -> io::Result<bool> {
        self.0.await_input(within(timeout, ureq::Timeout::RecvBody)).map_err(ureq::Error::into_io)
    }

    /// Sends all bytes.
    pub fn send(&mut self, mut bytes: &[u8], timeout: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            let output = self.0.buffers().output();
            let length = bytes.len().min(output.len());
            output[..length].copy_from_slice(&bytes[..length]);
            self.0
                .transmit_output(length, within(timeout, ureq::Timeout::SendRequest))
                .map_err(ureq::Error::into_io)?;
            bytes = &bytes[length..];
        }
        Ok(())
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").finish_non_exhaustive()
    }
}

fn within(timeout: Duration, reason: ureq::Timeout) -> NextTimeout {
    NextTimeout { after: time::Duration::Exact(timeout), reason, ..NextTimeout::default() }
}
