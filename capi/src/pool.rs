//! `seclude_pool`: sandboxes set up before they are asked for.

use crate::boundary::{Structure, bytes, free, made, read, told, write_sized};
use crate::command::seclude_command;
use crate::error::{SECLUDE_EINVAL, seclude_error};
use crate::sandbox::seclude_sandbox;
use seclude_core::{NetworkStatistics, Pool, PoolStatistics};
use std::ffi::{c_char, c_int};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Keeps sandboxes of one policy ready, so that a command finds one that has only to start it.
/// Every command has one of its own, as fresh and as apart from all others as one that was made for
/// it.
///
/// They are copies of the policy's template, where it can have one (`seclude_sandbox_prepare`),
/// made by threads of the pool's own: at most one for each processor. At most as many commands run
/// at one time as are kept ready: each has a place, and gives it back when it has ended, whether or
/// not anybody has waited for its child. A start for which there is no place waits
/// (`seclude_command_spawn`), for as long as it is told to (`seclude_command_spawn_timeout`), or
/// not at all (`seclude_command_try_spawn`, `seclude_pool_fd`). Any thread may use a pool at any
/// time, all its calls included. A process forked from the caller has no part in it, and may only
/// free it.
pub struct seclude_pool {
    pool: Pool,
}

/// What a pool has done and has. Times are those of the last 1000. Functions that fill it take its
/// size, as for `seclude_outcome`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_statistics {
    /// How many are kept ready, and can be in use at one time.
    pub size: u64,
    /// How many are ready now.
    pub ready: u64,
    /// How many are in use now.
    pub in_use: u64,
    /// How many were in use at one time, at the most.
    pub most_in_use: u64,
    /// How many have been made.
    pub made: u64,
    /// How many have been handed out.
    pub handed_out: u64,
    /// How often who asked had to wait.
    pub waited: u64,
    /// How many were found dead when they were wanted, and replaced.
    pub lost: u64,
    /// How often one could not be made.
    pub failed: u64,
    /// How long it took to be handed one, in nanoseconds: the median.
    pub hand_out_p50_ns: u64,
    /// How long it took to be handed one, in nanoseconds: all but one in a hundred.
    pub hand_out_p99_ns: u64,
    /// How long it took to make one, in nanoseconds: the median.
    pub make_p50_ns: u64,
    /// How long it took to make one, in nanoseconds: all but one in a hundred.
    pub make_p99_ns: u64,
}

impl Structure for seclude_statistics {}

/// What has become of the network namespaces of a policy's template. Each copy has one to itself;
/// when that has ended, the namespace serves another only if the kernel's own account of it
/// (`/proc/net`) is that of one that has just been made. All are zero without a template, or
/// without networks of its own. Functions that fill it take its size, as for `seclude_outcome`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_networks {
    /// How many have been made.
    pub made: u64,
    /// How often one that had been used before was used again.
    pub reused: u64,
    /// How many showed that somebody had been there, and were given up.
    pub retired: u64,
    /// The last of these, by its number, as `/proc/PID/ns/net` shows it (namespaces(7)); 0 if
    /// there is none.
    pub last_retired: u64,
    /// Why: the file in `/proc/net` that is no longer as it was, such as `dev` after traffic,
    /// `sockstat` while a socket is left. Empty if there is none.
    pub last_retired_why: [c_char; 24],
}

impl Structure for seclude_networks {}

/// Starts a pool that keeps `size` sandboxes of this policy, as it is now, ready: 0, and `*pool` is
/// a new one, of which one is ready. `reuse` not 0: a sandbox is used again when its command has
/// ended, and what that left behind, processes included, is there for the next: for commands that
/// trust one another. Free it with `seclude_pool_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_pool(
    sandbox: *const seclude_sandbox,
    size: usize,
    reuse: c_int,
    pool: *mut *mut seclude_pool,
    err: *mut *mut seclude_error,
) -> c_int {
    made("pool", pool, err, || {
        let sandbox = read("sandbox", sandbox)?.sound()?;
        Ok(seclude_pool {
            pool: if reuse == 0 { sandbox.pool(size)? } else { sandbox.reusing_pool(size)? },
        })
    })
}

/// Frees a pool. NULL is a no-op. What is ready and its threads end when its commands have been
/// freed too; `seclude_pool_close` ends them at once. Children that run go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_free(pool: *mut seclude_pool) {
    free(pool);
}

/// A command that runs `program` in one of the pool's sandboxes, as `seclude_sandbox_command` makes
/// them. Spawning it waits while as many as the pool's size run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_command(
    pool: *const seclude_pool,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| Ok(read("pool", pool)?.pool.command(bytes("program", program)?)))
}

/// A descriptor for poll(2) and event loops, readable while there is reason to try a start: a place
/// is free and a sandbox ready, or there is an error to be told, or the pool has been closed.
/// `seclude_command_try_spawn` then tells; another thread may have been faster. Nothing is to be
/// read from it. Borrowed: never close it; valid until the pool is freed. `SECLUDE_EINVAL` for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_fd(pool: *const seclude_pool) -> c_int {
    told(pool, SECLUDE_EINVAL, |pool| Some(pool.pool.fd().as_raw_fd()))
}

/// Writes what it has done so far to `*statistics`, a structure of `size` bytes. 0, or -1 if `pool`
/// is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_statistics(
    pool: *const seclude_pool,
    statistics: *mut seclude_statistics,
    size: usize,
) -> c_int {
    told(pool, -1, |pool| {
        write_sized(statistics, size, in_c(&pool.pool.statistics()));
        Some(0)
    })
}

/// Writes what has become of the network namespaces of its sandboxes to `*networks`, a structure of
/// `size` bytes. 0, or -1 if `pool` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_networks(
    pool: *const seclude_pool,
    networks: *mut seclude_networks,
    size: usize,
) -> c_int {
    told(pool, -1, |pool| {
        write_sized(networks, size, networks_in_c(&pool.pool.networks()));
        Some(0)
    })
}

/// Ends what is ready, and the pool's threads. Children that run go on; spawning another command is
/// `SECLUDE_EINVAL`. NULL, or a closed one, is a no-op. It must still be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pool_close(pool: *const seclude_pool) {
    told(pool, (), |pool| {
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
    // The longest of these names has 13 letters.
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
