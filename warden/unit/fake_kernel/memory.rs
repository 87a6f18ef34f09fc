//! The memory of the calling test, which the fake kernel reads and writes as the real one would.
//! This is the only unsafe code of the fake.
//!
//! The wrappers of the warden cast pointers to numbers, which exposes their provenance.

use super::std::alloc::{Layout, alloc_zeroed, dealloc};
use super::std::string::String;
use super::std::vec::Vec;
use super::{EFAULT, Errno, Result};
use core::ffi::CStr;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

const PAGE: usize = 4096;

/// EFAULT for the addresses that the warden passes only to find out whether a call exists: 0 and
/// the highest one, or a field behind them.
fn is_readable(at: usize) -> Result<()> {
    if (PAGE..usize::MAX - PAGE).contains(&at) { Ok(()) } else { Err(EFAULT) }
}

pub fn read(at: usize, length: usize) -> Result<Vec<u8>> {
    is_readable(at)?;
    // SAFETY: the wrappers pass pointers to live values, with the length of the value. They wait
    // for the answer, so nothing else uses it now.
    Ok(unsafe { core::slice::from_raw_parts(with_exposed_provenance(at), length) }.to_vec())
}

pub fn write(at: usize, bytes: &[u8]) -> Result<()> {
    is_readable(at)?;
    let start = with_exposed_provenance_mut::<u8>(at);
    // SAFETY: the wrappers pass pointers to live values which have room for the answer.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
    Ok(())
}

/// The text up to the NUL.
pub fn text(at: usize) -> Result<String> {
    is_readable(at)?;
    // SAFETY: the wrappers pass C strings.
    let text = unsafe { CStr::from_ptr(with_exposed_provenance(at)) };
    Ok(text.to_string_lossy().into_owned())
}

pub fn word(at: usize) -> Result<usize> {
    let bytes = read(at, size_of::<usize>())?;
    Ok(usize::from_ne_bytes(bytes.try_into().map_err(|_| EFAULT)?))
}

/// The address in a field that is a pointer. Its provenance is exposed here, because the field was
/// never cast to a number.
pub fn address(at: usize) -> Result<usize> {
    is_readable(at)?;
    // SAFETY: as in `read`. Any bytes are a pointer.
    let pointer = unsafe { with_exposed_provenance::<*const u8>(at).read_unaligned() };
    Ok(pointer.expose_provenance())
}

/// Writes plain numbers one after the other.
pub fn write_numbers<T: Copy>(at: usize, numbers: &[T]) -> Result<()> {
    is_readable(at)?;
    let start = with_exposed_provenance_mut::<u8>(at);
    // SAFETY: as in `write`. The callers pass integers, which have no padding.
    unsafe { core::ptr::copy_nonoverlapping(numbers.as_ptr().cast(), start, size_of_val(numbers)) };
    Ok(())
}

fn layout(length: usize) -> Result<Layout> {
    Layout::from_size_align(length, PAGE).map_err(|_| Errno::EINVAL)
}

/// Zeroed pages (mmap(2)).
pub fn map(length: usize) -> Result<usize> {
    let layout = layout(length)?;
    // SAFETY: the warden maps at least one page.
    let start = unsafe { alloc_zeroed(layout) };
    Ok(start.expose_provenance())
}

pub fn unmap(at: usize, length: usize) -> Result<()> {
    let layout = layout(length)?;
    // SAFETY: the fake keeps a list of what it has mapped and asks for each piece once.
    unsafe { dealloc(with_exposed_provenance_mut(at), layout) };
    Ok(())
}
