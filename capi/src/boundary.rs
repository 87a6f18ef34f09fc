//! The boundary between C and Rust. Every exported function is one call of an entry function below.
//!
//! Raw pointers become references, or an error that names the argument; nothing dereferences NULL.
//! Results become a code and an error object. A panic becomes `SECLUDE_EPANIC`, because unwinding
//! into C would abort the caller.
//!
//! Nearly all `unsafe` of this crate is here. Each SAFETY comment relies on the contract at the
//! head of `seclude.h`: a pointer is NULL or refers to a live object of its type, and no other call
//! uses that object meanwhile if the function takes it as non-const.

use crate::error::seclude_error;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// The result of a call from C: a value, or the error to report.
pub type Answer<T> = Result<T, seclude_error>;

// ---- entry functions

/// Runs a function that returns a code: 0 or more, or the negative code of the error that it stores
/// in `*err`.
pub fn code(err: *mut *mut seclude_error, work: impl FnOnce() -> Answer<c_int>) -> c_int {
    match guarded(work) {
        Ok(code) => code,
        Err(error) => {
            let code = error.code();
            if !err.is_null() {
                write(err, Box::into_raw(Box::new(error)));
            }
            code
        }
    }
}

/// Runs a function that stores a new object in `*out`, or NULL on failure.
pub fn create<T>(
    what: &str,
    out: *mut *mut T,
    err: *mut *mut seclude_error,
    work: impl FnOnce() -> Answer<T>,
) -> c_int {
    write(out, ptr::null_mut());
    code(err, || {
        if out.is_null() {
            return Err(seclude_error::null(what));
        }
        write(out, Box::into_raw(Box::new(work()?)));
        Ok(0)
    })
}

/// Runs a function that stores a new object in `*out` and returns 1, or returns 0 if there is none
/// yet. `*out` is NULL unless it returns 1.
pub fn try_create<T>(
    what: &str,
    out: *mut *mut T,
    err: *mut *mut seclude_error,
    work: impl FnOnce() -> Answer<Option<T>>,
) -> c_int {
    write(out, ptr::null_mut());
    code(err, || {
        if out.is_null() {
            return Err(seclude_error::null(what));
        }
        let Some(object) = work()? else { return Ok(0) };
        write(out, Box::into_raw(Box::new(object)));
        Ok(1)
    })
}

/// Runs a function that stores a new object in each of the `count` elements of the array `out`.
/// On failure all of them are NULL.
pub fn create_all<T>(
    what: &str,
    out: *mut *mut T,
    count: usize,
    err: *mut *mut seclude_error,
    work: impl FnOnce() -> Answer<Vec<T>>,
) -> c_int {
    // Success is 0 in C.
    match try_create_all(what, out, count, err, || work().map(Some)) {
        1 => 0,
        failed => failed,
    }
}

/// Like [`create_all`], but returns 1, or 0 if there are no objects yet. All elements are NULL
/// unless it returns 1.
pub fn try_create_all<T>(
    what: &str,
    out: *mut *mut T,
    count: usize,
    err: *mut *mut seclude_error,
    work: impl FnOnce() -> Answer<Option<Vec<T>>>,
) -> c_int {
    let place = |index| if out.is_null() { ptr::null_mut() } else { out.wrapping_add(index) };
    (0..count).for_each(|index| write(place(index), ptr::null_mut()));
    code(err, || {
        if out.is_null() {
            return Err(seclude_error::null(what));
        }
        let Some(all) = work()? else { return Ok(0) };
        if all.len() != count {
            return Err(seclude_error::invalid(
                what,
                &format!("there is room for {count}, not for {}", all.len()),
            ));
        }
        all.into_iter()
            .enumerate()
            .for_each(|(index, object)| write(place(index), Box::into_raw(Box::new(object))));
        Ok(1)
    })
}

/// Runs a query that cannot fail. Returns `otherwise` for a NULL object, for a panic, and for
/// `None`.
pub fn query<T, A>(object: *const T, otherwise: A, work: impl FnOnce(&T) -> Option<A>) -> A {
    guarded(|| Ok(work(read("object", object)?))).ok().flatten().unwrap_or(otherwise)
}

/// An object with setters, which keeps the first error of any of them.
pub trait Sticky {
    fn sticky(&mut self) -> &mut Option<seclude_error>;
}

/// Runs a setter. After the first error the object does not change any more, and the function that
/// uses it reports that error.
pub fn set<T: Sticky>(object: *mut T, work: impl FnOnce(&mut T) -> Answer<()>) {
    let Ok(object) = change("object", object) else { return };
    if object.sticky().is_none() {
        *object.sticky() = guarded(|| work(object)).err();
    }
}

