//! The rows: what each option does, as a script of shell and what it prints.

use seclude_tests::front::{Refused, Row, roots, row};

/// Options that are refused: their values, and a part of the reason.
pub const REFUSED: &[Refused] = &[
    ("--userns2", "9", "no second user namespace"),
    ("--overlay", "/a /b /c", "keeps its changes in a directory of another form"),
    ("--exec-label", "x", "SELinux"),
    ("--file-label", "x", "SELinux"),
    ("--userns-block-fd", "9", "id maps"),
];

pub const ROWS: &[Row] = &[
    row(
        &["--help"],
        r#""$B" --help | head -1 | cut -d' ' -f1; "$B" --help | grep -c '^    --'"#,
        "usage:\n67\n",
    ),
    row(&["--version"], r#""$B" --version | head -1"#, "bubblewrap 0.11.1\n"),
    row(
        &["--args"],
        r#"printf '%s\0' --setenv A b >list; "$B" $R --args 9 sh -c 'echo $A' 9<list
           printf '%s\0' word >list; "$B" $R --args 9 true 9<list 2>&1; echo $?"#,
        "b\nbwrap: --args: word is no option\n1\n",
    ),
    row(&["--argv0"], r#""$B" $R --argv0 other sh -c 'echo $0'"#, "other\n"),
    row(
        &["--level-prefix"],
        r#""$B" --level-prefix --nosuch 2>&1; echo $?"#,
        "<3>bwrap: Unknown option --nosuch\n1\n",
    ),
    row(
        &["--unshare-all", "--share-net"],
        r#"for kind in ipc net pid uts cgroup user; do kind $kind --unshare-all; done
           kind net "--unshare-all --share-net""#,
        "own\nown\nown\nown\nown\nown\nshared\n",
    ),
    row(&["--unshare-user"], r#"kind user --unshare-user"#, "own\n"),
    row(&["--unshare-user-try"], r#"kind user --unshare-user-try"#, "own\n"),
    roots(&[], r#"kind user"#, "shared\n"),
    row(&["--unshare-ipc"], r#"kind ipc; kind ipc --unshare-ipc"#, "shared\nown\n"),
    row(&["--unshare-pid"], r#"kind pid; kind pid --unshare-pid"#, "shared\nown\n"),
    row(&["--unshare-net"], r#"kind net; kind net --unshare-net"#, "shared\nown\n"),
    row(&["--unshare-uts"], r#"kind uts; kind uts --unshare-uts"#, "shared\nown\n"),
    row(&["--unshare-cgroup"], r#"kind cgroup; kind cgroup --unshare-cgroup"#, "shared\nown\n"),
    row(&["--unshare-cgroup-try"], r#"kind cgroup --unshare-cgroup-try"#, "own\n"),
    row(
        &["--userns", "--pidns"],
        r#"unshare --user --map-root-user --pid --fork sleep 100 & holder=$!
           until pid=$(pgrep -P $holder 2>/dev/null) && [ -e /proc/$pid/ns/pid ]; do sleep 0.05; done
           exec 7</proc/$pid/ns/user 8</proc/$pid/ns/pid
           for kind in user pid; do
               expected=$(readlink /proc/$pid/ns/$kind)
               found=$("$B" --ro-bind / / --proc /proc --uid 0 --gid 0 --userns 7 --pidns 8 \
                   readlink /proc/self/ns/$kind)
               [ "$expected" = "$found" ] && echo entered $kind
           done
           "$B" $R --pidns 7 true 2>&1 | grep -o 'is no pid namespace'
           kill -9 $pid $holder"#,
        "entered user\nentered pid\nis no pid namespace\n",
    ),
    row(
        &["--disable-userns"],
        r#""$B" $R --unshare-user unshare --user echo made
           "$B" $R --unshare-user --disable-userns unshare --user echo made 2>/dev/null || echo not
           "$B" $R --disable-userns true 2>&1"#,
        "made\nnot\nbwrap: --disable-userns requires --unshare-user\n",
    ),
    row(
        &["--assert-userns-disabled"],
        r#""$B" $R --assert-userns-disabled true 2>/dev/null; echo $?
           "$B" $R --unshare-user --disable-userns --assert-userns-disabled echo sure"#,
        "1\nsure\n",
    ),
    row(
        &["--uid", "--gid"],
        r#""$B" $R --unshare-user --uid 5 --gid 6 sh -c 'id -u; id -g'"#,
        "5\n6\n",
    ),
    row(&["--hostname"], r#""$B" $R --unshare-uts --hostname other uname -n"#, "other\n"),
    row(
        &["--chdir"],
        r#""$B" $R --chdir /usr sh -c 'pwd; echo $PWD'
           "$B" $R --chdir /nosuch true 2>&1; echo $?
           [ "$("$B" $R pwd)" = "$PWD" ] && echo here
           HOME=/usr "$B" --ro-bind /usr /usr --ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64 \
               /usr/bin/pwd"#,
        "/usr\n/usr\nbwrap: Can't chdir to /nosuch: No such file or directory\n1\nhere\n/usr\n",
    ),
    row(
        &["--setenv", "--unsetenv"],
        r#"A=a B_=b "$B" $R --setenv A c --unsetenv B_ --setenv D d sh -c 'echo "$A-$B_-$D"'"#,
        "c--d\n",
    ),
    row(
        &["--clearenv"],
        r#"A=a "$B" $R --clearenv --setenv C c --chdir / /usr/bin/env | sort"#,
        "C=c\nPWD=/\n",
    ),
    row(
        &["--lock-file"],
        r#"touch lock
           "$B" $R --proc /proc --lock-file "$PWD/lock" \
               sh -c 'grep "POSIX.*READ" /proc/locks | grep -c ":$(stat -c %i lock) "'
           "$B" $R --tmpfs /srv --lock-file /srv/x true 2>&1"#,
        "1\nbwrap: --lock-file /srv/x: no bind shows it\n",
    ),
    row(
        &["--sync-fd"],
        r#"mkfifo f; { cat f; echo closed; } & exec 9>f
           "$B" $R --sync-fd 9 sh -c 'ls -l /proc/self/fd | grep -c /f$' ; exec 9>&-; wait
           "$B" $R sh -c 'echo inherited >&9' 9>g; cat g"#,
        "0\nclosed\ninherited\n",
    ),
    row(
        &["--perms"],
        r#""$B" $R --tmpfs /srv --perms 0710 --dir /srv/a/b --dir /srv/c \
               stat -c %a /srv/a /srv/a/b /srv/c
           "$B" $R --perms 0700 --bind /usr /srv true 2>&1 | cut -c1-28"#,
        "750\n710\n755\nbwrap: --perms must stand be\n",
    ),
    row(
        &["--size"],
        r#""$B" $R --size 1048576 --tmpfs /srv df --output=size -k /srv | tail -1 | tr -d ' '"#,
        "1024\n",
    ),
    row(
        &["--bind"],
        r#"mkdir d; "$B" $R --bind d /srv sh -c 'echo x >/srv/f'; cat d/f
           "$B" $R --bind nosuch /srv true 2>&1; echo $?
           "$B" $R --bind d "$PWD/new/deep" true; stat -c %a new new/deep"#,
        "x\nbwrap: Can't find source path nosuch: No such file or directory\n1\n755\n755\n",
    ),
    row(
        &["--bind-try", "--ro-bind-try", "--dev-bind-try"],
        r#"mkdir d; touch d/f
           for option in --bind-try --ro-bind-try --dev-bind-try; do
               "$B" $R $option nosuch /srv $option d /srv ls /srv
           done"#,
        "f\nf\nf\n",
    ),
    row(
        &["--dev-bind"],
        r#""$B" $R --dev-bind /dev /dev sh -c 'echo x >/dev/null && echo opened'
           "$B" $R --bind /dev /dev sh -c 'echo x >/dev/null' 2>/dev/null || echo not"#,
        "opened\nnot\n",
    ),
    row(
        &["--ro-bind"],
        r#"mkdir d; touch d/f; "$B" $R --ro-bind d /srv sh -c 'ls /srv; echo x >/srv/f' 2>&1 |
               grep -o '^f$\|Read-only file system'"#,
        "f\nRead-only file system\n",
    ),
    row(
        &["--bind-fd", "--ro-bind-fd"],
        r#"mkdir d; touch d/f
           "$B" $R --bind-fd 9 /srv sh -c 'ls /srv; echo x >/srv/f' 9<d; cat d/f
           "$B" $R --ro-bind-fd 9 /srv sh -c 'echo y >/srv/f' 9<d 2>/dev/null || echo not
           "$B" $R --bind-fd 9 /srv true 9< <(true) 2>&1 | grep -o 'has no path'"#,
        "f\nx\nnot\nhas no path\n",
    ),
    row(
        &["--remount-ro"],
        r#""$B" $R --tmpfs /srv --tmpfs /srv/in --remount-ro /srv \
               sh -c 'touch /srv/in/f && echo below; touch /srv/f 2>/dev/null || echo not'
           "$B" $R --tmpfs /srv --dir /srv/d --remount-ro /srv/d true 2>/dev/null; echo $?"#,
        "below\nnot\n1\n",
    ),
    row(
        &["--proc"],
        r#""$B" $R --unshare-pid --proc /proc sh -c 'test /proc/self/ns -ef /proc/$$/ns; test -d /proc/1 && echo /proc/[0-9] | grep -c "/proc/1"'
           "$B" --ro-bind /usr /usr --ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64 /usr/bin/ls /"#,
        "1\nlib\nlib64\nusr\n",
    ),
    row(
        &["--dev"],
        r#""$B" $R --dev /dev sh -c 'echo $(ls /dev); echo x >/dev/null; stat -f -c %T /dev/pts'"#,
        "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero\ndevpts\n",
    ),
    row(
        &["--unshare-user"],
        r#"run="--unshare-user --uid 0 --gid 0 --cap-add ALL --bind / / --bind /proc /proc"
           "$B" $run -- /proc/self/exe --unshare-all --bind / / --proc /proc sh -c 'echo $$'"#,
        "2\n",
    ),
    row(
        &["--tmpfs"],
        r#""$B" $R --tmpfs /srv sh -c 'ls /srv; stat -c %a /srv; touch /srv/f && stat -f -c %T /srv'
           "$B" $R --tmpfs /srv --dir /srv/a --tmpfs /srv ls /srv"#,
        "755\ntmpfs\n",
    ),
    row(
        &["--overlay-src", "--tmp-overlay"],
        r#"mkdir low high; echo low >low/both; echo low >low/one; echo high >high/both
           o="--overlay-src low --overlay-src high --tmp-overlay /srv"
           "$B" $R $o sh -c 'cd /srv; cat one both; echo new >both; rm one; cat both; ls'
           cat high/both low/one"#,
        "low\nhigh\nnew\nboth\nhigh\nlow\n",
    ),
    row(
        &["--overlay-src", "--ro-overlay"],
        r#"mkdir low high; echo low >low/both; echo high >high/both
           "$B" $R --overlay-src low --overlay-src high --ro-overlay /srv \
               sh -c 'cat /srv/both; touch /srv/new 2>&1'"#,
        "high\ntouch: cannot touch '/srv/new': Read-only file system\n",
    ),
    row(
        &["--mqueue"],
        r#""$B" $R --unshare-ipc --mqueue /srv stat -f -c %T /srv
           "$B" $R --mqueue /srv true 2>&1 | grep -o 'the ipc namespace is shared'"#,
        "mqueue\nthe ipc namespace is shared\n",
    ),
    row(
        &["--dir"],
        r#""$B" $R --tmpfs /srv --dir /srv/a/b --dir /srv/a ls -d /srv/a/b
           mkdir -m 700 old; "$B" $R --dir "$PWD/old" true; stat -c %a old"#,
        "/srv/a/b\n700\n",
    ),
    row(
        &["--file"],
        r#"echo data | "$B" $R --tmpfs /srv --file 0 /srv/f sh -c 'cat /srv/f; stat -c %a /srv/f'"#,
        "data\n666\n",
    ),
    row(
        &["--bind-data", "--ro-bind-data"],
        r#"echo old >f; echo data >source
           "$B" $R --bind-data 9 "$PWD/f" sh -c 'echo more >>f; cat f; stat -c %a f' 9<source
           "$B" $R --ro-bind-data 9 "$PWD/f" sh -c 'cat f; echo x >f' 9<source 2>/dev/null || echo not
           cat f"#,
        "data\nmore\n600\ndata\nnot\nold\n",
    ),
    row(
        &["--symlink"],
        r#""$B" $R --symlink a "$PWD/l" --symlink a "$PWD/l" readlink l; readlink l
           "$B" $R --symlink b "$PWD/l" true 2>&1 | sed "s#$PWD#.#""#,
        "a\na\nbwrap: Can't make symlink at ./l: existing destination is a\n",
    ),
    row(
        &["--chmod"],
        r#"touch f; chmod 600 f; "$B" $R --chmod 0751 "$PWD/f" true; stat -c %a f
           "$B" $R --chmod 0751 "$PWD/nosuch" true 2>/dev/null; echo $?"#,
        "751\n1\n",
    ),
    row(
        &["--seccomp", "--add-seccomp-fd"],
        // Number 83 is mkdir(2), and 84 rmdir(2). They fail with E2BIG.
        r#"filter () {
               printf '\x20\0\0\0\0\0\0\0\x15\0\0\1'"$1"'\0\0\0\6\0\0\0\7\0\5\0\6\0\0\0\0\0\xff\x7f'
           }
           filter '\x53' >one; filter '\x54' >two
           "$B" $R --tmpfs /srv --dir /srv/d --seccomp 8 --seccomp 9 \
               sh -c 'mkdir /srv/a && echo made; rmdir /srv/d' 8<one 9<two 2>&1 | grep -o 'made\|list too long'
           "$B" $R --tmpfs /srv --dir /srv/d --add-seccomp-fd 8 --add-seccomp-fd 9 \
               sh -c 'mkdir /srv/a; rmdir /srv/d' 8<one 9<two 2>&1 | grep -o 'made\|list too long'
           "$B" $R --seccomp 8 --add-seccomp-fd 9 true 8<one 9<two 2>/dev/null; echo $?"#,
        "made\nlist too long\nlist too long\nlist too long\n1\n",
    ),
    row(
        &["--block-fd"],
        r#"mkfifo f; { sleep 0.2; echo yes >started; echo >f; } &
           "$B" $R --block-fd 9 cat started 9<f; wait"#,
        "yes\n",
    ),
    row(
        &["--info-fd"],
        // Whoever reads the ids may work in the namespaces before the program starts.
        r#"mkfifo info go
           { read -r _ <(:); text=$(cat info); pid=$(echo "$text" | grep -o '"child-pid": [0-9]*')
             net=$(echo "$text" | grep -o '"net-namespace": [0-9]*')
             [ "net:[${net##* }]" = "$(readlink /proc/${pid##* }/ns/net)" ] && echo told
             echo >go; } &
           "$B" $R --unshare-all --info-fd 8 --block-fd 9 echo ran 8>info 9<>go; wait"#,
        "told\nran\n",
    ),
    row(
        &["--json-status-fd"],
        r#""$B" $R --json-status-fd 9 sh -c 'exit 7' 9>status; echo $?
           head -1 status | grep -c '"child-pid": [0-9]'; tail -1 status
           "$B" $R --json-status-fd 9 /nosuch 9>status 2>/dev/null; echo $?; grep -c exit-code status"#,
        "7\n1\n{ \"exit-code\": 7 }\n1\n0\n",
    ),
    row(
        &["--new-session"],
        r#""$B" $R --new-session sh -c 'set -- $(cat /proc/$$/stat); [ "$6" = "$1" ] && echo leads'"#,
        "leads\n",
    ),
    row(
        &["--as-pid-1"],
        r#""$B" $R --unshare-pid --as-pid-1 --proc /proc sh -c 'echo $$; cat /proc/1/comm'
           "$B" $R --as-pid-1 true 2>&1"#,
        "1\nsh\nbwrap: --as-pid-1 requires --unshare-pid\n",
    ),
    row(
        &["--die-with-parent"],
        r#"sh -c '"$0" "$@" & exec sleep 0.5' "$B" $R --die-with-parent \
               sh -c 'echo $$ >pid; exec sleep 100' >/dev/null 2>&1
           for try in 1 2 3 4 5 6 7 8 9; do kill -0 $(cat pid) 2>/dev/null && sleep 0.2; done
           kill -0 $(cat pid) 2>/dev/null || echo ended"#,
        "ended\n",
    ),
    row(
        &["--cap-add", "--cap-drop"],
        r#"caps () { "$B" $R --unshare-user --uid 5 "$@" grep CapEff /proc/self/status | cut -f2; }
           caps; caps --cap-add CAP_NET_ADMIN; caps --cap-add ALL --cap-drop ALL --cap-add net_raw
           "$B" $R --unshare-user --disable-userns --cap-add CAP_SYS_RESOURCE true 2>&1 |
               cut -d: -f1-2 | cut -c1-38"#,
        "0000000000000000\n0000000000001000\n0000000000002000\nbwrap: --cap-add CAP_SYS_RESOURCE is r\n",
    ),
    roots(
        &[],
        r#"set -- $(grep -e CapEff -e CapPrm /proc/self/status)
           [ "$("$B" $R grep CapEff /proc/self/status | cut -f2)" = $4 ] && echo kept
           "$B" $R --cap-drop ALL grep CapEff /proc/self/status | cut -f2"#,
        "kept\n0000000000000000\n",
    ),
    // How programs end.
    row(
        &[],
        r#""$B" $R sh -c 'kill -9 $$'; echo $?; "$B" $R sh -c 'exit 200'; echo $?; "$B" 2>/dev/null
           echo $?; "$B" $R /nosuch 2>&1 | grep -o 'bwrap: execute /nosuch'"#,
        "137\n200\n1\nbwrap: execute /nosuch\n",
    ),
    // A root that covers others leaves none of them behind it.
    row(&[], r#""$B" --tmpfs / --dir /gone $R sh -c 'ls /.. | grep -c gone'"#, "0\n"),
];
