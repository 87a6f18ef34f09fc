//! Commands on their own terminals: window size, hanging up, several terminals in one cell, and
//! none shared between copies. Also raw mode for the caller's terminal.

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};
use seclude::{Ended, RawMode, Sandbox, Stdio, Terminal, WindowSize};
use seclude_tests::caller::as_each;
use std::io::{BufRead, BufReader, Read, Write};

fn lines(terminal: &Terminal) -> BufReader<Terminal> {
    BufReader::new(terminal.try_clone().expect("a descriptor can be copied"))
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a terminal can be read");
    line.trim_end().to_owned()
}

#[test]
fn a_new_size_is_told() {
    as_each("a_new_size_is_told", |_| {
        let sandbox = Sandbox::new().terminals();
        let program = "trap 'stty size; exit 3' WINCH; echo ready; while :; do read line; done";
        let mut command = sandbox.command("sh");
        command.args(["-c", program]).stdin(Stdio::pty()).stdout(Stdio::pty()).stderr(Stdio::pty());
        let mut child = command.spawn().expect("it starts");
        let terminal = child.terminal.take().expect("it has one");
        let mut shown = lines(&terminal);
        assert_eq!(line(&mut shown), "ready");
        let size = WindowSize { rows: 50, columns: 99 };
        terminal.resize(size).expect("it has a window");
        assert_eq!(WindowSize::of(&terminal).expect("it has a window"), size);
        // dash runs the trap when the line ends.
        (&terminal).write_all(b"\n").expect("it is typed");
        let mut rest = String::new();
        shown.read_to_string(&mut rest).expect("the end is an end, not an error");
        assert!(rest.contains("50 99"), "{rest:?}");
        assert_eq!(child.wait().expect("it ends").ended, Ended::Exited(3));
    });
}

#[test]
fn hanging_up_is_the_end() {
    as_each("hanging_up_is_the_end", |_| {
        let mut command = Sandbox::new().terminals().command("sleep");
        let mut child = command
            .arg("1000")
            .stdin(Stdio::pty())
            .stdout(Stdio::pty())
            .spawn()
            .expect("it starts");
        drop(child.terminal.take());
        assert_eq!(child.wait().expect("it ends").ended, Ended::Signaled(libc::SIGHUP));
    });
}

#[test]
fn commands_of_a_cell_have_one_each_and_what_stays_does_not_hold_the_reader() {
    as_each("commands_of_a_cell_have_one_each_and_what_stays_does_not_hold_the_reader", |_| {
        let cell = Sandbox::new().terminals().cell().expect("a cell starts");
        let mut first = cell
            .command("cat")
            .stdin(Stdio::pty())
            .stdout(Stdio::pty())
            .spawn()
            .expect("it starts");
        let mut tty = cell.command("tty");
        let second = tty.stdin(Stdio::pty()).output().expect("it runs");
        assert_eq!(second.stdout, b"/dev/pts/1\n");
        (first.terminal.as_ref().expect("it has one"))
            .write_all(b"to the first\n\x04")
            .expect("it is typed");
        let mut shown = lines(first.terminal.as_ref().expect("it has one"));
        assert_eq!([line(&mut shown), line(&mut shown)], ["to the first"; 2]);
        assert_eq!(first.wait().expect("it ends").ended, Ended::Exited(0));
        // The command leaves a process that keeps the terminal open. Reading must end with the
        // command.
        let mut command = cell.command("sh");
        command
            .args(["-c", "trap '' HUP; sleep 1000 & echo left"])
            .stdin(Stdio::pty())
            .stdout(Stdio::pty());
        let output = command.output().expect("it runs");
        assert_eq!(output.stdout, b"left\r\n");
        // More data than FIONREAD reports: the rest is in flight until the terminal is polled.
        let mut command = cell.command("sh");
        command.args(["-c", "yes 1234567 | head -c 6000"]).stdin(Stdio::pty()).stdout(Stdio::pty());
        let mut child = command.spawn().expect("it starts");
        assert_eq!(child.wait().expect("it ends").ended, Ended::Exited(0));
        let shown = child.wait_with_output().expect("it can be read").stdout;
        assert_eq!(
            shown.len(),
            6000 / 8 * 9,
            "{:?}",
            String::from_utf8_lossy(&shown[shown.len().saturating_sub(20)..])
        );
        cell.close();
    });
}

#[test]
fn copies_of_a_template_share_no_terminals() {
    as_each("copies_of_a_template_share_no_terminals", |_| {
        let pool = Sandbox::new().terminals().pool(2).expect("a pool starts");
        let mut first = pool
            .command("cat")
            .stdin(Stdio::pty())
            .stdout(Stdio::pty())
            .spawn()
            .expect("it starts");
        let output = pool
            .command("sh")
            .args(["-c", "ls /dev/pts; tty"])
            .stdin(Stdio::pty())
            .output()
            .expect("it runs");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "0\nptmx\n/dev/pts/0\n",
            "its own is the first there"
        );
        first.kill().expect("it is killed");
        first.wait().expect("it ends");
        pool.close();
    });
}

#[test]
fn raw_mode_ends_as_it_began() {
    let pair = openpty(None, None).expect("a pair");
    let modes = || tcgetattr(&pair.slave).expect("a terminal");
    // musl leaves the rest of the structure, which the kernel does not fill, undefined.
    let all = || {
        let modes = modes();
        let flags = (modes.input_flags, modes.output_flags, modes.control_flags, modes.local_flags);
        (flags, modes.control_chars[..19].to_vec())
    };
    let (before, all_before) = (modes(), all());
    assert!(before.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG));
    let raw = RawMode::enter(&pair.slave).expect("it is a terminal");
    assert!(
        !modes().local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    );
    drop(raw);
    assert_eq!(all(), all_before);
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    assert_eq!(
        RawMode::enter(&reader).expect_err("a pipe is no terminal").raw_os_error(),
        Some(libc::ENOTTY)
    );
}
