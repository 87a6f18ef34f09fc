//! `seclude image`: import, list and remove images, and write them for other programs.

use crate::shown;
use crate::status::Result;
use clap::ArgMatches;
use seclude::{Ids, Image, ImageSource, Store};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// One of the commands of `seclude image`.
pub fn image(matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("import", matches)) => import(matches),
        Some(("list", matches)) => list(matches),
        Some(("inspect", matches)) => inspect(matches),
        Some(("remove", matches)) => remove(matches),
        Some(("collect", matches)) => collect(matches),
        Some(("export", matches)) => export(matches),
        _ => unreachable!("clap knows the commands"),
    }
}

fn store(matches: &ArgMatches) -> Result<Store> {
    Ok(match path(matches, "store") {
        Some(path) => Store::at(path)?,
        None => Store::open()?,
    })
}

fn path<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a PathBuf> {
    matches.get_one::<PathBuf>(name)
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn import(matches: &ArgMatches) -> Result<ExitCode> {
    let Some(path) = path(matches, "PATH") else { unreachable!("it is required") };
    let mut source = match text(matches, "form") {
        Some("oci") => ImageSource::oci(path),
        Some("archive") => ImageSource::archive(path),
        Some("tar") => ImageSource::tar(path),
        Some("directory") => ImageSource::directory(path),
        _ => ImageSource::found_at(path)?,
    };
    if let Some(reference) = text(matches, "reference") {
        source = source.reference(reference);
    }
    if let Some(size) = text(matches, "max-bytes") {
        source = source.max_bytes(seclude::size_of_text("--max-bytes", size)?);
    }
    if let Some(entries) = matches.get_one::<u64>("max-entries") {
        source = source.max_entries(*entries);
    }
    if let Some(ids) = text(matches, "ids").and_then(Ids::from_name) {
        source = source.ids(ids);
    }
    let image = store(matches)?.import(&source, text(matches, "name"))?;
    if image.left_out() > 0 {
        shown::say(&format!("left out {} device nodes and sockets", image.left_out()));
    }
    shown::print_line(image.name())?;
    Ok(ExitCode::SUCCESS)
}

fn list(matches: &ArgMatches) -> Result<ExitCode> {
    for image in store(matches)?.images()? {
        let used = image.used.duration_since(UNIX_EPOCH).map_or(0, |used| used.as_secs());
        shown::print_line(&if matches.get_flag("json") {
            json!({
                "name": image.name,
                "digest": image.digest,
                "layers": image.layers,
                "bytes": image.bytes,
                "entries": image.entries,
                "used": used,
            })
            .to_string()
        } else {
            let age = SystemTime::now().duration_since(image.used).unwrap_or_default();
            let (name, days) = (image.name, age.as_secs() / 86400);
            let size = image.bytes.div_ceil(1 << 20);
            format!("{name:40} {:>3} layers {size:>6} MiB, used {days} days ago", image.layers)
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn named(matches: &ArgMatches) -> Result<Image> {
    Ok(store(matches)?.image(text(matches, "NAME").unwrap_or_default())?)
}

fn inspect(matches: &ArgMatches) -> Result<ExitCode> {
    let image = named(matches)?;
    let environment: Vec<String> =
        image.environment().map(|(name, value)| format!("{name}={value}")).collect();
    let described = json!({
        "name": image.name(),
        "digest": image.digest(),
        "layers": image.layers(),
        "bytes": image.bytes(),
        "entries": image.entries(),
        "left_out": image.left_out(),
        "environment": environment,
        "directory": image.directory(),
        "user": image.user(),
        "arguments": image.arguments(),
    });
    shown::print_line(&format!("{described:#}"))?;
    Ok(ExitCode::SUCCESS)
}

fn remove(matches: &ArgMatches) -> Result<ExitCode> {
    let store = store(matches)?;
    for name in matches.get_many::<String>("NAME").unwrap_or_default() {
        store.remove(name)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn collect(matches: &ArgMatches) -> Result<ExitCode> {
    let age = text(matches, "unused-for");
    let age = age.map(|age| seclude::time_of_text("--unused-for", age)).transpose()?;
    let freed = store(matches)?.collect(age)?;
    shown::print_line(&format!("{} images and {} layers removed", freed.images, freed.layers))?;
    Ok(ExitCode::SUCCESS)
}

fn export(matches: &ArgMatches) -> Result<ExitCode> {
    let image = named(matches)?;
    let Some(to) = path(matches, "PATH") else { unreachable!("it is required") };
    match text(matches, "form") {
        Some("tar") => image.export_tar(to)?,
        _ => image.export_oci(to, text(matches, "reference").unwrap_or("latest"))?,
    }
    Ok(ExitCode::SUCCESS)
}
