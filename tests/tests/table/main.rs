//! The runner of the behaviour table. It runs every row of `tests/cases` through every face, as
//! root and as an unprivileged user. It compares each result with the row, and the results of all
//! faces with each other.
//!
//! The faces are drivers with one contract (`seclude_tests::job`). The Rust driver is always
//! present. SECLUDE_TEST_C_DRIVER names the C driver. SECLUDE_TEST_PYTHON names an interpreter with
//! the wheel installed. A missing face is skipped with a message, or is an error if
//! SECLUDE_TEST_FACES (`rust,c,python`) names it. SECLUDE_TEST_GROUND says where commands run. On
//! the ground `confined` the drivers run behind the filter that Docker loads by default, which
//! denies namespaces, and each policy allows to do without. Arguments select rows by a part of
//! `file: name`.
//!
//! This is a binary of its own because it does not use the Rust test harness.
#![deny(unsafe_code)]

mod grounds;

use seclude_tests::caller::{Caller, copy, driver, program};
use seclude_tests::census::here;
use seclude_tests::job::{Told, read_told};
use seclude_tests::knobs::{kernel_version, page_size};
use seclude_tests::scratch;
use seclude_tests::table::{Case, Ground, Stage, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fs};

/// The time after which a driver counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let cases = match cases() {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let place = scratch::directory();
    let (faces, absent) = faces(place.path());
    let mut skipped = 0;
    for name in &absent {
        println!("SKIPPED: the {name} face: {}", absence(name));
    }
    if Caller::present() == Caller::User {
        println!("SKIPPED: every row as root: the caller is not root");
    }
    let required = env::var("SECLUDE_TEST_FACES").unwrap_or_default();
    let missing: Vec<&str> =
        required.split(',').map(str::trim).filter(|name| absent.contains(name)).collect();
    if !missing.is_empty() {
        println!(
            "the faces that SECLUDE_TEST_FACES asks for are not there: {}",
            missing.join(", ")
        );
        return ExitCode::FAILURE;
    }

    let ground = match Ground::of_environment() {
        Ok(ground) => ground,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let excluded = grounds::exclusions(ground);
    if let Some(unknown) = grounds::unknown(&excluded, &cases) {
        let list = grounds::list(ground).unwrap_or_default();
        println!("tests/{list} names {unknown:?}, and there is no such row");
        return ExitCode::FAILURE;
    }
    let mut trials = Vec::new();
    for (file, case) in &cases {
        let name = format!("{file}: {}", case.name);
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part)) {
            continue;
        }
        if !case.is_for_ground(ground) || excluded.contains(&name) {
            continue;
        }
        if let Some(program) = case.needs.as_ref().filter(|program| !Path::new(program).exists()) {
            println!("SKIPPED: {name}: there is no {program}");
            skipped += 1;
            continue;
        }
        if let Some(other) = case.architecture.as_ref().filter(|name| *name != env::consts::ARCH) {
            println!("SKIPPED: {name}: it is about {other}");
            skipped += 1;
            continue;
        }
        if let Some(other) = case.pages.filter(|size| *size != page_size()) {
            println!("SKIPPED: {name}: it is about pages of {other} bytes");
            skipped += 1;
            continue;
        }
        if let Some((version, level)) = case.linux.filter(|first| kernel_version() < *first) {
            println!("SKIPPED: {name}: it needs Linux {version}.{level}");
            skipped += 1;
            continue;
        }
        skipped += absent
            .iter()
            .filter(|face| case.faces.is_empty() || case.faces.iter().any(|named| named == *face))
            .count();
        let reachable: Vec<Caller> = [Caller::Root, Caller::User]
            .into_iter()
            .filter(|caller| case.is_for(*caller))
            .collect();
        skipped += reachable.iter().filter(|caller| !Caller::reachable().contains(caller)).count();
        trials.extend(
            reachable
                .into_iter()
                .filter(|caller| {
                    Caller::reachable().contains(caller) && case.is_for_cgroups_of(*caller)
                })
                .map(|caller| (format!("{name} ({})", caller.name()), caller, case)),
        );
    }

    let (next, passed, failures) =
        (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, caller, case)) =
                    trials.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let wrong = attempt(case, *caller, &faces, ground);
                    if wrong.is_empty() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    } else {
                        println!("FAILED: {name}\n    {}", wrong.join("\n    "));
                        failures
                            .lock()
                            .expect("no thread panics while it holds this")
                            .insert(name.clone(), wrong);
                    }
                }
            });
        }
    });
    let failed = failures.into_inner().expect("no thread panics while it holds this").len();
    let shown: Vec<&str> = faces.iter().map(|face| face.name).collect();
    println!(
        "{} rows through {} ({ground:?}): {} passed, {failed} failed, {skipped} skipped",
        cases.len(),
        shown.join(", "),
        passed.into_inner()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every row, with the name of its file.
fn cases() -> Result<Vec<(String, Case)>, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut rows = Vec::new();
    let mut names = BTreeSet::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let table: Table =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        for case in table.case {
            if !names.insert((stem.clone(), case.name.clone())) {
                return Err(format!("{stem}: two rows are called {:?}", case.name));
            }
            rows.push((stem.clone(), case));
        }
    }
    Ok(rows)
}

