//! Compiles the warden (`warden/main.rs`) and the unpacker (`unpacker/main.rs`) for the target and
//! embeds the binaries in the library.
//!
//! The same `rustc` that builds this crate compiles them as freestanding programs. It links them
//! with `rust-lld` from the toolchain, or with the system's `cc` where that is missing or fails.
//! The build downloads nothing and compiles no C.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    for folder in ["warden", "unpacker", "wire", "build.rs"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let output = PathBuf::from(variable("OUT_DIR"));
    for program in ["warden", "unpacker"] {
        let image = output.join(program);
        build(program, &image);
        let name = program.to_uppercase();
        println!("cargo:rustc-env=SECLUDE_{name}_IMAGE={}", image.display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo did not set {name}"))
}

fn build(program: &str, output: &Path) {
    let (rustc, target, host) = (variable("RUSTC"), variable("TARGET"), variable("HOST"));
    let source = format!("{program}/main.rs");
    let compile = |link: &dyn Fn(&mut Command)| compile(&rustc, &target, &source, output, link);
    let linked = match bundled_linker(&rustc, &host) {
        Some(linker) => compile(&|rustc| {
            rustc.arg("-Clinker-flavor=ld.lld").arg(format!("-Clinker={}", linker.display()));
            // Kernels of aarch64 may have pages of 16 or 64 KiB, and a segment starts on a page.
            let page = if target.starts_with("aarch64") { 64 * 1024 } else { 4096 };
            rustc.args(
                ["-static", "--build-id=none", "-znorelro", &format!("-zmax-page-size={page}")]
                    .map(|argument| format!("-Clink-arg={argument}")),
            );
        }),
        None => false,
    };
    let linked = linked
        || compile(&|rustc| {
            if let Ok(linker) = env::var("RUSTC_LINKER") {
                rustc.arg(format!("-Clinker={linker}"));
            }
            rustc.args(
                ["-nostartfiles", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,norelro"]
                    .map(|argument| format!("-Clink-arg={argument}")),
            );
        });
    assert!(
        linked,
        "the {program} could not be built for {target}: the compiler's messages are above"
    );
}

fn bundled_linker(rustc: &str, host: &str) -> Option<PathBuf> {
    let answer = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(answer.stdout).ok()?;
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    linker.exists().then_some(linker)
}

fn compile(
    rustc: &str,
    target: &str,
    source: &str,
    output: &Path,
    link: &dyn Fn(&mut Command),
) -> bool {
    let mut command = Command::new(rustc);
    command.args([
        "--edition",
        "2024",
        "--crate-type",
        "bin",
        "--crate-name",
        "seclude_freestanding",
        "--cfg",
        "freestanding",
        "--target",
        target,
        source,
        "-o",
    ]);
    command.arg(output);
    command.args(
        [
            "opt-level=s",
            "panic=abort",
            "lto=fat",
            "codegen-units=1",
            "strip=symbols",
            "overflow-checks=off",
            "debug-assertions=off",
            "relocation-model=static",
            "force-unwind-tables=no",
            "default-linker-libraries=no",
        ]
        .map(|option| format!("-C{option}")),
    );
    // For musl, rustc would add the start files of a C program, which bring a second _start.
    if target.contains("musl") {
        command.arg("-Clink-self-contained=no");
    }
    if env::var_os("CARGO_FEATURE_STAGE_CLOCK").is_some() {
        command.args(["--cfg", "stage_clock"]);
    }
    link(&mut command);
    command.status().is_ok_and(|status| status.success())
}
