//! The options of `seclude image`.

use super::{file, flag};
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, value_parser};
use std::path::PathBuf;

/// The commands on images.
pub fn image(command: Command) -> Command {
    let one = || Arg::new("NAME").required(true).help("The name of the image");
    command
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            with_store(Command::new("import"))
                .about("Import an image, and print its name")
                .long_about(
                    "Import an image, and print its name. PATH is a directory with an OCI image \
                    layout (skopeo copy docker://NAME oci:PATH), an archive of docker save, a tar \
                    archive of a root (docker export), or a directory with a root. Archives may \
                    be compressed with gzip or zstd",
                )
                .arg(file("PATH").help("What to import"))
                .arg(value("name", "NAME").help("Its name in the store; its digest if not given"))
                .arg(value("reference", "NAME").help("Which of several images in PATH to import"))
                .arg(
                    value("form", "FORM")
                        .value_parser(PossibleValuesParser::new([
                            "oci",
                            "archive",
                            "tar",
                            "directory",
                        ]))
                        .help("What PATH is; looked at if not given"),
                )
                .arg(
                    value("ids", "NUMBER")
                        .value_parser(PossibleValuesParser::new(["single", "range", "auto"]))
                        .help("How many ids own the files; by default as many as in sandboxes"),
                )
                .arg(value("max-bytes", "SIZE").help("The most bytes to unpack; 16G if not given"))
                .arg(
                    value("max-entries", "NUMBER")
                        .value_parser(value_parser!(u64))
                        .help("The most entries to unpack; 2000000 if not given"),
                ),
        )
        .subcommand(
            with_store(Command::new("list"))
                .about("List the images")
                .arg(flag("json").help("In JSON, for programs, one image on a line")),
        )
        .subcommand(
            with_store(Command::new("inspect")).about("Describe an image in JSON").arg(one()),
        )
        .subcommand(
            with_store(Command::new("remove"))
                .about("Remove names of images; their files go when the store is collected")
                .arg(one().num_args(1..).help("The names of the images")),
        )
        .subcommand(
            with_store(Command::new("collect"))
                .about("Remove the files of no image, and images that are not used")
                .arg(
                    value("unused-for", "TIME")
                        .help("Remove images that no sandbox has used for so long, such as 720h"),
                ),
        )
        .subcommand(
            with_store(Command::new("export"))
                .about("Write an image for other programs")
                .arg(one())
                .arg(file("PATH").help("A new directory, or a new file for a tar archive"))
                .arg(
                    value("form", "FORM")
                        .value_parser(PossibleValuesParser::new(["oci", "tar"]))
                        .help(
                            "An OCI image layout, or a tar archive of the root; oci if not given",
                        ),
                )
                .arg(
                    value("reference", "NAME").help("Its name in the layout; latest if not given"),
                ),
        )
}

fn with_store(command: Command) -> Command {
    command.arg(
        value("store", "DIRECTORY")
            .value_parser(value_parser!(PathBuf))
            .help("The store; the caller's own if not given"),
    )
}

fn value(name: &'static str, of: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(of)
}
