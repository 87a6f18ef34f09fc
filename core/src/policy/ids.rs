//! How many ids a sandbox has.

use crate::base::declared::named;

named! {
    /// How many user and group ids a sandbox has.
    Ids {
        /// One user and one group: the command's own.
        Single = "single",
        /// A range of ids, 0 to 65535 where the caller can have as many.
        Range = "range",
        /// A range if the caller can have one, and otherwise one user and one group.
        Auto = "auto",
    }
}
