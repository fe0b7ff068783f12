//! Seeds and mutations of them, similar to libFuzzer's. The command line's tests include this file.

use std::path::Path;

/// Number of mutations per seed.
const MUTATIONS: usize = 300;

/// Calls the target with each seed and mutations of it.
pub fn check(target: fn(&[u8]), seeds: &[Vec<u8>]) {
    let mut random = fastrand::Rng::with_seed(7);
    for seed in seeds {
        target(seed);
        for _ in 0..MUTATIONS {
            let other = random.choice(seeds).unwrap().clone();
            target(&mutate(&mut random, seed, &other));
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
            2 => bytes.insert(at, *random.choice(b"0123456789dlie:\0\xff".iter()).unwrap()),
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

/// Writes the seeds to the target's corpus.
pub fn write_seeds(corpus: &Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(corpus).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{number}")), seed).unwrap();
    }
}
