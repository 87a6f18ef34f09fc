//! The same files, in whatever form they come, are the same files to a program in a sandbox.

use crate::layout::{Layout, Packing, saved};
use crate::place::{Place, assert_same, listing, on_host};
use crate::tree::{Archive, Node, dir, fifo, file, gone, hard, link, make, opaque};
use seclude::ImageSource;
use seclude_tests::caller::{Caller, as_each};
use std::fs;
use std::process::Command;

/// A tree with one of everything.
pub fn everything(caller: Caller) -> Vec<Node> {
    // A name of the greatest length, in a path that needs more than one.
    let (long, deep) = ("n".repeat(255), ["d".repeat(120), "e".repeat(150)].join("/"));
    let mut nodes = vec![
        dir("").mode(0o555),
        dir("bin"),
        file("bin/program", "#!/bin/sh\n").mode(0o755),
        file("bin/setuid", "set-id").mode(0o4755),
        file("bin/setgid", "set-id").mode(0o2755),
        hard("bin/same", "bin/program"),
        link("bin/sh", "program"),
        link("dangling", "/nowhere//at/./all/"),
        link("long-link", "t".repeat(3000)),
        dir("tmp").mode(0o1777),
        dir("closed").mode(0),
        dir("closed-to-writing").mode(0o555),
        file("closed-to-writing/empty", "").mode(0),
        fifo("pipe").mode(0o640),
        file("old", "old").time(0, 0),
        file("before", "before the epoch").time(-86_400, 0),
        file("exact", "to the nanosecond").time(1_600_000_000, 123_456_789),
        dir("exact-directory").time(1_600_000_000, 1),
        file("exact-directory/later", "x"),
        file("marked", "x").attribute("user.note", b"a value\0\xff=\n"),
        dir("marked-directory").attribute("user.empty", b""),
        file(&long, "long"),
        dir("d".repeat(120)),
        dir(&deep),
        file(format!("{deep}/{}", "f".repeat(200)), "deep"),
        hard(format!("{deep}/{}", "g".repeat(200)), format!("{deep}/{}", "f".repeat(200))),
        file("new\nline", "x"),
        file(b"not \xff\xfe text", "x"),
        file("large", vec![7; 300_000]),
        file("...", "three dots"),
        file(" blank ", "x"),
        file("colon:comma,backslash\\", "x"),
    ];
    if caller == Caller::Root {
        nodes.push(file("etc-shadow", "secret").mode(0o640).owner(0, 42));
        nodes.push(link("owned-link", "x").owner(1000, 1000));
    }
    nodes
}

/// The same tree as several layers: with what is removed later, and what hides what.
fn layers(nodes: &[Node], count: usize) -> Vec<Vec<u8>> {
    if count == 1 {
        return vec![Archive::of(nodes).end()];
    }
    let lowest = Archive::of(&[
        dir("").mode(0o755),
        dir("bin"),
        file("bin/gone", "1"),
        dir("hidden"),
        file("hidden/one", "1"),
        dir("hidden/two"),
        file("hidden/two/three", "1"),
        file("closed", "a file that becomes a directory"),
        dir("pipe"),
        file("pipe/was", "a directory that becomes a pipe"),
        file("large", "another one"),
        dir("exact-directory"),
        file("exact-directory/gone", "1"),
        dir("tmp"),
        file("tmp/gone", "1"),
    ]);
    let mut layers = vec![lowest.end()];
    for number in 2..count {
        let name = format!("hidden/number-{number}");
        layers.push(Archive::of(&[dir("hidden"), file(name, "1")]).end());
    }
    let removed = [gone("bin/gone"), gone("hidden"), opaque("exact-directory"), gone("tmp/gone")];
    // Before what they are beside, and after it.
    let top = match count % 2 {
        0 => [&removed[..], nodes].concat(),
        _ => [nodes, &removed[..]].concat(),
    };
    layers.push(Archive::of(&top).end());
    layers
}

