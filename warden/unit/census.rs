//! Who descends from a process, by a real /proc.

use super::std;
use crate::census::Census;
use std::process::{Command, Stdio};

#[test]
fn a_child_and_its_child_belong_to_the_child_alone() {
    // A name with all that could be taken for the end of it.
    let script = "sleep 100 & exec -a 'x) S 1 (y' sleep 100";
    let mut child = Command::new("bash").args(["-c", script]).stdout(Stdio::null()).spawn().expect("there is a shell");
    let census = Census::shared().unwrap_or_else(|errno| panic!("{}", errno.0));
    let mut found = std::vec::Vec::new();
    for _ in 0..200 {
        found.clear();
        census.each_of(Some(child.id()), &mut |pid| found.push(pid));
        if found.len() == 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let belongs = |pid: u32, root: u32| census.belongs(pid, root);
    let (grandchild, own) = (found.iter().copied().find(|pid| *pid != child.id()), std::process::id());
    let judged = grandchild.map(|pid| (belongs(pid, child.id()), belongs(child.id(), pid), belongs(own, child.id())));
    for pid in &found {
        let _ = crate::sys::kill(*pid as i32, crate::sys::SIGKILL);
    }
    let _ = child.wait();
    assert_eq!((found.len(), judged), (2, Some((true, false, false))), "{found:?}");
}