/// Takes ownership of an object from the caller.
pub fn take<T>(what: &str, object: *mut T) -> Answer<T> {
    match object.is_null() {
        true => Err(seclude_error::null(what)),
        // SAFETY: not NULL, so an object of ours, which the caller does not use again.
        false => Ok(*unsafe { Box::from_raw(object) }),
    }
}

/// Runs a `_free` function.
pub fn free<T>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: not NULL, so an object of ours, which the caller does not use again.
        let object = unsafe { Box::from_raw(object) };
        let _ = guarded(|| {
            drop(object);
            Ok(())
        });
    }
}

fn guarded<T>(work: impl FnOnce() -> Answer<T>) -> Answer<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(seclude_error::panic(&*panic)))
}

// ---- arguments

/// The object that a pointer to const refers to.
pub fn read<'a, T>(what: &str, object: *const T) -> Answer<&'a T> {
    // SAFETY: NULL, or a live object of ours.
    unsafe { object.as_ref() }.ok_or_else(|| seclude_error::null(what))
}

/// The object that a pointer to non-const refers to.
pub fn change<'a, T>(what: &str, object: *mut T) -> Answer<&'a mut T> {
    // SAFETY: NULL, or a live object of ours that no other call uses meanwhile.
    unsafe { object.as_mut() }.ok_or_else(|| seclude_error::null(what))
}

/// A C string of any bytes, such as a path or an argument.
pub fn bytes<'a>(what: &str, string: *const c_char) -> Answer<&'a OsStr> {
    match string.is_null() {
        true => Err(seclude_error::null(what)),
        // SAFETY: not NULL, so NUL-terminated and unchanged during the call.
        false => Ok(OsStr::from_bytes(unsafe { CStr::from_ptr(string) }.to_bytes())),
    }
}

/// A C string that must be UTF-8, such as a name or a policy.
pub fn utf8<'a>(what: &str, string: *const c_char) -> Answer<&'a str> {
    bytes(what, string)?.to_str().ok_or_else(|| seclude_error::invalid(what, "is not UTF-8"))
}

/// The C strings of an array that ends with NULL.
pub fn strings<'a>(what: &str, list: *const *const c_char) -> Answer<Vec<&'a OsStr>> {
    read(what, list)?;
    // SAFETY: the array ends with NULL, and nothing after that is read.
    let strings =
        (0..).map(|index| unsafe { *list.add(index) }).take_while(|string| !string.is_null());
    strings.map(|string| bytes(what, string)).collect()
}

/// The C strings of an array that ends with NULL, all of which must be UTF-8.
pub fn texts<'a>(what: &str, list: *const *const c_char) -> Answer<Vec<&'a str>> {
    let text = |string: &'a OsStr| {
        string.to_str().ok_or_else(|| seclude_error::invalid(what, "is not UTF-8"))
    };
    strings(what, list)?.into_iter().map(text).collect()
}

/// The `size` bytes from `start`, which may be NULL if `size` is 0.
pub fn data<'a>(what: &str, start: *const c_void, size: usize) -> Answer<&'a [u8]> {
    match (start.is_null(), size) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(seclude_error::null(what)),
        (false, _) if size > isize::MAX as usize => {
            Err(seclude_error::invalid(what, "is larger than any memory"))
        }
        // SAFETY: not NULL, so `size` readable bytes, unchanged during the call.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(start.cast(), size) }),
    }
}

/// The `count` numbers from `start`, which may be NULL if `count` is 0.
pub fn numbers<'a>(what: &str, start: *const u32, count: usize) -> Answer<&'a [u32]> {
    match (start.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(seclude_error::null(what)),
        (false, _) if count > isize::MAX as usize / size_of::<u32>() => {
            Err(seclude_error::invalid(what, "are more than any memory holds"))
        }
        // SAFETY: not NULL, so `count` readable and aligned numbers, unchanged during the call.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(start, count) }),
    }
}

/// A duplicate of the caller's descriptor, so that the caller may close its own at any time.
pub fn descriptor(what: &str, fd: c_int) -> Answer<OwnedFd> {
    if fd < 0 {
        return Err(seclude_error::invalid(&format!("{what} {fd}"), "is not a descriptor"));
    }
    // SAFETY: borrowed for one system call, which fails if the number is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(seclude_core::copy_of(&format!("{what} {fd}"), borrowed)?)
}

// ---- results

/// The `size` writable bytes from `start`, which may be NULL if `size` is 0.
pub fn buffer<'a>(what: &str, start: *mut c_void, size: usize) -> Answer<&'a mut [u8]> {
    match (start.is_null(), size) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(seclude_error::null(what)),
        // SAFETY: not NULL, so `size` writable bytes that nothing else uses during the call. They
        // are written and never read.
        (false, _) => Ok(unsafe {
            std::slice::from_raw_parts_mut(start.cast(), size.min(isize::MAX as usize))
        }),
    }
}

