//! Everything that is created or opened outside the sandbox. That is the warden's executable and
//! its launch, the command socket, mount trees, the host's devices, cgroups and other mechanisms
//! that enforce limits, terminals, descriptors of existing namespaces, and the container around the
//! caller.

pub mod bounded;
pub mod cgroup;
pub mod devices;
pub mod disk_image;
pub mod enforce;
pub mod file_size;
pub mod forward;
pub mod image;
pub mod launch;
pub mod listener;
pub mod namespace;
pub mod network;
pub mod socket;
#[cfg(feature = "stage-clock")]
pub mod stage_clock;
pub mod store;
pub mod surroundings;
pub mod terminal;
pub mod tree_copy;
pub mod trees;
