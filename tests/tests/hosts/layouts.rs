//! Systems that lay out their programs in other ways than the host: as Alpine does, with musl and
//! real directories beside `/usr`; as Fedora, where everything is a link into `/usr`; as NixOS,
//! where everything is a link into a store. Each is a small root, whose programs are one static
//! busybox. The same command finds its programs in each.

use seclude::{Ended, MiB, Sandbox};
use seclude_tests::caller::as_each;
use seclude_tests::scratch;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const BUSYBOX: &str = "/bin/busybox";
const APPLETS: [&str; 5] = ["sh", "cat", "ls", "env", "touch"];

fn directories(root: &Path, names: &[&str]) {
    for name in names {
        fs::create_dir_all(root.join(name)).expect("a directory of our own");
    }
}

fn links(root: &Path, pairs: &[(&str, &str)]) {
    for (link, target) in pairs {
        symlink(target, root.join(link)).expect("a directory of our own");
    }
}

/// Busybox in `directory`, with its applets as links beside it.
fn programs(root: &Path, directory: &str) {
    fs::copy(BUSYBOX, root.join(directory).join("busybox")).expect("a directory of our own");
    for applet in APPLETS {
        symlink("busybox", root.join(directory).join(applet)).expect("a directory of our own");
    }
}

fn alpine(root: &Path) {
    directories(root, &["bin", "sbin", "lib", "usr/bin", "usr/sbin", "usr/lib", "etc"]);
    programs(root, "bin");
    // The names by which its programs find their interpreter and their library.
    fs::write(root.join("lib/ld-musl-x86_64.so.1"), "").expect("a directory of our own");
    links(
        root,
        &[("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"), ("usr/bin/env", "/bin/busybox")],
    );
}

fn fedora(root: &Path) {
    directories(root, &["usr/bin", "usr/lib", "usr/lib64", "etc"]);
    programs(root, "usr/bin");
    links(
        root,
        &[
            ("bin", "usr/bin"),
            ("sbin", "usr/sbin"),
            ("usr/sbin", "bin"),
            ("lib", "usr/lib"),
            ("lib64", "usr/lib64"),
        ],
    );
}

fn nixos(root: &Path) {
    let store = "nix/store/0123456789abcdefghijklmnopqrstuv-busybox-1.36.1/bin";
    directories(root, &[store, "bin", "usr/bin", "etc"]);
    programs(root, store);
    let target = |applet: &str| format!("/{store}/{applet}");
    for applet in ["sh", "cat", "ls", "touch"] {
        links(root, &[(&format!("bin/{applet}"), &target(applet))]);
    }
    links(root, &[("usr/bin/env", &target("env"))]);
}

#[test]
fn programs_are_found_in_every_layout() {
    if !Path::new(BUSYBOX).exists() {
        println!("SKIPPED: there is no {BUSYBOX}, a static program for the roots");
        return;
    }
    as_each("programs_are_found_in_every_layout", |_| {
        for (name, make) in [("alpine", alpine as fn(&Path)), ("fedora", fedora), ("nixos", nixos)]
        {
            let place = scratch::directory();
            make(place.path());
            let sandbox = Sandbox::new().root(place.path()).tmpfs("/tmp", MiB(1));
            let script = "set -e; /usr/bin/env A=1 cat /proc/self/comm; \
                          ! touch /bin/new 2>/dev/null; ! touch /new 2>/dev/null; \
                          touch /tmp/new; ls /tmp";
            let output = sandbox.command("sh").args(["-c", script]).output();
            let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
            let (stdout, stderr) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.outcome.ended, Ended::Exited(0), "{name}: {stdout}{stderr}");
            assert_eq!(stdout, "cat\nnew\n", "{name}: {stderr}");
        }
        // The control: a root without programs has none, whatever the host has.
        let place = scratch::directory();
        directories(place.path(), &["usr/bin", "bin", "lib"]);
        let error = Sandbox::new().root(place.path()).command("sh").output().unwrap_err();
        assert_eq!(error.kind(), seclude::ErrorKind::ProgramMissing, "{error}");
    });
}
