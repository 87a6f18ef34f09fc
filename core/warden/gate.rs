//! Gates: each process of a command asks before it leaves its process group.
//!
//! In a process tree that is not the sandbox's own, and without `cgroup.kill`, the warden must find
//! the processes to kill them, and a chain of forks can be faster. But the kernel kills a process
//! group at once, and a new process is in the group of its parent. So there a filter stops a
//! process at each `setsid(2)` and `setpgid(2)` until the warden has answered. The warden lets it
//! go on, and stops answering when it kills: then no group is made that it has not found.
//!
//! The forks themselves do not ask. A signal can interrupt the question, and programs do not expect
//! EINTR of `fork(2)`.

use crate::command::Running;
use crate::state::WardenState;
use crate::sys::{self, Fd, Polled};

/// The listener of one command's gate. The processes that the command leaves behind in a cell
/// still ask there.
pub struct Gate {
    listener: Fd,
    /// The first process of the command, until that has ended.
    root: u32,
    /// The command is killed, so nothing is answered any more.
    closed: bool,
}

impl Gate {
    pub fn new(listener: Fd, root: u32) -> Gate {
        Gate { listener, root, closed: false }
    }

    pub fn polled(&self) -> Polled {
        Polled::readable(self.listener.number())
    }

    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Answers the processes that wait. One at least does: without it, receiving would block.
    ///
    /// All of them, because a scan for limits can come before the next turn of the loop. Not
    /// without end, because a process that goes on may ask again at once.
    fn answer(&self) {
        const AT_ONCE: u32 = 64;
        for _ in 0..AT_ONCE {
            // ENOENT: the process has ended, or a signal has interrupted its call.
            if let Ok(call) = sys::receive_notification(&self.listener)
                && !self.closed
            {
                let _ = sys::let_go_on(&self.listener, &call);
            }
            let mut next = [self.polled()];
            if sys::wait(&mut next, Some(0)).is_err() || !next[0].has_input() {
                return;
            }
        }
    }
}

impl WardenState<'_> {
    /// Parts the gate from a command that has ended, because another may get its process id.
    pub fn part_gate(&mut self, command: &Running) {
        for gate in self.gates.iter_mut().filter(|gate| gate.root == command.root()) {
            (gate.root, gate.closed) = (0, gate.closed || command.is_doomed());
        }
    }

    /// Answers what has been asked. `ready` is the result of polling the gates.
    pub fn answer_gates(&mut self, ready: &[Polled], commands: &[Running]) {
        // From the end, because the last gate takes the place of one that is removed.
        for (index, ready) in ready.iter().enumerate().rev() {
            let Some(gate) = self.gates.get_mut(index) else { continue };
            let mut doomed = commands.iter().filter(|command| command.is_doomed());
            gate.closed |= doomed.any(|command| command.root() == gate.root);
            if ready.has_input() {
                gate.answer();
            } else if ready.is_ready() {
                // No process is left that could ask, and to receive would block for ever.
                self.gates.take(index);
            }
        }
    }
}
