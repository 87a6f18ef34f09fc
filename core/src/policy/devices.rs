//! The devices that a policy names: classes of the host's device nodes, and the devices of CDI
//! specifications. Nothing here looks at the host.

use crate::base::error::{Error, Result};
use crate::policy::spec::suggest;

/// A class of device nodes.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    pub name: &'static str,
    /// A path. A `*` at its end stands for any characters.
    pub nodes: &'static str,
}

/// The known classes. docs/hardware.md says what each of them opens.
pub const CLASSES: &[Class] = &[
    Class { name: "accel", nodes: "/dev/accel/*" },
    Class { name: "dri", nodes: "/dev/dri/*" },
    Class { name: "fuse", nodes: "/dev/fuse" },
    Class { name: "kfd", nodes: "/dev/kfd" },
    Class { name: "kvm", nodes: "/dev/kvm" },
    Class { name: "render", nodes: "/dev/dri/renderD*" },
    Class { name: "snd", nodes: "/dev/snd/*" },
    Class { name: "tun", nodes: "/dev/net/tun" },
    Class { name: "video", nodes: "/dev/video*" },
];

/// A device or devices, as a policy names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device<'a> {
    Class(&'static Class),
    /// A device of a CDI specification of this kind.
    Specified {
        kind: &'a str,
        name: &'a str,
    },
}

impl<'a> Device<'a> {
    /// Reads `kvm`, or `vendor.com/class=name`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the text is neither the name of a known class nor of that form.
    pub fn read(text: &'a str) -> Result<Device<'a>> {
        let wrong = |why: &str| Error::invalid(format!("device {text:?}"), why);
        if let Some((kind, name)) = text.split_once('=') {
            return match is_kind(kind) && is_device(name) {
                true => Ok(Device::Specified { kind, name }),
                false => Err(wrong("it is no name of a device in a CDI specification")
                    .hint("such a name has the form vendor.com/class=name")),
            };
        }
        let class = CLASSES.iter().find(|class| class.name == text);
        class.map(Device::Class).ok_or_else(|| {
            let names: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
            let error =
                wrong("it is neither a class nor a device of the form vendor.com/class=name");
            match text.contains('/') {
                true => error.hint("bind a node by its path: {\"bind\": PATH, \"devices\": true}"),
                false => suggest(error, text, &names),
            }
        })
    }
}

/// Whether this is the kind of a CDI specification: `vendor.com/class`.
pub fn is_kind(text: &str) -> bool {
    let part = |text: &str, others: &[u8]| {
        text.starts_with(|first: char| first.is_ascii_alphabetic()) && consists(text, others)
    };
    text.split_once('/').is_some_and(|(vendor, class)| part(vendor, b"_-.") && part(class, b"_-"))
}

/// Whether this is the name of a device in a specification: `0`, `all`, `gpu0:1`.
pub fn is_device(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && consists(text, b"_-.:")
}

/// Whether the text consists of ASCII letters, digits and these others, and does not end in one of
/// the latter.
fn consists(text: &str, others: &[u8]) -> bool {
    text.len() <= 255
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_class_or_has_the_form_of_a_name() {
        let kvm = CLASSES.iter().find(|class| class.name == "kvm").unwrap();
        assert_eq!(Device::read("kvm").unwrap(), Device::Class(kvm));
        let named = |kind, name| Device::Specified { kind, name };
        for (text, expected) in [
            ("vendor.com/gpu=0", named("vendor.com/gpu", "0")),
            ("a/b=all", named("a/b", "all")),
            ("x-y.z_1/c_d-e=GPU-1:2.3_4", named("x-y.z_1/c_d-e", "GPU-1:2.3_4")),
        ] {
            assert_eq!(Device::read(text).unwrap(), expected, "{text}");
        }
        for text in [
            "", "=", "/=", "a=0", "a/b=", "a/b=-x", "a/b=x-", "1/b=0", "a/1=0", "a./b=0",
            "a/b.c=0", "a/b/c=0", "a/b=c=d", "../b=0", "a/b=..", "a/b=x/y", "a/b=\0", "a/é=0",
            "a/b= 0", "KVM", "/dev/kvm", "kvm ", "a/b",
        ] {
            let error = Device::read(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{text}");
        }
        assert!(Device::read("kvn").unwrap_err().to_string().contains("did you mean kvm?"));
    }
}
