//! Outcomes and what a program wrote, as JSON and in words.

use crate::policy::path_value;
use crate::status::{Failure, Result};
use seclude::{Collected, Ended, Outcome, Output};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// The outcome as a JSON object.
fn object(outcome: &Outcome) -> Map<String, Value> {
    match serde_json::from_str(&outcome.to_json()) {
        Ok(Value::Object(object)) => object,
        other => unreachable!("an outcome is an object, not {other:?}"),
    }
}

/// The outcome and what the program wrote, as one line of JSON. It is ASCII, so that the program's
/// output cannot control a terminal.
pub fn whole(output: &Output) -> String {
    ascii(&Value::Object(object_of(output)).to_string())
}

/// The outcome and what the program wrote.
pub fn object_of(output: &Output) -> Map<String, Value> {
    let mut told = object(&output.outcome);
    told.insert("stdout".into(), text(&output.stdout));
    told.insert("stderr".into(), text(&output.stderr));
    // If it was asked for anything, this says what has matched, or that nothing has.
    if output.files != Collected::default() {
        told.insert("collected".into(), object_of_files(&output.files));
    }
    told
}

/// The files that the program has left.
fn object_of_files(collected: &Collected) -> Value {
    let files: Vec<Value> = collected
        .files
        .iter()
        .map(|file| {
            json!({
                "path": path_value(file.path.as_os_str()),
                "contents": text(&file.contents),
                "permissions": file.permissions,
            })
        })
        .collect();
    let skipped: Vec<Value> =
        collected.skipped.iter().map(|path| path_value(path.as_os_str())).collect();
    let unmatched: Vec<Value> = collected.unmatched.iter().map(|text| path_value(text)).collect();
    json!({
        "files": files,
        "entries": collected.entries,
        "bytes": collected.bytes,
        "skipped": skipped,
        "unmatched": unmatched,
        "error": collected.error.as_ref().map(details),
    })
}

/// Writes the outcome to a file.
pub fn write(outcome: &Outcome, path: &Path) -> Result<()> {
    let text = format!("{}\n", Value::Object(object(outcome)));
    fs::write(path, text).map_err(|error| Failure::at(path.display(), &error))
}

/// Text, or `{"base64": ...}` for bytes that are not UTF-8.
fn text(bytes: &[u8]) -> Value {
    path_value(std::os::unix::ffi::OsStrExt::from_bytes(bytes))
}

/// JSON in ASCII.
pub fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for letter in json.chars() {
        if (' '..'\u{7f}').contains(&letter) {
            plain.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                plain.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    plain
}

/// Whether a person should be told how the program ended, because the exit status does not say it.
pub fn is_worth_saying(outcome: &Outcome) -> bool {
    !matches!(outcome.ended, Ended::Exited(_) | Ended::Signaled(_))
}

/// An error as one line of JSON.
pub fn error(error: &seclude::Error) -> String {
    ascii(&Value::Object(object_of_error(error)).to_string())
}

/// An error as an object.
pub fn object_of_error(error: &seclude::Error) -> Map<String, Value> {
    Map::from_iter([("error".to_owned(), details(error))])
}

fn details(error: &seclude::Error) -> Value {
    json!({
        "message": error.to_string(),
        "kind": error.kind().name(),
        "step": error.step(),
        "errno": error.raw_os_error(),
        "path": error.path().map(|path| path_value(path.as_os_str())),
        "hint": error.remedy(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_wrote_cannot_control_a_terminal() {
        let json = ascii(&json!("\u{1b}[31m\u{202e}\u{1f600}\u{7f}").to_string());
        assert!(json.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{json}");
        assert_eq!(
            serde_json::from_str::<String>(&json).unwrap(),
            "\u{1b}[31m\u{202e}\u{1f600}\u{7f}"
        );
    }
}
