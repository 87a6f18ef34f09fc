//! Units for sizes.

/// A size in KiB, for functions that take a size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KiB(pub u64);
/// A size in MiB, for functions that take a size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MiB(pub u64);
/// A size in GiB, for functions that take a size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiB(pub u64);

macro_rules! sizes {
    ($($unit:ident $shift:literal)*) => {$(
        impl From<$unit> for u64 {
            /// The size in bytes. A size that exceeds 64 bits becomes `u64::MAX`, which the check
            /// of the policy rejects.
            fn from(size: $unit) -> u64 {
                size.0.saturating_mul(1 << $shift)
            }
        }
    )*};
}
sizes! { KiB 10 MiB 20 GiB 30 }
