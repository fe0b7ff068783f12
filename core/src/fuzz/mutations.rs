//! Mutations of seeds, similar to libFuzzer's. The command line's tests include this file.

/// Number of mutations per seed.
const MUTATIONS: usize = 300;

/// Bytes that have a meaning in many formats.
const STRUCTURE: &[u8] = b"0123456789dlie:\0\xff";

/// Calls the target with each seed and mutations of it.
pub fn check(target: fn(&[u8]), seeds: &[Vec<u8>]) {
    let mut random = fastrand::Rng::with_seed(7);
    for seed in seeds {
        target(seed);
        for _ in 0..MUTATIONS {
            let other = &seeds[random.usize(..seeds.len())];
            target(&mutate(&mut random, seed, other));
        }
    }
}

fn mutate(random: &mut fastrand::Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..=bytes.len());
        match random.u8(..5) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes.insert(at, STRUCTURE[random.usize(..STRUCTURE.len())]),
            3 => bytes.truncate(at),
            _ => {
                let from = random.usize(..=other.len());
                let to = random.usize(from..=other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}
