//! Limits on memory that are too small for a start. A run works, ends at its limit, or fails with
//! an error that names the limit.

use seclude::{Command, Ended, ErrorKind, MiB, Result, Sandbox};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::cgroups::Cgroups;
use seclude_tests::{payload, scratch};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const KIB: u64 = 1 << 10;

/// Where the command starts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ground {
    Own,
    Installed,
    /// In a sandbox of its own, under a limit of the command that is lower than the sandbox's.
    Tightened,
    Prepared,
    Cell,
    InCell,
    Pool,
}

const GROUNDS: [Ground; 7] = [
    Ground::Own,
    Ground::Installed,
    Ground::Tightened,
    Ground::Prepared,
    Ground::Cell,
    Ground::InCell,
    Ground::Pool,
];

/// Its arguments: a long text to copy, or none.
fn words(command: &mut Command, much: bool) -> &mut Command {
    command.args(["exit", "0"]).args(vec!["x".repeat(100_000); if much { 8 } else { 0 }])
}

fn end(ground: Ground, memory: u64, much: bool, warden: &Path) -> Result<Ended> {
    let base = payload::sandbox().wall_time(Duration::from_secs(20));
    let limited = base.clone().memory(memory);
    let run = |sandbox: &Sandbox| words(&mut sandbox.command(payload::PLACE), much).output();
    let output = match ground {
        Ground::Own => run(&limited),
        Ground::Installed => run(&limited.warden(warden)),
        Ground::Tightened => {
            words(base.memory(MiB(64)).command(payload::PLACE).memory(memory), much).output()
        }
        Ground::Prepared => limited.prepare().and_then(|()| run(&limited)),
        Ground::Cell => {
            limited.cell().and_then(|cell| words(&mut cell.command(payload::PLACE), much).output())
        }
        Ground::InCell => {
            let cell = base.memory(MiB(64)).cell()?;
            words(cell.command(payload::PLACE).memory(memory), much).output()
        }
        Ground::Pool => {
            limited.pool(1).and_then(|pool| words(&mut pool.command(payload::PLACE), much).output())
        }
    };
    output.map(|output| output.outcome.ended)
}

#[test]
fn a_limit_that_is_too_small_is_named() {
    as_each("a_limit_that_is_too_small_is_named", |who| {
        let place = scratch::directory();
        let warden = place.path().join("warden");
        fs::write(&warden, seclude::warden_program()).expect("a directory of our own");
        fs::set_permissions(&warden, fs::Permissions::from_mode(0o755)).expect("a file of our own");
        for ground in GROUNDS {
            let (mut refused, mut worked) = (0, 0);
            // In finer steps around the smallest sufficient limit.
            for kib in
                (4..64).step_by(8).chain((64..1024).step_by(32)).chain((1024..=4096).step_by(256))
            {
                let memory = kib * KIB;
                match end(ground, memory, kib % 64 == 0, &warden) {
                    Ok(Ended::Exited(0)) => worked += 1,
                    Ok(Ended::MemoryLimit) => refused += 1,
                    Ok(ended) => panic!("{ground:?}, {kib} KiB: {ended}"),
                    Err(error) => {
                        refused += 1;
                        let text = error.to_string();
                        let names = text.contains(&memory.to_string())
                            && text.contains("raise the limit memory");
                        assert!(
                            error.kind() == ErrorKind::HostLimit && names,
                            "{ground:?}, {kib} KiB: {text}"
                        );
                    }
                }
            }
            println!("{} {ground:?}: {refused} refused, {worked} worked", who.name());
            let holds = who == Caller::Root && Cgroups::of(who) != Cgroups::None;
            assert!(
                worked > 0 && (refused > 0 || !holds),
                "the control: {refused} refused, {worked} worked"
            );
        }
    });
}

/// What happened to an earlier command in the same cell does not affect the report about a later
/// one.
#[test]
fn an_earlier_end_is_no_later_ones_cause() {
    as_each("an_earlier_end_is_no_later_ones_cause", |_| {
        let cell = payload::sandbox().memory(MiB(16)).cell().expect("it starts");
        let ended =
            cell.command(payload::PLACE).arg("memory").output().expect("it starts").outcome.ended;
        assert_eq!(ended, Ended::MemoryLimit);
        let error = cell.command("/nothing/here").output().expect_err("there is no such program");
        assert_eq!(error.kind(), ErrorKind::ProgramMissing, "{error}");
    });
}
