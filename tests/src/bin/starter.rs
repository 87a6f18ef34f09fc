//! A caller that waits for a line of input, starts one sandbox between two marks that a tracer can
//! see, and reports the result. For `tests/tests/faults`.
//!
//! Usage: `starter MANNER`. The manner is a sandbox of its `own`; one that is `limited`; `prepare`,
//! which makes a template; a `copy` of a template; or a `cell` or `pool` from a template.
//!
//! It prints three lines. The first is `ok` and a fingerprint of the protections, as the command
//! sees them and as the outcome lists them; or `error` with kind, errno and step. The second is the
//! same for another run after the marks. The third is the number of descriptors that are open in
//! excess of those before.
#![deny(unsafe_code)]

use nix::unistd::{Pid, getsid};
use seclude::{Command, Ended, MiB, Result, Sandbox};
use std::time::Duration;

/// The marks: getsid(2) with these ids, which fails with ESRCH.
const BEGIN: i32 = 0x5ec_1de1;
const END: i32 = 0x5ec_1de2;

fn main() {
    let manner = std::env::args().nth(1).unwrap_or_default();
    let _ = std::io::stdin().read_line(&mut String::new());
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = descriptors();
    let (told, again) = {
        let policy = || {
            Sandbox::new()
                .tmpfs("/tmp", MiB(1))
                .bind_ro("/etc/hostname", "/etc/hostname")
                .hostname("fault")
        };
        let sandbox = if manner == "limited" {
            policy().memory(MiB(128)).pids(64).cpu_time(Duration::from_secs(100))
        } else {
            policy()
        };
        if !matches!(&*manner, "own" | "limited" | "prepare") {
            sandbox.prepare().expect("nothing fails yet");
        }
        let _ = getsid(Some(Pid::from_raw(BEGIN)));
        let told = once(&sandbox, &manner).unwrap_or_else(|error| {
            format!(
                "error {} {} {}",
                error.kind().name(),
                error.raw_os_error().unwrap_or(0),
                error.step()
            )
        });
        let _ = getsid(Some(Pid::from_raw(END)));
        // A template keeps what it was made with, so the second run takes a new policy.
        let next = if manner == "prepare" { policy() } else { sandbox };
        (told, once(&next, &manner).unwrap_or_else(|error| format!("error {error}")))
    };
    println!("{told}\n{again}\nmore {}", descriptors() as i64 - before as i64);
}

fn once(sandbox: &Sandbox, manner: &str) -> Result<String> {
    match manner {
        "cell" => tell(sandbox.cell()?.command("sh")),
        "pool" => {
            let pool = sandbox.pool(1)?;
            // A thread of the pool makes the second sandbox.
            tell(pool.command("sh"))?;
            tell(pool.command("sh"))
        }
        _ => {
            if manner == "prepare" {
                sandbox.prepare()?;
                let _ = getsid(Some(Pid::from_raw(END)));
            }
            tell(sandbox.command("sh"))
        }
    }
}

fn tell(mut command: Command) -> Result<String> {
    let look = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/status /proc/self/mountinfo /proc/self/limits; hostname; ls /";
    let output = command.args(["-c", look]).output()?;
    if let Ended::WardenLost(_) = output.outcome.ended {
        return Ok("error warden-lost 0 run the command".into());
    }
    if !output.outcome.success() {
        return Ok(format!("error command 0 {}", output.outcome));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kept: Vec<String> = text.lines().filter_map(constant).collect();
    Ok(format!("ok {:?} {}", output.outcome.enforced, kept.join("|")))
}

/// A line without the fields that differ between runs, or `None` if no field is left.
fn constant(line: &str) -> Option<String> {
    const STATUS: &[&str] = &[
        "Uid",
        "Gid",
        "Groups",
        "Umask",
        "Cap",
        "NoNewPrivs",
        "Seccomp:",
        "SigBlk",
        "SigIgn",
        "Max ",
    ];
    if line.contains(" - ") {
        // With Landlock, the warden leaves the mqueue file system mounted under what is mounted at
        // /proc, where mountinfo lists it.
        if line.contains(" - mqueue ") {
            return None;
        }
        // In mountinfo, the ids at the start and the file system's options at the end differ
        // between runs.
        let fields: Vec<&str> = line.split(' ').collect();
        return fields.get(3..6).map(|fields| fields.join(" "));
    }
    let word = STATUS.iter().any(|name| line.starts_with(name)) || !line.contains(':');
    word.then(|| line.split_whitespace().collect::<Vec<_>>().join(" "))
}
