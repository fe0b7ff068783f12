//! Root certificates: the built-in ones, the system's, and those that the user names.
//!
//! A build script is compiled without optimization and takes 20 ms to decode a system's 150
//! certificates. They are therefore read once per process, before the first https request.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::unusable;
use crate::error::{Error, is_out_of_descriptors};
use crate::settings::{CaDirectories, CaFile, Settings};
use crate::url::Url;

/// The root certificates that the user names.
#[derive(Debug, Default)]
pub struct NamedRoots {
    of_file: Vec<Certificate<'static>>,
    directories: Vec<PathBuf>,
}

impl NamedRoots {
    /// Reads the certificate file of the settings and checks their directories. The certificates in
    /// the directories are read by [`NamedRoots::with_all_others`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for a file or directory that cannot be read or has no
    /// certificate.
    pub fn of(settings: &Settings) -> Result<NamedRoots, Error> {
        let mut roots = NamedRoots::default();
        if let Some(file) = &settings.ca_file {
            roots.of_file = of_file(file)?;
        }
        if let Some(directories) = &settings.ca_directories {
            check_directories(directories)?;
            roots.directories.clone_from(&directories.paths);
        }
        Ok(roots)
    }

    /// Returns these certificates together with the built-in ones and the system's, each once.
    pub fn with_all_others(&self) -> RootCerts {
        let mut roots = self.of_file.clone();
        for file in self.directories.iter().flat_map(|directory| files_in(directory)) {
            // `check_directories` found a certificate here; other files do not matter.
            roots.extend(
                certificates(&std::fs::read(file).unwrap_or_default()).into_iter().flatten(),
            );
        }
        let built_in = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        roots.extend(built_in.map(|root| Certificate::from_der(root).to_owned()));
        roots.extend_from_slice(of_system());
        // Most of the system's certificates are also built in.
        let mut seen = BTreeSet::new();
        roots.retain(|root| seen.insert(root.der().to_vec()));
        RootCerts::new_with_certs(&roots)
    }
}

/// Returns the system's certificates, if this build can read them. Unreadable ones are skipped: the
/// built-in certificates suffice for most servers, and a server that is not trusted is reported
/// anyway.
pub fn of_system() -> &'static [Certificate<'static>] {
    static READ: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    READ.get_or_init(read_system)
}

/// Whether `path` is the system's own bundle, which many environments set as `SSL_CERT_FILE`.
/// [`of_system`] reads it later.
#[cfg(all(unix, not(target_os = "macos")))]
fn is_of_system(path: &Path) -> bool {
    bundle().is_some_and(|bundle| bundle == path)
}

/// This platform has no bundle file.
#[cfg(not(all(unix, not(target_os = "macos"))))]
fn is_of_system(_path: &Path) -> bool {
    false
}

/// The file with all certificates that most systems keep in one of the certificate directories.
#[cfg(all(unix, not(target_os = "macos")))]
fn bundle() -> Option<PathBuf> {
    // `openssl_probe::probe` would also return what `SSL_CERT_FILE` names, which here is the user's
    // setting and not the system's bundle.
    let names = ["ca-certificates.crt", "ca-bundle.crt"];
    let mut files =
        openssl_probe::candidate_cert_dirs().flat_map(|it| names.map(|name| it.join(name)));
    files.find(|file| file.is_file())
}

#[cfg(all(unix, not(target_os = "macos")))]
fn read_system() -> Vec<Certificate<'static>> {
    let files = match bundle() {
        Some(file) => vec![file],
        None => openssl_probe::candidate_cert_dirs().flat_map(files_in).collect(),
    };
    let read = |file: &PathBuf| certificates(&std::fs::read(file).unwrap_or_default());
    files.iter().flat_map(read).flatten().collect()
}

#[cfg(all(any(windows, target_os = "macos"), feature = "system-roots"))]
fn read_system() -> Vec<Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|root| Certificate::from_der(root).to_owned()).collect()
}

#[cfg(not(any(all(unix, not(target_os = "macos")), feature = "system-roots")))]
fn read_system() -> Vec<Certificate<'static>> {
    Vec::new()
}

fn of_file(file: &CaFile) -> Result<Vec<Certificate<'static>>, Error> {
    let CaFile { path, variable } = file;
    if is_of_system(path) {
        return Ok(Vec::new());
    }
    let refused = |why: &str| refused("the certificate file", path, variable, why);
    let pem = std::fs::read(path).map_err(|why| match is_out_of_descriptors(&why) {
        // The process has no file descriptors left, so the variable is not to blame.
        true => Error::disk("read", path, &why),
        false => refused(&why.to_string()),
    })?;
    let roots: Result<Vec<_>, _> = certificates(&pem).into_iter().collect();
    let roots = roots.map_err(|why| refused(&why.to_string()))?;
    if roots.is_empty() { Err(refused(NO_CERTIFICATE)) } else { Ok(roots) }
}

fn check_directories(directories: &CaDirectories) -> Result<(), Error> {
    let CaDirectories { paths, variable } = directories;
    // OpenSSL skips missing directories, and this variable is set for all programs.
    if variable == "SSL_CERT_DIR" {
        return Ok(());
    }
    for path in paths {
        if let Some(why) = directory_flaw(path) {
            return Err(match is_out_of_descriptors(&why) {
                true => Error::disk("list", path, &why),
                false => refused("the certificate directory", path, variable, &why.to_string()),
            });
        }
    }
    Ok(())
}

/// Returns what keeps the certificates of a directory from being read.
pub fn directory_flaw(path: &Path) -> Option<io::Error> {
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(why) => return Some(why),
    };
    let has_any = |entry: io::Result<std::fs::DirEntry>| {
        let pem = entry.and_then(|entry| std::fs::read(entry.path())).unwrap_or_default();
        String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----")
    };
    // Usually the first file has one; all of them are read later.
    if entries.any(has_any) { None } else { Some(io::Error::other(NO_CERTIFICATE)) }
}

const NO_CERTIFICATE: &str = "it contains no PEM certificate";

fn refused(what: &str, path: &Path, variable: &str, why: &str) -> Error {
    unusable(what, &Url::from(path.display().to_string()), why)
        .why(format!("set by {variable}"))
        .help(format!("correct {variable}, or unset it"))
}

/// Returns the files of a directory, each once: `openssl rehash` adds links to them.
fn files_in(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.path().canonicalize().ok());
    files.filter(|path| path.is_file()).collect()
}

/// Parses the certificates of a PEM file, which may also hold keys and text.
fn certificates(pem: &[u8]) -> Vec<Result<Certificate<'static>, ureq::Error>> {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(why) => Some(Err(why)),
    });
    items.collect()
}
