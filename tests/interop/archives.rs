//! We unpack archives of other programs, which differ in their dialects of tar and ZIP and in their
//! streams.

#[cfg(unix)]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::Trial;
use crate::program::Tool;
use crate::support::Project;
use crate::swarm::{Dataset, random_bytes};

static UNPACK: Tool =
    Tool::feature("feature unpack", "cargo test of the workspace", cfg!(feature = "unpack"));
static TAR: Tool = Tool::debian("tar", "Debian: tar");
static BSDTAR: Tool = Tool::debian("bsdtar", "Debian: libarchive-tools");
static ZIP: Tool = Tool::debian("zip", "Debian: zip");
static SEVEN_ZIP: Tool = Tool::debian("7zz", "Debian: 7zip");
static PYTHON: Tool = Tool::debian("python3", "Debian: python3");
static GZIP: Tool = Tool::debian("gzip", "Debian: gzip");
static PIGZ: Tool = Tool::debian("pigz", "Debian: pigz");
static BZIP2: Tool = Tool::debian("bzip2", "Debian: bzip2");
static XZ: Tool = Tool::debian("xz", "Debian: xz-utils");
static ZSTD: Tool = Tool::debian("zstd", "Debian: zstd");

/// The archive's name, the programs that it needs, and the shell command that packs the directory
/// `tree`.
type Packed = (&'static str, &'static [&'static Tool], &'static str);

const ARCHIVES: [Packed; 27] = [
    ("gnu.tar", &[&TAR], "tar --format=gnu -cf OUT -C tree ."),
    ("oldgnu.tar", &[&TAR], "tar --format=oldgnu -cf OUT -C tree ."),
    ("posix.tar", &[&TAR], "tar --format=posix -cf OUT -C tree ."),
    ("ustar.tar", &[&TAR], "rm -r tree/dir/d* && tar --format=ustar -cf OUT -C tree ."),
    ("v7.tar", &[&TAR], "rm -r tree/dir/d* && tar --format=v7 -cf OUT -C tree ."),
    ("sparse-gnu.tar", &[&TAR], "tar --format=gnu --sparse -cf OUT -C tree ."),
    (
        "sparse-0.0.tar",
        &[&TAR],
        "tar --format=posix --sparse --sparse-version=0.0 -cf OUT -C tree .",
    ),
    (
        "sparse-0.1.tar",
        &[&TAR],
        "tar --format=posix --sparse --sparse-version=0.1 -cf OUT -C tree .",
    ),
    (
        "sparse-1.0.tar",
        &[&TAR],
        "tar --format=posix --sparse --sparse-version=1.0 -cf OUT -C tree .",
    ),
    (
        "times.tar",
        &[&TAR],
        "tar --format=posix --mtime=2286-11-20 --xattrs --pax-option=comment=x,globexthdr.name=g -cf OUT -C tree .",
    ),
    ("gnu.tar.gz", &[&TAR, &GZIP], "tar -czf OUT -C tree ."),
    ("gnu.tgz", &[&TAR, &PIGZ], "tar --use-compress-program='pigz -b 128 -i' -cf OUT -C tree ."),
    ("gnu.tar.bz2", &[&TAR, &BZIP2], "tar -cjf OUT -C tree ."),
    ("gnu.tar.xz", &[&TAR, &XZ], "tar -cJf OUT -C tree ."),
    ("gnu.tar.zst", &[&TAR, &ZSTD], "tar --zstd -cf OUT -C tree ."),
    ("bsd.tar", &[&BSDTAR], "bsdtar -cf OUT -C tree ."),
    ("bsd-pax.tar", &[&BSDTAR], "bsdtar --format=pax -cf OUT -C tree ."),
    ("bsd-gnu.tar", &[&BSDTAR], "bsdtar --format=gnutar -cf OUT -C tree ."),
    ("bsd.zip", &[&BSDTAR], "bsdtar --format=zip -cf OUT -C tree ."),
    ("info.zip", &[&ZIP], "cd tree && zip -qry ../OUT ."),
    ("info-stored.zip", &[&ZIP], "cd tree && zip -qry0 ../OUT ."),
    ("info-zip64.zip", &[&ZIP], "cd tree && zip -qry -fz ../OUT ."),
    ("info-stream.zip", &[&ZIP], "cd tree && zip -qr - . | cat > ../OUT"),
    ("seven.zip", &[&SEVEN_ZIP], "cd tree && 7zz a -tzip -snl -bd -y ../OUT ./* > /dev/null"),
    (
        "python.zip",
        &[&PYTHON],
        "python3 -c \"import shutil; shutil.make_archive('python', 'zip', 'tree')\"",
    ),
    (
        "python-pax.tar",
        &[&PYTHON],
        "python3 -c \"import tarfile; t = tarfile.open('OUT', 'w', format=tarfile.PAX_FORMAT); t.add('tree', '.'); t.close()\"",
    ),
    (
        "python-gnu.tar",
        &[&PYTHON],
        "python3 -c \"import tarfile; t = tarfile.open('OUT', 'w', format=tarfile.GNU_FORMAT); t.add('tree', '.'); t.close()\"",
    ),
];

/// Streams of a file `data`.
const STREAMS: [Packed; 14] = [
    ("data.gz", &[&GZIP], "gzip -c9 data > OUT"),
    (
        "several.gz",
        &[&GZIP],
        "head -c 1000 data | gzip -c > OUT && tail -c +1001 data | gzip -c1 >> OUT",
    ),
    ("pigz.gz", &[&PIGZ], "pigz -c -b 128 -i data > OUT"),
    ("data.bz2", &[&BZIP2], "bzip2 -c data > OUT"),
    (
        "several.bz2",
        &[&BZIP2],
        "head -c 1000 data | bzip2 -c > OUT && tail -c +1001 data | bzip2 -c1 >> OUT",
    ),
    ("data.xz", &[&XZ], "xz -c data > OUT"),
    ("blocks.xz", &[&XZ], "xz -c -T2 --block-size=64KiB --check=sha256 data > OUT"),
    ("none.xz", &[&XZ], "xz -c --check=none data > OUT"),
    ("delta.xz", &[&XZ], "xz -c --delta=dist=4 --lzma2=dict=1MiB data > OUT"),
    (
        "several.xz",
        &[&XZ],
        "head -c 1000 data | xz -c > OUT && head -c 8 /dev/zero >> OUT && tail -c +1001 data | xz -c9 >> OUT",
    ),
    ("data.zst", &[&ZSTD], "zstd -qc data > OUT"),
    ("best.zst", &[&ZSTD], "zstd -qc --ultra -22 data > OUT"),
    ("long.zst", &[&ZSTD], "cat data | zstd -qc --long=31 > OUT"),
    (
        "several.zst",
        &[&ZSTD],
        "head -c 1000 data | zstd -qc --no-check > OUT && tail -c +1001 data | zstd -qc --fast >> OUT",
    ),
];

pub fn trials() -> Vec<Trial> {
    let needs = |packed: &Packed| [&[&UNPACK][..], packed.1].concat();
    let archive = |packed: &'static Packed| {
        Trial::new(format!("archives::{}", packed.0), &needs(packed), || unpack_tree(packed))
    };
    let stream = |packed: &'static Packed| {
        Trial::new(format!("archives::{}", packed.0), &needs(packed), || unpack_stream(packed))
    };
    ARCHIVES.iter().map(archive).chain(STREAMS.iter().map(stream)).collect()
}

