//! The options, each declared once: its name, its value, what it does or why it is refused.

use super::asked::{
    Asked, Work, above_zero, box_id, kilobytes, number, size, time, time_above_zero, variable,
};
use super::rules::inside;
use super::{Refusal, Result};
use std::ffi::OsStr;
use std::path::PathBuf;

/// An option.
pub struct Declared {
    pub name: &'static str,
    pub short: Option<char>,
    pub value: Value,
    pub scope: Scope,
    pub help: &'static str,
    pub effect: Effect,
}

/// Whether an option has a value, and what that is.
pub enum Value {
    None,
    Needed(&'static str),
    Optional(&'static str),
}
use Value::{Needed, None as Plain, Optional};

/// The commands that an option belongs to.
#[derive(PartialEq, Eq)]
pub enum Scope {
    Any,
    Run,
}

pub enum Effect {
    /// Does exactly what it says. A needed value is there.
    Exact(fn(&mut Asked, Option<&OsStr>) -> Result<()>),
    /// Is an error, for this reason.
    Refused(&'static str),
}
use Effect::{Exact, Refused};

const IDS: &str = "the ids come from the caller's rights and the number of the box";

macro_rules! options {
    ($($scope:ident $name:literal $(=$short:literal)?, $value:expr, $help:literal
        => $effect:expr;)*) => {
        /// Every option of isolate.
        pub const OPTIONS: &[Declared] = &[$(Declared {
            name: $name,
            short: options!(short $($short)?),
            value: $value,
            scope: Scope::$scope,
            help: $help,
            effect: $effect,
        },)*];
    };
    (short) => { None };
    (short $short:literal) => { Some($short) };
}

/// The value, which the reader has made sure of.
fn given(value: Option<&OsStr>) -> Result<&OsStr> {
    value.ok_or_else(|| Refusal::new("takes a value"))
}

/// A path inside, relative to the directory `/box`.
fn in_box(value: Option<&OsStr>) -> Result<PathBuf> {
    let path = given(value)?;
    if path.is_empty() {
        return Err(Refusal::new("the name is empty"));
    }
    inside(PathBuf::from("/box").join(path).as_os_str())
        .ok_or_else(|| Refusal::new("the path must not go up with .."))
}

options! {
    Any "help", Plain, "Print this text" => Exact(|asked, _| {
        asked.work = Some(Work::Help);
        Ok(())
    });
    Any "version", Plain, "Print the version" => Exact(|asked, _| {
        asked.work = Some(Work::Version);
        Ok(())
    });
    Any "init", Plain, "Make the box anew, and print its path" => Exact(|asked, _| {
        asked.set_work(Work::Init)
    });
    Any "run", Plain, "Run a program in the box" => Exact(|asked, _| asked.set_work(Work::Run));
    Any "cleanup", Plain, "Remove the directory of the box" => Exact(|asked, _| {
        asked.set_work(Work::Cleanup)
    });
    Any "print-cg-root", Plain, "Print the root of the control groups" => Refused(
        "each run finds the place of its control group itself");

    Any "box-id" ='b', Needed("N"), "Use this box; the default is 0" => Exact(|asked, value| {
        asked.box_id = box_id(given(value)?)?;
        Ok(())
    });
    Any "wait", Plain, "Wait until the box is free" => Exact(|asked, _| {
        asked.wait = true;
        Ok(())
    });
    Any "verbose" ='v', Plain, "Tell what is done" => Exact(|asked, _| {
        asked.verbose = true;
        Ok(())
    });
    Any "silent" ='s', Plain, "Print no status messages" => Exact(|asked, _| {
        asked.silent = true;
        Ok(())
    });

    Any "cg", Plain, "Use a control group" => Exact(|asked, _| {
        asked.cgroup = true;
        Ok(())
    });
    Run "cg-mem", Needed("KB"), "Limit the memory of all processes together"
        => Exact(|asked, value| {
        asked.cgroup_memory = Some(size(given(value)?)?);
        Ok(())
    });
    // Version 2 does this always.
    Run "cg-timing", Plain, "Count the time of all processes together" => Exact(|_, _| Ok(()));
    Run "no-cg-timing", Plain, "Count the time of the first process" => Refused(
        "the time of all processes is always counted together");

    Run "meta" ='M', Needed("FILE"), "Write how the program ended to this file"
        => Exact(|asked, value| {
        asked.meta = Some(given(value)?.into());
        Ok(())
    });
    Run "mem" ='m', Needed("KB"), "Limit the address space of each process"
        => Exact(|asked, value| {
        asked.address_space = Some(size(given(value)?)?);
        Ok(())
    });
    Run "time" ='t', Needed("SEC"), "Limit the processor time" => Exact(|asked, value| {
        asked.time = Some(time_above_zero(given(value)?)?);
        Ok(())
    });
    Run "wall-time" ='w', Needed("SEC"), "Limit the time from start to end"
        => Exact(|asked, value| {
        asked.wall_time = Some(time_above_zero(given(value)?)?);
        Ok(())
    });
    Run "extra-time" ='x', Needed("SEC"), "Kill only so long after the limit of --time" => Exact(
        |asked, value| {
            asked.extra_time = time(given(value)?)?;
            Ok(())
        });
    Run "stack" ='k', Needed("KB"), "Limit the stack of each process" => Exact(|asked, value| {
        asked.stack = Some(size(given(value)?)?);
        Ok(())
    });
    Run "fsize" ='f', Needed("KB"), "Limit the size of each file" => Exact(|asked, value| {
        asked.file_size = Some(size(given(value)?)?);
        Ok(())
    });
    Run "open-files" ='n', Needed("N"), "Limit the open files; 1024 if not given, 0 for none"
        => Exact(
        |asked, value| {
            asked.open_files = Some(number(given(value)?)?);
            Ok(())
        });
    Any "quota" ='q', Needed("BLOCKS,INODES"), "Limit what the box holds on the disk" => Refused(
        "quotas of a file system belong to the host's root; --fsize limits each file");
    Run "core", Needed("KB"), "Limit the size of core dumps; the default is 0"
        => Exact(|asked, value| {
        asked.core = kilobytes(number(given(value)?)?)?;
        Ok(())
    });
    Run "processes" ='p', Optional("N"), "Allow N processes, or any number; 1 if not given"
        => Exact(
        |asked, value| {
            asked.processes = value.map(above_zero).transpose()?;
            Ok(())
        });

    Run "stdin" ='i', Needed("FILE"), "Read the standard input from a file inside" => Exact(
        |asked, value| {
            asked.stdin = Some(in_box(value)?);
            Ok(())
        });
    Run "stdout" ='o', Needed("FILE"), "Write the standard output to a file inside" => Exact(
        |asked, value| {
            asked.stdout = Some(in_box(value)?);
            Ok(())
        });
    Run "stderr" ='r', Needed("FILE"), "Write the standard error to a file inside" => Exact(
        |asked, value| {
            asked.stderr = Some(in_box(value)?);
            Ok(())
        });
    Run "stderr-to-stdout", Plain, "Write the standard error to the standard output" => Exact(
        |asked, _| {
            asked.stderr_to_stdout = true;
            Ok(())
        });
    Run "chdir" ='c', Needed("DIR"), "Start in this directory; the default is /box" => Exact(
        |asked, value| {
            let path = inside(given(value)?);
            asked.chdir =
                Some(path.ok_or_else(|| Refusal::new("the path must not go up with .."))?);
            Ok(())
        });
    Run "env" ='E', Needed("VAR[=VALUE]"), "Inherit or set a variable; an empty value removes it" =>
        Exact(|asked, value| {
            asked.environment.push(variable(given(value)?)?);
            Ok(())
        });
    Run "full-env" ='e', Plain, "Inherit all variables" => Exact(|asked, _| {
        asked.full_environment = true;
        Ok(())
    });
    Run "inherit-fds", Plain, "Inherit all open descriptors" => Exact(|asked, _| {
        asked.inherit_descriptors = true;
        Ok(())
    });
    Run "dir" ='d', Needed("RULE"), "Show IN=OUT[:OPTIONS] or DIR[:OPTIONS]; IN= hides it" =>
        Exact(|asked, value| {
            asked.rules.push(given(value)?.into());
            Ok(())
        });
    Run "no-default-dirs" ='D', Plain, "Show only the directories of --dir" => Exact(|asked, _| {
        asked.no_default_rules = true;
        Ok(())
    });
    Run "share-net", Plain, "Use the network of the caller" => Exact(|asked, _| {
        asked.share_net = true;
        Ok(())
    });
    Run "special-files", Plain, "Keep links, pipes and sockets in the box after the run" => Exact(
        |asked, _| {
            asked.keep_special_files = true;
            Ok(())
        });
    Run "tty-hack", Plain, "Let the program use the caller's terminal" => Refused(
        "the program leads a session of its own, without a terminal that reaches the caller");
    Any "as-uid", Needed("UID"), "Act for this user" => Refused(IDS);
    Any "as-gid", Needed("GID"), "Act for this group" => Refused(IDS);
    Run "syscalls", Needed("FLAGS"), "Choose the system calls that are forbidden" => Refused(
        "the filter of the library is in force (docs/filters.md)");
    Any "check-config", Plain, "Check the configuration" => Refused(
        "there is no configuration file");
}
