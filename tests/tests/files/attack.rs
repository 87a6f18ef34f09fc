//! A program that changes a tree as fast as it can while the tree is copied.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use seclude::{Bind, Child, Sandbox, Stdio, Transfer};
use seclude_tests::caller::as_each;
use seclude_tests::scratch;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BOUND: u64 = 2 << 20;

/// Exchanges names for a file, a link, a pipe and a directory. A second process has files grow, be
/// cut, and get holes and data. It never writes the letter `s`.
const ATTACK: &str = r#"
import ctypes, itertools, os, random
libc = ctypes.CDLL(None)
os.chdir('/data')
def exchange(one, other):
    assert libc.renameat2(-100, one.encode(), -100, other.encode(), 2) == 0
print(flush=True)
if os.fork():
    spare = ['spare/file', 'spare/link', 'spare/pipe', 'spare/directory', 'spare/way']
    for turn in itertools.count():
        for number in range(8):
            exchange(f't/{number}', spare[(turn + number) % 5])
        exchange('t/inner', 'spare/way') if turn % 7 == 0 else None
else:
    files = [os.open(f't/{name}', os.O_RDWR | os.O_CREAT, 0o644) for name in ('x', 'y')]
    while True:
        for file in files:
            size = random.choice([0, 4096, 1 << 19, 1 << 20, 1 << 40])
            os.ftruncate(file, size)
            for _ in range(20):
                os.pwrite(file, b'p' * 65536, random.randrange(1 << 20))
                os.ftruncate(file, random.randrange(1 << 20))
            while os.fstat(file).st_size < 4 << 20:
                os.pwrite(file, b'p' * 65536, os.fstat(file).st_size)
            os.ftruncate(file, 1 << 16)
"#;

fn make(data: &Path) {
    for directory in ["t/inner", "spare/directory"] {
        fs::create_dir_all(data.join(directory)).expect("there is room");
        fs::write(data.join(directory).join("file"), "plain").expect("there is room");
    }
    for number in 0..8 {
        fs::write(data.join(format!("t/{number}")), "plain").expect("there is room");
    }
    fs::write(data.join("spare/file"), "plain").expect("there is room");
    symlink("../../secret/file", data.join("spare/link")).expect("there is room");
    symlink("../../secret", data.join("spare/way")).expect("there is room");
    mkfifo(&data.join("spare/pipe"), Mode::S_IRWXU).expect("there is room");
    for directory in ["", "t", "spare", "t/inner", "spare/directory"] {
        let all = Permissions::from_mode(0o777);
        fs::set_permissions(data.join(directory), all).expect("it is ours");
    }
}

fn attacker(data: &Path, program: &str) -> Child {
    let sandbox = Sandbox::new().bind(Bind::new(data, "/data").writable());
    let mut command = sandbox.command("python3");
    let mut child =
        command.args(["-c", program]).stdout(Stdio::piped()).spawn().expect("it starts");
    let stdout = child.stdout.as_mut().expect("it is piped");
    stdout.read_exact(&mut [0]).expect("it prints a line");
    child
}

/// Checks a copy, and returns how many bytes it has in files and how many links.
fn check(copy: &Path) -> (u64, u64) {
    let (mut bytes, mut links) = (0, 0);
    for entry in fs::read_dir(copy).expect("it is ours").flatten() {
        let kind = entry.file_type().expect("it is there");
        if kind.is_dir() {
            let (more, further) = check(&entry.path());
            (bytes, links) = (bytes + more, links + further);
        } else if kind.is_symlink() {
            links += 1;
        } else {
            assert!(kind.is_file());
            let contents = fs::read(entry.path()).expect("it is ours");
            assert!(!contents.contains(&b's'), "a link was followed to the secret");
            bytes += contents.len() as u64;
        }
    }
    (bytes, links)
}

