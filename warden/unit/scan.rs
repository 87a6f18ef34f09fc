//! Tests which processes descend from a process, with a real /proc.

use super::{Scratch, std};
use crate::scan::ProcessScan;
use std::process::{Command, Stdio};

#[test]
#[cfg_attr(miri, ignore = "it makes system calls")]
fn a_command_has_its_descendants_and_no_other_process() {
    const NAME: &str = "x) S 1 (y\n";
    // The kernel names a process after the file of its program. This name looks like the end of the
    // name field in `/proc/PID/stat`.
    let place = Scratch::new("scan");
    let program = place.path().join("x) S 1 (y");
    std::os::unix::fs::symlink("/bin/sleep", &program)
        .expect("the temporary directory is writable");
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 100 & exec \"$0\" 100"]).arg(&program).stdout(Stdio::null());
    let mut child = command.spawn().expect("sh can be executed");
    let scan = ProcessScan::shared().unwrap_or_else(|errno| panic!("{}", errno.0));
    let mut found = std::vec::Vec::new();
    let mut name = std::string::String::new();
    // The shell forks before it executes the program, so two processes alone are not enough.
    for _ in 0..200 {
        found.clear();
        scan.each_of(Some(child.id()), &mut |pid| found.push(pid));
        name =
            std::fs::read_to_string(std::format!("/proc/{}/comm", child.id())).unwrap_or_default();
        if found.len() == 2 && name == NAME {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let belongs = |pid: u32, root: u32| scan.belongs(pid, root);
    let (grandchild, own) =
        (found.iter().copied().find(|pid| *pid != child.id()), std::process::id());
    let verdicts = grandchild
        .map(|pid| (belongs(pid, child.id()), belongs(child.id(), pid), belongs(own, child.id())));
    let counted = [Some(child.id()), None]
        .map(|root| (scan.has_more_than(1, root), scan.has_more_than(2, root)));
    for pid in &found {
        let _ = crate::sys::kill(*pid as i32, crate::sys::SIGKILL);
    }
    let _ = child.wait();
    assert_eq!(name, NAME, "the control: the process has the misleading name");
    assert_eq!((found.len(), verdicts), (2, Some((true, false, false))), "{found:?}");
    assert_eq!(counted, [(true, false); 2]);
}
