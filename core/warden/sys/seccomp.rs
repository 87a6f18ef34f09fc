//! Seccomp filters and their listeners.

use super::number as nr;
use super::{Errno, Fd, Result, descriptor, done};
use crate::wire::message::BypassToken;

const SET_MODE_FILTER: u32 = 1;

/// struct sock_fprog
#[repr(C)]
struct FilterProgram {
    length: u16,
    instructions: *const u8,
}

impl FilterProgram {
    fn of(bytes: &[u8]) -> Result<FilterProgram> {
        const INSTRUCTION: usize = 8;
        if !bytes.len().is_multiple_of(INSTRUCTION) {
            return Err(Errno::EINVAL);
        }
        let length = u16::try_from(bytes.len() / INSTRUCTION).map_err(|_| Errno::EINVAL)?;
        Ok(FilterProgram { length, instructions: bytes.as_ptr() })
    }
}

/// Loads a filter for all later calls of this process.
pub fn load_filter(program: &[u8], token: BypassToken) -> Result<()> {
    let program = FilterProgram::of(program)?;
    done(call!(nr::SECCOMP, SET_MODE_FILTER, 0, &raw const program, 0, token.fourth, token.fifth))
}

/// Loads a filter and returns the listener for its notifications.
pub fn load_filter_with_listener(program: &[u8], token: BypassToken) -> Result<Fd> {
    const NEW_LISTENER: u32 = 1 << 3;
    let program = FilterProgram::of(program)?;
    descriptor(call!(
        nr::SECCOMP,
        SET_MODE_FILTER,
        NEW_LISTENER,
        &raw const program,
        0,
        token.fourth,
        token.fifth
    ))
}

/// A system call about which a filter has notified the listener.
pub struct Notification {
    id: u64,
    pub number: i32,
    /// Whether the call was made for this machine's architecture (AUDIT_ARCH_).
    pub native: bool,
}

/// Receives the next notification. Does not wait if the descriptor is readable.
pub fn receive_notification(listener: &Fd) -> Result<Notification> {
    /// _IOWR('!', 0, struct seccomp_notif)
    const RECEIVE: u32 = 0xc050_2100;
    #[cfg(target_arch = "x86_64")]
    const NATIVE: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const NATIVE: u32 = 0xc000_00b7;
    #[cfg(target_arch = "riscv64")]
    const NATIVE: u32 = 0xc000_00f3;
    // struct seccomp_notif: id, pid and flags, then struct seccomp_data: number and architecture,
    // instruction pointer, six arguments.
    let mut raw = [0u64; 10];
    done(call!(nr::IOCTL, listener.0, RECEIVE, raw.as_mut_ptr()))?;
    let (number, native) = (raw[2] as i32, (raw[2] >> 32) as u32 == NATIVE);
    Ok(Notification { id: raw[0], number, native })
}

/// Lets the call go on. Does not wait.
pub fn let_go_on(listener: &Fd, call: &Notification) -> Result<()> {
    /// _IOWR('!', 1, struct seccomp_notif_resp)
    const SEND: u32 = 0xc018_2101;
    /// SECCOMP_USER_NOTIF_FLAG_CONTINUE
    const CONTINUE: u64 = 1 << 32;
    // struct seccomp_notif_resp: id, value, then error and flags.
    let raw = [call.id, 0, CONTINUE];
    done(call!(nr::IOCTL, listener.0, SEND, raw.as_ptr()))
}
