//! What peers are served, at which rate, and of which peers others are told.

pub mod manager;
pub mod pex_registry;
pub mod serving;
