//! The file system of the sandbox: the sources, opened as the caller, a tmpfs as the new root, and
//! the mounts in it.
//!
//! Every mount is made by descriptor. Targets are resolved below the new root only. Mount points
//! are made only in file systems that the warden has mounted, unless the plan says `anywhere`.

use super::target::{self, Spot};
use crate::sys::{self, Errno, Fd, Result, Status, open};
use crate::text::ShortText;
use core::ffi::CStr;

mod attach;
mod cover;
mod files;
mod known;
mod overlay;
mod sources;
mod views;

use attach::{Attach, Options};
pub use files::new_file;
use known::Known;
pub use overlay::FIXED;
pub use sources::is_automount_out_of_reach;

pub struct Mounts<'a> {
    attach: Attach,
    known: Known,
    root: Option<Fd>,
    /// The tmpfs at the bottom of the root, which the plan may have covered.
    base: Option<Fd>,
    /// The number of mounts on the root that this one covers.
    covered_roots: usize,
    /// The warden has mounted the root itself.
    own_root: bool,
    /// Entries may be made in the trees of the caller, too.
    anywhere: bool,
    /// The directory in which the last entry was made, for the next one beside it.
    parent: Option<(&'a [u8], Fd)>,
}

impl<'a> Mounts<'a> {
    /// `most` is the largest possible number of sources and file systems.
    pub fn new(classic: bool, most: usize) -> Result<Mounts<'a>> {
        const RLIMIT_NOFILE: u32 = 7;
        let (soft, hard) = sys::limit(RLIMIT_NOFILE)?;
        if soft < most as u64 + 64 {
            // The warden may raise its own soft limit up to the hard one. The limit of a command is
            // set when it starts.
            sys::set_limit(RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(Mounts {
            attach: Attach::new(classic),
            known: Known::new(most)?,
            root: None,
            base: None,
            covered_roots: 0,
            own_root: false,
            anywhere: false,
            parent: None,
        })
    }

    // ---- the tree

    pub fn new_root(&mut self, size: u64, inodes: u64, anywhere: bool) -> Result<()> {
        let root = self.attach.root(size, inodes)?;
        self.known.push_own(&root)?;
        self.anywhere = anywhere;
        self.root = Some(root);
        self.own_root = true;
        Ok(())
    }

    fn root(&self) -> Result<&Fd> {
        self.root.as_ref().ok_or(Errno::EPROTO)
    }

    /// Opens a path inside: in the new root, or in the shared one if there is none.
    pub fn open_inside(&self, at: &CStr, flags: u64) -> Result<Fd> {
        match &self.root {
            Some(root) => target::open_inside(root, at, flags),
            None => target::open_inside(&sys::open(sys::CWD, c"/", open::PATH, 0)?, at, flags),
        }
    }

    /// Whether entries may be made in this file system.
    fn is_ours(&self, file_system: u64) -> bool {
        self.anywhere || self.known.own().contains(&(file_system as usize))
    }

    /// The directory in which to make an entry; ENOENT in a tree of the caller.
    fn parent_of(&mut self, spot: &Spot<'a, '_>) -> Result<i32> {
        if spot.parents.is_empty() {
            return if self.own_root { Ok(self.root()?.number()) } else { Err(Errno::ENOENT) };
        }
        if let Some((_, directory)) = self.parent.as_ref().filter(|(path, _)| *path == spot.parents)
        {
            return Ok(directory.number());
        }
        if self.known.own().is_empty() {
            return Err(Errno::ENOENT);
        }
        let directory = target::make_parents(self.root()?, spot.parents, &|it| self.is_ours(it))?;
        Ok(self.parent.insert((spot.parents, directory)).1.number())
    }

    /// Forgets the remembered parent if a mount at this place covers it.
    fn forget_parent_below(&mut self, spot: &Spot<'a, '_>) {
        self.parent.take_if(|(path, _)| spot.covers(path));
    }

    /// Makes an entry. Returns `None` if it exists already, or if its parent is in a tree of the
    /// caller.
    fn make<T>(
        &mut self,
        spot: &Spot<'a, '_>,
        how: impl FnOnce(i32, &CStr) -> Result<T>,
    ) -> Result<Option<T>> {
        let parent = match self.parent_of(spot) {
            Err(Errno::ENOENT) => return Ok(None),
            result => result?,
        };
        match how(parent, spot.name) {
            Err(Errno::EEXIST) => Ok(None),
            result => result.map(Some),
        }
    }

    /// Makes an entry where links lead to a place that does not exist yet.
    fn make_behind_links<T>(
        &self,
        spot: &Spot<'a, '_>,
        itself: bool,
        how: impl FnOnce(i32, &CStr) -> Result<T>,
    ) -> Result<T> {
        let (directory, name) =
            spot.place_behind_links(self.root()?, &|it| self.is_ours(it), itself)?;
        how(directory.number(), name.as_c_str())
    }

    /// Makes a mount point, or opens what exists there.
    fn mount_point(&mut self, spot: &Spot<'a, '_>, directory: bool) -> Result<Fd> {
        let new = |parent: i32, name: &CStr| {
            if directory {
                sys::make_directory(parent, name, 0o755)?;
                sys::open(parent, name, open::PATH | open::NO_FOLLOW, 0)
            } else {
                new_file(parent, name, 0o444, b"")
            }
        };
        if let Some(made) = self.make(spot, new)? {
            return Ok(made);
        }
        match self.existing(spot) {
            Err(Errno::ENOENT) => self.make_behind_links(spot, true, new),
            result => result,
        }
    }

    /// Opens what exists there, to mount over it. ELOOP for a place in `/proc` behind a link: each
    /// process may see another place there, as with `/etc/mtab`.
    fn existing(&self, spot: &Spot<'a, '_>) -> Result<Fd> {
        let root = self.root()?;
        let existing = spot.open(root, open::PATH)?;
        if sys::is_in_proc(&existing)? && spot.is_behind_links(root)? {
            Err(Errno::ELOOP)
        } else {
            Ok(existing)
        }
    }

    pub fn directory(&mut self, at: &'a CStr, mode: u32) -> Result<()> {
        let spot = Spot::of(at);
        let new = |parent: i32, name: &CStr| sys::make_directory(parent, name, mode);
        if self.make(&spot, new)?.is_some() {
            return Ok(());
        }
        match self.open_inside(at, open::PATH) {
            Err(Errno::ENOENT) => self.make_behind_links(&spot, true, new),
            existing => {
                let directory = sys::status(existing?.number(), c"")?.is_directory();
                if directory { Ok(()) } else { Err(Errno::ENOTDIR) }
            }
        }
    }

    // ---- mounts in the tree

    pub fn bind(&mut self, source: u32, at: &'a CStr, attributes: u64) -> Result<()> {
        let Some(source) = self.source(source)? else { return Ok(()) };
        let status = sys::status(source, c"")?;
        let directory = status.is_directory();
        let covers =
            if directory && is_callers_root(source, &status)? { 1 + self.covered_roots } else { 0 };
        self.bind_tree(source, directory, &Spot::of(at), attributes, covers)
    }

    /// Binds the source on a mount point that nothing follows below.
    pub fn bind_on(&self, source: i32, point: &Fd, attributes: u64) -> Result<()> {
        let tree = self.attach.copy(source)?;
        self.attach.put(tree, point, attributes).map(drop)
    }

    pub fn bind_fd(
        &mut self,
        source: i32,
        directory: bool,
        spot: &Spot<'a, '_>,
        attributes: u64,
    ) -> Result<()> {
        self.bind_tree(source, directory, spot, attributes, 0)
    }

    /// Attaches a mount tree that the caller has made.
    pub fn bind_tree_of_caller(
        &mut self,
        source: u32,
        at: &'a CStr,
        attributes: u64,
    ) -> Result<()> {
        let (spot, source) = (Spot::of(at), self.source(source)?.ok_or(Errno::ENOENT)?);
        let directory = sys::status(source, c"")?.is_directory();
        let point = self.mount_point(&spot, directory)?;
        self.forget_parent_below(&spot);
        self.attach.put_tree(source, &point, attributes)?;
        self.stand_on(&spot, None)
    }

    /// The copy of the source has this number of copies of new roots on it, which are taken away.
    fn bind_tree(
        &mut self,
        source: i32,
        directory: bool,
        spot: &Spot<'a, '_>,
        attributes: u64,
        covers: usize,
    ) -> Result<()> {
        let point = self.mount_point(spot, directory)?;
        let tree = self.attach.copy(source)?;
        self.forget_parent_below(spot);
        let mounted = self.attach.put_copy(tree, &point, attributes, covers)?;
        self.stand_on(spot, mounted)
    }

    /// Makes a mount on the root the root of what follows.
    fn stand_on(&mut self, spot: &Spot<'a, '_>, mounted: Option<Fd>) -> Result<()> {
        if !spot.is_root() {
            return Ok(());
        }
        let mounted = match mounted {
            Some(mounted) => mounted,
            None => self.attach.top()?,
        };
        self.parent = None;
        let below = self.root.replace(mounted);
        self.base = self.base.take().or(below);
        self.covered_roots += 1;
        Ok(())
    }

    /// Mounts a new file system, which covers what is there.
    fn mount(
        &mut self,
        at: &'a CStr,
        kind: &CStr,
        options: Options<'_>,
        attributes: u64,
    ) -> Result<()> {
        let spot = Spot::of(at);
        let point = self.mount_point(&spot, true)?;
        self.forget_parent_below(&spot);
        let mounted = self.attach.mount(&point, kind, options, attributes)?;
        self.stand_on(&spot, mounted)
    }

    /// Mounts a tmpfs and returns its descriptor. A `size` or a number of `inodes` of 0 means the
    /// kernel's default.
    pub fn tmpfs(
        &mut self,
        at: &'a CStr,
        size: u64,
        inodes: u64,
        mode: u32,
        attributes: u64,
    ) -> Result<Fd> {
        with_tmpfs_options(size, inodes, mode, |options| {
            self.mount(at, c"tmpfs", options, attributes)
        })?;
        let mounted = self.open_inside(at, open::PATH)?;
        self.known.push_own(&mounted)?;
        Ok(mounted)
    }

    /// Mounts a proc of the warden's pid namespace that is attached nowhere. No process can hide in
    /// it, while `hidepid` hides undumpable processes even from the warden.
    pub fn hidden_proc(&self) -> Result<Fd> {
        self.attach.unattached(c"proc")
    }

    /// Mounts the file system of the message queues of this ipc namespace, attached nowhere.
    pub fn queues(&self) -> Result<Fd> {
        self.attach.unattached(c"mqueue")
    }

    /// Puts a tree below the mount at `/proc`, where it goes away with all others. Closing a tree
    /// that is attached nowhere takes an RCU grace period.
    pub fn hide(&self, tree: &Fd) -> Result<()> {
        match self.open_inside(c"/proc", open::PATH) {
            Err(Errno::ENOENT) => Ok(()),
            proc => self.attach.hide(tree, &proc?),
        }
    }

    // ---- the new root becomes the root

    /// Makes the new root the root. `pivot_root(".", ".")` stacks the old root on the new one, and
    /// detaching `.` then detaches the old one (pivot_root(2)). Roots that the new one covered are
    /// on top of the old one, and each is detached before it.
    pub fn pivot(&mut self) -> Result<()> {
        sys::change_directory_to(self.root()?)?;
        sys::pivot_root(c".", c".")?;
        for _ in 0..=self.covered_roots {
            sys::detach(c".")?;
        }
        sys::change_directory(c"/")?;
        self.close_sources();
        Ok(())
    }

    /// Closes the descriptors that were opened as sources.
    pub fn close_sources(&mut self) {
        self.known.close_sources();
    }

    /// Works in the root as it is. Nothing can be made in it, but mounts can cover what exists.
    pub fn use_current_root(&mut self) -> Result<()> {
        self.root = Some(sys::open(sys::CWD, c"/", open::PATH | open::DIRECTORY, 0)?);
        Ok(())
    }

    pub fn read_only_root(&mut self) -> Result<()> {
        self.attach.read_only_root(self.root()?)
    }
}

/// Whether this is the caller's root, on which the new root is mounted.
fn is_callers_root(source: i32, status: &Status) -> Result<bool> {
    let root = sys::open(sys::CWD, c"/", open::PATH | open::DIRECTORY, 0)?;
    let other = sys::status(root.number(), c"")?;
    let same = (status.number, status.file_system) == (other.number, other.file_system);
    Ok(same && attach::mount_id(source)? == attach::mount_id(root.number())?)
}

/// Passes the options of a tmpfs to `mount`. A `size` or a number of `inodes` of 0 means the
/// kernel's default, and there is no such option.
fn with_tmpfs_options<T>(
    size: u64,
    inodes: u64,
    mode: u32,
    mount: impl FnOnce(Options<'_>) -> Result<T>,
) -> Result<T> {
    let mut octal = ShortText::empty();
    octal.push_number(mode.into(), 8)?;
    let (bytes, files) =
        (ShortText::numbered(b"", size, b""), ShortText::numbered(b"", inodes, b""));
    let all = [
        (c"size", bytes.as_c_str()),
        (c"mode", octal.as_c_str()),
        (c"nr_inodes", files.as_c_str()),
    ];
    mount(&all[usize::from(size == 0)..3 - usize::from(inodes == 0)])
}
