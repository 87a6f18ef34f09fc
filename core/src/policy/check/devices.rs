//! Rejects names of devices that cannot exist.

use super::check_text;
use crate::base::error::{Error, Result};
use crate::policy::Policy;
use crate::policy::devices::Device;
use std::path::Path;

/// The most devices that a policy may name, and the most directories with specifications.
const MOST: usize = 64;

impl Policy {
    pub(super) fn check_devices(&self) -> Result<()> {
        let Policy { devices, cdi_spec_dirs, .. } = self;
        for (what, given) in [("devices", devices), ("cdi_spec_dirs", cdi_spec_dirs)] {
            if given.len() > MOST {
                let why = format!("{MOST} are the most");
                return Err(Error::invalid(format!("{} {what}", given.len()), why));
            }
        }
        for (index, device) in devices.iter().enumerate() {
            Device::read(device)?;
            if devices[..index].contains(device) {
                return Err(Error::invalid(format!("device {device:?}"), "given twice"));
            }
        }
        for directory in cdi_spec_dirs {
            check_text("cdi_spec_dirs", Path::new(directory))?;
            if !Path::new(directory).is_absolute() {
                let what = format!("cdi_spec_dirs {directory}");
                return Err(Error::invalid(what, "must be absolute").at(directory));
            }
        }
        Ok(())
    }
}
