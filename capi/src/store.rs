//! `seclude_store`: the store that images are in.

use crate::boundary::{bytes, code, create, free, query, read, utf8, write};
use crate::error::seclude_error;
use crate::ids::ids_of;
use crate::image::seclude_image;
use crate::limits::SECLUDE_UNLIMITED;
use crate::text::seclude_text;
use seclude_core::{ImageSource, Store};
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::time::Duration;

/// Whatever is at the path: `SECLUDE_IMAGE_OCI` for a directory with `oci-layout` or `index.json`,
/// `SECLUDE_IMAGE_ARCHIVE` for an archive of images, and else one of the other two.
pub const SECLUDE_IMAGE_FOUND: c_int = 0;
/// A directory with an OCI image layout, as `skopeo copy docker://NAME oci:DIRECTORY` makes it.
pub const SECLUDE_IMAGE_OCI: c_int = 1;
/// A tar archive with images, as `docker save` makes it, or of an OCI image layout. It may be
/// compressed.
pub const SECLUDE_IMAGE_ARCHIVE: c_int = 2;
/// A tar archive with the files of a root, as `docker export` makes it. It may be compressed with
/// gzip or Zstandard.
pub const SECLUDE_IMAGE_TAR: c_int = 3;
/// A directory with the files of a root. What is mounted below it is left out.
pub const SECLUDE_IMAGE_DIRECTORY: c_int = 4;

/// A directory with images: the files of their layers, and their names.
///
/// Many threads and processes can use one store at once. What a program in a sandbox changes is
/// never in it. An image that is in use stays until it is not.
///
/// All functions on a store may overlap, in any thread.
pub struct seclude_store {
    store: Store,
    path: seclude_text,
}

/// The images of a store at one moment, by name. The list never changes.
///
/// For an index past the end, the functions return NULL or 0.
pub struct seclude_image_list {
    list: Vec<Listed>,
}

struct Listed {
    name: seclude_text,
    digest: seclude_text,
    bytes: u64,
    entries: u64,
    used: u64,
}

/// Opens a store, and makes it if it is not there.
///
/// `path` is its directory. With NULL it is the caller's own: at the path in the environment
/// variable `SECLUDE_STORE`, else at `/var/lib/seclude/store` for root, and at
/// `$XDG_DATA_HOME/seclude/store` or `~/.local/share/seclude/store` for other users. The file
/// system must be one that overlays can write to: ext4, xfs, btrfs or, since Linux 6.6, tmpfs; not
/// another overlay or NFS.
///
/// `SECLUDE_EINVAL` if it is open to other users, who could find set-user-ID programs there.
///
/// `*store` is owned: free it with `seclude_store_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_store_open(
    path: *const c_char,
    store: *mut *mut seclude_store,
    err: *mut *mut seclude_error,
) -> c_int {
    create("store", store, err, || {
        let store = match path.is_null() {
            true => Store::open()?,
            false => Store::at(bytes("path", path)?)?,
        };
        let path = seclude_text::new(store.path().as_os_str().as_bytes());
        Ok(seclude_store { store, path })
    })
}

/// Frees a store. NULL is a no-op. The directory stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_store_free(store: *mut seclude_store) {
    free(store);
}

/// Returns the path of a store. NULL for NULL. Borrowed: valid until the store is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_store_path(store: *const seclude_store) -> *const c_char {
    query(store, ptr::null(), |store| Some(store.path.start()))
}

/// Imports an image.
///
/// `form` is a `SECLUDE_IMAGE_...` that says what is at `path`. `reference` chooses an image of
/// several in a layout or archive, and NULL the only one. `name` is its name in the store, which
/// may have stood for another one; with NULL it is the digest. What is unpacked has at most
/// `max_bytes` bytes and `max_entries` entries. With 0, these are 16 GiB and 2000000. `ids` is a
/// `SECLUDE_IDS_...` that says how many ids own the files, or 0 for the default of sandboxes;
/// sandboxes with the image must have as many.
///
/// Layers that the store already has are not read again. The files are made in a sandbox, with the
/// ids that a sandbox of this caller's can have: a privileged caller's with their owners, and an
/// unprivileged caller's all with one owner. Device nodes and sockets are left out. When the
/// function returns, the files are on the disk.
///
/// `SECLUDE_EINVAL` if the image is damaged, has another digest than its manifest says, leads out
/// of itself or exceeds the bounds; `SECLUDE_ESOURCE_MISSING` if it is not there. Nothing is left
/// of it in the store then, but layers that were complete. `SECLUDE_EIO` if the store has no room.
///
/// `*image` is owned: free it with `seclude_image_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
#[allow(clippy::too_many_arguments, reason = "C has no other way")]
pub unsafe extern "C" fn seclude_store_import(
    store: *const seclude_store,
    form: c_int,
    path: *const c_char,
    reference: *const c_char,
    name: *const c_char,
    max_bytes: u64,
    max_entries: u64,
    ids: c_int,
    image: *mut *mut seclude_image,
    err: *mut *mut seclude_error,
) -> c_int {
    create("image", image, err, || {
        let store = &read("store", store)?.store;
        let path = bytes("path", path)?;
        let mut source = match form {
            SECLUDE_IMAGE_FOUND => ImageSource::found_at(path)?,
            SECLUDE_IMAGE_OCI => ImageSource::oci(path),
            SECLUDE_IMAGE_ARCHIVE => ImageSource::archive(path),
            SECLUDE_IMAGE_TAR => ImageSource::tar(path),
            SECLUDE_IMAGE_DIRECTORY => ImageSource::directory(path),
            form => {
                return Err(seclude_error::invalid("form of image", &format!("{form} is none")));
            }
        };
        if !reference.is_null() {
            source = source.reference(utf8("reference", reference)?);
        }
        if max_bytes != 0 {
            source = source.max_bytes(max_bytes);
        }
        if max_entries != 0 {
            source = source.max_entries(max_entries);
        }
        if ids != 0 {
            source = source.ids(ids_of(ids)?);
        }
        let name = if name.is_null() { None } else { Some(utf8("name", name)?) };
        Ok(seclude_image::new(store.import(&source, name)?))
    })
}

