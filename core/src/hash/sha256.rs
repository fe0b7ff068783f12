//! SHA-256 (FIPS 180-4), from the library that the build contains anyway.

use std::fmt;

/// An incremental SHA-256, for the `sha256` pins of a manifest.
#[derive(Clone)]
pub struct Sha256(engine::Engine);

impl Sha256 {
    /// Starts a hash.
    pub fn new() -> Sha256 {
        Sha256(engine::new())
    }

    /// Adds bytes to the hash.
    pub fn update(&mut self, bytes: &[u8]) {
        engine::update(&mut self.0, bytes);
    }

    /// Returns the digest of all bytes.
    pub fn finish(self) -> [u8; 32] {
        engine::finish(self.0)
    }

    /// Returns the digest of a byte slice.
    #[cfg(test)]
    pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
        let mut sha256 = Sha256::new();
        sha256.update(bytes);
        sha256.finish()
    }
}

impl Default for Sha256 {
    fn default() -> Sha256 {
        Sha256::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sha256").finish_non_exhaustive()
    }
}

/// `ring` is written in assembly, and therefore fast at opt-level 0.
#[cfg(feature = "ring")]
mod engine {
    pub(super) use ring::digest::Context as Engine;

    pub(super) fn new() -> Engine {
        Engine::new(&ring::digest::SHA256)
    }

    pub(super) fn update(engine: &mut Engine, bytes: &[u8]) {
        engine.update(bytes);
    }

    pub(super) fn finish(engine: Engine) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(engine.finish().as_ref()); // ring's SHA256 has 32 bytes
        digest
    }
}

#[cfg(not(feature = "ring"))]
mod engine {
    use sha2::Digest;
    pub(super) use sha2::Sha256 as Engine;

    pub(super) fn new() -> Engine {
        Engine::new()
    }

    pub(super) fn update(engine: &mut Engine, bytes: &[u8]) {
        engine.update(bytes);
    }

    pub(super) fn finish(engine: Engine) -> [u8; 32] {
        engine.finalize().into()
    }
}
