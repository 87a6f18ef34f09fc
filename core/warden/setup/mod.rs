//! Set-up: the plan's steps, each carried out in turn by the file that its kind belongs to.

mod ids;
mod mounts;
mod populate;
mod seal;
mod target;

use crate::control::{Control, Mail};
use crate::sys::{self, Errno, Result};
use crate::text::Path;
use crate::wire::message::{Request, VERSION};
use crate::wire::plan::{Step, namespace, protection};
use mounts::Mounts;

/// The step that failed, with what, and on which path where that is not the plan's own.
pub struct Refusal {
    pub step: u32,
    pub errno: Errno,
    pub path: Path,
}

/// A failure inside a step; the path says where, if the step works on several.
pub struct Failure(pub Errno, pub Path);

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure(errno, Path::empty())
    }
}

/// What every step may need.
struct World<'a> {
    control: &'a Control,
    outside: (u32, u32),
    mounts: Mounts,
    protections: u64,
}

/// Applies the plan in `mail`; the protections that are now in force.
pub fn apply(control: &Control, mail: &Mail) -> core::result::Result<u64, Refusal> {
    const BEFORE_THE_PLAN: u32 = u32::MAX;
    let refuse = |step: u32| move |Failure(errno, path): Failure| Refusal { step, errno, path };
    let Ok(Request::Setup { version: VERSION, namespaces, outside_uid, outside_gid, classic_mounts, plan }) = mail.request() else {
        return Err(refuse(BEFORE_THE_PLAN)(Errno::EPROTO.into()));
    };
    let mounts = Mounts::new(classic_mounts, plan.len()).map_err(|errno| refuse(BEFORE_THE_PLAN)(errno.into()))?;
    let mut world = World { control, outside: (outside_uid, outside_gid), mounts, protections: 0 };
    world.protections |= seal::lifetime(namespaces).map_err(|errno| refuse(BEFORE_THE_PLAN)(errno.into()))?;
    for (index, step) in plan.iter().enumerate() {
        world.carry_out(&step).map_err(refuse(index as u32))?;
    }
    Ok(world.protections)
}

impl World<'_> {
    fn carry_out(&mut self, step: &Step<'_>) -> core::result::Result<(), Failure> {
        match *step {
            Step::MapOwnIds { uid, gid } => ids::map_own(uid, gid, self.outside)?,
            Step::AwaitIds {} => ids::await_maps(self.control)?,
            Step::BecomeUser { uid, gid } => self.protections |= ids::become_user(uid, gid)?,
            Step::TimeOffsets { monotonic, boottime } => ids::time_offsets(monotonic, boottime)?,
            Step::CgroupNamespace {} => sys::unshare(namespace::CGROUP)?,
            Step::HostName { name } => sys::set_host_name(name)?,
            Step::DomainName { name } => sys::set_domain_name(name)?,
            Step::Loopback {} => sys::loopback_up()?,
            Step::PrivateMounts {} => sys::stop_propagation()?,
            Step::Source { path, optional } => self.mounts.open_source(path, optional)?,
            Step::Device { path, major, minor } => self.mounts.open_device(path, (major, minor))?,
            Step::Readable { source } => self.mounts.check_readable(source)?,
            Step::Root { size, inodes } => self.mounts.new_root(size, inodes)?,
            Step::Directory { at, mode } => self.mounts.directory(at, mode)?,
            Step::Bind { source, at, attributes } => self.mounts.bind(source, at, attributes)?,
            Step::Tmpfs { at, size, inodes, mode, attributes } => self.mounts.tmpfs(at, size, inodes, mode, attributes)?,
            Step::Symlink { at, target } => self.mounts.symlink(at, target)?,
            Step::File { at, mode, data, optional } => self.mounts.file(at, mode, data, optional)?,
            Step::Populate { source, at, names, except, attributes } => {
                populate::populate(&mut self.mounts, source, at, names, except, attributes)?
            }
            Step::Proc { at, hide } => self.mounts.proc(at, hide)?,
            Step::Mask { paths, null } => {
                self.mounts.mask(paths, null)?;
                self.protections |= protection::MASKED_PROC;
            }
            Step::ReadOnly { paths } => self.mounts.read_only(paths)?,
            Step::NoNestedUsers {} => {
                seal::no_nested_users(&self.mounts)?;
                self.protections |= protection::NO_NESTED_USERS;
            }
            Step::Pivot {} => {
                self.mounts.pivot()?;
                self.protections |= protection::ROOT;
            }
            Step::ReadOnlyRoot {} => {
                self.mounts.read_only_root()?;
                self.protections |= protection::READ_ONLY_ROOT;
            }
            Step::Keyring {} => self.protections |= seal::keyring()?,
            Step::Seal {} => self.protections |= seal::seal()?,
        }
        Ok(())
    }
}

fn errno_of<T>(result: Result<T>, at: impl FnOnce() -> Path) -> core::result::Result<T, Failure> {
    result.map_err(|errno| Failure(errno, at()))
}
