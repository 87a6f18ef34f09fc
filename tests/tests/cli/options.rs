//! Every option of `seclude run`, each with a program that shows its effect inside, or with what
//! the outcome or the policy says of it. The same run without the option must not show that.

use crate::ground::{each, json, ran, seclude};
use seclude_tests::caller::Caller;
use seclude_tests::scratch;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// An option in use.
struct Row {
    option: &'static str,
    /// The option with its value, and what it needs. `{DIR}` is a directory of the test's.
    given: &'static [&'static str],
    program: &'static [&'static str],
    shows: Shows,
}

/// What shows the effect of an option.
enum Shows {
    /// The program or `seclude` writes this text.
    Text(&'static str),
    /// The program and `seclude` no longer write this text.
    No(&'static str),
    /// This is so in the outcome.
    Outcome(fn(&Value) -> bool),
    /// `seclude explain` writes this. For what the host may not be able to enforce.
    Plan(&'static str),
    /// As `Text` for root. An unprivileged caller sees it without the option, too.
    ForRoot(&'static str),
}

use Shows::{ForRoot, No, Outcome, Plan, Text};

const fn row(
    option: &'static str,
    given: &'static [&'static str],
    program: &'static [&'static str],
    shows: Shows,
) -> Row {
    Row { option, given, program, shows }
}

/// The number of mkdir(2), or of mkdirat(2) where there is no mkdir.
const MKDIR: u8 = if cfg!(target_arch = "x86_64") { 83 } else { 34 };

/// The instructions of a filter that fails it with EDOM: load the number; if it is this one, return
/// the error, else allow.
const NO_MKDIR: [[u8; 8]; 4] = [
    [0x20, 0, 0, 0, 0, 0, 0, 0],
    [0x15, 0, 0, 1, MKDIR, 0, 0, 0],
    [0x06, 0, 0, 0, 33, 0, 5, 0],
    [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f],
];

/// A file system that has the host's programs and nothing else, and more entries.
macro_rules! exact {
    ($($more:literal),*) => {
        [
            "--exact-files", "--bind", "/usr", "--symlink", "usr/bin:/bin", "--symlink",
            "usr/lib:/lib", "--symlink", "usr/lib64:/lib64", $($more),*
        ]
    };
}

const SLEEP: &[&str] = &["sleep", "1"];
const TRUE: &[&str] = &["true"];
/// Connects to an address outside.
const REACH: &[&str] =
    &["python3", "-c", "import socket; socket.create_connection(('8.8.8.8', 80)).recv(1)"];

fn limits(outcome: &Value, limit: &str) -> bool {
    outcome["limits"].get(limit).is_some()
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // The policy.
    row("policy", &["--policy", "{DIR}/policy.json"], &["uname", "-n"], Text("of-json")),
    row("policy", &["--policy", "{DIR}/policy.toml"], &["uname", "-n"], Text("of-toml")),
    row("policy", &["--policy", "{DIR}/policy.toml", "--hostname", "mine"],
        &["uname", "-n"], Text("mine")),
    row("net", &["--net", "host"], &["readlink", "/proc/self/ns/net"], Text("{net}")),
    row("net", &["--policy", "{DIR}/host-net.json", "--net", "private"],
        &["sh", "-c", "test $(readlink /proc/self/ns/net) = {net} || uname -n"],
        Text("of-host-net")),
    row("set", &["--set", "hostname=\"as-set\""], &["uname", "-n"], Text("as-set")),
    row("set", &["--set", "wall-time=0.1"], SLEEP, Outcome(|told| told["ended"] == "wall-time")),
    row("share", &["--share", "uts,ipc"], &["readlink", "/proc/self/ns/uts"], Text("{uts}")),
    row("unshare", &["--unshare", "time"],
        &["sh", "-c", "test $(readlink /proc/self/ns/time) = {time} || echo its own"],
        Text("its own")),
    row("network", &["--network", "lab"], &["cat", "/proc/net/dev"], Text("eth0")),
    row("address", &["--network", "lab", "--address", "10.64.0.99", "--hostname", "one"],
        &["getent", "ahostsv4", "one"], Text("10.64.0.99")),
    row("ports", &["--ports", "8080"], TRUE, Text("seclude: published 127.0.0.1:")),
    row("egress", &["--egress", "*.test:443"], REACH,
        Text("denied tcp 8.8.8.8:80: no rule allows it")),
    row("egress-deny", &["--egress", "*", "--egress-deny", "8.0.0.0/8:80"], REACH,
        Text("denied tcp 8.8.8.8:80: the rule \"8.0.0.0/8:80\" denies it")),
    // There is no function that decides.
    row("egress-ask", &["--egress-ask"], TRUE, Text("nothing answers")),
    row("egress-names", &["--egress", "one.test", "--egress-names", "one.test=127.0.0.1:1"],
        &["getent", "hosts", "one.test"], Text("198.18.0.16")),
    row("egress-credentials",
        &["--egress", "one.test", "--egress-credentials", "https://one.test=/no/such/file"],
        TRUE, Text("read the credential /no/such/file")),
    row("hostname", &["--hostname", "named"], &["uname", "-n"], Text("named")),
    row("domainname", &["--domainname", "of.nis"],
        &["cat", "/proc/sys/kernel/domainname"], Text("of.nis")),
    row("clock-offsets", &["--clock-offsets", "boottime=123456,monotonic=-7"],
        &["cat", "/proc/self/timens_offsets"], Text("123456")),
    row("uid", &["--uid", "4321"], &["id", "-u"], Text("4321")),
    row("gid", &["--gid", "4321"], &["id", "-g"], Text("4321")),
    row("user", &["--user", "somebody"], &["id", "-un"], Text("somebody")),
    row("home", &["--home", "/somewhere"], &["sh", "-c", "echo $HOME"], Text("/somewhere")),
    row("ids", &["--ids", "auto"], TRUE, Plan("ids = \"auto\"")),
    row("host-ids", &["--host-ids", "1000000000"], TRUE, Plan("host_ids = 1000000000")),
    row("as-caller", &["--as-caller"],
        &["awk", "{print \"is\" $2}", "/proc/self/uid_map"], ForRoot("is{uid}\n")),
    row("root", &["--root", "/"], &["ls", "-d", "/home"], Text("/home\n")),
    row("empty-root",
        &["--empty-root", "--bind", "/usr", "--symlink", "usr/lib64:/lib64",
            "--symlink", "usr/lib:/lib"],
        &["/usr/bin/sh", "-c", "test -e /bin || echo no bin"], Text("no bin")),
    row("etc", &["--etc", "debian_v*,passwd-"], &["ls", "/etc"], No("ld.so.cache")),
    row("writable-root", &["--writable-root"],
        &["sh", "-c", "mkdir /made && echo made it"], Text("made it")),
    row("terminals", &["--terminals=false"],
        &["sh", "-c", "test -e /dev/ptmx || echo none"], Text("none")),
    row("nested", &["--nested"], &["sh", "-c", "unshare -U true && echo nests"], Text("nests")),
    row("seccomp", &["--seccomp", "unconfined"],
        &["python3", "-c", "import ctypes, os\nread = ctypes.CDLL(None).process_vm_readv\n\
            print('is', read(os.getpid(), None, 0, None, 0, 0))"],
        Text("is 0")),
    row("seccomp",
        &["--seccomp", r#"{"rules": [{"call": ["mkdir", "mkdirat"], "action": "deny", "errno": "EDOM"}]}"#],
        &["mkdir", "/tmp/made"], Text("argument out of domain")),
    row("seccomp-bpf", &["--seccomp-bpf", "{DIR}/no-mkdir"],
        &["mkdir", "/tmp/made"], Text("argument out of domain")),
    row("landlock", &["--landlock=false"], TRUE,
        Outcome(|told| !told["enforced"].to_string().contains("landlock"))),
    row("tcp-bind", &["--tcp-bind", "1000-1001,2000"], TRUE, Plan("tcp_bind = [1000, 1001, 2000]")),
    row("tcp-connect", &["--tcp-connect", "443"], TRUE, Plan("tcp_connect = [443]")),
    row("rlimits", &["--rlimits", "nofile=77:99,cpu=1000"],
        &["sh", "-c", "ulimit -n; ulimit -Hn"], Text("77\n99\n")),
    row("memory", &["--memory", "300M"], TRUE, Outcome(|told| limits(told, "memory"))),
    row("swap", &["--memory", "300M", "--swap", "1M"], TRUE, Plan("swap = 1048576")),
    row("cpu-time", &["--cpu-time", "200ms"], &["timeout", "3", "sh", "-c", "while :; do :; done"],
        Outcome(|told| told["ended"] == "cpu-time")),
    row("cpus", &["--cpus", "0.5"], TRUE, Plan("cpus = 0.5")),
    row("cpu-burst", &["--cpus", "1", "--cpu-burst", "20ms"], TRUE, Plan("cpu_burst = 0.02")),
    row("cpu-weight", &["--cpu-weight", "10"], TRUE, Plan("cpu_weight = 10")),
    row("cpu-set", &["--cpu-set", "0"], TRUE, Plan("cpu_set = [0]")),
    row("pids", &["--pids", "20"], TRUE, Outcome(|told| limits(told, "pids"))),
    row("io", &["--io", "/,read_bytes=1M"], TRUE, Plan("read_bytes = 1048576")),
    row("wall-time", &["--wall-time", "100ms"],
        SLEEP, Outcome(|told| told["limit"] == 100_000_000)),
    row("wall-time-grace", &["--wall-time", "200ms", "--wall-time-grace", "TERM:20s"],
        &["sh", "-c", "trap 'echo graced; exit' TERM; sleep 1 & wait"], Text("graced")),
    row("output", &["--output", "3"], &["echo", "a line"], Text("output limit of 3 bytes")),
    row("require", &["--memory", "300M", "--require", "memory"],
        TRUE, Plan("require = [\"memory\"]")),
    row("best-effort", &["--best-effort", "namespaces"], TRUE,
        Plan("best_effort = [\"namespaces\"]")),
    row("best-effort", &["--cpus", "1", "--best-effort", "cpus"],
        TRUE, Plan("best_effort = [\"cpus\"]")),
    row("cgroup", &["--cgroup", "/sys/fs/cgroup"], TRUE, Plan("cgroup = \"/sys/fs/cgroup\"")),
    row("warden", &["--warden", "/no/such/warden"], TRUE, Text("/no/such/warden")),
    // Files.
    row("bind", &["--bind", "{DIR}/given:/seen"], &["cat", "/seen"], Text("the contents")),
    row("tmpfs", &["--tmpfs", "/t,size=64K,mode=0700"],
        &["grep", " /t ", "/proc/self/mountinfo"], Text("size=64k")),
    row("overlay", &["--overlay", "/usr/share:/usr/bin:/o,size=64K"],
        &["grep", " /o ", "/proc/self/mountinfo"], Text("overlay")),
    row("image", &["--image", "no-such-image"], TRUE, Text("store")),
    row("mqueue", &["--mqueue", "/dev/mqueue"],
        &["grep", " /dev/mqueue ", "/proc/self/mountinfo"], Text("mqueue")),
    row("disk-image", &["--disk-image", "/etc/passwd:/image"], TRUE,
        Text("mount the disk image /etc/passwd: it is no squashfs and no erofs image")),
    row("proc-subset", &["--proc-subset"], &["sh", "-c", "ls /proc/self/stat /proc/meminfo"],
        Text("'/proc/meminfo': No such file")),
    row("as-pid-1", &["--as-pid-1"], &["sh", "-c", "echo $$; cat /proc/1/comm"], Text("1\nsh\n")),
    row("devices", &["--devices", "a.test/b=0", "--cdi-spec-dirs", "/dev"],
        TRUE, Text("find the device a.test/b=0: no CDI specification in /dev has it")),
    row("cdi-spec-dirs", &["--devices", "a.test/b=0", "--cdi-spec-dirs", "/no/such"],
        TRUE, Text("look for CDI specifications in /no/such")),
    row("sys", &["--sys", "/sys"], &["cat", "/sys/devices/system/cpu/possible"], Text("0")),
    row("dir", &["--dir", "/d,mode=0711"], &["stat", "-c", "%a", "/d"], Text("711")),
    row("symlink", &["--symlink", "to/there:/link"], &["readlink", "/link"], Text("to/there")),
    row("file", &["--file", "{DIR}/given:/copied,mode=0600"],
        &["sh", "-c", "cat /copied; stat -c %a /copied"],
        Text("the contents\n600")),
    // File systems of the policy's own order.
    row("capabilities", &["--capabilities", "net_admin"],
        &["grep", "CapEff", "/proc/self/status"], Text("0000000000001000")),
    row("exact-files", &["--exact-files", "--bind", "/:/"], &["ls", "-d", "/home"], Text("/home\n")),
    row("proc", &exact!["--proc", "/elsewhere"],
        &["cat", "/elsewhere/sys/kernel/ostype"], Text("Linux\n")),
    row("dev", &exact!["--dev", "/devices"],
        &["sh", "-c", "echo x > /devices/null && echo fine"], Text("fine\n")),
    row("read-only", &exact!["--tmpfs", "/work", "--read-only", "/work"],
        &["sh", "-c", "echo x > /work/file"], Text("Read-only file system")),
    row("chmod", &exact!["--dir", "/work", "--chmod", "/work,mode=0710"],
        &["stat", "-c", "%a", "/work"], Text("710\n")),

    // The command.
    row("env", &["-e", "OWN=value", "--env", "GIVEN"],
        &["sh", "-c", "echo $OWN $GIVEN"], Text("value given outside")),
    row("clear-env", &["--clear-env"], &["sh", "-c", "echo [$HOME]"], Text("[]")),
    row("inherit-env", &["--inherit-env"], &["sh", "-c", "echo $GIVEN"], Text("given outside")),
    row("cwd", &["--cwd", "/usr/lib"], &["pwd"], Text("/usr/lib")),
    row("arg0", &["--arg0", "renamed"], &["cat", "/proc/self/cmdline"], Text("renamed\0")),
    row("fd", &["--fd", "7"], &["sh", "-c", "cat <&7"], Text("the contents")),
    row("umask", &["--umask", "017"], &["sh", "-c", "umask"], Text("0017")),
    // Only root may set groups. For others the error names them.
    row("groups", &["--groups", "4242,4343"], &["id", "-G"], Text("4343")),
    row("ignore-signal", &["--ignore-signal", "USR1"],
        &["sh", "-c", "kill -USR1 $$; echo lives"], Text("lives")),
    row("tty", &["--tty", "always"], TRUE, Text("the standard input is none")),
    row("json", &["--json"], &["echo", "collected"], Text("\"stdout\":\"collected\\n\"")),
    row("report", &["--report", "{DIR}/report"], TRUE, Outcome(|told| told["ended"] == "exited")),
    row("collect",
        &["--json", "--tmpfs", "/work", "--collect", "/work/*.t"],
        &["sh", "-c", "echo collected >/work/a.t"], Text("\"contents\":\"collected\\n\"")),
    row("collect-into",
        &["--collect", "/tmp/a", "--collect-into", "{DIR}/given"],
        TRUE, Text("{DIR}/given for collected files: cannot be listed")),
    row("collect-bytes", &["--json", "--collect", "/tmp/a", "--collect-bytes", "3"],
        &["sh", "-c", "echo collected >/tmp/a"], Text("more than 3 bytes")),
    row("collect-entries", &["--json", "--collect", "/tmp/*", "--collect-entries", "1"],
        &["touch", "/tmp/a", "/tmp/b"], Text("more than 1 files")),
    row("quiet", &["--quiet", "--wall-time", "100ms"],
        &["sh", "-c", "sleep 1; echo woke"], No("woke")),
    row("test", &["--test"], &["sh", "-c", "echo $GIVEN"], Text("given outside")),
    row("help", &["--help"], TRUE, Text("Usage: seclude run")),
];

/// The directory of the rows: policies, a filter, and a file to look at.
fn furnish(at: &Path) {
    let write = |name: &str, text: &[u8]| fs::write(at.join(name), text).expect("it is ours");
    write("given", b"the contents\n");
    write("policy.json", b"\n {\"hostname\": \"of-json\"}");
    write("policy.toml", b"hostname = \"of-toml\"\n");
    write("host-net.json", b"{\"hostname\": \"of-host-net\", \"share\": [\"net\"]}");
    write("no-mkdir", NO_MKDIR.as_flattened());
}

/// What a row shows, with or without its option.
fn shows(row: &Row, with: bool, at: &Path, caller: Caller) -> Result<(), String> {
    let filled = |text: &str| {
        let mut text = text.replace("{DIR}", at.to_str().expect("it is text"));
        for kind in ["net", "uts", "time"] {
            let link = fs::read_link(format!("/proc/self/ns/{kind}")).expect("it is ours");
            text = text.replace(&format!("{{{kind}}}"), &link.to_string_lossy());
        }
        text.replace("{uid}", &caller.uid().to_string())
    };
    let report = at.join("report");
    let _ = fs::remove_file(&report);
    let verb = if matches!(row.shows, Plan(_)) { "explain" } else { "run" };
    let mut words = vec![verb.to_owned()];
    if matches!(row.shows, Outcome(_)) && row.option != "report" {
        words.extend(["--report".to_owned(), filled("{DIR}/report")]);
    }
    if with {
        words.extend(row.given.iter().map(|word| filled(word)));
    }
    if verb == "run" {
        words.push("--".to_owned());
        words.extend(row.program.iter().map(|word| filled(word)));
    }
    // Descriptor 7 is open in every row, and only --fd shows it.
    let program = seclude(words);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 7<\"$GIVEN_FILE\""]);
    command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
    command.env("GIVEN", "given outside").env("GIVEN_FILE", at.join("given"));
    let ran = ran(&mut command);
    let written = format!("{}{}", ran.out, ran.err);
    let is_shown = match row.shows {
        Text(text) | Plan(text) | ForRoot(text) => written.contains(&filled(text)),
        No(text) => !written.contains(text),
        Outcome(is_so) => report.exists() && is_so(&json(&report)),
    };
    if is_shown { Ok(()) } else { Err(format!("{:?}: {}, {written}", row.given, ran.code)) }
}

#[test]
fn every_option_has_its_effect() {
    each("every_option_has_its_effect", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        furnish(place.path());
        let mut wrong = Vec::new();
        for row in ROWS {
            if let Err(what) = shows(row, true, place.path(), caller) {
                wrong.push(format!("--{} has no effect: {what}", row.option));
            }
            let is_usual = matches!(row.shows, ForRoot(_)) && caller == Caller::User;
            if !is_usual && shows(row, false, place.path(), caller).is_ok() {
                wrong.push(format!("--{} shows what is so without it", row.option));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn every_option_has_a_row() {
    let help = ran(&mut seclude(["run", "--help"])).out;
    let options: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let line =
                line.strip_prefix('-').filter(|rest| rest.starts_with('-')).or_else(|| {
                    // A short form before the long one.
                    line.split_once(", -").map(|(_, rest)| rest).filter(|_| line.starts_with('-'))
                })?;
            let name = line.strip_prefix('-')?;
            name.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').next()
        })
        .collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.option).collect();
    assert!(options.len() > 50, "the help is read wrong: {options:?}");
    let without: Vec<_> = options.difference(&rows).collect();
    let unknown: Vec<_> = rows.difference(&options).collect();
    assert!(
        without.is_empty() && unknown.is_empty(),
        "no row: {without:?}; no option: {unknown:?}"
    );
}
