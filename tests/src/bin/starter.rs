//! A caller that waits for a line, starts one sandbox between two marks that a tracer can see, and says what came of it: for `tests/faults.rs`.
//!
//! It says `ok` and a fingerprint of the sandbox's protections, as the command sees them and as the outcome tells them; or `error` with kind, errno
//! and step; and how many descriptors it has more than before.
#![deny(unsafe_code)]

use nix::unistd::{Pid, getsid};
use seclude::{MiB, Sandbox};

/// The marks: calls that the kernel answers with "no such process".
const BEGIN: i32 = 0x5ec_1de1;
const END: i32 = 0x5ec_1de2;

fn main() {
    let _ = std::io::stdin().read_line(&mut String::new());
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = descriptors();
    let _ = getsid(Some(Pid::from_raw(BEGIN)));
    let told = tell();
    let _ = getsid(Some(Pid::from_raw(END)));
    println!("{told}\nmore {}", descriptors() as i64 - before as i64);
}

fn tell() -> String {
    let sandbox = Sandbox::new().tmpfs("/tmp", MiB(1)).bind_ro("/etc/hostname", "/etc/hostname").hostname("fault");
    let look = "cat /proc/self/status /proc/self/mountinfo /proc/self/limits; hostname; ls /";
    match sandbox.command("sh").args(["-c", look]).output() {
        Ok(output) if output.outcome.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let kept: Vec<String> = text.lines().filter_map(constant).collect();
            format!("ok {:?} {}", output.outcome.enforced, kept.join("|"))
        }
        Ok(output) => format!("error command 0 {}", output.outcome),
        Err(error) => format!("error {} {} {}", error.kind().name(), error.raw_os_error().unwrap_or(0), error.step()),
    }
}

/// A line, without what differs from run to run; nothing if that is all.
fn constant(line: &str) -> Option<String> {
    const STATUS: &[&str] = &["Uid", "Gid", "Groups", "Umask", "Cap", "NoNewPrivs", "Seccomp:", "SigBlk", "SigIgn", "Max "];
    if line.contains(" - ") {
        // mountinfo: the numbers in front and the options of the file system behind are each run's own.
        let fields: Vec<&str> = line.split(' ').collect();
        return fields.get(3..6).map(|fields| fields.join(" "));
    }
    let word = STATUS.iter().any(|name| line.starts_with(name)) || !line.contains(':');
    word.then(|| line.split_whitespace().collect::<Vec<_>>().join(" "))
}