/// Packs the content of a directory and unpacks it as a dataset. Returns the project and the
/// dataset's path.
fn unpack(directory: &Path, (name, _, words): &Packed) -> (Project, PathBuf) {
    let words = words.replace("OUT", name);
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &words]).current_dir(directory).stdin(Stdio::null());
    let output = shell.env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    let dataset = Dataset::single(name, std::fs::read(directory.join(name)).unwrap());
    let copies = directory.join("copies");
    dataset.write_to(&copies);
    let project =
        Project::of(&dataset, "unpack = true").env("ACADEMICTORRENTS_LOAD_PATH", copies.display());
    let path = project.path_of("data");
    (project, path)
}

fn unpack_stream(packed: &Packed) {
    let directory = tempfile::tempdir().unwrap();
    let data = [random_bytes(1, 200_000), vec![b'x'; 700_000], random_bytes(2, 10)].concat();
    std::fs::write(directory.path().join("data"), &data).unwrap();
    let (_project, path) = unpack(directory.path(), packed);
    assert!(std::fs::read(path).unwrap() == data, "{}: other bytes", packed.0);
}

#[cfg(unix)]
/// An entry of a tree: a directory, a symbolic link, or a file with whether it is executable.
#[derive(Debug, PartialEq)]
enum Entry {
    Directory,
    Link(PathBuf),
    File(Vec<u8>, bool),
}

