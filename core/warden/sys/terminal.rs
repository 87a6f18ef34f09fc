//! Pseudo-terminals: pty(7), ioctl_tty(2).

use super::number as nr;
use super::{Fd, Result, descriptor, done, open};

const NO_CONTROL: u64 = 0o400;
const READ_WRITE: u64 = 2;

/// Opens a pair from the devpts with the root `terminals`. Returns the caller's side and the
/// command's. It is no controlling terminal yet.
pub fn open_terminal(terminals: &Fd, rows: u16, columns: u16) -> Result<(Fd, Fd)> {
    const TIOCSPTLCK: u32 = 0x4004_5431;
    const TIOCGPTPEER: u32 = 0x5441;
    const TIOCSWINSZ: u32 = 0x5414;
    let ours = open(terminals.0, c"ptmx", READ_WRITE | NO_CONTROL, 0)?;
    let unlocked = 0i32;
    done(call!(nr::IOCTL, ours.0, TIOCSPTLCK, &raw const unlocked))?;
    let size = [rows, columns, 0, 0];
    done(call!(nr::IOCTL, ours.0, TIOCSWINSZ, size.as_ptr()))?;
    // By descriptor, so that it does not matter what is at the path of the terminal.
    let theirs = descriptor(call!(
        nr::IOCTL,
        ours.0,
        TIOCGPTPEER,
        READ_WRITE | NO_CONTROL | open::CLOSE_ON_EXEC
    ))?;
    Ok((ours, theirs))
}

/// Makes the terminal the controlling terminal of this process's session, which has none.
pub fn control_session(terminal: i32) -> Result<()> {
    const TIOCSCTTY: u32 = 0x540e;
    done(call!(nr::IOCTL, terminal, TIOCSCTTY, 0))
}
