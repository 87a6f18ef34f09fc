//! Entry points for the fuzz targets. This module exists only in fuzzing builds.

use crate::plan::idmap::Mapping;
use crate::plan::{Manner, Part, Plan};
use crate::policy::seccomp::Filters;
use crate::run::sandbox::Sandbox;
use crate::wire::codec::{Reader, Wire};
use crate::wire::message::{Report, Request};
use crate::wire::plan::{IdRange, Step};

fn decode<'a, T: Wire<'a>>(data: &'a [u8]) -> Option<T> {
    Reader::new(data).only().ok()
}

/// Decodes a request and everything in it, encodes it, and decodes the result.
pub fn request(data: &[u8]) {
    let Some(read) = decode::<Request<'_>>(data) else { return };
    if let Request::Setup { plan, .. } = &read {
        assert_eq!(plan.iter().count(), plan.len(), "every step can be read again");
        plan.iter().for_each(|step: Step<'_>| drop(format!("{step:?}")));
    }
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = decode::<Request<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// Decodes a report, encodes it, and decodes the result.
pub fn report(data: &[u8]) {
    let Some(read) = decode::<Report<'_>>(data) else { return };
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = decode::<Report<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// Reads a text as a CDI specification.
pub fn specification(text: &str) {
    crate::host::devices::assert_harmless(text);
}

/// Compiles a valid policy to filters, and to plans for each kind of id mapping. Checks that all
/// steps can be decoded.
pub fn compile(sandbox: &Sandbox) {
    let Ok(filters) = Filters::of(sandbox.policy(), crate::policy::seccomp::Tree::Own) else {
        return;
    };
    let ids = IdRange { inside: 0, outside: 0x7000_0000, count: 65536 };
    let range = Mapping::Range { uids: ids, gids: ids };
    for mapping in [
        Mapping::Own,
        range,
        range.of_copy(),
        Mapping::Shared { uid: 0x7000_0000, gid: 0x7000_0000 },
    ] {
        let manner = Manner {
            part: Part::Whole,
            mapping,
            admits: true,
            watches: true,
            in_cell: false,
            cgroups: Default::default(),
        };
        if let Ok(plan) = Plan::compile(sandbox.policy(), manner, &filters) {
            assert_eq!(plan.steps.list::<Step<'_>>().iter().count(), plan.labels.len());
        }
    }
}

/// Reads a question for a name, and writes every answer to it. Each answer is one, and none is a
/// question.
pub fn question(data: &[u8]) {
    use crate::run::egress::dns::{Answer, read, write};
    let Some(question) = read(data) else { return };
    let address = Answer::Address(std::net::Ipv4Addr::LOCALHOST);
    for answer in [address, Answer::Nothing, Answer::NoSuchName, Answer::Failure] {
        let Some(written) = write(data, answer) else { continue };
        assert_eq!(written[..2], data[..2], "it has the number of the question");
        assert_eq!(read(&written), None);
    }
    if let Some(name) = question.name {
        assert_eq!(crate::policy::egress::domain(&name).as_deref(), Some(&*name));
    }
}

/// Looks at a frame as the relay does.
pub fn frame(data: &[u8]) {
    crate::run::network::look_at_frame(data);
}

/// Reads an answer of netlink.
pub fn acknowledgements(data: &[u8]) {
    let found = crate::host::network::netlink::acknowledgements(data);
    assert!(found.len() <= data.len());
}

/// Reads rules, one in each line, and a published port. What could be read covers itself.
pub fn rules(text: &str) {
    use crate::policy::egress::{Credential, Egress};
    use crate::policy::ports::{Protocol, Publication};
    let lines: Vec<String> = text.lines().map(Into::into).collect();
    let _ = Publication::read(text);
    if let Ok(credential) = Credential::read(text) {
        let written = format!("{}={}", credential.origin, credential.file.display());
        assert_eq!(Credential::read(&written).ok(), Some(credential));
    }
    for line in &lines {
        let one = std::slice::from_ref(line);
        if let Ok(rules) = Egress::read(one, &[], &[]) {
            assert!(Egress::read(one, one, &[]).is_err(), "{line}: it denies itself");
            let metadata = std::net::IpAddr::from([169, 254, 169, 254]);
            let named = rules.permits_address(Protocol::Tcp, metadata, 80, false).is_ok();
            assert!(!named || line.contains("169.254."), "{line}: it names the address");
        }
    }
    let _ = Egress::read(&lines, &[], &lines);
}