#[test]
fn nothing_that_changes_meanwhile_leads_outside_or_holds_up() {
    as_each("nothing_that_changes_meanwhile_leads_outside_or_holds_up", |_| {
        let place = scratch::directory();
        let data = place.path().join("data");
        fs::create_dir_all(place.path().join("secret")).expect("there is room");
        fs::write(place.path().join("secret/file"), "secret").expect("there is room");
        make(&data);
        let mut child = attacker(&data, ATTACK);
        let transfer = Transfer::new().max_bytes(BOUND).skip_special();
        let (mut whole, mut too_large, mut skipped, mut links) = (0, 0, 0, 0);
        let (start, mut round) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(60)
            && (round < 200 || whole < 20 || too_large < 20 || skipped < 20 || links < 20)
        {
            round += 1;
            let to = place.path().join(format!("to{round}"));
            let transfer =
                if round % 2 == 0 { transfer.clone().archive() } else { transfer.clone() };
            let turn = Instant::now();
            let copied = match round % 3 {
                0 => child.copy_out("/data/t", &to, &transfer),
                _ => transfer.copy(&data, "t", &to),
            };
            assert!(turn.elapsed() < Duration::from_secs(10), "it was held up: {copied:?}");
            match copied {
                Ok(copied) => {
                    let (bytes, found) = check(&to);
                    assert!(bytes == copied.bytes && bytes <= BOUND, "{bytes}: {copied:?}");
                    assert!(found == 0 || round % 2 == 0, "links without archive");
                    (whole, skipped) = (whole + 1, skipped + copied.skipped.len());
                    links += found;
                    fs::remove_dir_all(&to).expect("it is ours");
                }
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{error}");
                    assert!(!to.exists());
                    too_large += 1;
                }
            }
        }
        let seen =
            format!("{whole} whole, {too_large} too large, {skipped} skipped, {links} links");
        assert!(whole >= 20 && too_large >= 20 && skipped >= 20 && links >= 20, "{seen}");
        // The control: a reader that opens by name gets out, and finds pipes.
        let (mut got_out, mut pipes) = (0, 0);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) && (got_out == 0 || pipes == 0) {
            for name in ["t/0", "t/1", "t/inner/file"] {
                let mut options = fs::File::options();
                let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(data.join(name));
                let Ok(mut file) = file else { continue };
                if file.metadata().expect("it is open").is_file() {
                    let mut text = String::new();
                    file.read_to_string(&mut text).expect("it is a file");
                    got_out += u32::from(text == "secret");
                } else {
                    pipes += 1;
                }
            }
        }
        assert!(got_out > 0 && pipes > 0, "{got_out} secrets, {pipes} pipes");
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
    });
}

/// Exchanges the directory that a copy is being made into for one of the caller's, without end.
const EXCHANGE: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None)
os.chdir('/data')
print(flush=True)
while not os.path.exists('in'): pass
while True: libc.renameat2(-100, b'in', -100, b'precious', 2)
"#;

/// A hard link is made to the copy that was made first, and not to what has its name by now.
#[test]
fn no_hard_link_is_made_to_what_has_taken_the_place_of_a_copy() {
    as_each("no_hard_link_is_made_to_what_has_taken_the_place_of_a_copy", |_| {
        const PAIRS: u32 = 500;
        let place = scratch::directory();
        let (source, data) = (place.path().join("source"), place.path().join("data"));
        for directory in [&source, &data.join("precious")] {
            fs::create_dir_all(directory).expect("there is room");
            for number in 0..PAIRS {
                let file = directory.join(format!("a{number}"));
                fs::write(&file, "text").expect("there is room");
                // Whoever may write to a file may link it (proc_sys_fs(5), protected_hardlinks).
                fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("it is ours");
            }
        }
        for number in 0..PAIRS {
            let (one, other) = (format!("a{number}"), format!("b{number}"));
            fs::hard_link(source.join(one), source.join(other)).expect("there is room");
        }
        fs::write(data.join("precious/mark"), "").expect("there is room");
        fs::set_permissions(&data, Permissions::from_mode(0o777)).expect("it is ours");
        let (mut linked, mut apart) = (0, 0);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) && (linked == 0 || apart == 0) {
            let mut child = attacker(&data, EXCHANGE);
            child.copy_in(&source, "/data/in", &Transfer::new().archive()).expect("there is room");
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
            let is_precious = |name: &&str| data.join(name).join("mark").exists();
            let precious = ["in", "precious"].into_iter().find(is_precious).expect("it is there");
            let copy = data.join(if precious == "in" { "precious" } else { "in" });
            for number in 0..PAIRS {
                let links = |file: PathBuf| file.metadata().expect("it is there").nlink();
                let file = format!("a{number}");
                assert_eq!(links(data.join(precious).join(&file)), 1, "{file} has been linked");
                // The control: at some of the links, something else was in the place of the copy.
                let is_linked = links(copy.join(&file)) == 2;
                (linked, apart) = (linked + u32::from(is_linked), apart + u32::from(!is_linked));
            }
            let kept = data.join("kept");
            fs::rename(data.join(precious), &kept).expect("it is ours");
            fs::remove_dir_all(copy).expect("it is ours");
            fs::rename(kept, data.join("precious")).expect("it is ours");
        }
        assert!(linked > 0 && apart > 0, "{linked} linked, {apart} apart");
    });
}
