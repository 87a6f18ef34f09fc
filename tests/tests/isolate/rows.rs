//! The rows: what each option does, as a script of shell and what it prints.

use seclude_tests::front::{Refused, Row, roots, row};

/// Options that are refused: their values, and a part of the reason.
pub const REFUSED: &[Refused] = &[
    ("--print-cg-root", "", "each run finds"),
    ("--no-cg-timing", "", "all processes"),
    ("--quota", "=10,10", "--fsize"),
    ("--tty-hack", "", "session of its own"),
    ("--as-uid", "=5", "number of the box"),
    ("--as-gid", "=5", "number of the box"),
    ("--syscalls", "=x", "filter"),
    ("--check-config", "", "no configuration file"),
];

pub const ROWS: &[Row] = &[
    row(&["--help"], r#""$B" --help | head -1; "$B" --help | grep -c '^    .*--'"#, "usage:\n45\n"),
    row(&["--version"], r#""$B" --version | head -1"#, "The options of isolate 2.6\n"),
    row(
        &["--init", "--run", "--cleanup"],
        r#"echo data >"$P/in"; run -- /bin/sh -c 'cat <in; read word <in; echo $word; pwd' 2>&1
           run -- /bin/sh -c 'read word <in; echo $word >out'; cat "$P/out"
           run -- /bin/cat out
           "$B" --init | sed "s#$PWD#.#"; ls "$P"
           "$B" --cleanup; echo $?; ls boxes; "$B" --cleanup; echo $?
           "$B" --run -- /bin/true 2>&1; echo $?"#,
        "/bin/sh: 1: Cannot fork\ndata\ndata\n./boxes/0\n0\n0.lock\n0\n\
         isolate: there is no box 0; --init makes it\n2\n",
    ),
    row(
        &["--box-id"],
        r#"for n in 3 999; do
               "$B" --box-id=$n --init >/dev/null; run -b $n -- /usr/bin/id -u; ls boxes/$n
           done
           "$B" -b 1000 --init 2>&1"#,
        "60003\nbox\n60999\nbox\nisolate: --box-id: the number of a box is below 1000\n",
    ),
    row(
        &["--wait"],
        r#"mkfifo hold; run -- /bin/sh -c 'echo >started; exec cat' <hold & exec 9>hold
           until [ -e "$P/started" ]; do sleep 0.05; done
           run -- /bin/true 2>&1; echo $?; "$B" --cleanup 2>/dev/null; echo $?
           run --wait -- /bin/echo waited 9>&- & sleep 0.2; echo held; exec 9>&-; wait"#,
        "isolate: box 0 is in use; --wait waits for it\n2\n2\nheld\nwaited\n",
    ),
    row(
        &["--verbose", "--silent"],
        r#""$B" -v --run -- /bin/true 2>&1 | grep -c -e running -e ended
           "$B" --run -- /bin/true 2>&1 | sed 's/[0-9.]\+ sec/T/g'
           "$B" --silent --run -- /bin/true 2>&1"#,
        "2\nOK (T real, T wall)\n",
    ),
    roots(
        &["--cg", "--cg-mem", "--cg-timing"],
        r#"meta 'cg-.*|status|exitsig' --cg --cg-timing --cg-mem=20000 -- /usr/bin/tail /dev/zero
           meta 'cg-enabled|status' --cg -- /bin/true
           run --cg-mem=20000 -- /bin/true 2>&1; echo $?"#,
        "cg-enabled:1\ncg-mem:20000\ncg-oom-killed:1\nexitsig:9\nstatus:SG\ncg-enabled:1\n\
         isolate: --cg-mem needs --cg\n2\n",
    ),
    row(
        &["--meta"],
        r#"some='exitcode|exitsig|killed|status|message'
           meta $some -- /bin/true; echo ok
           meta $some -- /bin/sh -c 'exit 3'
           meta $some -- /bin/sh -c 'kill -11 $$'
           meta $some -w 0.1 -- /bin/sleep 9
           meta $some -- nosuch 2>/dev/null | cut -c1-24
           run -M file -- /bin/true; cut -d: -f1 file
           run -M nosuch/file -- /bin/true 2>/dev/null; echo $?"#,
        "exitcode:0\nok\nexitcode:3\nstatus:RE\nmessage:Exited with error status 3\n\
         exitsig:11\nstatus:SG\nmessage:Caught fatal signal 11\n\
         killed:1\nstatus:TO\nmessage:Time limit exceeded (wall clock)\n\
         status:XX\nmessage:execute ./nosuch\n\
         time\ntime-wall\nmax-rss\ncsw-voluntary\ncsw-forced\nexitcode\n2\n",
    ),
    // The exit status, and the message.
    row(
        &[],
        r#"for end in 'exit 0' 'exit 3' 'kill -9 $$'; do
               "$B" --run -- /bin/sh -c "$end" 2>&1 | sed 's/ (.*//'; echo ${PIPESTATUS[0]}
           done
           run -- nosuch 2>/dev/null; echo $?; run -- sh 2>/dev/null; echo $?"#,
        "OK\n0\nExited with error status 3\n1\nCaught fatal signal 9\n1\n2\n2\n",
    ),
    row(&["--mem"], r#"run --mem=50000 -- /bin/sh -c 'ulimit -v'"#, "50000\n"),
    row(
        &["--time", "--extra-time"],
        r#"meta 'killed|status|message' --time=0.2 -- /bin/sh -c 'while :; do :; done'; echo
           meta 'killed|status|exitcode' -t 0.01 --extra-time=60 -- /bin/sh -c '
               i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'"#,
        "killed:1\nstatus:TO\nmessage:Time limit exceeded\n\nexitcode:0\nstatus:TO\n",
    ),
    row(
        &["--wall-time"],
        r#"meta 'killed|status' --wall-time=0.2 -- /bin/sleep 9; run -w 9 -- /bin/true; echo $?"#,
        "killed:1\nstatus:TO\n0\n",
    ),
    row(
        &["--stack"],
        r#"run --stack=4096 -- /bin/sh -c 'ulimit -s'
           [ $(run -- /bin/sh -c 'ulimit -s') = $(ulimit -Hs) ] && echo same"#,
        "4096\nsame\n",
    ),
    row(
        &["--fsize"],
        r#"meta 'exitsig' --fsize=1 -- /bin/sh -c 'exec head -c 5000 /dev/zero >f'; wc -c <"$P/f""#,
        "exitsig:25\n1024\n",
    ),
    row(
        &["--open-files"],
        r#"run -- /bin/sh -c 'ulimit -n'; run --open-files=32 -- /bin/sh -c 'ulimit -n'
           [ $(run -n 0 -- /bin/sh -c 'ulimit -n') = $(ulimit -Hn) ] && echo same
           ulimit -n 500; run -- /bin/sh -c 'ulimit -n'
           run -n 501 -- /bin/true 2>/dev/null; echo $?"#,
        "1024\n32\nsame\n500\n2\n",
    ),
    row(
        &["--core"],
        r#"run -- /bin/sh -c 'ulimit -c'; ulimit -c unlimited
           run --core=8 -- /bin/sh -c 'ulimit -c'"#,
        "0\n16\n",
    ),
    row(
        &["--processes"],
        r#"run -- /bin/sh -c '(echo two); :' 2>/dev/null
           run --processes=2 -- /bin/sh -c '(echo two); (exec sleep 9) & (echo three)' 2>/dev/null
           run --processes -- /bin/sh -c '(exec sleep 1) & (echo any)'
           run -p -- /bin/sh -c '(echo p)'"#,
        "two\nany\np\n",
    ),
    row(
        &["--stdin", "--stdout", "--stderr"],
        r#"echo data >"$P/in"; echo a longer old text >"$P/out"
           run --stdin=in --stdout=out --stderr=/box/err -- /bin/sh -c 'echo bad >&2; exec cat'
           cat "$P/out" "$P/err"; stat -c %a "$P/out"
           run --stdin=/dev/null -- /bin/cat; echo typed | run -- /bin/cat
           run -o /usr/out -- /bin/true 2>&1; run -o ../out -- /bin/true 2>&1
           run -i nosuch -- /bin/true 2>&1; echo $?; run -o /srv/out -- /bin/true 2>&1"#,
        "data\nbad\n644\ntyped\nisolate: /usr/out: it is read-only inside\n\
         isolate: --stdout: the path must not go up with ..\n\
         isolate: /box/nosuch: No such file or directory\n2\n\
         isolate: /srv/out: no rule shows it inside\n",
    ),
    row(
        &["--stderr-to-stdout"],
        r#"run --stderr-to-stdout -- /bin/sh -c 'echo bad >&2' 2>/dev/null
           run -o out --stderr-to-stdout -- /bin/sh -c 'echo good; echo bad >&2'; cat "$P/out""#,
        "bad\ngood\nbad\n",
    ),
    row(
        &["--chdir"],
        r#"run -- /bin/pwd; run --chdir=/usr -- /bin/pwd; run -c tmp -- /bin/pwd
           run -c /nosuch -- /bin/pwd 2>/dev/null; echo $?"#,
        "/box\n/usr\n/tmp\n2\n",
    ),
    row(
        &["--env", "--full-env"],
        r#"export A=a B_=b
           run -- /usr/bin/env; run --env=A -E C=c -E LIBC_FATAL_STDERR_= -- /usr/bin/env | sort
           run --full-env -E A=other -E B_= -- /bin/sh -c 'echo $A-$B_'"#,
        "LIBC_FATAL_STDERR_=1\nA=a\nC=c\nother-\n",
    ),
    row(
        &["--inherit-fds"],
        r#"run -- /bin/sh -c 'echo x >&7' 7>f 2>/dev/null; cat f
           run --inherit-fds -- /bin/sh -c 'echo inherited >&7' 7>f; cat f"#,
        "inherited\n",
    ),
    row(
        &["--dir"],
        r#"mkdir d; chmod 777 d; cp /bin/true d/program
           run --dir=srv/in="$PWD/d" -- /bin/sh -c 'echo x >/srv/in/f' 2>/dev/null || echo not
           run -d srv/in="$PWD/d":rw:noexec -- /bin/sh -c 'echo x >/srv/in/f'; cat d/f
           run -d srv="$PWD/d":noexec -- /srv/program 2>/dev/null; echo $?
           run -d srv="$PWD/nosuch":maybe -- /bin/true; echo $?
           run -d srv="$PWD/nosuch" -- /bin/true 2>/dev/null; echo $?
           run -d srv:tmp -- /bin/sh -c 'echo x >/srv/f; echo y >/tmp/f; cd /srv; echo *'
           run -d srv=tmpfs:fs:rw -- /usr/bin/stat -f -c %T /srv; ls boxes/0
           run -d dev="/dev":dev:norec -- /bin/sh -c 'echo x >/dev/null' 2>&1 | cut -c1-32
           run -d tmp= -- /bin/sh -c 'cd /tmp' 2>/dev/null || echo gone
           run -d sub=./box/sub -- /bin/true 2>/dev/null; echo $?
           mkdir "$P/sub"; echo s >"$P/sub/f"; run -d sub=./box/sub -- /bin/cat /sub/f
           run -d box/sub="$PWD/d" -- /bin/cat sub/f; run -d box/no="$PWD/d" -- /bin/true 2>&1"#,
        "not\nx\n2\n0\n2\nf\ntmpfs\nbox\nisolate: --dir=/dev: norec is re\ngone\n2\ns\nx\n\
         isolate: --dir=/box/no: there is no such directory\n",
    ),
    // The default rules.
    row(
        &["--no-default-dirs"],
        r#"run -- /bin/sh -c 'cd /; echo *; echo x >/dev/shm/f && echo x >/tmp/f && echo wrote
               echo x >/f' 2>/dev/null
           run -D -d usr -d lib -d lib64:maybe -d box=./box -- /usr/bin/ls /
           run --no-default-dirs -- /bin/true 2>/dev/null; echo $?"#,
        "bin box dev lib lib64 proc tmp usr\nwrote\nbox\nlib\nlib64\nusr\n2\n",
    ),
    row(
        &["--share-net"],
        r#"outside=$(readlink /proc/self/ns/net)
           net () { run "$@" -- /usr/bin/readlink /proc/self/ns/net; }
           [ $(net) = "$outside" ] || echo own
           [ $(net --share-net) = "$outside" ] && echo shared"#,
        "own\nshared\n",
    ),
    row(
        &["--special-files"],
        r#"run -p -- /bin/sh -c 'ln -s f l; mkfifo p; mkdir d; ln -s f d/l; echo >f'
           find "$P" | wc -l
           run -p --special-files -- /bin/sh -c 'ln -s f l; mkfifo p'; find "$P" | wc -l"#,
        "3\n5\n",
    ),
];
