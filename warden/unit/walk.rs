//! Tests where paths lead without openat2(2), and where they must not.

use super::std::os::unix::fs::symlink;
use super::std::path::Path;
use super::{Scratch, directory, std};
use crate::sys::{Errno, open};
use crate::text;
use crate::walk::{Links, walk};

/// The path that `path` reaches from `root` without its links, or the errno.
fn reached(root: &Path, path: &str, links: Links) -> Result<std::string::String, i32> {
    let mut whole = text::Path::empty();
    let mut reached = text::Path::empty();
    whole.push(path.as_bytes()).map_err(|errno| errno.0)?;
    walk(&directory(root), &whole, open::PATH, links, &mut reached).map_err(|errno| errno.0)?;
    Ok(std::string::String::from_utf8_lossy(reached.as_bytes()).into_owned())
}

#[test]
#[cfg_attr(miri, ignore = "it makes system calls")]
fn links_are_followed_below_the_root_and_never_above_it() {
    let place = Scratch::new("walk");
    let (root, outside) = (place.path().join("root"), place.path().join("outside"));
    std::fs::create_dir_all(root.join("a/b")).expect("the temporary directory is writable");
    std::fs::write(root.join("a/b/file"), "inside").expect("the temporary directory is writable");
    std::fs::write(&outside, "outside").expect("the temporary directory is writable");
    for (text, at) in [
        ("a/b", "relative"),
        ("/a/b", "absolute"),
        ("../../outside", "above"),
        ("loop", "loop"),
        ("a/nothing", "dangling"),
    ] {
        symlink(text, root.join(at)).expect("the temporary directory is writable");
    }
    for path in [
        "a/b/file",
        "/a/b/file",
        "relative/file",
        "absolute/file",
        "a/../a/./b/file",
        "../a/b/file",
    ] {
        assert_eq!(
            reached(&root, path, Links::Follow).as_deref().map(|path| path.trim_start_matches('/')),
            Ok("a/b/file"),
            "{path}"
        );
    }
    // The parent of the root is the root itself, which has no file of that name.
    assert_eq!(reached(&root, "above", Links::Follow), Err(Errno::ENOENT.0));
    assert_eq!(reached(&root, "dangling", Links::Follow), Err(Errno::ENOENT.0));
    assert_eq!(reached(&root, "loop", Links::Follow), Err(Errno::ELOOP.0));
    assert_eq!(reached(&root, "relative/file", Links::Refuse), Err(Errno::ELOOP.0));
    assert!(reached(&root, "a/b/file", Links::Refuse).is_ok());
}
