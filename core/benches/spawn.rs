//! What one run costs, and what its parts cost, as criterion sees it: for changes to this crate,
//! before and after. `tests/bench/compare.py` sets whole runs beside other ways to do the same.

use criterion::{Criterion, criterion_main};
use seclude::{Command, Ended, Namespace, Sandbox, Stdio};
use std::hint::black_box;

/// A small program that every Linux system has.
const PROGRAM: &str = "/bin/true";

fn run(mut command: Command) {
    let outcome = command.status().expect("the default sandbox starts on this machine");
    assert_eq!(outcome.ended, Ended::Exited(0));
}

/// From start to end, reaped, with a plan that is already made.
fn spawn_to_end(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spawn to end");
    let default = Sandbox::new();
    group.bench_function("default", |bencher| bencher.iter(|| run(default.command(PROGRAM))));
    let network = Sandbox::new().share(Namespace::Net);
    group
        .bench_function("network shared", |bencher| bencher.iter(|| run(network.command(PROGRAM))));
    let empty = Sandbox::new()
        .empty_root()
        .bind_ro("/usr", "/usr")
        .bind_ro("/lib", "/lib")
        .bind_ro("/lib64", "/lib64")
        .share(Namespace::Net);
    group.bench_function("network shared, own few files", |bencher| {
        bencher.iter(|| run(empty.command("/usr/bin/true")))
    });
    group.bench_function("output collected", |bencher| {
        bencher.iter(|| {
            let output = default
                .command("/bin/echo")
                .arg("hello")
                .output()
                .expect("the default sandbox starts on this machine");
            assert_eq!(output.stdout, b"hello\n");
        });
    });
    // What the first run of a sandbox has on top: the plan is compiled, and the warden put into
    // memory.
    group.bench_function("new sandbox each time", |bencher| {
        bencher.iter(|| run(Sandbox::new().command(PROGRAM)))
    });
    group.bench_function("missing program", |bencher| {
        bencher.iter(|| {
            default.command("/no/such/program").spawn().expect_err("there is no such program")
        });
    });
    group.finish();
}

/// What happens before the kernel is asked for anything.
fn values(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("values");
    let sandbox = Sandbox::new();
    group.bench_function("a command", |bencher| {
        bencher.iter(|| {
            let mut command = sandbox.command(PROGRAM);
            command.args(["one", "two", "three"]).env("NAME", "value").stdin(Stdio::null());
            black_box(command);
        });
    });
    let policy = || {
        Sandbox::new()
            .bind_ro("/opt", "/opt")
            .tmpfs("/tmp", seclude::MiB(16))
            .file("/etc/motd", "hello\n")
    };
    group.bench_function("a sandbox", |bencher| bencher.iter(|| black_box(policy())));
    let made = policy();
    group.bench_function("a check", |bencher| {
        bencher.iter(|| black_box(&made).check().expect("it is a good policy"))
    });
    let text = made.to_json().expect("a policy can be written");
    group.bench_function("a sandbox from JSON", |bencher| {
        bencher.iter(|| Sandbox::from_json(black_box(&text)).expect("and read"))
    });
    group.finish();
}

/// What the macro makes has no comment of its own.
#[allow(missing_docs)]
mod all {
    use super::{spawn_to_end, values};
    criterion::criterion_group!(benches, spawn_to_end, values);
}
criterion_main!(all::benches);
