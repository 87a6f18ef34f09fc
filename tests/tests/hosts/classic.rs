//! Old kernels have only `mount(2)`. It must produce the same mounts as the newer calls, according
//! to the kernel's own list.

use seclude::{Ended, MiB, Sandbox};
use seclude_tests::caller::as_each;
use seclude_tests::scratch;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// Each mount point and its per-mount options, from `/proc/self/mountinfo` inside.
fn mounts(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let output = sandbox.command("cat").arg("/proc/self/mountinfo").output().expect("it runs");
    assert_eq!(output.outcome.ended, Ended::Exited(0));
    let text = String::from_utf8(output.stdout).expect("the kernel writes text");
    // The format is: 36 35 98:0 /root /mount/point options … - type source super-options
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let kind = fields.iter().position(|field| *field == "-").map(|dash| fields[dash + 1]);
        (fields[4].to_owned(), format!("{} of {} {}", fields[5], kind.unwrap_or("?"), fields[3]))
    };
    // The newer calls keep the mqueue file system mounted where no path leads to it, which mount(2)
    // cannot do.
    text.lines().filter(|line| !line.contains(" - mqueue ")).map(line).collect()
}

#[test]
fn both_ways_mount_alike() {
    as_each("both_ways_mount_alike", |_| {
        let place = scratch::directory();
        let (file, folder) = (place.path().join("file"), place.path().join("folder"));
        fs::write(&file, "x").expect("a file of our own");
        fs::create_dir(&folder).expect("a directory of our own");
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("it is ours");
        let sandboxes = [
            Sandbox::new(),
            Sandbox::new()
                .bind_ro(&file, "/deep/er/file")
                .bind_rw(&folder, "/folder")
                .tmpfs("/tmp", MiB(1))
                .file("/etc/motd", "hello"),
            Sandbox::new().bind(seclude::Bind::new("/dev", "/devices").devices().noexec()).nested(),
            Sandbox::new().bind_ro("/etc", "/etc").writable_root().uid(0),
            Sandbox::new().share(seclude::Namespace::Pid),
            Sandbox::new()
                .exact_files()
                .bind_rw("/", "/")
                .bind_ro("/", "/mnt")
                .proc("/proc")
                .entry(seclude::Tmpfs::new("/srv"))
                .dev("/srv/dev")
                .entry(seclude::File::new("/srv/file", "x").bound())
                .read_only("/srv"),
        ];
        for sandbox in sandboxes {
            let (modern, classic) = (mounts(&sandbox), mounts(&sandbox.clone().classic_mounts()));
            assert!(modern.len() > 10, "{modern:#?}");
            assert_eq!(modern, classic, "{sandbox:?}");
        }
    });
}

/// The control: another policy makes other mounts.
#[test]
fn another_policy_mounts_otherwise() {
    assert_ne!(
        mounts(&Sandbox::new()),
        mounts(&Sandbox::new().classic_mounts().tmpfs("/other", MiB(1)))
    );
}
