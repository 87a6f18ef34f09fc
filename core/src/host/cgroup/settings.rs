//! Writes limits to a cgroup's files and reads them back. A limit counts as enforced only if the
//! kernel then reports it.

use super::directory::Directory;
use super::{Cgroup, Controller, unavailable};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{Io, Limit, Limits, Mechanism, QUOTA_PERIOD as PERIOD};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

impl Controller {
    /// The controller that a limit needs.
    pub fn of(limit: Limit) -> Option<Controller> {
        match limit {
            Limit::Memory | Limit::Swap => Some(Controller::Memory),
            Limit::Cpus | Limit::CpuWeight | Limit::CpuBurst => Some(Controller::Cpu),
            Limit::CpuTime => Some(Controller::Cpuacct),
            Limit::CpuSet => Some(Controller::Cpuset),
            Limit::Pids => Some(Controller::Pids),
            Limit::Io => Some(Controller::Io),
            Limit::WallTime | Limit::Output => None,
        }
    }
}

/// Sets one limit. Returns the mechanism that enforces it.
pub fn set(cgroup: &Cgroup, limit: Limit, limits: &Limits) -> Result<Mechanism> {
    if limit == Limit::CpuTime {
        return cgroup
            .meter()?
            .map(|(mechanism, ..)| mechanism)
            .ok_or_else(|| no_controller(limit));
    }
    let controller = Controller::of(limit).ok_or_else(|| no_controller(limit))?;
    let (mechanism, directory) = cgroup.with(controller).ok_or_else(|| no_controller(limit))?;
    let setting = CgroupSetting { limit, directory, v2: mechanism == Mechanism::CgroupV2 };
    match limit {
        Limit::Memory => {
            setting.memory(limits.memory.unwrap_or(u64::MAX), limits.swap.unwrap_or(0))?
        }
        Limit::Swap => setting.swap(limits)?,
        Limit::Cpus => setting.cpus(limits.cpus.map_or(1.0, |cores| cores.0))?,
        Limit::CpuBurst => setting.cpu_burst(limits.cpu_burst.unwrap_or_default())?,
        Limit::CpuWeight => setting.cpu_weight(u64::from(limits.cpu_weight.unwrap_or(100)))?,
        Limit::CpuSet => setting.cpu_set(limits.cpu_set.as_ref().unwrap_or(&BTreeSet::new()))?,
        Limit::Pids => setting
            .number("pids.max", limits.pids.unwrap_or(0) + u64::from(!cgroup.single_command))?,
        Limit::Io => limits.io.iter().try_for_each(|io| setting.io(io))?,
        Limit::CpuTime | Limit::WallTime | Limit::Output => {}
    }
    Ok(mechanism)
}

fn no_controller(limit: Limit) -> Error {
    let name = Controller::of(limit).map_or("right", Controller::v1_name);
    unavailable(limit).because(format!("there is no cgroup with the {name} controller for it"))
}

/// One limit in one directory.
struct CgroupSetting<'a> {
    limit: Limit,
    directory: &'a Directory,
    v2: bool,
}

