//! ureq's agents of a client: one for connections without TLS, and one for those with TLS that is
//! created on first use.

use std::sync::{Arc, OnceLock};

use ureq::Agent;
use ureq::tls::RootCerts;

use super::certificates::NamedRoots;
use super::happy_eyeballs::HappyEyeballs;
use super::proxy::Proxy;
use super::{Timing, http, raw_transport};
use crate::url::is_https;

/// Makes HTTP connections, keeps idle ones, and can close them all.
#[derive(Debug)]
pub(super) struct Agents {
    plain: Agent,
    /// Created on first use, because it reads the system's root certificates.
    secure: OnceLock<Agent>,
    timing: Timing,
    roots: Arc<NamedRoots>,
    proxy: Option<Proxy>,
    eyeballs: HappyEyeballs,
}

impl Agents {
    pub(super) fn new(
        timing: Timing,
        roots: NamedRoots,
        proxy: Option<Proxy>,
        eyeballs: HappyEyeballs,
    ) -> Agents {
        let none = RootCerts::new_with_certs(&[]);
        let plain =
            raw_transport::agent(http::config(timing, none), proxy.clone(), eyeballs.clone());
        let (secure, roots) = (OnceLock::new(), Arc::new(roots));
        Agents { plain, secure, timing, roots, proxy, eyeballs }
    }

    /// Returns agents with the same configuration and separate connections.
    pub(super) fn separate(&self) -> Agents {
        let config = self.plain.config().clone();
        let plain = raw_transport::agent(config, self.proxy.clone(), self.eyeballs.clone());
        Agents {
            plain,
            secure: OnceLock::new(),
            timing: self.timing,
            roots: Arc::clone(&self.roots),
            proxy: self.proxy.clone(),
            eyeballs: self.eyeballs.clone(),
        }
    }

    /// Returns the agent for requests to this URL.
    pub(super) fn of(&self, url: &str) -> &Agent {
        let is_to_tls_proxy =
            || self.proxy.as_ref().is_some_and(|proxy| proxy.is_https() && proxy.carries(url));
        if !is_https(url) && !is_to_tls_proxy() {
            return &self.plain;
        }
        self.secure.get_or_init(|| {
            let config = http::config(self.timing, self.roots.with_all_others());
            raw_transport::agent(config, self.proxy.clone(), self.eyeballs.clone())
        })
    }

    /// Closes all connections, idle or in use, and refuses new ones.
    pub(super) fn shut_down(&self) {
        self.plain.clone().shutdown();
        // If the agent for TLS was not used yet, it is replaced by the plain one, which is shut down.
        self.secure.get_or_init(|| self.plain.clone()).clone().shutdown();
    }
}
