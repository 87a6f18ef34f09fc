//! The Python face of seclude.
