//! The C ABI of seclude.
