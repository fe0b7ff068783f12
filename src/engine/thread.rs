//! Detached threads.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::net::PEER_STACK_BYTES;

/// Starts a thread. The closure is boxed because a generic function would compile the thread
/// machinery anew for each closure type.
pub fn start_thread(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work)
}

/// Starts a thread for one connection to a peer, with a small stack: there may be a hundred of
/// them.
pub fn start_peer_thread(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).stack_size(PEER_STACK_BYTES).spawn(work)
}
