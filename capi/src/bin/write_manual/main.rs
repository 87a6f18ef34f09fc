//! Writes the pages of section 3 of the manual from the comments of `seclude.h`: one page for each
//! part of the header, and for each function a link to its page. Used by `build-library.sh`, and
//! not installed itself.

mod header;
mod page;

use header::Header;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

const HEADER: &str = include_str!("../../../../include/seclude.h");

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: seclude-write-manual DIRECTORY");
        return ExitCode::from(2);
    };
    let directory = Path::new(&directory);
    for (name, text) in page::pages(&Header::read(HEADER)) {
        let path = directory.join(format!("{name}.3"));
        if let Err(error) = fs::write(&path, text) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The names of the exported functions: the sources say `extern "C" fn`, whatever the header
    /// looks like.
    fn exported() -> Vec<String> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = fs::read_dir(sources).expect("src can be listed");
        let texts =
            files.filter_map(|file| fs::read_to_string(file.expect("an entry").path()).ok());
        let names = texts.flat_map(|text| {
            let after =
                text.lines().filter_map(|line| Some(line.split_once("extern \"C\" fn ")?.1));
            let names = after.filter_map(|rest| Some(rest.split('(').next()?.to_owned()));
            names.collect::<Vec<_>>()
        });
        names.collect()
    }

    fn name_line(page: &str) -> &str {
        page.lines().skip_while(|line| *line != ".SH NAME").nth(1).unwrap_or_default()
    }

    #[test]
    fn every_exported_function_is_explained_on_exactly_one_page() {
        let pages: BTreeMap<_, _> = page::pages(&Header::read(HEADER)).into_iter().collect();
        let exported = exported();
        assert!(exported.len() > 165, "only {} functions were found", exported.len());
        for function in &exported {
            let heading = format!(".SS {function}\n");
            let on: Vec<_> = pages.iter().filter(|(_, text)| text.contains(&heading)).collect();
            let [(page, text)] = on.as_slice() else { panic!("{function} is on {on:?}") };
            let (names, _) = name_line(text).split_once(" \\- ").expect("NAME has a summary");
            assert!(
                names.split(", ").any(|name| name == function),
                "{page}: NAME lacks {function}"
            );
            let own = pages.get(function).unwrap_or_else(|| panic!("no page {function}"));
            assert!(own == *text || *own == format!(".so man3/{page}.3\n"), "{function}: {own}");
        }
    }

    #[test]
    fn every_constant_and_field_of_the_header_is_on_a_page() {
        let pages = page::pages(&Header::read(HEADER));
        let all: String = pages.iter().map(|(_, text)| text.as_str()).collect();
        let constants: Vec<_> = HEADER
            .lines()
            .filter_map(|line| line.strip_prefix("#define SECLUDE_")?.split([' ', '(']).next())
            .filter(|name| !["H", "WARN_UNUSED"].contains(name))
            .collect();
        assert!(constants.len() > 150, "only {} constants were found", constants.len());
        for name in constants {
            assert!(all.contains(&format!("SECLUDE_{name}")), "SECLUDE_{name} is on no page");
        }
        for field in ["anonymous_peak", "throttled_ns", "entries"] {
            assert!(all.contains(field), "{field} is on no page");
        }
    }

    #[test]
    fn no_text_is_taken_for_a_request() {
        for (name, text) in page::pages(&Header::read(HEADER)) {
            for line in text.lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line[1..].split(' ').next().unwrap_or_default();
                let known =
                    ["TH", "SH", "SS", "PP", "TP", "IP", "B", "nf", "fi", "so", "nh", "EX", "EE"];
                assert!(known.contains(&request), "{name}: {line}");
            }
            assert!(!text.contains('`'), "{name}: a backquote is left");
        }
    }
}
