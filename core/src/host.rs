//! The host: everything that is made or opened outside the sandbox. The warden's executable and its
//! launch, the command socket, cgroups and the other means by which limits are enforced, terminals,
//! and handles of existing namespaces.

pub mod cgroup;
pub mod enforce;
pub mod file_size;
pub mod image;
pub mod launch;
pub mod listener;
pub mod namespace;
pub mod socket;
#[cfg(feature = "stage-clock")]
pub mod stage_clock;
pub mod terminal;
