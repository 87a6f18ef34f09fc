//! The ways to run a command, for tests that must hold in all of them.

use seclude::{
    Cell, Child, Command, Join, Joined, NamedCell, Namespace, Pool, Profile, Result, Sandbox, Stdio,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A way to run a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// In its own sandbox.
    Own,
    /// In a sandbox copied from a template.
    Template,
    /// In a cell.
    Cell,
    /// In a sandbox from a pool.
    Pool,
    /// In a published cell that is entered by its name.
    Entered,
    /// Joined to the namespaces of a process in a cell.
    Joined,
    /// In a sandbox that shares the caller's pid namespace.
    SharedPid,
    /// In a sandbox that allows nested sandboxes.
    Nested,
    /// Without the default seccomp filter.
    Unconfined,
    /// With a seccomp filter program from the caller instead of the default one.
    OwnFilter,
    /// Without Landlock.
    NoLandlock,
}

impl Mode {
    /// All modes.
    pub const ALL: [Mode; 11] = [
        Mode::Own,
        Mode::Template,
        Mode::Cell,
        Mode::Pool,
        Mode::Entered,
        Mode::Joined,
        Mode::SharedPid,
        Mode::Nested,
        Mode::Unconfined,
        Mode::OwnFilter,
        Mode::NoLandlock,
    ];

    /// Whether the command's warden is PID 1 of the command's pid namespace. No process inside can
    /// then kill it or leave.
    pub fn warden_is_first(self) -> bool {
        match self {
            Mode::Entered | Mode::Joined | Mode::SharedPid => false,
            Mode::Own | Mode::Template | Mode::Cell | Mode::Pool => true,
            Mode::Nested | Mode::Unconfined | Mode::OwnFilter | Mode::NoLandlock => true,
        }
    }

    /// Whether everything inside ends with the command, because the sandbox belongs to it alone.
    pub fn ends_with_its_command(self) -> bool {
        match self {
            Mode::Cell | Mode::Entered | Mode::Joined => false,
            Mode::Own | Mode::Template | Mode::Pool | Mode::SharedPid => true,
            Mode::Nested | Mode::Unconfined | Mode::OwnFilter | Mode::NoLandlock => true,
        }
    }
}

/// A seccomp filter that allows every call: the single instruction `BPF_RET SECCOMP_RET_ALLOW`.
const PASS: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];

/// Longer than any test takes.
const FOR_EVER: Duration = Duration::from_secs(100_000);

/// Everything that a mode needs before a command can start. Dropping it ends all of it.
#[derive(Debug)]
pub struct Scene {
    mode: Mode,
    sandbox: Sandbox,
    joined: Option<Joined>,
    /// The pool, in mode [`Mode::Pool`].
    pub pool: Option<Pool>,
    /// The cell in which the command runs, or the cell that it joins.
    pub cell: Option<Cell>,
    sleeper: Option<Child>,
}

impl Scene {
    /// Prepares `mode` for commands in `sandbox` with these limits.
    ///
    /// [`Mode::Entered`] needs SECLUDE_CELLS, which
    /// [`as_each_with_cells`](crate::caller::as_each_with_cells) sets.
    pub fn new(mode: Mode, sandbox: Sandbox, limits: &dyn Fn(Sandbox) -> Sandbox) -> Result<Scene> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let sandbox = limits(sandbox);
        let sandbox = match mode {
            Mode::SharedPid => sandbox.share(Namespace::Pid),
            Mode::Nested => sandbox.nested(),
            Mode::Unconfined => sandbox.seccomp(Profile::Unconfined),
            Mode::OwnFilter => sandbox.seccomp(Profile::Unconfined).seccomp_bpf(PASS),
            Mode::NoLandlock => sandbox.no_landlock(),
            Mode::Own | Mode::Template | Mode::Cell | Mode::Pool | Mode::Entered | Mode::Joined => {
                sandbox
            }
        };
        let mut scene =
            Scene { mode, sandbox, joined: None, pool: None, cell: None, sleeper: None };
        match mode {
            Mode::Template => scene.sandbox.prepare()?,
            Mode::Pool => scene.pool = Some(scene.sandbox.pool(1)?),
            Mode::Cell | Mode::Entered | Mode::Joined => scene.cell = Some(scene.sandbox.cell()?),
            Mode::Own
            | Mode::SharedPid
            | Mode::Nested
            | Mode::Unconfined
            | Mode::OwnFilter
            | Mode::NoLandlock => {}
        }
        match (mode, &scene.cell) {
            (Mode::Entered, Some(cell)) => {
                let name = format!(
                    "scene-{}-{}",
                    std::process::id(),
                    NEXT.fetch_add(1, Ordering::Relaxed)
                );
                cell.publish(&name)?;
                scene.joined = Some(NamedCell::find(&name)?.enter()?);
            }
            (Mode::Joined, Some(cell)) => {
                let mut command = cell.command("sleep");
                command
                    .arg("1000")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                let sleeper = command.wall_time(FOR_EVER).spawn()?;
                // The joined command uses the cell's files, so its sandbox has none of its own.
                scene.joined =
                    Some(limits(Sandbox::new()).join(&Join::new().process(sleeper.id()))?);
                scene.sleeper = Some(sleeper);
            }
            _ => {}
        }
        Ok(scene)
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The sandbox, changed as the mode requires.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// A command in this mode.
    pub fn command(&self, program: &str) -> Command {
        match (&self.joined, &self.pool, &self.cell) {
            (Some(joined), _, _) => joined.command(program),
            (_, Some(pool), _) => pool.command(program),
            (_, _, Some(cell)) => cell.command(program),
            _ => self.sandbox.command(program),
        }
    }

    /// The process id of the warden of `child`, in the caller's pid namespace.
    pub fn warden(&self, child: &Child) -> u32 {
        match (self.mode, &self.cell) {
            (Mode::Cell, Some(cell)) => cell.id().expect("it is open"),
            _ => {
                child
                    .processes()
                    .expect("the caller may look")
                    .first()
                    .expect("the warden is among them")
                    .pid
            }
        }
    }

    /// All wardens: that of the command and, if there is one, that of the cell.
    pub fn wardens(&self, child: &Child) -> Vec<u32> {
        let cells = self.cell.as_ref().and_then(|cell| cell.id().ok());
        let mut all: Vec<u32> = cells.into_iter().chain([self.warden(child)]).collect();
        all.dedup();
        all
    }
}
