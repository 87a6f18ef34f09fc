//! Text for people: messages on the standard error, and lines on the standard output.

use crate::status::{Failure, Result};
use std::io::{ErrorKind, Write};

/// Writes a message to the standard error. A message can contain text from a program inside, which
/// must not control the terminal.
pub fn say(message: &str) {
    say_as("seclude", message);
}

/// The same under another name than that of this program.
pub fn say_as(name: &str, message: &str) {
    let clean: String = message
        .chars()
        .map(|letter| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter })
        .collect();
    // Without a standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{name}: {clean}");
}

/// Writes text to the standard output. A reader that has gone, as in `seclude tree | head`, is no
/// failure.
pub fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::at("standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Writes a line to the standard output.
pub fn print_line(line: &str) -> Result<()> {
    print(&format!("{line}\n"))
}
