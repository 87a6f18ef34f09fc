//! `seclude tree`: the picture of a live sandbox, with hostile names.

use crate::ground::{
    Person, Ran, Started, code, each, ended, leader, mark, ran, run, seclude, start,
};
use seclude_tests::census::{await_marked, marked};
use seclude_tests::scratch;
use std::fs;
use std::process::Command;

/// Markup, a terminal escape, a newline and a direction mark, as a word of Python.
const HOSTILE: &str = r#"'<&"\x1b[2J\n\u202e\\'"#;
/// The same, as a picture shows it.
const SHOWN: &str = r#"<&"\x1b[2J\n\u202e\\"#;

/// A program in a sandbox with a hostile name. Ends when dropped.
struct Hostile {
    seclude: Started,
    pid: u32,
}

impl Hostile {
    fn start() -> Hostile {
        let mark = mark();
        let script = format!(
            "import ctypes, time\nctypes.CDLL(None).prctl(15, {HOSTILE}.encode(), 0, 0, 0)\n\
             open('/tmp/ready', 'w')\ntime.sleep(1000)"
        );
        let words = ["run", "--hostname", "of-tree", "--", "python3", "-c", &script, &mark];
        let seclude = start(&mut leader(&words));
        let is_named = |pid: &u32| {
            fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with(b"<&"))
        };
        await_marked(&mark, 2);
        crate::ground::await_that("it has its name", || marked(&mark).iter().any(is_named));
        let pid = marked(&mark).into_iter().find(is_named).expect("it lives");
        Hostile { seclude, pid }
    }

    fn id(&self) -> String {
        self.seclude.id().to_string()
    }
}

fn tree(words: &[&str]) -> Ran {
    ran(seclude(["tree"].iter().chain(words)).env("LC_ALL", "C.UTF-8"))
}

fn is_clean(text: &str) -> bool {
    text.chars().all(|letter| letter == '\n' || !letter.is_control() && letter != '\u{202e}')
}

#[test]
fn a_sandbox_is_a_frame_in_a_frame() {
    each("a_sandbox_is_a_frame_in_a_frame", |_| {
        let hostile = Hostile::start();
        let ran = tree(&[&hostile.id()]);
        assert_eq!((ran.code, &*ran.err), (0, ""));
        let lines: Vec<&str> = ran.out.lines().collect();
        assert!(
            lines[0].starts_with("╭─ pid namespace ") && lines[0].ends_with("─╮"),
            "{}",
            ran.out
        );
        assert!(lines[1].starts_with(&format!("│ {} seclude", hostile.id())), "{}", ran.out);
        assert!(lines[2].contains("└─ ╭─ pid namespace ") && lines[2].ends_with("─╮ │"));
        assert!(lines[3].contains("→1 ") && lines[3].contains(" +user +mount +net"), "{}", ran.out);
        assert!(lines[4].contains(&format!("└─ {}→2 {SHOWN}", hostile.pid)), "{}", ran.out);
        assert!(lines[5].contains("╰─") && lines[6].starts_with("╰─"), "{}", ran.out);
        assert!(is_clean(&ran.out));
        let widths: Vec<usize> = lines[..7].iter().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{}", ran.out);
        // The whole picture has it, too, and each process once.
        let whole = tree(&[]).out;
        assert_eq!(whole.matches(&format!(" {}→2 ", hostile.pid)).count(), 1, "{whole}");
        assert!(is_clean(&whole));
        let told = tree(&["--arguments", &hostile.id()]).out;
        assert!(told.contains("→2 python3 -c import ctypes, time\\nctypes"), "{told}");
    });
}

#[test]
fn a_locale_without_utf8_gets_ascii() {
    each("a_locale_without_utf8_gets_ascii", |_| {
        let hostile = Hostile::start();
        for locale in ["C", "POSIX", "de_DE.ISO-8859-1"] {
            let ran = ran(seclude(["tree", &hostile.id()]).env("LC_ALL", locale));
            assert!(ran.out.is_ascii() && ran.out.starts_with("+- pid namespace"), "{}", ran.out);
            assert!(ran.out.contains(&format!("`- {}>2 {SHOWN}", hostile.pid)), "{}", ran.out);
        }
    });
}

#[test]
fn a_terminal_gets_colours_and_lines_that_fit() {
    each("a_terminal_gets_colours_and_lines_that_fit", |_| {
        let hostile = Hostile::start();
        let seen = |name: &str, value: &str| {
            let mut command = Command::new("env");
            command.args(["-u", "NO_COLOR", "LC_ALL=C.UTF-8", "TERM=xterm"]);
            command.arg(format!("{name}={value}"));
            let program = seclude(["tree", &hostile.id()]);
            command.arg(program.get_program()).args(program.get_args());
            let (person, mut child) = Person::at(&command, 24, 60);
            let seen = person.sees_the_rest();
            assert_eq!(code(ended(&mut child)), 0);
            seen
        };
        let coloured = seen("NO_COLOR", "");
        assert!(coloured.contains(&format!("\x1b[1;36m{}→2\x1b[0m ", hostile.pid)), "{coloured}");
        assert!(!coloured.contains("\x1b[2J") && coloured.contains('…'), "{coloured}");
        for plain in [seen("NO_COLOR", "1"), seen("TERM", "dumb")] {
            assert!(!plain.contains('\x1b'), "{plain}");
            let frame = plain.lines().filter(|line| !line.starts_with("Processes"));
            assert!(
                frame.map(|line| line.trim().chars().count()).all(|width| width <= 60),
                "{plain}"
            );
        }
    });
}

