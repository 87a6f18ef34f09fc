//! What holds a command besides namespaces: filters of system calls, and Landlock.

use super::Check;
use super::probe;
use crate::base::error::{Error, ErrorKind};
use crate::policy::outcome::{Ended, Enforced, Protection};
use crate::policy::seccomp::{Profile, Seccomp};
use crate::run::sandbox::Sandbox;

pub fn checks() -> Vec<Check> {
    vec![filter(), listener(), landlock(), ports()]
}

fn filter() -> Check {
    const NAME: &str = "seccomp";
    match probe::run(&probe::smallest()) {
        Ok(outcome) if outcome.enforced.contains(Protection::SeccompFilter) => {
            Check::works(NAME, "the default profile")
        }
        Ok(_) => Check::weaker(NAME, "", "no filter was loaded"),
        Err(error) => Check::missing(NAME, &error),
    }
}

/// A filter that kills at the call by which the program ends.
fn listener() -> Check {
    const NAME: &str = "seccomp.listener";
    let killing = probe::smallest().seccomp(Seccomp::profile(Profile::Default).kill("exit_group"));
    match probe::ended(&killing) {
        Ok(Ended::Syscall(_)) => Check::works(
            NAME,
            "a call that ends the command is told by its name; a caller can decide",
        ),
        Ok(ended) => Check::missing(
            NAME,
            &Error::new(ErrorKind::Setup, "kill at a system call").because(format!("it {ended}")),
        ),
        Err(error) => Check::missing(NAME, &error),
    }
}

fn landlock() -> Check {
    const NAME: &str = "landlock";
    const PARTS: [(Protection, &str); 3] = [
        (Protection::LandlockFiles, "files"),
        (Protection::LandlockSignals, "signals"),
        (Protection::LandlockSockets, "abstract sockets"),
    ];
    let enforced = match probe::run(&probe::smallest()) {
        Ok(outcome) => outcome.enforced,
        Err(error) => return Check::missing(NAME, &error),
    };
    let parts: Vec<&str> =
        PARTS.iter().filter(|(part, _)| enforced.contains(*part)).map(|(_, name)| *name).collect();
    let detail = format!("{}{}", abi(&enforced), parts.join(", "));
    match parts.len() {
        3 => Check::works(NAME, detail),
        0 => Check::weaker(
            NAME,
            "no second wall",
            "the kernel has none, or it was not chosen at boot (lsm=)",
        )
        .or_remedy("Linux 5.19 with landlock among the security modules"),
        _ => Check::weaker(NAME, detail, "this kernel's ABI has no more")
            .or_remedy("Linux 6.12 has all of it"),
    }
}

fn abi(enforced: &Enforced) -> String {
    enforced.landlock_abi().map_or_else(String::new, |abi| format!("ABI {abi}: "))
}

fn ports() -> Check {
    const NAME: &str = "landlock.ports";
    match probe::run(&Sandbox::tcp_bind(probe::smallest(), [])) {
        Ok(outcome) => Check::works(NAME, format!("{}TCP", abi(&outcome.enforced))),
        Err(error) => Check::missing(NAME, &error),
    }
}
