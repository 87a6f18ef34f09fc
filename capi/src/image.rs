//! `seclude_image`: an image, and the sandboxes and commands that it is for.

use crate::boundary::{bytes, code, create, free, query, read, utf8};
use crate::command::seclude_command;
use crate::error::seclude_error;
use crate::files::keeping;
use crate::sandbox::{build, from_policy, seclude_sandbox};
use crate::text::seclude_text;
use seclude_core::Image;
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// A file system with the software of another system, in a store. It stays there as long as this
/// object, or a sandbox that uses it, exists.
///
/// The image never changes. All functions on it may overlap, in any thread.
pub struct seclude_image {
    image: Image,
    name: seclude_text,
    digest: seclude_text,
    directory: seclude_text,
    user: seclude_text,
    environment: Vec<seclude_text>,
    arguments: Vec<seclude_text>,
}

impl seclude_image {
    pub(crate) fn new(image: Image) -> seclude_image {
        let variable = |(name, value): (&str, &str)| seclude_text::new(format!("{name}={value}"));
        seclude_image {
            name: seclude_text::new(image.name()),
            digest: seclude_text::new(image.digest()),
            directory: seclude_text::new(image.directory().as_os_str().as_bytes()),
            user: seclude_text::new(image.user()),
            environment: image.environment().map(variable).collect(),
            arguments: image.arguments().iter().map(|text| seclude_text::new(&**text)).collect(),
            image,
        }
    }
}

/// Frees an image. NULL is a no-op. It stays in the store, and sandboxes that have it keep it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_free(image: *mut seclude_image) {
    free(image);
}

/// Returns the name in the store. NULL for NULL. Borrowed: valid until the image is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_name(image: *const seclude_image) -> *const c_char {
    query(image, ptr::null(), |image| Some(image.name.start()))
}

/// Returns the digest of the manifest, or of what the image was imported from: "sha256:" and 64
/// digits. NULL for NULL. Borrowed: valid until the image is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_digest(image: *const seclude_image) -> *const c_char {
    query(image, ptr::null(), |image| Some(image.digest.start()))
}

/// Returns the number of layers that are shown one above the other. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_layers(image: *const seclude_image) -> usize {
    query(image, 0, |image| Some(image.image.layers()))
}

/// Returns the number of bytes in the files of its layers. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_bytes(image: *const seclude_image) -> u64 {
    query(image, 0, |image| Some(image.image.bytes()))
}

/// Returns the number of entries in its layers. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_entries(image: *const seclude_image) -> u64 {
    query(image, 0, |image| Some(image.image.entries()))
}

/// Returns the number of device nodes and sockets that were left out. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_left_out(image: *const seclude_image) -> u64 {
    query(image, 0, |image| Some(image.image.left_out()))
}

/// Returns a variable of the environment of its commands, `NAME=VALUE`, from 0. NULL past the last.
/// Borrowed: valid until the image is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_variable(
    image: *const seclude_image,
    index: usize,
) -> *const c_char {
    query(image, ptr::null(), |image| Some(image.environment.get(index)?.start()))
}

/// Returns a word of the command that the image is for, from 0, which is the program. NULL past the
/// last. Borrowed: valid until the image is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_argument(
    image: *const seclude_image,
    index: usize,
) -> *const c_char {
    query(image, ptr::null(), |image| Some(image.arguments.get(index)?.start()))
}

/// Returns the working directory of its commands. NULL for NULL. Borrowed: valid until the image is
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_directory(image: *const seclude_image) -> *const c_char {
    query(image, ptr::null(), |image| Some(image.directory.start()))
}

/// Returns the user of its commands, and the group: `USER[:GROUP]`, as names or numbers. "" if the
/// image does not say it, which means root. NULL for NULL. Borrowed: valid until the image is
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_user(image: *const seclude_image) -> *const c_char {
    query(image, ptr::null(), |image| Some(image.user.start()))
}

/// Makes a sandbox with the image as its root, whose commands are the image's user.
///
/// `SECLUDE_EINVAL` if the image has no user of that name.
///
/// `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_image_sandbox(
    image: *const seclude_image,
    sandbox: *mut *mut seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    create("sandbox", sandbox, err, || Ok(from_policy(read("image", image)?.image.sandbox()?)))
}

/// Makes the command that the image is for, in a sandbox that has the image as its root. Its
/// program, its arguments, its environment and its working directory are the image's.
///
/// An image that names no command is an error, which the function that starts the command reports.
///
/// Owned: free it with `seclude_command_free`. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_command(
    image: *const seclude_image,
    sandbox: *const seclude_sandbox,
) -> *mut seclude_command {
    seclude_command::new(|| {
        let image = &read("image", image)?.image;
        Ok(image.command_in(read("sandbox", sandbox)?.sound()?)?)
    })
}

/// Adds a writable view of an image at the absolute path `at`. At "/" it is the root.
///
/// What the sandbox changes is kept as `seclude_sandbox_overlay` says: in the directory `kept`, or
/// with NULL in memory, where it takes at most `size` bytes and `inodes` files and directories.
/// With 0, these are 64 MiB and 65536.
///
/// The image is found at the first start, by its name and the path of its store, and stays in the
/// store as long as the policy is in use. The caller may free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_image(
    sandbox: *mut seclude_sandbox,
    image: *const seclude_image,
    at: *const c_char,
    kept: *const c_char,
    size: u64,
    inodes: u64,
) {
    build(sandbox, |sandbox| {
        let overlay = read("image", image)?.image.overlay(bytes("image", at)?);
        Ok(sandbox.entry(keeping(overlay, kept, size, inodes)?))
    });
}

/// Writes an image as an OCI image layout into a directory, which is new or empty. Other programs
/// can take it from there, such as `skopeo copy oci:DIRECTORY docker://NAME`.
///
/// Each layer has the owners that the image was imported with, and is compressed with gzip. The
/// same image gives the same bytes. `reference` is its name in the layout, and NULL stands for
/// "latest". `SECLUDE_EINVAL` if the directory has something in it.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_image_export_oci(
    image: *const seclude_image,
    directory: *const c_char,
    reference: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let image = &read("image", image)?.image;
        let reference = if reference.is_null() { "latest" } else { utf8("reference", reference)? };
        image.export_oci(bytes("directory", directory)?, reference)?;
        Ok(0)
    })
}

/// Writes the files of an image, as its programs see them, as a tar archive, which is not
/// compressed. The file must not exist. The same image gives the same bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_image_export_tar(
    image: *const seclude_image,
    file: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        read("image", image)?.image.export_tar(bytes("file", file)?)?;
        Ok(0)
    })
}
