//! The rules of the filter that holds a command without namespaces. They restrict what a network,
//! an ipc, a pid and a mount namespace would keep apart, and Landlock does not.

use super::{Action, Compare, Rule, Seccomp, Test};
use crate::policy::Confined;

/// Calls on System V IPC objects and POSIX message queues, which an ipc namespace would hold.
const IPC: &[&str] = &[
    "mq_open",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmget",
];

/// Calls that change a process by its number, and the argument with that number. 0 is the calling
/// thread.
const OF_PROCESSES: &[(&str, u8)] = &[
    ("ioprio_set", 1),
    ("migrate_pages", 0),
    ("move_pages", 0),
    ("prlimit64", 0),
    ("sched_setaffinity", 0),
    ("sched_setattr", 0),
    ("sched_setparam", 0),
    ("sched_setscheduler", 0),
    ("setpriority", 1),
];

/// Calls that change the owner, mode, times and attributes of a file. Landlock has no right for
/// them, so a command with the caller's user could change all files of the caller.
const OF_ATTRIBUTES: &[&str] = &[
    "chmod",
    "chown",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "file_setattr",
    "fremovexattr",
    "fsetxattr",
    "futimesat",
    "lchown",
    "lremovexattr",
    "lsetxattr",
    "removexattr",
    "removexattrat",
    "setxattr",
    "setxattrat",
    "utime",
    "utimensat",
    "utimes",
];

/// The types of `ioctl(2)` requests that change files, open for reading as they may be: flags, keys
/// and verity of all file systems, attributes of projects, and subvolumes.
const OF_FILE_SYSTEMS: &[u64] = &[0x6600, 0x5800, 0x9400];