/// Writes `values` to the array `start`, which may be NULL.
pub fn write_array<T: Copy>(start: *mut T, values: &[T]) {
    for (index, value) in values.iter().enumerate() {
        write(if start.is_null() { start } else { start.wrapping_add(index) }, *value);
    }
}

/// Writes `value` to `place`, which may be NULL.
pub fn write<T: Copy>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not NULL, so writable and of this type.
        unsafe { place.write(value) };
    }
}

/// A structure of which the program may know an older or a newer version. It has no padding, so
/// every byte of it may be copied.
pub trait Structure: Copy {}

/// Writes the part of `value` that fits into the caller's structure of `size` bytes, and zeros into
/// the fields that only the caller knows. Does nothing if `out` is NULL.
pub fn write_sized<T: Structure>(out: *mut T, size: usize, value: T) {
    if out.is_null() {
        return;
    }
    let ours = size_of::<T>();
    // SAFETY: `size` bytes are writable, and no more than `ours` are read.
    unsafe {
        ptr::copy_nonoverlapping(
            ptr::from_ref(&value).cast::<u8>(),
            out.cast::<u8>(),
            size.min(ours),
        );
        ptr::write_bytes(out.cast::<u8>().add(size.min(ours)), 0, size.saturating_sub(ours));
    }
}

/// Reads the caller's structure of `size` bytes. Fields that it does not have are zero, as all are
/// of NULL.
pub fn read_sized<T: Structure + Default>(from: *const T, size: usize) -> T {
    let mut value = T::default();
    if !from.is_null() {
        let length = size.min(size_of::<T>());
        // SAFETY: `size` bytes are readable. All bytes of a structure may be copied, and a
        // structure consists of numbers.
        unsafe {
            ptr::copy_nonoverlapping(
                from.cast::<u8>(),
                ptr::from_mut(&mut value).cast::<u8>(),
                length,
            );
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{SECLUDE_EINVAL, SECLUDE_EPANIC};

    #[test]
    fn a_panic_becomes_a_code_and_an_error_with_its_message() {
        let mut err = ptr::null_mut();
        assert_eq!(code(&mut err, || panic!("the sky fell")), SECLUDE_EPANIC);
        // SAFETY: `code` has just made this error.
        let error = unsafe { Box::from_raw(err) };
        assert!(error.message().contains("the sky fell"), "{}", error.message());
        assert_eq!(code(ptr::null_mut(), || panic!("nobody asks why")), SECLUDE_EPANIC);
        assert_eq!(query(&0, 7, |_| panic!("a number")), 7);
    }

    #[derive(Default)]
    struct Settable(u32, Option<seclude_error>);

    impl Sticky for Settable {
        fn sticky(&mut self) -> &mut Option<seclude_error> {
            &mut self.1
        }
    }

    #[test]
    fn the_first_error_of_a_setter_sticks_even_if_it_is_a_panic() {
        let mut object = Settable::default();
        set(&mut object, |_| panic!("half way"));
        set(&mut object, |object| {
            object.0 = 5;
            Err(seclude_error::null("too late"))
        });
        assert_eq!((object.0, object.1.expect("it stuck").code()), (0, SECLUDE_EPANIC));
    }

    #[test]
    fn a_panic_in_a_destructor_stays_inside() {
        struct Grenade;
        impl Drop for Grenade {
            fn drop(&mut self) {
                panic!("bang");
            }
        }
        free(Box::into_raw(Box::new(Grenade)));
    }

    #[test]
    fn a_null_out_pointer_is_an_error() {
        assert_eq!(
            create::<u32>("out", ptr::null_mut(), ptr::null_mut(), || Ok(1)),
            SECLUDE_EINVAL
        );
    }

    impl Structure for [u32; 2] {}

    #[test]
    fn a_structure_of_any_size_is_filled() {
        let mut place = [u32::MAX; 4];
        let out = place.as_mut_ptr().cast::<[u32; 2]>();
        write_sized(out, 4, [1, 2]);
        assert_eq!(place, [1, u32::MAX, u32::MAX, u32::MAX]);
        let out = place.as_mut_ptr().cast::<[u32; 2]>();
        write_sized(out, 12, [3, 4]);
        assert_eq!(place, [3, 4, 0, u32::MAX]);
        write_sized(ptr::null_mut(), 12, [3, 4]);
    }

    #[test]
    fn a_closed_descriptor_is_an_error() {
        assert_eq!(
            descriptor("stdin", -1).map_err(|error| error.code()).err(),
            Some(SECLUDE_EINVAL)
        );
        let closed = descriptor("stdin", 1_000_000).expect_err("nobody opened it");
        assert!(
            closed.message().starts_with("stdin 1000000: bad file descriptor"),
            "{}",
            closed.message()
        );
    }
}
