//! A policy as text.
