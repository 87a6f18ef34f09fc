//! Acts with the rights of a sandbox's user: its file system ids, none of the caller's groups, and
//! no capability over files.
//!
//! Credentials belong to a thread (credentials(7)). A copy that changes them runs in a thread that
//! ends with the copy. So no thread of the caller's ever has other rights than before, whatever
//! fails.

use super::progress::{CopyProgress, Ticker, Watcher};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::sys;
use nix::sys::prctl::{get_dumpable, set_dumpable};
use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups, setfsgid, setfsuid};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

/// A user id and a group id in the caller's user namespace.
pub type Owner = (u32, u32);

/// The capabilities over files. Most of them the kernel itself removes when the file system user id
/// changes from 0 (capabilities(7), CAP_FS_SET): CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER,
/// FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE. LEASE and SYS_RESOURCE are added, because they
/// override an owner's leases and quotas.
const OVER_FILES: u64 =
    1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 9 | 1 << 24 | 1 << 27 | 1 << 28 | 1 << 32;

/// Runs `copy`, in a thread of its own if one of `owners` is given, so that it may change its
/// credentials. `watcher` is called in the caller's thread.
pub fn session<T: Send>(
    owners: &[Option<Owner>],
    watcher: Option<&Watcher>,
    copy: impl FnOnce(Ticker<'_>) -> Result<T> + Send,
) -> Result<T> {
    let mut panic = None;
    // If the caller's function panics, the copy is undone before the panic goes on.
    let mut tell = |progress| {
        let told = AssertUnwindSafe(|| {
            watcher.map_or(ControlFlow::Continue(()), |watcher| watcher.tell(progress))
        });
        catch_unwind(told).unwrap_or_else(|cause| {
            panic = Some(cause);
            ControlFlow::Break(())
        })
    };
    let result = if owners.iter().all(Option::is_none) {
        copy(Ticker::new(watcher.map(|_| Box::new(&mut tell) as _)))
    } else {
        in_own_thread(watcher.is_some(), tell, copy)
    };
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    result
}

fn in_own_thread<T: Send>(
    is_watched: bool,
    mut tell: impl FnMut(CopyProgress) -> ControlFlow<()>,
    copy: impl FnOnce(Ticker<'_>) -> Result<T> + Send,
) -> Result<T> {
    let dumpable = get_dumpable();
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let copy = move || {
        let relay = |progress| {
            let asked = ask.send(progress).is_ok();
            asked.then(|| answered.recv().ok()).flatten().unwrap_or(ControlFlow::Break(()))
        };
        copy(Ticker::new(is_watched.then(|| Box::new(relay) as _)))
    };
    let result = thread::scope(|scope| {
        let copier = thread::Builder::new().name("seclude-copy".into()).spawn_scoped(scope, copy);
        let copier = copier.map_err(|error| {
            Error::of_thread("start a thread that acts as the sandbox's user", error)
        })?;
        // This ends with the copy.
        for progress in asked {
            let _ = answer.send(tell(progress));
        }
        copier.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    // A change of credentials clears the dumpable flag of the whole process
    // (PR_SET_DUMPABLE(2const)).
    if dumpable == Ok(true) {
        let _ = set_dumpable(true);
    }
    result
}

/// The caller's own ids, if the caller has capabilities over files, which a command of the caller's
/// own user does not have.
pub fn privileged_caller() -> Result<Option<Owner>> {
    let ids = (geteuid().as_raw(), getegid().as_raw());
    Ok((effective_capabilities()? & OVER_FILES != 0).then_some(ids))
}

/// Acts as the caller, or as a sandbox's user.
pub struct Actor(Option<(Owner, Rights)>);

impl Actor {
    pub fn new(owner: Option<Owner>) -> Result<Actor> {
        owner.map(|owner| Rights::current().map(|own| (owner, own))).transpose().map(Actor)
    }

    /// Calls `what` with this actor's rights.
    ///
    /// Fails if the rights cannot be acquired: `what` has not been called then. Also fails if the
    /// caller's own rights cannot be restored: this thread must then do nothing more.
    pub fn act<T>(&self, what: impl FnOnce() -> T) -> Result<T> {
        let Some((owner, own)) = &self.0 else { return Ok(what()) };
        let result = own.become_owner(*owner).map(|()| what());
        own.restore()?;
        result
    }
}

/// The credentials of a thread that the kernel checks when it opens, creates and changes files.
struct Rights {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    capabilities: u64,
}

fn effective_capabilities() -> Result<u64> {
    sys::effective_capabilities().map_err(|error| failed(error.raw_os_error().unwrap_or(libc::EIO)))
}

impl Rights {
    fn current() -> Result<Rights> {
        let groups = getgroups().map_err(|errno| failed(errno as i32))?;
        Ok(Rights {
            uid: file_uid(),
            gid: file_gid(),
            groups,
            capabilities: effective_capabilities()?,
        })
    }

    fn become_owner(&self, (uid, gid): Owner) -> Result<()> {
        // The raw system call changes this thread only. libc's setgroups(3) changes every thread.
        match sys::set_thread_groups(&[]) {
            // The caller's user namespace denies setgroups(2). It then denies it to the sandbox's
            // commands too, so they have these groups themselves.
            Ok(()) | Err(libc::EPERM) => {}
            Err(errno) => return Err(failed(errno)),
        }
        setfsgid(gid.into());
        setfsuid(uid.into());
        // setfsuid(2) and setfsgid(2) return the previous id and do not report failure.
        if (file_uid(), file_gid()) != (uid.into(), gid.into()) {
            return Err(failed(libc::EPERM)
                .because("the kernel lets this process not act as another user")
                .hint(
                    "it takes CAP_SETUID and CAP_SETGID, and a user that is mapped in the \
                    caller's user namespace",
                ));
        }
        sys::set_effective_capabilities(effective_capabilities()? & !OVER_FILES).map_err(failed)?;
        if effective_capabilities()? & OVER_FILES != 0 {
            return Err(failed(libc::EPERM));
        }
        Ok(())
    }

    fn restore(&self) -> Result<()> {
        let lost = |errno| failed(errno).because("the caller's own rights could not be taken back");
        setfsuid(self.uid);
        setfsgid(self.gid);
        match sys::set_thread_groups(
            &self.groups.iter().map(|group| group.as_raw()).collect::<Vec<_>>(),
        ) {
            Ok(()) | Err(libc::EPERM) => {}
            Err(errno) => return Err(lost(errno)),
        }
        sys::set_effective_capabilities(self.capabilities).map_err(lost)?;
        let now = Rights::current()?;
        let same = (now.uid, now.gid, now.capabilities) == (self.uid, self.gid, self.capabilities)
            && now.groups == self.groups;
        if same { Ok(()) } else { Err(lost(libc::EPERM)) }
    }
}

/// setfsuid(2) with an invalid id changes nothing and returns the current id.
fn file_uid() -> Uid {
    setfsuid(Uid::from_raw(u32::MAX))
}

fn file_gid() -> Gid {
    setfsgid(Gid::from_raw(u32::MAX))
}

fn failed(errno: i32) -> Error {
    Error::new(ErrorKind::Io, "act as the sandbox's user").errno(errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::sys::stat::{Mode, fchmod, fstat};
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    const OWNER: Owner = (0x7000_1000, 0x7000_2000);

    /// As root, runs `body` in a thread of its own, with an actor for `OWNER`.
    fn as_root(name: &str, body: impl FnOnce(&Actor) + Send) {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("{name}: SKIPPED, for only root may act as others");
            return;
        }
        session(&[Some(OWNER)], None, |_| {
            body(&Actor::new(Some(OWNER))?);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn an_owner_has_its_own_rights_and_no_others() {
        as_root("an_owner_has_its_own_rights_and_no_others", |owner| {
            let place = tempfile();
            let (open, closed) = (place.join("open"), place.join("closed"));
            fs::create_dir(&open).unwrap();
            fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
            fs::write(&closed, "root's").unwrap();
            // Readable by root's groups, which the owner does not have.
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o640)).unwrap();
            let file = File::open(&closed).unwrap();
            let made = owner.act(|| {
                assert_eq!(fs::read(&closed).unwrap_err().raw_os_error(), Some(libc::EACCES));
                assert_eq!(
                    fs::remove_file(&closed).unwrap_err().raw_os_error(),
                    Some(libc::EACCES)
                );
                assert_eq!(fchmod(&file, Mode::S_IRWXO), Err(Errno::EPERM));
                fs::write(open.join("made"), "owner's").unwrap();
                assert_eq!(getgroups().unwrap(), []);
                sys::effective_capabilities().unwrap() & OVER_FILES
            });
            assert_eq!(made.unwrap(), 0);
            let made = fs::metadata(open.join("made")).unwrap();
            assert_eq!((made.uid(), made.gid()), OWNER);
            // Afterwards the thread has the caller's rights again.
            fchmod(&file, Mode::S_IRUSR).unwrap();
            assert_eq!(fstat(&file).unwrap().st_mode & 0o777, 0o400);
            fs::remove_dir_all(place).unwrap();
        });
    }

    #[test]
    fn rights_that_cannot_be_had_are_an_error_before_anything_is_done() {
        as_root("rights_that_cannot_be_had_are_an_error_before_anything_is_done", |owner| {
            const SETUID: u64 = 1 << 7;
            let all = sys::effective_capabilities().unwrap();
            // Without the capability, setfsuid(2) changes nothing and does not report it.
            sys::set_effective_capabilities(all & !SETUID).unwrap();
            let mut done = false;
            let other = Actor::new(Some(OWNER)).unwrap();
            assert!(other.act(|| done = true).is_err());
            assert!(!done);
            sys::set_effective_capabilities(all).unwrap();
            owner.act(|| done = true).unwrap();
            assert!(done);
        });
    }

    fn tempfile() -> std::path::PathBuf {
        let place = std::env::temp_dir().join(format!("seclude-acting-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        place
    }
}