// Faces.

/// A face: a driver in some language.
struct Face {
    name: &'static str,
    words: Vec<PathBuf>,
}

/// The faces that are present, copied to a directory that every caller can read, and the names of
/// those that are missing.
fn faces(place: &Path) -> (Vec<Face>, Vec<&'static str>) {
    let mut faces = vec![Face { name: "rust", words: vec![copy(&driver(), place, "driver-rust")] }];
    let mut absent = Vec::new();
    match env::var_os("SECLUDE_TEST_C_DRIVER") {
        Some(program) => faces
            .push(Face { name: "c", words: vec![copy(Path::new(&program), place, "driver-c")] }),
        None => absent.push("c"),
    }
    match env::var_os("SECLUDE_TEST_PYTHON") {
        Some(interpreter) => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers/driver.py");
            faces.push(Face {
                name: "python",
                words: vec![interpreter.into(), copy(&script, place, "driver.py")],
            });
        }
        None => absent.push("python"),
    }
    (faces, absent)
}

fn absence(name: &str) -> &'static str {
    match name {
        "c" => {
            "SECLUDE_TEST_C_DRIVER does not name tests/drivers/driver.c, compiled and linked with the library's archive"
        }
        _ => {
            "SECLUDE_TEST_PYTHON does not name an interpreter that has the wheel and that an unprivileged user can run"
        }
    }
}

// One row for one caller.

/// Runs the row with every face, and returns what is wrong.
fn attempt(case: &Case, caller: Caller, faces: &[Face], ground: Ground) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut first: Option<(&str, Told)> = None;
    for face in faces
        .iter()
        .filter(|face| case.faces.is_empty() || case.faces.iter().any(|name| name == face.name))
    {
        match attempt_through(case, caller, face, ground) {
            Ok((told, complaints)) => {
                wrong.extend(complaints.into_iter().map(|text| format!("{}: {text}", face.name)));
                match &first {
                    Some((name, other)) if !case.varies => {
                        wrong.extend(differences(name, other, face.name, &told))
                    }
                    Some(_) => {}
                    None => first = Some((face.name, told)),
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", face.name)),
        }
    }
    wrong
}

fn attempt_through(
    case: &Case,
    caller: Caller,
    face: &Face,
    ground: Ground,
) -> Result<(Told, Vec<String>), String> {
    // The directory has the same name for all faces, so that texts that contain it can be compared.
    let place = scratch::directory();
    caller.own(place.path());
    let dir = place.path().join("fixtures");
    fs::create_dir(&dir).map_err(|error| error.to_string())?;
    caller.own(&dir);
    let stage = Stage { caller, dir: &dir };
    case.furnish(&stage).map_err(|error| format!("make the fixtures: {error}"))?;
    let (job, result, input) =
        (place.path().join("job"), place.path().join("result"), place.path().join("input"));
    fs::write(&job, case.job(&stage, ground).write()).map_err(|error| error.to_string())?;
    fs::write(&input, "from the driver's own stdin\n").map_err(|error| error.to_string())?;
    let mut driver = Command::new("timeout");
    driver.args(["-k", "5", &here(PATIENCE).as_secs().to_string()]);
    if ground == Ground::Confined {
        driver.arg(program("denied"));
    }
    let run = caller.command(&face.words[0]);
    driver.arg(run.get_program()).args(run.get_args()).args(&face.words[1..]).args([&job, &result]);
    driver.env("SECLUDE_CELLS", place.path().join("cells"));
    driver
        .current_dir("/")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(File::open(&input).map_err(|error| error.to_string())?);
    let output = driver.output().map_err(|error| format!("timeout (coreutils): {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "the driver failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let mut told = fs::read_to_string(&result)
        .map_err(|error| error.to_string())
        .and_then(|text| read_told(&text))?;
    let named = ground == Ground::Confined && grounds::is_named(&told);
    let wrong = if named { Vec::new() } else { case.judge(&stage, &told, &output.stdout) };
    for value in told.values_mut() {
        *value =
            String::from_utf8_lossy(value).replace(&*dir.to_string_lossy(), "{dir}").into_bytes();
    }
    Ok((told, wrong))
}

/// The differences between the results of two faces for one row. Usage is not compared, because it
/// differs between any two runs.
fn differences(name: &str, one: &Told, other_name: &str, other: &Told) -> Vec<String> {
    let keys: BTreeSet<&String> =
        one.keys().chain(other.keys()).filter(|key| *key != "usage").collect();
    let shown = |told: &Told, key: &String| {
        told.get(key).map(|value| String::from_utf8_lossy(value).into_owned())
    };
    keys.into_iter()
        .filter(|key| one.get(*key) != other.get(*key))
        .map(|key| {
            format!(
                "{key}: {name} tells {:?}, {other_name} tells {:?}",
                shown(one, key),
                shown(other, key)
            )
        })
        .collect()
}