/// The filter of a sandbox without namespaces: `filter` with more rules. No rule of the policy
/// takes precedence over those, except over [`OF_ATTRIBUTES`].
pub(crate) fn restrict(filter: Seccomp, held: Confined) -> Seccomp {
    const AF_UNIX: u64 = 1;
    const SOCK_STREAM: u64 = 1;
    const SOCK_SEQPACKET: u64 = 5;
    const SOCK_TYPE_MASK: u64 = 0xf;
    const IOCTL_TYPE_MASK: u64 = 0xff00;
    const F_SETOWN: u64 = 8;
    const F_SETOWN_EX: u64 = 15;
    const FIOSETOWN: u64 = 0x8901;
    const SIOCSPGRP: u64 = 0x8902;
    const NEGATIVE: u64 = 0x8000_0000;
    let refuse = |call: &'static str, errno: i32| Rule::named(call, Action::Errno(errno));
    let is = |argument: u8, value: u64| Test::new(argument, Compare::Equal, value);
    let is_not = |argument: u8, value: u64| Test::new(argument, Compare::NotEqual, value);
    let mut filter = filter;
    if !held.other_user && !held.files {
        let attributes = OF_ATTRIBUTES.iter().map(|call| refuse(call, libc::EPERM));
        filter.rules.splice(0..0, attributes);
        for kind in OF_FILE_SYSTEMS {
            let request = is(1, *kind).masked(IOCTL_TYPE_MASK);
            filter.rules.push(refuse("ioctl", libc::ENOTTY).when(request));
        }
    }
    let mut add = |rule: Rule| filter.rules.push(rule);
    // Unix sockets reach the host's services by paths, which Landlock does not restrict. A datagram
    // socket of a pair could be connected to another path (and SOCK_RAW means one).
    let not_of_type = |kind: u64| is_not(1, kind).masked(SOCK_TYPE_MASK);
    if !held.network {
        add(refuse("socket", libc::EACCES));
    } else if !held.files {
        add(refuse("socket", libc::EACCES).when(is(0, AF_UNIX)));
    }
    if !held.network || !held.files {
        add(refuse("socketpair", libc::EACCES)
            .when(not_of_type(SOCK_STREAM))
            .when(not_of_type(SOCK_SEQPACKET)));
    }
    // It makes sockets without socket(2).
    add(refuse("io_uring_setup", libc::ENOSYS));
    if !held.ipc {
        IPC.iter().for_each(|call| add(refuse(call, libc::EACCES)));
    }
    // The warden is in the command's Landlock domain, so signals by these ways would reach it.
    add(refuse("pidfd_send_signal", libc::ENOSYS));
    for command in [F_SETOWN, F_SETOWN_EX] {
        add(refuse("fcntl", libc::EPERM).when(is(1, command)));
    }
    for request in [FIOSETOWN, SIOCSPGRP] {
        add(refuse("ioctl", libc::EPERM).when(is(1, request)));
    }
    for (call, argument) in OF_PROCESSES {
        add(refuse(call, libc::EPERM).when(is_not(*argument, 0)));
    }
    if !held.signals {
        let all = Test::new(0, Compare::GreaterOrEqual, NEGATIVE);
        add(refuse("kill", libc::EPERM).when(all));
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::seccomp::table;
    use crate::policy::seccomp::{Profile, Syscall};

    fn held(network: bool, other_user: bool) -> Confined {
        Confined { files: false, network, ipc: false, signals: false, other_user }
    }

    #[test]
    fn every_name_is_a_call() {
        let calls = OF_PROCESSES.iter().map(|(call, _)| call).chain(IPC).chain(OF_ATTRIBUTES);
        for call in calls {
            assert!(table::row(call).is_some(), "{call}");
        }
    }

    #[test]
    fn no_rule_of_the_policy_opens_the_network_or_other_processes() {
        let decide = |filter: &Seccomp, call: &str, arguments: [u64; 6]| {
            filter.decide(Syscall::from_name(call).unwrap(), &arguments)
        };
        let open = ["socket", "socketpair", "shmget", "prlimit64", "kill", "ioctl", "fchmodat"]
            .into_iter()
            .fold(Seccomp::profile(Profile::Default), |filter, call| filter.allow(call));
        let refused = |errno: i32| Action::Errno(errno);
        for network in [false, true] {
            let filter = restrict(open.clone(), held(network, false));
            let inet = if network { Action::Allow } else { refused(libc::EACCES) };
            for (call, arguments, expected) in [
                ("socket", [2, 1, 0, 0, 0, 0], inet),
                ("socket", [1, 1, 0, 0, 0, 0], refused(libc::EACCES)),
                ("socketpair", [1, 1, 0, 0, 0, 0], Action::Allow),
                ("socketpair", [1, 0o2_000_005, 0, 0, 0, 0], Action::Allow),
                ("socketpair", [1, 2, 0, 0, 0, 0], refused(libc::EACCES)),
                ("socketpair", [1, 0o2_000_003, 0, 0, 0, 0], refused(libc::EACCES)),
                ("shmget", [0; 6], refused(libc::EACCES)),
                ("prlimit64", [0; 6], Action::Allow),
                ("prlimit64", [9, 0, 0, 0, 0, 0], refused(libc::EPERM)),
                ("kill", [9, 0, 0, 0, 0, 0], Action::Allow),
                ("kill", [u64::MAX, 0, 0, 0, 0, 0], refused(libc::EPERM)),
                ("ioctl", [0, 0x4008_6602, 0, 0, 0, 0], refused(libc::ENOTTY)),
                ("ioctl", [0, 0x8901, 0, 0, 0, 0], refused(libc::EPERM)),
                ("fcntl", [0, 8, 0, 0, 0, 0], refused(libc::EPERM)),
                ("fcntl", [0, 3, 0, 0, 0, 0], Action::Allow),
                ("pidfd_send_signal", [0; 6], refused(libc::ENOSYS)),
                ("ioctl", [0, 0x5401, 0, 0, 0, 0], Action::Allow),
                // The caller's word.
                ("fchmodat", [0; 6], Action::Allow),
                ("fchmod", [0; 6], refused(libc::EPERM)),
            ] {
                assert_eq!(decide(&filter, call, arguments), expected, "{call} {arguments:?}");
            }
        }
        let another = restrict(open, held(false, true));
        assert_eq!(decide(&another, "fchmod", [0; 6]), Action::Allow);
        assert_eq!(decide(&another, "ioctl", [0, 0x4008_6602, 0, 0, 0, 0]), Action::Allow);
    }
}
