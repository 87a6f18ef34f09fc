//! Writes the warden that the library contains to a file, so that it can be installed. Used by
//! `build-library.sh`, and not installed itself.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: seclude-write-warden FILE");
        return ExitCode::from(2);
    };
    let file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&path);
    match file.and_then(|mut file| file.write_all(seclude_core::warden_program())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