#[test]
fn an_image_is_sound() {
    each("an_image_is_sound", |caller| {
        let hostile = Hostile::start();
        let place = scratch::directory();
        caller.own(place.path());
        let path = place.path().join("tree.svg");
        let drawn = tree(&["--svg", path.to_str().expect("it is text"), &hostile.id()]);
        assert_eq!((drawn.code, &*drawn.out, &*drawn.err), (0, "", ""));
        let image = fs::read_to_string(&path).expect("it is written");
        assert!(is_clean(&image) && image.matches("class=\"box\"").count() == 2, "{image}");
        let parse = "import sys, xml.etree.ElementTree as e\n\
            print(*sorted({n.tag.split('}')[1] for n in e.parse(sys.argv[1]).iter()}))\n\
            print([n.text for n in e.parse(sys.argv[1]).iter() if n.text == sys.argv[2]][0])";
        let mut python = Command::new("/usr/bin/python3");
        let parsed = ran(python.args(["-c", parse]).arg(&path).arg(SHOWN));
        assert_eq!(
            parsed.out,
            format!("g path rect style svg text title\n{SHOWN}\n"),
            "{}",
            parsed.err
        );
    });
}

#[test]
fn what_cannot_be_drawn_is_told() {
    each("what_cannot_be_drawn_is_told", |_| {
        let ran = run(["tree", "1073741824"]);
        assert_eq!((ran.code, &*ran.out), (125, ""));
        assert_eq!(ran.err, "seclude: there is no process 1073741824\n");
        let ran = run(["tree", "--svg", "/no/such/directory/tree.svg"]);
        assert_eq!((ran.code, &*ran.out), (125, ""));
        assert!(ran.err.starts_with("seclude: /no/such/directory/tree.svg: "), "{}", ran.err);
        assert_eq!(run(["tree", "word"]).code, 125);
    });
}

/// The Python package draws the same, where the tests have it.
#[test]
fn python_draws_the_same() {
    let Some(python) = std::env::var_os("SECLUDE_TEST_PYTHON") else {
        return eprintln!("python_draws_the_same: SKIPPED: SECLUDE_TEST_PYTHON is not set");
    };
    let hostile = Hostile::start();
    let place = scratch::directory();
    let [ours, theirs] = ["ours", "theirs"].map(|name| place.path().join(name));
    let theirs_shown = |words: &[&str]| {
        let mut command = Command::new(&python);
        command.args(["-m", "seclude", "tree"]).args(words).env("LC_ALL", "C.UTF-8");
        let ran = ran(&mut command);
        assert_eq!((ran.code, &*ran.err), (0, ""));
        ran.out
    };
    for words in [&[&*hostile.id()][..], &["--arguments", &hostile.id()]] {
        assert_eq!(tree(words).out, theirs_shown(words));
    }
    tree(&["--svg", ours.to_str().expect("it is text"), &hostile.id()]);
    theirs_shown(&["--svg", theirs.to_str().expect("it is text"), &hostile.id()]);
    let read = |path| fs::read_to_string(path).expect("it is written");
    assert_eq!(read(ours), read(theirs));
}

#[test]
fn a_private_network_is_drawn_with_its_members() {
    each("a_private_network_is_drawn_with_its_members", |_| {
        let network = seclude::Network::builder().subnet("10.9.0.0/24").build();
        let network = network.expect("it is made");
        let on = || seclude::Sandbox::new().network(&network).cell().expect("it starts");
        let (_a, b) = (on(), on());
        let own = std::process::id().to_string();
        let drawn = tree(&[&own]).out;
        let lines: Vec<&str> = drawn.lines().collect();
        let start = lines.iter().position(|line| line.starts_with("Network of user namespace "));
        let start = start.unwrap_or_else(|| panic!("{drawn}"));
        for (line, corner, address) in
            [(lines[start + 1], "├─", "10.9.0.1"), (lines[start + 2], "└─", "10.9.0.2")]
        {
            assert!(line.starts_with(corner) && line.ends_with(&format!(" {address}")), "{drawn}");
            let ids = line.split(' ').nth(1).expect("a line has words");
            assert!(ids.ends_with("→1"), "{drawn}");
            let process = lines[..start].iter().find(|line| line.contains(ids));
            assert!(process.is_some_and(|line| line.contains(&format!(" {address} "))), "{drawn}");
        }
        drop(b);
        assert!(!tree(&[&own]).out.contains("Network of"), "one member alone is no network");
    });
}
