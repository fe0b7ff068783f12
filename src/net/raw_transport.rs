//! Borrows ureq's connections: the only file (with its submodules) that uses ureq's `unversioned`
//! API.
//!
//! ureq resolves, connects (proxy, TLS, certificates) and reads the head of the first reply. Its
//! body reader looks at each byte several times at opt-level 0, so bodies are read beneath it: our
//! connector wraps each transport, and when ureq drops a reply whose body nobody read, the wrapper
//! hands the transport to the caller of [`borrow`], with the body's first bytes still in its
//! buffer.
//!
//! docs/internals/transport.md lists the versions of ureq this was checked against, and what to
//! check before widening the range.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport, time};

use self::connector::ProxyConnector;
use super::error::SourceError;
use super::happy_eyeballs::HappyEyeballs;
use super::name_lookup::look_up;
use super::proxy::Proxy;
use crate::address::{NamedBy, PrivateHosts};

mod connector;
mod tcp;

thread_local! {
    /// The judge of the request under way, and the addresses it allowed. ureq resolves names on the
    /// thread that makes the request.
    static JUDGING: RefCell<Option<(Judge, Vec<SocketAddr>)>> = const { RefCell::new(None) };
    /// `None`: nobody borrows. `Some(None)`: a borrower waits. `Some(Some(_))`: the transport for
    /// it. ureq drops a reply's transport on the thread that drops the reply, so no other thread is
    /// involved.
    static LENDING: RefCell<Option<Option<Box<dyn Transport>>>> = const { RefCell::new(None) };
}

/// Creates an agent whose transports can be borrowed. ureq itself is given no proxy.
pub fn agent(config: Config, proxy: Option<Proxy>, eyeballs: HappyEyeballs) -> ureq::Agent {
    let names = Judged(proxy.clone());
    ureq::Agent::with_parts(config, ProxyConnector::new(proxy, eyeballs), names)
}

/// Judges the addresses that a host name resolves to.
#[derive(Debug)]
pub struct Judge {
    pub hosts: Arc<PrivateHosts>,
    pub by: NamedBy,
    /// The host as it was named.
    pub host: String,
    /// Whether a TLS certificate will prove that name.
    pub proven: bool,
}

/// Makes a request that connects only to addresses which the judge allows. Also returns the allowed
/// addresses.
pub fn judged<T>(judge: Judge, call: impl FnOnce() -> T) -> (T, Vec<SocketAddr>) {
    let put = |new| JUDGING.with_borrow_mut(|judging| judging.replace(new));
    let before = put((judge, Vec::new()));
    let result = call();
    let judged = JUDGING.with_borrow_mut(|judging| std::mem::replace(judging, before));
    (result, judged.map(|(_, addresses)| addresses).unwrap_or_default())
}

/// Resolves names and leaves out addresses that may not be contacted. Returns no address for names
/// that the proxy resolves.
#[derive(Debug)]
struct Judged(Option<Proxy>);

impl Resolver for Judged {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut allowed = self.empty();
        let proxy = self.0.as_ref().filter(|proxy| !proxy.looks_up_here());
        if proxy.is_some_and(|proxy| proxy.carries(&uri.to_string())) {
            return Ok(allowed);
        }
        let place = uri.scheme().zip(uri.authority());
        let place = place.and_then(|it| DefaultResolver::host_and_port(it.0, it.1));
        let place = place.ok_or_else(|| ureq::Error::BadUri(uri.to_string()))?;
        let found = look_up(&place, config.ip_family(), *timeout.after);
        let found = found.map_err(|why| ureq::Error::Io(why.into()))?;
        let refused = JUDGING.with_borrow_mut(|judging| {
            let Some((judge, addresses)) = judging else {
                return Some(SourceError::Unjudged);
            };
            let mut refused = None;
            for address in &found {
                match judge.hosts.judge(judge.by, &judge.host, judge.proven, *address) {
                    Ok(()) => allowed.push(*address),
                    Err(why) => refused = Some(why.into()),
                }
            }
            addresses.clear();
            addresses.extend(allowed.iter());
            refused
        });
        match refused.filter(|_| allowed.is_empty()) {
            Some(why) => Err(ureq::Error::Io(why.into())),
            None => Ok(allowed),
        }
    }
}

/// Drops a reply whose body was not read, and returns its connection. Returns `None` if ureq has
/// already reclaimed the connection (the reply has no body).
pub fn borrow(reply: ureq::http::Response<ureq::Body>) -> Option<RawTransport> {
    LENDING.with_borrow_mut(|lending| *lending = Some(None));
    drop(reply);
    let transport = LENDING.with_borrow_mut(Option::take)??;
    Some(RawTransport(transport))
}

/// A transport that is handed to the borrower, if there is one, when ureq drops it.
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
        // A thread that is ending has destroyed its cell, and nobody borrows on it.
        let _ = LENDING.try_with(|lending| {
            if let Ok(mut lending) = lending.try_borrow_mut() {
                if let Some(slot @ None) = lending.as_mut() {
                    *slot = transport;
                }
            }
        });
    }
}

/// A connection that was borrowed from ureq.
pub struct RawTransport(Box<dyn Transport>);

impl RawTransport {
    /// Returns bytes that have arrived and are not consumed.
    pub fn input(&mut self) -> &[u8] {
        self.0.buffers().input()
    }

    /// Removes the first bytes of [`RawTransport::input`].
    pub fn consume(&mut self, bytes: usize) {
        self.0.buffers().input_consume(bytes);
    }

    /// Waits for more input. Returns `false` at the end of the stream.
    pub fn fill(&mut self, timeout: Duration) -> io::Result<bool> {
        self.0.await_input(within(timeout, ureq::Timeout::RecvBody)).map_err(ureq::Error::into_io)
    }

    /// Sends all bytes.
    pub fn send(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        let timeout = within(timeout, ureq::Timeout::SendRequest);
        transmit(&mut self.0, bytes, timeout).map_err(ureq::Error::into_io)
    }
}

/// Sends all bytes, in steps of the output buffer's size.
fn transmit(
    transport: &mut Box<dyn Transport>,
    mut bytes: &[u8],
    timeout: NextTimeout,
) -> Result<(), ureq::Error> {
    while !bytes.is_empty() {
        let output = transport.buffers().output();
        let length = bytes.len().min(output.len());
        output[..length].copy_from_slice(&bytes[..length]);
        transport.transmit_output(length, timeout)?;
        bytes = &bytes[length..];
    }
    Ok(())
}

impl fmt::Debug for RawTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Raw").finish_non_exhaustive()
    }
}

fn within(timeout: Duration, reason: ureq::Timeout) -> NextTimeout {
    NextTimeout { after: time::Duration::Exact(timeout), reason, ..NextTimeout::default() }
}
