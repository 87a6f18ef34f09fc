//! The numbers of the system calls that the warden makes.

macro_rules! numbers {
    ($($name:ident $x86_64:literal $generic:literal)*) => {$(
        #[cfg(target_arch = "x86_64")]
        pub const $name: usize = $x86_64;
        #[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
        pub const $name: usize = $generic;
    )*};
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("seclude's warden knows the system calls of x86_64, aarch64 and riscv64 only");

//  name             x86_64 generic: aarch64 and riscv64
numbers! {
    READ             0      63
    WRITE            1      64
    CLOSE            3      57
    MMAP             9      222
    MUNMAP           11     215
    RT_SIGACTION     13     134
    RT_SIGPROCMASK   14     135
    IOCTL            16     29
    PREAD64          17     67
    MADVISE          28     233
    GETPID           39     172
    SOCKET           41     198
    SOCKETPAIR       53     199
    SETSOCKOPT       54     208
    SENDMSG          46     211
    RECVMSG          47     212
    CLONE            56     220
    EXECVE           59     221
    WAIT4            61     260
    KILL             62     129
    FCNTL            72     25
    CHDIR            80     49
    FCHDIR           81     50
    FCHMOD           91     52
    UMASK            95     166
    GETRUSAGE        98     165
    SETSID           112    157
    GETGROUPS        115    158
    SETGROUPS        116    159
    SETRESUID        117    147
    GETRESUID        118    148
    SETRESGID        119    149
    GETRESGID        120    150
    CAPGET           125    90
    CAPSET           126    91
    PERSONALITY      135    92
    FSTATFS          138    44
    PIVOT_ROOT       155    41
    PRCTL            157    167
    MOUNT            165    40
    UMOUNT2          166    39
    SETHOSTNAME      170    161
    SETDOMAINNAME    171    162
    SETXATTR         188    5
    FSETXATTR        190    7
    FGETXATTR        193    10
    GETDENTS64       217    61
    CLOCK_GETTIME    228    113
    EXIT_GROUP       231    94
    ADD_KEY          248    217
    REQUEST_KEY      249    218
    KEYCTL           250    219
    OPENAT           257    56
    MKDIRAT          258    34
    MKNODAT          259    33
    FCHOWNAT         260    54
    NEWFSTATAT       262    79
    UNLINKAT         263    35
    LINKAT           265    37
    SYMLINKAT        266    36
    READLINKAT       267    78
    FCHMODAT         268    53
    FACCESSAT        269    48
    PPOLL            271    73
    UNSHARE          272    97
    UTIMENSAT        280    88
    SIGNALFD4        289    74
    EVENTFD2         290    19
    DUP3             292    24
    PIPE2            293    59
    PRLIMIT64        302    261
    SETNS            308    268
    SECCOMP          317    277
    STATX            332    291
    OPEN_TREE        428    428
    MOVE_MOUNT       429    429
    FSOPEN           430    430
    FSCONFIG         431    431
    FSMOUNT          432    432
    CLONE3           435    435
    CLOSE_RANGE      436    436
    OPENAT2          437    437
    FACCESSAT2       439    439
    MOUNT_SETATTR    442    442
    LANDLOCK_CREATE  444    444
    LANDLOCK_ADD     445    445
    LANDLOCK_SELF    446    446
}
