//! The ids and privileges of the warden in the fake kernel, and the rules about them that set-up
//! relies on.

use super::std::string::String;
use super::std::vec::Vec;
use super::{Errno, Result, memory};
use crate::sys::number as nr;
use crate::sys::process as option;

/// The last capability that this kernel knows.
pub const LAST_CAPABILITY: usize = 40;

pub struct Process {
    pub uids: [u32; 3],
    pub gids: [u32; 3],
    pub groups: usize,
    /// The effective, permitted and inheritable sets: their lower words, then their upper words.
    pub capabilities: [u32; 6],
    pub bounding: u64,
    pub ambient: u64,
    pub securebits: usize,
    pub no_new_privs: usize,
    pub dumpable: usize,
    pub filters: Vec<Vec<u8>>,
    pub own_keyring: bool,
    pub subreaper: bool,
    pub host_name: String,
    /// What the Landlock rulesets of the warden itself deny: files, and scopes.
    pub landlock: [u64; 2],
}

impl Process {
    /// The warden in new namespaces, as another user than it will be.
    pub fn new() -> Process {
        let all = (1u64 << (LAST_CAPABILITY + 1)) - 1;
        let (low, high) = (all as u32, (all >> 32) as u32);
        Process {
            uids: [0; 3],
            gids: [0; 3],
            groups: 2,
            capabilities: [low, low, 0, high, high, 0],
            bounding: all,
            ambient: 1,
            securebits: 0,
            no_new_privs: 0,
            dumpable: 1,
            filters: Vec::new(),
            own_keyring: false,
            subreaper: false,
            host_name: String::new(),
            landlock: [0; 2],
        }
    }

    /// EPERM without effective capabilities.
    pub fn needs_capability(&self) -> Result<()> {
        if self.capabilities[0] == 0 { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// EPERM without the right to mount. A Landlock domain that restricts files refuses every mount
    /// (landlock(7)).
    pub fn may_mount(&self) -> Result<()> {
        self.needs_capability()?;
        if self.landlock[0] == 0 { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// The calls about the process alone. `None` for another call.
    pub fn call(&mut self, number: usize, a: [usize; 6]) -> Option<Result<usize>> {
        Some(match number {
            nr::SETRESUID => self.become_user(a, true),
            nr::SETRESGID => self.become_user(a, false),
            nr::GETRESUID => give(a, self.uids),
            nr::GETRESGID => give(a, self.gids),
            nr::SETGROUPS => self.needs_capability().map(|()| self.groups = a[0]).map(|()| 0),
            nr::GETGROUPS => Ok(self.groups),
            nr::CAPGET => memory::write_numbers(a[1], &self.capabilities).map(|()| 0),
            nr::CAPSET => self.set_capabilities(a[1]),
            nr::PRCTL => self.control(a[0] as u32, a[1]),
            nr::PERSONALITY => Ok(0),
            nr::SECCOMP => self.load_filter(a),
            nr::KEYCTL if a[0] == 1 => {
                self.own_keyring = true;
                Ok(1)
            }
            nr::KEYCTL => Err(Errno::EOPNOTSUPP),
            nr::ADD_KEY | nr::REQUEST_KEY => Err(super::EFAULT),
            nr::SETHOSTNAME | nr::SETDOMAINNAME => self.needs_capability().and_then(|()| {
                if !(0..=64).contains(&(a[1] as i32)) {
                    return Err(Errno::EINVAL);
                }
                let name = memory::read(a[0], a[1])?;
                self.host_name = String::from_utf8_lossy(&name).into_owned();
                Ok(0)
            }),
            _ => return None,
        })
    }

    fn become_user(&mut self, a: [usize; 6], user: bool) -> Result<usize> {
        if a[0] as u32 == u32::MAX {
            return Ok(0);
        }
        self.needs_capability()?;
        let ids = [a[0] as u32, a[1] as u32, a[2] as u32];
        if user {
            self.uids = ids;
        } else {
            self.gids = ids;
        }
        Ok(0)
    }

    fn set_capabilities(&mut self, at: usize) -> Result<usize> {
        let bytes = memory::read(at, 24)?;
        for (set, bytes) in self.capabilities.iter_mut().zip(bytes.chunks_exact(4)) {
            *set = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        // The ambient set is never larger than the permitted one (capabilities(7)).
        self.ambient &= u64::from(self.capabilities[1]) | u64::from(self.capabilities[4]) << 32;
        Ok(0)
    }

    fn control(&mut self, number: u32, value: usize) -> Result<usize> {
        match number {
            option::SET_TIMERSLACK | option::SET_THP_DISABLE => {}
            option::SET_CHILD_SUBREAPER => self.subreaper = value == 1,
            option::SET_DUMPABLE => self.dumpable = value,
            option::GET_DUMPABLE => return Ok(self.dumpable),
            option::GET_SECCOMP => return Ok(if self.filters.is_empty() { 0 } else { 2 }),
            option::CAPBSET_READ | option::CAPBSET_DROP if value > LAST_CAPABILITY => {
                return Err(Errno::EINVAL);
            }
            option::CAPBSET_READ => return Ok((self.bounding >> value & 1) as usize),
            option::CAPBSET_DROP => {
                self.needs_capability()?;
                self.bounding &= !(1 << value);
            }
            option::GET_SECUREBITS => return Ok(self.securebits),
            option::SET_SECUREBITS => {
                self.needs_capability()?;
                self.securebits = value;
            }
            option::SET_NO_NEW_PRIVS => self.no_new_privs = value,
            option::GET_NO_NEW_PRIVS => return Ok(self.no_new_privs),
            option::CAP_AMBIENT if value == option::CAP_AMBIENT_CLEAR_ALL => self.ambient = 0,
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }

    /// A filter takes `no_new_privs` or CAP_SYS_ADMIN (seccomp(2)).
    fn load_filter(&mut self, a: [usize; 6]) -> Result<usize> {
        if a[0] != 1 {
            return Err(Errno::EINVAL);
        }
        if self.no_new_privs == 0 {
            return Err(super::EACCES_FILTER);
        }
        let length = memory::read(a[2], 2)?;
        let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
        self.filters.push(memory::read(memory::address(a[2] + 8)?, 8 * length)?);
        Ok(0)
    }
}

fn give(a: [usize; 6], ids: [u32; 3]) -> Result<usize> {
    a.iter().zip(ids).try_for_each(|(at, id)| memory::write_numbers(*at, &[id])).map(|()| 0)
}
