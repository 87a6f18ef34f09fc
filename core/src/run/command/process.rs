//! The attributes of a command's process: signals, umask, process group, user and groups.

use super::Command;
use crate::base::error::{Error, Result};
use crate::base::processes;
use crate::policy::profile;
use crate::run::ground::Ground;
use crate::run::sandbox::Sandbox;

/// What a command sets of its process.
#[derive(Debug)]
pub struct Attributes {
    /// Bit n-1 stands for signal n.
    ignored: u64,
    /// Whether it also ignores what the caller ignores when it starts.
    inherits_ignored: bool,
    pub umask: u32,
    /// The first mistake, for the error at the start.
    mistake: Option<Error>,
}

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes { ignored: 0, inherits_ignored: false, umask: profile::UMASK, mistake: None }
    }
}

impl Attributes {
    /// The signals to ignore, bit n-1 for signal n.
    pub fn ignored(&self) -> Result<u64> {
        let callers = if self.inherits_ignored { processes::ignored_signals()? } else { 0 };
        Ok(self.ignored | callers)
    }

    /// Reports the first mistake.
    pub fn check(&self) -> Result<()> {
        self.mistake.clone().map_or(Ok(()), Err)
    }

    fn note(&mut self, mistake: Error) {
        self.mistake.get_or_insert(mistake);
    }
}

impl Command {
    /// Starts the command with this signal ignored (`signal(7)`), as `nohup` does with SIGHUP.
    /// Programs that set no action of their own inherit that. By default no signal is ignored,
    /// whatever the caller ignores. Not possible for SIGKILL and SIGSTOP.
    pub fn ignore_signal(&mut self, signal: i32) -> &mut Command {
        if matches!(signal, 1..=64) && !matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            self.attributes.ignored |= 1 << (signal - 1);
        } else {
            let why = "only 1 to 64 can be ignored, and not SIGKILL or SIGSTOP";
            self.attributes.note(Error::invalid(format!("ignore signal {signal}"), why));
        }
        self
    }

    /// Also ignores the signals that the caller ignores when the command starts, as a child of
    /// `fork(2)` and `execve(2)` does. A Rust program usually ignores SIGPIPE.
    pub fn inherit_ignored_signals(&mut self) -> &mut Command {
        self.attributes.inherits_ignored = true;
        self
    }

    /// Sets the umask, 0 to 0o777 (`umask(2)`). The default is 0o022, whatever the caller's is.
    pub fn umask(&mut self, mask: u32) -> &mut Command {
        if mask > 0o777 {
            let why = "only the nine permission bits can be masked: 0 to 0o777";
            self.attributes.note(Error::invalid(format!("umask {mask:#o}"), why));
        }
        self.attributes.umask = mask;
        self
    }

    /// Makes the command the leader of a new process group, for `group` 0. That is so without this
    /// call: each command leads a session of its own, and the group of the same number.
    ///
    /// Any other number is an error at the start. A session's leader cannot change its group
    /// (`setpgid(2)`), and no group of the caller's exists inside.
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        if group != 0 {
            let why = "a command leads a session of its own, whose leader cannot change its group";
            self.attributes.note(
                Error::invalid(format!("process group {group}"), why)
                    .hint("0, for a group of its own, is the only one"),
            );
        }
        self
    }

    /// Runs the command as this user inside, in place of [`Sandbox::uid`], whose rules apply.
    ///
    /// The command's sandbox is then one of another policy. It has that user in `/etc/passwd`, and
    /// is not copied from a template ([`Sandbox::prepare`]).
    ///
    /// In a [`Cell`](crate::Cell) or a [`Pool`](crate::Pool), every other user than the sandbox's
    /// is an error at the start. Their warden has given up the right to change ids before the first
    /// command starts.
    pub fn uid(&mut self, uid: u32) -> &mut Command {
        let same = self.sandbox.policy().uid == uid;
        self.become_other("uid", &uid.to_string(), same, |sandbox| sandbox.uid(uid))
    }

    /// Runs the command as this group inside, in place of [`Sandbox::gid`]. The rules are those of
    /// [`Command::uid`].
    pub fn gid(&mut self, gid: u32) -> &mut Command {
        let same = self.sandbox.policy().gid == gid;
        self.become_other("gid", &gid.to_string(), same, |sandbox| sandbox.gid(gid))
    }

    /// Gives the command exactly these supplementary groups inside, at most 64. The default is
    /// none.
    ///
    /// They lie in the range of [`Sandbox::gid`]. Only a privileged caller can set them
    /// (CAP_SETGID). An unprivileged caller's command keeps the caller's groups outside, where no
    /// process may drop them (`user_namespaces(7)`). There even an empty list is an error at the
    /// start if the caller has groups. Otherwise the rules are those of [`Command::uid`].
    pub fn groups(&mut self, groups: impl IntoIterator<Item = u32>) -> &mut Command {
        let groups: Vec<u32> = groups.into_iter().collect();
        let same = self.sandbox.policy().groups.as_ref() == Some(&groups);
        let text = format!("{groups:?}");
        self.become_other("groups", &text, same, |sandbox| sandbox.groups(Some(groups)))
    }

    fn become_other(
        &mut self,
        what: &str,
        value: &str,
        same: bool,
        change: impl FnOnce(Sandbox) -> Sandbox,
    ) -> &mut Command {
        let is_kept = match &self.ground {
            Ground::Own => false,
            Ground::Joined(existing) => existing.cell.is_some(),
            Ground::Kept(_) => true,
        };
        if same {
            // A sandbox that does not change keeps its template and its compiled plans.
        } else if is_kept {
            let why = "in a cell or a pool a command has the ids of the sandbox, whose warden has \
                given up the right to change them";
            self.attributes.note(Error::invalid(format!("{what} {value}"), why).hint(
                "set them for the whole sandbox (Sandbox::uid, Sandbox::gid), or run the command \
                in a sandbox of its own",
            ));
        } else {
            self.sandbox = change(self.sandbox.clone());
        }
        self
    }
}