#[cfg(unix)]
fn unpack_tree(packed: &Packed) {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    let deep = tree.join("dir").join("d".repeat(120)).join("é".repeat(60));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::create_dir_all(tree.join("nothing")).unwrap();
    std::fs::write(deep.join("long"), random_bytes(3, 70_000)).unwrap();
    std::fs::write(tree.join("short"), "text\n").unwrap();
    std::fs::write(tree.join("empty"), "").unwrap();
    std::fs::write(tree.join("run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(tree.join("run"), std::fs::Permissions::from_mode(0o4755)).unwrap();
    std::fs::hard_link(tree.join("short"), tree.join("twin")).unwrap();
    symlink("dir", tree.join("link")).unwrap();
    let holes = std::fs::File::create(tree.join("holes")).unwrap();
    holes.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"data", 1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"end", (3 << 20) - 3).unwrap();
    let (_project, path) = unpack(directory.path(), packed);
    let (mut expected, found) = (entries(&tree), entries(&path));
    match packed.0 {
        // shutil does not follow links, and packs a link to a directory as a directory.
        "python.zip" => drop(expected.insert("link".into(), Entry::Directory)),
        // Follows links, because zip cannot write them into a pipe.
        "info-stream.zip" => {
            let below = entries(&tree.join("dir")).into_iter();
            expected.extend(below.map(|(path, entry)| (Path::new("link").join(path), entry)));
            expected.insert("link".into(), Entry::Directory);
        }
        _ => {}
    }
    let differs = |path: &&PathBuf| found.get(*path) != expected.get(*path);
    let wrong: Vec<_> = expected.keys().chain(found.keys()).filter(differs).collect();
    let kind = |entry: Option<&Entry>| match entry {
        Some(Entry::File(bytes, run)) => format!("a file of {} bytes, {run}", bytes.len()),
        other => format!("{other:?}"),
    };
    let told = |path: &&PathBuf| (kind(expected.get(*path)), kind(found.get(*path)));
    let told: Vec<_> = wrong.iter().map(|path| (path, told(path))).collect();
    assert!(wrong.is_empty(), "{}: expected, found: {told:#?}", packed.0);
}

#[cfg(not(unix))]
fn unpack_tree(_packed: &Packed) {}

#[cfg(unix)]
fn entries(root: &Path) -> BTreeMap<PathBuf, Entry> {
    use std::os::unix::fs::PermissionsExt as _;
    fn add(root: &Path, at: &Path, found: &mut BTreeMap<PathBuf, Entry>) {
        for entry in std::fs::read_dir(root.join(at)).unwrap() {
            let path = at.join(entry.unwrap().file_name());
            let whole = root.join(&path);
            let metadata = std::fs::symlink_metadata(&whole).unwrap();
            let entry = if metadata.is_dir() {
                add(root, &path, found);
                Entry::Directory
            } else if metadata.is_symlink() {
                Entry::Link(std::fs::read_link(&whole).unwrap())
            } else {
                let mode = metadata.permissions().mode();
                Entry::File(std::fs::read(&whole).unwrap(), mode & 0o111 != 0)
            };
            found.insert(path, entry);
        }
    }
    let mut found = BTreeMap::new();
    add(root, Path::new(""), &mut found);
    found
}
