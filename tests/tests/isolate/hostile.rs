//! Boxes that a program has prepared against the judge. The judge here is the same caller, so the
//! rows put the traps into the box from outside, where that is simpler.

use seclude_tests::front::{Row, roots, row};

pub const HOSTILE: &[Row] = &[
    // A link, a directory behind a link, a pipe and a directory in place of the file of a stream.
    row(
        &[],
        r#"mkdir d; echo old >victim; chmod 777 d victim
           ln -s "$PWD/victim" "$P/link"; ln -s "$PWD/d" "$P/d"
           for way in -o -r; do
               for name in link d/new; do
                   run --special-files $way $name -- /bin/echo x 2>/dev/null; echo $?
               done
           done
           cat victim; ls d
           rm "$P/link"; run -o link -- /bin/echo x; echo $?; cat "$P/link""#,
        "2\n2\n2\n2\nold\n0\nx\n",
    ),
    row(
        &[],
        r#"mkfifo "$P/pipe"; mkdir "$P/d"; cp /bin/true "$P/true"
           for name in pipe d; do
               for way in -i -o -r; do run --special-files $way $name -- ./true 2>&1; done
           done | sort | uniq -c | sed 's/^ *//'"#,
        "2 isolate: /box/d: Is a directory\n1 isolate: /box/d: is not a plain file\n\
         3 isolate: /box/pipe: is not a plain file\n",
    ),
    // A file that only the caller may read is no input: the program's user cannot open it.
    roots(
        &[],
        r#"mkdir d; echo secret >d/f; chmod 600 d/f; chmod 711 d
           run -d srv="$PWD/d" -i /srv/f -- /bin/cat 2>&1; chmod 644 d/f
           run -d srv="$PWD/d" -i /srv/f -- /bin/cat"#,
        "isolate: /srv/f: Permission denied\nsecret\n",
    ),
    // A link in place of a directory of a rule, and in place of a mount point.
    row(
        &[],
        r#"mkdir d; echo secret >d/f; ln -s "$PWD/d" "$P/sub"
           run --special-files -d sub=./box/sub -- /bin/cat /sub/f 2>/dev/null; echo $?
           run --special-files -d box/sub=/usr -- /bin/true 2>/dev/null; echo $?"#,
        "2\n2\n",
    ),
    // What a program leaves that a judge would open, is gone after the run.
    row(
        &[],
        r#"run -p -- /bin/sh -c 'mkdir -p a/b; ln -s /etc/passwd a/b/out; chmod 0 a/b a'
           chmod 700 "$P/a" "$P/a/b"; ls -A "$P/a/b""#,
        "",
    ),
    // Directories that are nested deeper than 128 levels below the box are removed.
    row(
        &[],
        r#"run -p -- /bin/sh -c 'i=0; while [ $i -lt 140 ]; do mkdir d; cd d; i=$((i+1)); done'
           find "$P" -mindepth 1 | wc -l; "$B" --cleanup; ls boxes"#,
        "129\n0.lock\n",
    ),
    // The cleanup follows no link, and copes with closed and with deep directories.
    row(
        &[],
        r#"mkdir d; echo kept >d/f
           run -p --special-files -- /bin/sh -c '
               mkdir -p a/b; echo >a/b/f; chmod 0 a/b a
               i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done'
           ln -s "$PWD/d" "$P/link"; "$B" --cleanup; echo $?; cat d/f; ls boxes"#,
        "0\nkept\n0.lock\n",
    ),
    row(
        &[],
        r#"mkdir d; echo kept >d/f; rmdir "$P"; ln -s "$PWD/d" "$P"
           run -- /bin/true 2>/dev/null; echo $?; "$B" --cleanup; echo $?; cat d/f"#,
        "2\n0\nkept\n",
    ),
    // The directory of the boxes is the caller's alone.
    row(
        &[],
        r#"chmod 777 boxes; "$B" --init 2>&1 | grep -o 'others may write there'; chmod 700 boxes
           mv boxes real; ln -s real boxes; "$B" --init 2>&1 | grep -o 'not a directory'
           other=/usr
           if [ $(id -u) = 0 ]; then other=$PWD/other; mkdir other; chown 65534 other; fi
           SECLUDE_ISOLATE_BOXES=$other "$B" --init 2>/dev/null || echo refused"#,
        "others may write there\nnot a directory\nrefused\n",
    ),
    // The files of the judge become the program's, but not those with another name elsewhere, nor
    // what a link leads to.
    roots(
        &[],
        r#"echo a >"$P/a"; echo b >outside; ln outside "$P/b"; chmod 600 "$P/a" outside
           ln -s "$PWD/outside" "$P/link"; mkdir d; touch d/f; ln -s "$PWD/d" "$P/d"
           run -- /bin/cat a; run -- /bin/cat b 2>/dev/null; echo $?; stat -c %u outside d d/f
           [ $(stat -c %u "$P/a") != 0 ] && echo given"#,
        "a\n1\n0\n0\n0\ngiven\n",
    ),
    // A signal to the judge's command ends the program.
    row(
        &[],
        r#""$B" -M file --run -- /bin/sh -c 'echo >started; exec sleep 100' 2>/dev/null & judge=$!
           until [ -e "$P/started" ]; do sleep 0.05; done
           kill -TERM $judge; wait $judge; echo $?; cat file"#,
        "2\nstatus:XX\nmessage:interrupted by SIGTERM\n",
    ),
];
