//! Images and their store: what programs find in them, hostile ones, and stores that many processes
//! use at once or that were left in the middle of the work.
#![deny(unsafe_code)]

mod cells;
mod hostile;
mod layout;
mod one_tree;
mod place;
mod shared;
mod tree;
mod whiteouts;