/// Finds an image by its name.
///
/// `SECLUDE_ESOURCE_MISSING` if there is none, with the most similar name as the hint.
///
/// `*image` is owned: free it with `seclude_image_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_store_image(
    store: *const seclude_store,
    name: *const c_char,
    image: *mut *mut seclude_image,
    err: *mut *mut seclude_error,
) -> c_int {
    create("image", image, err, || {
        let store = &read("store", store)?.store;
        Ok(seclude_image::new(store.image(utf8("name", name)?)?))
    })
}

/// Removes the name of an image. Its files go with the next `seclude_store_collect`, unless another
/// image has them.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_store_remove(
    store: *const seclude_store,
    name: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        read("store", store)?.store.remove(utf8("name", name)?)?;
        Ok(0)
    })
}

/// Removes the files of no image, and what killed imports have left. With `unused_ms` other than
/// `SECLUDE_UNLIMITED`, also the images that no sandbox has used for so many milliseconds. What is
/// in use stays.
///
/// `*images` and `*layers` receive the number of names and layers that were removed. Both may be
/// NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_store_collect(
    store: *const seclude_store,
    unused_ms: u64,
    images: *mut usize,
    layers: *mut usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let age = (unused_ms != SECLUDE_UNLIMITED).then(|| Duration::from_millis(unused_ms));
        let freed = read("store", store)?.store.collect(age)?;
        if !images.is_null() {
            write(images, freed.images);
        }
        if !layers.is_null() {
            write(layers, freed.layers);
        }
        Ok(0)
    })
}

/// Lists the images of a store at this moment.
///
/// `*list` is owned: free it with `seclude_image_list_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_store_images(
    store: *const seclude_store,
    list: *mut *mut seclude_image_list,
    err: *mut *mut seclude_error,
) -> c_int {
    create("list", list, err, || {
        let images = read("store", store)?.store.images()?.into_iter();
        let list = images.map(|image| Listed {
            name: seclude_text::new(image.name),
            digest: seclude_text::new(image.digest),
            bytes: image.bytes,
            entries: image.entries,
            used: image.used.duration_since(std::time::UNIX_EPOCH).map_or(0, |used| used.as_secs()),
        });
        Ok(seclude_image_list { list: list.collect() })
    })
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_list_free(list: *mut seclude_image_list) {
    free(list);
}

/// Returns the number of images in a list. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_list_count(list: *const seclude_image_list) -> usize {
    query(list, 0, |list| Some(list.list.len()))
}

/// Returns the name of an image. Borrowed: valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_list_name(
    list: *const seclude_image_list,
    index: usize,
) -> *const c_char {
    query(list, ptr::null(), |list| Some(list.list.get(index)?.name.start()))
}

/// Returns the digest of an image: "sha256:" and 64 digits. Borrowed: valid until the list is
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_list_digest(
    list: *const seclude_image_list,
    index: usize,
) -> *const c_char {
    query(list, ptr::null(), |list| Some(list.list.get(index)?.digest.start()))
}

/// Returns the number of bytes in the files of an image. Layers that images share count for each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_list_bytes(
    list: *const seclude_image_list,
    index: usize,
) -> u64 {
    query(list, 0, |list| Some(list.list.get(index)?.bytes))
}

/// Returns the number of entries in the layers of an image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_list_entries(
    list: *const seclude_image_list,
    index: usize,
) -> u64 {
    query(list, 0, |list| Some(list.list.get(index)?.entries))
}

/// Returns the last use of an image, in seconds since the epoch: the import, or the start of a
/// sandbox.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_image_list_used(
    list: *const seclude_image_list,
    index: usize,
) -> u64 {
    query(list, 0, |list| Some(list.list.get(index)?.used))
}
