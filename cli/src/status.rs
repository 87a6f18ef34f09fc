//! The exit status of `seclude run`, and how errors are reported.
//!
//! | status | meaning |
//! |---|---|
//! | 0 to 255 | the program's own exit code |
//! | 77 | with `--test`: this host does not allow the isolation |
//! | 124 | a limit on time stopped the program |
//! | 125 | seclude failed: the command line, the policy, the set-up, or a lost warden |
//! | 126 | the program exists and cannot be executed |
//! | 127 | there is no such program |
//! | 128 + N | signal N killed the program; 137 also if another limit stopped it |

use seclude::{Ended, Error, ErrorKind, Outcome};
use std::fmt::Display;
use std::process::ExitCode;

pub const SKIPPED: u8 = 77;
/// The batch itself, or one of its jobs, could not be run.
pub const BATCH_FAILED: u8 = 2;
/// The status that a shell reports for a program that SIGPIPE has ended.
pub const BROKEN_PIPE: u8 = 141;
const TIMED_OUT: u8 = 124;
const FAILED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const MISSING: u8 = 127;
const SIGNALED: i32 = 128;

/// The exit status of an outcome.
pub fn of(outcome: &Outcome) -> u8 {
    match outcome.ended {
        Ended::WallTime | Ended::CpuTime => TIMED_OUT,
        Ended::WardenLost(_) => FAILED,
        _ => match outcome.returncode() {
            signal if signal < 0 => (SIGNALED - signal) as u8,
            code => code as u8,
        },
    }
}

/// The exit status of a command line that cannot be understood.
pub fn usage() -> ExitCode {
    ExitCode::from(FAILED)
}

/// Why a command of this program failed, as a message for people and an exit status.
#[derive(Debug)]
pub struct Failure {
    message: String,
    status: u8,
    /// Whether the host does not allow what was asked for, as opposed to a mistake of the caller.
    denied: bool,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of this program itself.
    pub fn new(message: impl Display) -> Failure {
        Failure { message: message.to_string(), status: FAILED, denied: false }
    }

    /// A failure with the error of a file, which the message names.
    pub fn at(path: impl Display, error: &std::io::Error) -> Failure {
        Failure::new(format!("{path}: {error}"))
    }

    /// The failure of a test that this host cannot isolate. Test harnesses count it as skipped.
    pub fn skipped(self) -> Failure {
        Failure { message: format!("skipped: {}", self.message), status: SKIPPED, ..self }
    }

    /// The same failure with another exit status.
    pub fn with_status(self, status: u8) -> Failure {
        Failure { status, ..self }
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// Writes the message to the standard error, and returns the exit status.
    pub fn report(&self) -> ExitCode {
        crate::shown::say(&self.message);
        ExitCode::from(self.status)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match error.kind() {
            ErrorKind::ProgramMissing => MISSING,
            ErrorKind::ProgramNotExecutable
            | ErrorKind::ProgramFormat
            | ErrorKind::InterpreterMissing => NOT_EXECUTABLE,
            _ => FAILED,
        };
        let denied = matches!(
            error.kind(),
            ErrorKind::NamespacesDenied | ErrorKind::Unsupported | ErrorKind::LimitUnavailable
        );
        Failure { message: error.to_string(), status, denied }
    }
}
