//! The default filters of container engines, imitated: no engine runs in these tests.
//!
//! The names are those that the engines' documentation lists for x86_64 and aarch64. Both engines
//! add calls for a container with CAP_SYS_ADMIN.

use super::filter::Filter;

/// What Docker allows in every container. The default of containerd, which Kubernetes uses as
/// `RuntimeDefault`, has almost the same list.
const DOCKER: &str = "
    accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod
    chown clock_adjtime clock_getres clock_gettime clock_nanosleep close close_range connect
    copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
    epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat
    fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake
    futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid
    getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
    getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday
    getuid getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
    io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get ioprio_set
    kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link
    linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat
    madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod
    mknodat mlock mlock2 mlockall mmap modify_ldt mprotect mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
    munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open
    pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv
    preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 ptrace pwrite64
    pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg
    remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select
    semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list set_thread_area
    set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid
    setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr setxattrat shmat
    shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice stat statfs
    statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat uretprobe
    utime utimensat utimes vfork vmsplice wait4 waitid write writev
    chroot
";

/// What Docker adds with CAP_SYS_ADMIN. Neither `pivot_root` nor the calls on keys are among them.
const DOCKER_ADMIN: &str = "
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
    lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open
    quotactl quotactl_fd setdomainname sethostname setns syslog umount2 unshare
";

/// What Podman allows in every container besides Docker's list: nested containers are one of its
/// uses.
const PODMAN: &str = "
    clone clone3 fsconfig fsmount fsopen fspick keyctl mount move_mount open_tree pidfd_getfd
    pivot_root reboot setns syslog umount2 unshare
";

/// What Podman adds with CAP_SYS_ADMIN.
const PODMAN_ADMIN: &str =
    "bpf fanotify_init lookup_dcookie perf_event_open quotactl setdomainname sethostname setns";

/// The flags by which clone(2) makes namespaces.
const CLONE_NEW: u64 = 0x7e02_0000;

/// The filter of Docker for a container with or without CAP_SYS_ADMIN.
pub fn docker(admin: bool) -> Filter {
    let filter = families(personas(Filter::allowing(words(DOCKER), libc::EPERM)));
    if admin {
        filter.allow(words(DOCKER_ADMIN))
    } else {
        filter.allow_when("clone", 0, CLONE_NEW, 0).refuse(["clone3"], libc::ENOSYS)
    }
}

/// The filter of Podman for a container with or without CAP_SYS_ADMIN.
pub fn podman(admin: bool) -> Filter {
    // Its list is older: it knows neither Landlock nor other calls of the last years.
    let newer = |name: &&str| name.starts_with("landlock_") || name.starts_with("futex_");
    let all = words(DOCKER).filter(|name| !newer(name)).chain(words(PODMAN)).chain(["socket"]);
    let filter = personas(Filter::allowing(all, libc::ENOSYS));
    if admin {
        filter.allow(words(PODMAN_ADMIN))
    } else {
        filter.refuse(words(PODMAN_ADMIN).filter(|name| *name != "setns"), libc::EPERM)
    }
}

fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split_whitespace()
}

/// The execution domains that both engines allow.
fn personas(filter: Filter) -> Filter {
    let all = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    all.into_iter()
        .fold(filter, |filter, persona| filter.allow_when("personality", 0, u64::MAX, persona))
}

/// The socket families of Docker: all but a few that the kernel's users do not need.
fn families(filter: Filter) -> Filter {
    (0..=45)
        .filter(|family| ![12, 19, 20, 23, 25, 34, 37, 38, 40].contains(family))
        .fold(filter, |filter, family| filter.allow_when("socket", 0, u64::MAX, family))
}
