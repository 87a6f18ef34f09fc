//! `seclude_pool`: sandboxes that are ready before a command needs one.

use crate::boundary::{Structure, bytes, create, free, query, read, write_sized};
use crate::command::seclude_command;
use crate::error::{SECLUDE_EINVAL, seclude_error};
use crate::sandbox::seclude_sandbox;
use seclude_core::{NetworkStatistics, Pool, PoolStatistics};
use std::ffi::{c_char, c_int};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Sandboxes of one policy that are ready before a command needs one.
///
/// Every command has a sandbox of its own, as fresh and as isolated as one that is made for it. The
/// sandboxes are copies of the policy's template, where it can have one
/// (`seclude_sandbox_prepare`). Threads of the pool make them, at most one per processor.
///
/// The size of a pool is the number of sandboxes that it keeps ready, and of commands that run at a
/// time. A running command has a place in the pool, and returns it when it has ended, whether or
/// not anybody waits for its child. If no place is free, `seclude_command_spawn` waits,
/// `seclude_command_spawn_timeout` waits for a limited time, and `seclude_command_try_spawn` does
/// not wait.
///
/// All functions on a pool may overlap, in any thread. A process that the caller forked may only
/// free the pool.
pub struct seclude_pool {
    pool: Pool,
}

/// What a pool has done so far, and what it contains. The times are those of the last 1000 events.
///
/// Functions that fill it take its size, `sizeof(seclude_statistics)`, as for `seclude_outcome`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_statistics {
    /// The number of sandboxes that the pool keeps ready, and the most that can be in use at a
    /// time.
    pub size: u64,
    /// The sandboxes that are ready now.
    pub ready: u64,
    /// The sandboxes that are in use now.
    pub in_use: u64,
    /// The most sandboxes that were in use at a time.
    pub most_in_use: u64,
    /// The sandboxes that were made.
    pub made: u64,
    /// The sandboxes that were given to a command.
    pub handed_out: u64,
    /// How often a command had to wait for a sandbox.
    pub waited: u64,
    /// The sandboxes that had died before a command needed them, and were replaced.
    pub lost: u64,
    /// How often a sandbox could not be made.
    pub failed: u64,
    /// How long a command took to get a sandbox, in nanoseconds: the median.
    pub hand_out_p50_ns: u64,
    /// How long a command took to get a sandbox, in nanoseconds: the 99th percentile.
    pub hand_out_p99_ns: u64,
    /// How long it took to make a sandbox, in nanoseconds: the median.
    pub make_p50_ns: u64,
    /// How long it took to make a sandbox, in nanoseconds: the 99th percentile.
    pub make_p99_ns: u64,
}

impl Structure for seclude_statistics {}

/// What became of the network namespaces of a policy's template.
///
/// Each copy of the template has a network namespace to itself. When the copy has ended, another
/// copy gets the namespace only if the kernel's record of it (`/proc/net`) equals that of a new
/// one. Everything is 0 without a template, or if the sandboxes share the caller's network.
///
/// Functions that fill it take its size, `sizeof(seclude_networks)`, as for `seclude_outcome`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_networks {
    /// The network namespaces that were made.
    pub made: u64,
    /// How often a used network namespace was used again.
    pub reused: u64,
    /// The network namespaces that differed from a new one, and were discarded.
    pub retired: u64,
    /// The last one that was discarded, by its number in `/proc/PID/ns/net` (namespaces(7)); 0 if
    /// there is none.
    pub last_retired: u64,
    /// The file in `/proc/net` that differed, such as `dev` after traffic, or `sockstat` while a
    /// socket is left. Empty if there is none.
    pub last_retired_why: [c_char; 24],
}

impl Structure for seclude_networks {}