impl CgroupSetting<'_> {
    fn refused(&self, file: &str, why: impl Into<String>) -> Error {
        unavailable(self.limit).because(why).at(self.directory.path().join(file))
    }

    /// Writes a number and reads it back. The kernel may round it down, but not up.
    fn number(&self, file: &str, value: u64) -> Result<()> {
        let path = self.directory.path().join(file);
        super::directory::write(&path, &value.to_string())?;
        let text = self.directory.text(file)?;
        match text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()) {
            Some(held) if held <= value => Ok(()),
            _ => Err(self.refused(
                file,
                format!("{} holds {:?} and not {value}", path.display(), text.trim()),
            )),
        }
    }

    fn memory(&self, bytes: u64, swap: u64) -> Result<()> {
        self.write_memory(bytes, swap).map_err(|error| match error.raw_os_error() {
            Some(errno @ libc::EBUSY) => Error::new(
                ErrorKind::LimitUnavailable,
                format!("set the limit {} to {bytes} bytes", self.limit),
            )
            .because("more is in use, and the kernel cannot take it back")
            .errno(errno)
            .at(self.directory.path())
            .hint("choose a larger value"),
            _ => error,
        })
    }

    fn write_memory(&self, bytes: u64, swap: u64) -> Result<()> {
        if self.v2 {
            self.number("memory.max", bytes)?;
            return if self.directory.has("memory.swap.max")? {
                self.number("memory.swap.max", swap)
            } else {
                Ok(())
            };
        }
        self.socket_buffers(bytes)?;
        if !self.directory.has("memory.memsw.limit_in_bytes")? {
            // This kernel does not count swap for cgroups. So keep the cgroup from swapping.
            self.directory.write("memory.swappiness", "0")?;
            return self.number("memory.limit_in_bytes", bytes);
        }
        // memory.memsw.limit_in_bytes must never be below memory.limit_in_bytes. Whether the limit
        // rises or falls, one of the two orders satisfies that.
        let sum = bytes.saturating_add(swap).min(i64::MAX as u64);
        match self.number("memory.limit_in_bytes", bytes) {
            Ok(()) => self.number("memory.memsw.limit_in_bytes", sum),
            Err(error)
                if error.kind() == ErrorKind::HostLimit
                    || error.raw_os_error() == Some(libc::EBUSY) =>
            {
                Err(error)
            }
            Err(_) => {
                self.number("memory.memsw.limit_in_bytes", sum)?;
                self.number("memory.limit_in_bytes", bytes)
            }
        }
    }

    /// Version 1 counts the buffers of TCP and UDP sockets separately, and only once they have a
    /// limit of their own (Documentation/admin-guide/cgroup-v1/memory.rst, 2.7.1). A kernel without
    /// the file includes them in the main counter, or has no networking.
    fn socket_buffers(&self, bytes: u64) -> Result<()> {
        const FILE: &str = "memory.kmem.tcp.limit_in_bytes";
        if self.directory.has(FILE)? { self.number(FILE, bytes) } else { Ok(()) }
    }

    /// `memory` sets the same files. This also requires that the kernel counts swap.
    fn swap(&self, limits: &Limits) -> Result<()> {
        let file = if self.v2 { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
        if !self.directory.has(file)? {
            let error = self.refused(file, "this kernel does not count swap");
            return Err(error.hint("boot with swapaccount=1"));
        }
        self.memory(limits.memory.unwrap_or(u64::MAX), limits.swap.unwrap_or(0))
    }

    fn cpus(&self, number: f64) -> Result<()> {
        let quota = (number * PERIOD.as_micros() as f64).round() as u64;
        let period = PERIOD.as_micros() as u64;
        if self.v2 {
            let file = "cpu.max";
            self.directory.write(file, &format!("{quota} {period}"))?;
            let held = self.directory.text(file)?;
            let wanted = format!("{quota} {period}");
            return if held.trim() == wanted {
                Ok(())
            } else {
                Err(self.refused(file, format!("the kernel holds {held:?}")))
            };
        }
        self.number("cpu.cfs_period_us", period)?;
        self.number("cpu.cfs_quota_us", quota)
    }

    /// The kernel refuses a burst above the quota. The quota is set first (`Limit::ALL`), and never
    /// falls below the burst (`Limits::check`).
    fn cpu_burst(&self, burst: Duration) -> Result<()> {
        let file = if self.v2 { "cpu.max.burst" } else { "cpu.cfs_burst_us" };
        if !self.directory.has(file)? {
            return Err(self
                .refused(file, "this kernel has no bursts")
                .hint("they need Linux 5.14; leave out cpu_burst, or make it best effort"));
        }
        self.number(file, burst.as_micros() as u64)
    }

    fn cpu_weight(&self, weight: u64) -> Result<()> {
        if self.v2 {
            return self.number("cpu.weight", weight);
        }
        const LEAST: u64 = 2;
        self.number("cpu.shares", (weight * 1024 / 100).max(LEAST))
    }

    fn cpu_set(&self, processors: &BTreeSet<u32>) -> Result<()> {
        let file = "cpuset.cpus";
        let list: Vec<String> = processors.iter().map(u32::to_string).collect();
        let hint = "name processors that are online and that the caller's own cgroup may use";
        self.directory.write(file, &list.join(",")).map_err(|error| error.hint(hint))?;
        let effective = if self.v2 { "cpuset.cpus.effective" } else { "cpuset.effective_cpus" };
        let held =
            self.directory.text(if self.directory.has(effective)? { effective } else { file })?;
        if numbers(&held).as_ref() == Some(processors) {
            Ok(())
        } else {
            let held = held.trim();
            Err(self
                .refused(file, format!("of {} the kernel grants {held:?}", list.join(",")))
                .hint(hint))
        }
    }

    fn io(&self, io: &Io) -> Result<()> {
        let device = device_of(&io.path).ok_or_else(|| {
            self.refused("io.max", format!("{} lies on no block device", io.path.display()))
                .at(&io.path)
                .hint("name a file on a disk, or the disk's own node in /dev")
        })?;
        const KEYS: [(&str, &str); 4] = [
            ("rbps", "blkio.throttle.read_bps_device"),
            ("wbps", "blkio.throttle.write_bps_device"),
            ("riops", "blkio.throttle.read_iops_device"),
            ("wiops", "blkio.throttle.write_iops_device"),
        ];
        for ((_, rate), (key, v1_file)) in io.rates().into_iter().zip(KEYS) {
            let Some(rate) = rate else { continue };
            let (file, text) = if self.v2 {
                ("io.max", format!("{device} {key}={rate}"))
            } else {
                (v1_file, format!("{device} {rate}"))
            };
            self.directory.write(file, &text)?;
            let held = self.directory.text(file)?;
            let line = held.lines().find_map(|line| line.strip_prefix(&*device)?.strip_prefix(' '));
            let wanted = if self.v2 { format!("{key}={rate}") } else { rate.to_string() };
            if !line.is_some_and(|line| line.split_whitespace().any(|word| word == wanted)) {
                return Err(self.refused(file, format!("the kernel does not hold {text:?}")));
            }
        }
        Ok(())
    }
}

/// Parses a list of processors as the kernel writes it: `0-2,5`.
fn numbers(text: &str) -> Option<BTreeSet<u32>> {
    let mut set = BTreeSet::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        set.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(set)
}

/// The device number of the disk that holds a path, or that the path names: `8:0`. The kernel
/// limits whole disks, not partitions.
fn device_of(path: &Path) -> Option<String> {
    let status = fs::metadata(path).ok()?;
    let number = if status.file_type().is_block_device() { status.rdev() } else { status.dev() };
    let name = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
    let about = fs::canonicalize(Path::new("/sys/dev/block").join(&name)).ok()?;
    if about.join("partition").exists() {
        return fs::read_to_string(about.parent()?.join("dev"))
            .ok()
            .map(|text| text.trim().to_owned());
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_list_of_processors() {
        assert_eq!(numbers("0-2,5\n"), Some([0, 1, 2, 5].into()));
        assert_eq!(numbers("\n"), Some([].into()));
        assert_eq!(numbers("x"), None);
    }
}
