//! The ways in which a command comes to run, for tests that must hold in every one of them.

use seclude::{
    Cell, Child, Command, Join, Joined, NamedCell, Namespace, Pool, Profile, Result, Sandbox, Stdio,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One of the ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// In a sandbox of its own.
    Own,
    /// In a sandbox that is copied from a template.
    Template,
    /// In a cell.
    Cell,
    /// In a sandbox that a pool has ready.
    Pool,
    /// In a cell that another caller has published, and that is entered by its name.
    Entered,
    /// In the namespaces of a process of a cell.
    Joined,
    /// In the caller's pid namespace.
    SharedPid,
    /// Where sandboxes can be made inside.
    Nested,
    /// Without the default filter of system calls.
    Unconfined,
    /// With a filter program of the caller's own, and none of ours.
    OwnFilter,
    /// Without Landlock.
    NoLandlock,
}

impl Mode {
    /// All of them.
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

    /// Whether the command's warden is PID 1 of the command's pid namespace, which no process
    /// inside can signal or leave.
    pub fn warden_is_first(self) -> bool {
        match self {
            Mode::Entered | Mode::Joined | Mode::SharedPid => false,
            Mode::Own | Mode::Template | Mode::Cell | Mode::Pool => true,
            Mode::Nested | Mode::Unconfined | Mode::OwnFilter | Mode::NoLandlock => true,
        }
    }

    /// Whether everything inside ends with the command, because the sandbox is the command's own.
    pub fn ends_with_its_command(self) -> bool {
        match self {
            Mode::Cell | Mode::Entered | Mode::Joined => false,
            Mode::Own | Mode::Template | Mode::Pool | Mode::SharedPid => true,
            Mode::Nested | Mode::Unconfined | Mode::OwnFilter | Mode::NoLandlock => true,
        }
    }
}

/// A filter that lets everything pass: one instruction, BPF_RET of SECCOMP_RET_ALLOW.
const PASS: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];

/// Longer than any test takes.
const FOR_EVER: Duration = Duration::from_secs(100_000);

/// What a command needs around it to be started in a mode. Dropping it ends all.
#[derive(Debug)]
pub struct Scene {
    mode: Mode,
    sandbox: Sandbox,
    joined: Option<Joined>,
    /// The pool, in that mode.
    pub pool: Option<Pool>,
    /// The cell in which the command runs, or whose namespaces it enters.
    pub cell: Option<Cell>,
    sleeper: Option<Child>,
}

impl Scene {
    /// Sets it up for commands in `sandbox` with these limits.
    ///
    /// [`Mode::Entered`] takes SECLUDE_CELLS:
    /// [`as_each_with_cells`](crate::caller::as_each_with_cells).
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
                // The files are the cell's.
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

    /// The sandbox as the mode has it.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// A command in it.
    pub fn command(&self, program: &str) -> Command {
        match (&self.joined, &self.pool, &self.cell) {
            (Some(joined), _, _) => joined.command(program),
            (_, Some(pool), _) => pool.command(program),
            (_, _, Some(cell)) => cell.command(program),
            _ => self.sandbox.command(program),
        }
    }

    /// The process id of the warden that holds `child`, as the caller counts.
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

    /// Every warden that there is for it: the one of a command, and a cell's.
    pub fn wardens(&self, child: &Child) -> Vec<u32> {
        let cells = self.cell.as_ref().and_then(|cell| cell.id().ok());
        let mut all: Vec<u32> = cells.into_iter().chain([self.warden(child)]).collect();
        all.dedup();
        all
    }
}