#[test]
fn every_form_gives_the_same_tree() {
    as_each("every_form_gives_the_same_tree", |caller| {
        let Some(place) = Place::new("every_form_gives_the_same_tree") else { return };
        let nodes = everything(caller);
        let store = place.store();
        let tar = Archive::of(&nodes).write(place.path("root.tar"));
        let image = store.import(&ImageSource::tar(&tar), Some("tar")).expect("it is whole");
        let expected = listing(&image);
        assert_eq!(expected.lines().count(), nodes.len(), "{expected}");
        assert!(image.left_out() == 0 && image.entries() == nodes.len() as u64);

        let mut forms: Vec<(String, ImageSource)> = Vec::new();
        for packing in [Packing::None, Packing::Gzip, Packing::Zstd] {
            let packed = place.path(&format!("root-{packing:?}.tar"));
            fs::write(&packed, packing.pack(&fs::read(&tar).expect("there"))).expect("room");
            forms.push((format!("tar, {packing:?}"), ImageSource::tar(packed)));
            for count in [1, 2, 3, 70] {
                let directory = place.path(&format!("layout-{packing:?}-{count}"));
                Layout::of(&directory, &layers(&nodes, count), packing);
                let name = format!("layout of {count}, {packing:?}");
                forms.push((name, ImageSource::oci(directory)));
            }
        }
        let archive = saved(&layers(&nodes, 2)).end();
        for packing in [Packing::None, Packing::Gzip] {
            let path = place.path(&format!("saved-{packing:?}.tar"));
            fs::write(&path, packing.pack(&archive)).expect("there is room");
            forms.push((format!("docker save, {packing:?}"), ImageSource::archive(path)));
        }
        let root = place.make("root");
        // A user cannot read what is closed to its owner.
        let is_readable = |node: &&Node| caller == Caller::Root || node.mode & 0o400 != 0;
        let readable: Vec<Node> = nodes.iter().filter(is_readable).cloned().collect();
        make(&root, &readable);
        let directory = listing(
            &store.import(&ImageSource::directory(&root), None).expect("there is nothing wrong"),
        );
        if caller == Caller::Root {
            assert_same(&directory, &expected, "directory");
            assert_same(&on_host(&root), &expected, "the host");
        } else {
            let unreadable = nodes.len() - readable.len();
            let is_there = |line: &&str| directory.lines().any(|other| other == *line);
            let missing = expected.lines().filter(|line| !is_there(line)).count();
            assert_eq!((directory.lines().count(), missing), (readable.len(), unreadable));
        }
        for (form, source) in forms {
            let image =
                store.import(&source, None).unwrap_or_else(|error| panic!("{form}: {error}"));
            assert_same(&listing(&image), &expected, &form);
        }
        assert_eq!(place.names("work").len(), 0);
    });
}

#[test]
fn umoci_unpacks_the_same_files() {
    let name = "umoci_unpacks_the_same_files";
    if Caller::present() != Caller::Root {
        return eprintln!("{name}: SKIPPED: umoci gives files their owners as root alone");
    }
    if Command::new("umoci").arg("--version").output().is_err() {
        return eprintln!("{name}: SKIPPED: umoci is not installed");
    }
    let Some(place) = Place::new(name) else { return };
    // It takes an attribute without a value for none.
    let plain = |node: &Node| node.attributes.iter().all(|(_, value)| !value.is_empty());
    let nodes: Vec<Node> = everything(Caller::Root).into_iter().filter(plain).collect();
    for count in [1, 2, 3, 70] {
        let layout = place.path(&format!("layout-{count}"));
        Layout::of(&layout, &layers(&nodes, count), Packing::Gzip);
        let bundle = place.path(&format!("bundle-{count}"));
        let status = Command::new("umoci")
            .args(["unpack", "--image", &format!("{}:latest", layout.display())])
            .arg(&bundle)
            .output()
            .expect("it starts");
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        let image = place.store().import(&ImageSource::oci(&layout), None).expect("it is whole");
        let theirs = on_host(&bundle.join("rootfs"));
        assert_same(&listing(&image), &theirs, &format!("{count} layers"));
    }
}