/// Starts a pool of `size` sandboxes with the sandbox's current policy, and waits until one is
/// ready.
///
/// If `reuse` is not 0, a sandbox is used again when its command has ended. The next command then
/// finds what the previous one left behind, processes included. Use that only for commands that
/// trust one another.
///
/// `*pool` is owned: free it with `seclude_pool_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_pool(
    sandbox: *const seclude_sandbox,
    size: usize,
    reuse: c_int,
    pool: *mut *mut seclude_pool,
    err: *mut *mut seclude_error,
) -> c_int {
    create("pool", pool, err, || {
        let sandbox = read("sandbox", sandbox)?.sound()?;
        Ok(seclude_pool {
            pool: if reuse == 0 { sandbox.pool(size)? } else { sandbox.reusing_pool(size)? },
        })
    })
}

/// Frees a pool. NULL is a no-op. Running children live on.
///
/// Its ready sandboxes and its threads end once its commands are freed too. `seclude_pool_close`
/// ends them at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_free(pool: *mut seclude_pool) {
    free(pool);
}

/// Makes a command that runs `program` in one of the pool's sandboxes, like
/// `seclude_sandbox_command`.
///
/// Owned: free it with `seclude_command_free`. Spawning it waits while all places of the pool are
/// in use.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_pool_command(
    pool: *const seclude_pool,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| Ok(read("pool", pool)?.pool.command(bytes("program", program)?)))
}

/// Returns a descriptor for poll(2) and event loops. `SECLUDE_EINVAL` for NULL.
///
/// It is readable while `seclude_command_try_spawn` may have a result: a place is free and a
/// sandbox ready, an error is to be reported, or the pool is closed. Another thread may be faster.
/// Do not read from it. Borrowed: never close it; valid until the pool is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_fd(pool: *const seclude_pool) -> c_int {
    query(pool, SECLUDE_EINVAL, |pool| Some(pool.pool.fd().as_raw_fd()))
}

/// Writes to `*statistics` what the pool has done so far. Returns 0, or -1 if `pool` is NULL.
///
/// `size` is the size of `*statistics` in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_statistics(
    pool: *const seclude_pool,
    statistics: *mut seclude_statistics,
    size: usize,
) -> c_int {
    query(pool, -1, |pool| {
        write_sized(statistics, size, in_c(&pool.pool.statistics()));
        Some(0)
    })
}

/// Writes to `*networks` what became of the network namespaces of the pool's sandboxes. Returns 0,
/// or -1 if `pool` is NULL.
///
/// `size` is the size of `*networks` in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_networks(
    pool: *const seclude_pool,
    networks: *mut seclude_networks,
    size: usize,
) -> c_int {
    query(pool, -1, |pool| {
        write_sized(networks, size, networks_in_c(&pool.pool.networks()));
        Some(0)
    })
}

/// Ends the ready sandboxes and the pool's threads. Running children live on. The pool must still
/// be freed.
///
/// Spawning a command of a closed pool is `SECLUDE_EINVAL`. Closing it again is a no-op, and so is
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_close(pool: *const seclude_pool) {
    query(pool, (), |pool| {
        pool.pool.close();
        Some(())
    });
}

fn in_c(told: &PoolStatistics) -> seclude_statistics {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    seclude_statistics {
        size: told.size as u64,
        ready: told.ready as u64,
        in_use: told.in_use as u64,
        most_in_use: told.most_in_use as u64,
        made: told.made,
        handed_out: told.handed_out,
        waited: told.waited,
        lost: told.lost,
        failed: told.failed,
        hand_out_p50_ns: nanoseconds(told.hand_out_p50),
        hand_out_p99_ns: nanoseconds(told.hand_out_p99),
        make_p50_ns: nanoseconds(told.make_p50),
        make_p99_ns: nanoseconds(told.make_p99),
    }
}

fn networks_in_c(told: &NetworkStatistics) -> seclude_networks {
    let mut why = [0; 24];
    let last = told.last_retired;
    // The longest of these names has 13 bytes.
    for (to, from) in why[..23].iter_mut().zip(last.map_or("", |last| last.why).bytes()) {
        *to = from as c_char;
    }
    let last_retired = last.map_or(0, |last| last.id);
    seclude_networks {
        made: told.made,
        reused: told.reused,
        retired: told.retired,
        last_retired,
        last_retired_why: why,
    }
}
