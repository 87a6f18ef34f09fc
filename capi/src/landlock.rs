//! The setters of the Landlock ruleset: landlock(7).

use crate::boundary::{Answer, numbers};
use crate::error::seclude_error;
use crate::sandbox::{build, seclude_sandbox};

/// Leaves out the Landlock ruleset: landlock(7), Linux 5.19.
///
/// By default, Landlock enforces once more what the mounts and namespaces enforce, at the highest
/// ABI that the kernel has. It is left out where the kernel lacks it, and with
/// `seclude_sandbox_nested`. With a shared ipc namespace, the part about files is left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_no_landlock(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.no_landlock()));
}

/// Allows programs inside to bind these `count` TCP ports and no others; none if `count` is 0.
///
/// Landlock enforces this. The start fails if the kernel lacks Landlock ABI 4 (Linux 6.7).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_tcp_bind(
    sandbox: *mut seclude_sandbox,
    ports: *const u32,
    count: usize,
) {
    build(sandbox, |sandbox| Ok(sandbox.tcp_bind(ports_of(ports, count)?)));
}

/// Allows programs inside to connect to these `count` TCP ports, on any host, and to no others;
/// none if `count` is 0.
///
/// Like `seclude_sandbox_tcp_bind`, this takes Landlock ABI 4 (Linux 6.7). It does not restrict
/// UDP: use a filter that refuses UDP sockets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_tcp_connect(
    sandbox: *mut seclude_sandbox,
    ports: *const u32,
    count: usize,
) {
    build(sandbox, |sandbox| Ok(sandbox.tcp_connect(ports_of(ports, count)?)));
}

fn ports_of(ports: *const u32, count: usize) -> Answer<Vec<u16>> {
    let port = |number: &u32| {
        u16::try_from(*number)
            .map_err(|_| seclude_error::invalid(&format!("port {number}"), "is not 0 to 65535"))
    };
    numbers("ports", ports, count)?.iter().map(port).collect()
}
