//! What the entries of a layer remove from those below it, and what they leave.

use crate::layout::{Layout, Packing};
use crate::place::{Place, assert_same, timeless};
use crate::tree::{Archive, Node, dir, file, gone, hard, link, opaque};
use seclude::{ErrorKind, ImageSource};
use seclude_tests::caller::as_each;

/// The layer below, in every case.
fn lowest() -> Vec<Node> {
    vec![
        dir("d"),
        file("d/one", "below"),
        dir("d/sub"),
        file("d/sub/two", "below"),
        file("f", "below"),
        hard("f-link", "f"),
        link("s", "d"),
        link("up", "/d/sub"),
    ]
}

/// A layer on that, and what a program finds then: the changed paths, each with the digest of its
/// contents, or its target, or `/` for a directory.
fn cases() -> Vec<(&'static str, Vec<Node>, Vec<&'static str>)> {
    let rest = ["f below", "f-link =f", "s ->d", "up ->/d/sub"];
    let all = |changed: &[&'static str]| [changed, &rest[..]].concat();
    vec![
        ("a file is removed", vec![gone("d/one")], all(&["d /", "d/sub /", "d/sub/two below"])),
        (
            "before its sibling",
            vec![gone("d/one"), file("d/new", "above")],
            all(&["d /", "d/new above", "d/sub /", "d/sub/two below"]),
        ),
        (
            "before the same name, which is made again",
            vec![gone("d/one"), file("d/one", "above")],
            all(&["d /", "d/one above", "d/sub /", "d/sub/two below"]),
        ),
        (
            "after the same name, which stays",
            vec![file("d/one", "above"), gone("d/one")],
            all(&["d /", "d/one above", "d/sub /", "d/sub/two below"]),
        ),
        ("a directory is removed", vec![gone("d")], all(&[])),
        (
            "a directory is removed after something was made in it",
            vec![file("d/sub/new", "above"), gone("d")],
            all(&["d /", "d/sub /", "d/sub/new above"]),
        ),
        (
            "a directory is removed before something is made in it",
            vec![gone("d"), file("d/sub/new", "above")],
            all(&["d /", "d/sub /", "d/sub/new above"]),
        ),
        ("an opaque directory", vec![dir("d"), opaque("d")], all(&["d /"])),
        ("an opaque directory, without an entry of its own", vec![opaque("d")], all(&["d /"])),
        (
            "opaque before its siblings",
            vec![opaque("d"), file("d/new", "above")],
            all(&["d /", "d/new above"]),
        ),
        (
            "opaque after its siblings",
            vec![file("d/new", "above"), file("d/sub/new", "above"), opaque("d")],
            all(&["d /", "d/new above", "d/sub /", "d/sub/new above"]),
        ),
        (
            "opaque, and a directory in it that was there",
            vec![opaque("d"), dir("d/sub")],
            all(&["d /", "d/sub /"]),
        ),
        (
            "opaque twice",
            vec![opaque("d"), file("d/new", "above"), opaque("d"), gone("d")],
            all(&["d /", "d/new above"]),
        ),
        (
            "a directory becomes a file and a directory again",
            vec![file("d", "above"), dir("d"), file("d/new", "above")],
            all(&["d /", "d/new above"]),
        ),
        (
            "a file becomes a directory and a file again",
            vec![dir("d/one"), file("d/one/x", "above"), file("d/one", "again")],
            all(&["d /", "d/one again", "d/sub /", "d/sub/two below"]),
        ),
        ("a directory becomes a link", vec![link("d", "elsewhere")], all(&["d ->elsewhere"])),
        (
            "through a link to a directory",
            vec![gone("s/one"), file("up/new", "above"), gone("up/two")],
            all(&["d /", "d/sub /", "d/sub/new above"]),
        ),
        (
            "another name of a file below",
            vec![hard("d/three", "d/sub/two")],
            all(&["d /", "d/one below", "d/sub /", "d/sub/two below", "d/three =d/sub/two"]),
        ),
        ("names that aufs had", vec![gone(".wh.plnk"), gone("d/.wh.aufs")], {
            all(&["d /", "d/one below", "d/sub /", "d/sub/two below"])
        }),
        ("what was not there", vec![gone("no"), gone("no/way"), opaque("none"), gone("f/x")], {
            all(&["d /", "d/one below", "d/sub /", "d/sub/two below"])
        }),
    ]
}

fn sorted(mut lines: Vec<&str>) -> String {
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The listing in the form of [`cases`].
fn brief(listing: &str) -> String {
    let contents = |digest: &str| {
        let known = ["below", "above", "again"];
        let of = |text: &&&str| &crate::layout::sha256(text.as_bytes())[..16] == digest;
        known.iter().find(of).copied().unwrap_or("other").to_owned()
    };
    let mut lines: Vec<String> = Vec::new();
    for line in listing.lines().skip(1) {
        let (path, rest) = line.split_once(' ').expect("a path and more");
        let what = rest.split(' ').next().expect("a kind");
        let what = match what.split_once('=') {
            Some(("file", file)) => contents(file.split_once(',').expect("size and digest").1),
            Some(("symlink", target)) => format!("->{target}"),
            Some(("link", target)) => format!("={target}"),
            _ => "/".into(),
        };
        lines.push(format!("{path} {what}"));
    }
    sorted(lines.iter().map(|line| &**line).collect())
}

#[test]
fn whiteouts_are_about_the_layers_below_alone() {
    as_each("whiteouts_are_about_the_layers_below_alone", |_| {
        let Some(place) = Place::new("whiteouts_are_about_the_layers_below_alone") else { return };
        for (number, (what, nodes, expected)) in cases().into_iter().enumerate() {
            let layers = [Archive::of(&lowest()).end(), Archive::of(&nodes).end()];
            let directory = place.path(&format!("layout-{number}"));
            Layout::of(&directory, &layers, Packing::Gzip);
            let image = place.store().import(&ImageSource::oci(&directory), None);
            let image = image.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_same(&brief(&timeless(&image)), &sorted(expected.clone()), what);

            // With many layers, all become one.
            let between: Vec<Vec<u8>> = (0..60)
                .map(|number| Archive::of(&[file("between", number.to_string())]).end())
                .collect();
            let last = Archive::of(&[gone("between")]).end();
            let layers = [&layers[..1], &between[..], &layers[1..], &[last][..]].concat();
            let directory = place.path(&format!("layout-{number}-many"));
            // Each takes a sandbox for each layer: some are enough.
            if number % 4 == 0 {
                Layout::of(&directory, &layers, Packing::None);
                let image = place.store().import(&ImageSource::oci(&directory), None);
                let image = image.unwrap_or_else(|error| panic!("{what}, as one: {error}"));
                assert_eq!(image.layers(), 1);
                assert_same(&brief(&timeless(&image)), &sorted(expected), what);
            }
        }
        assert_eq!(place.names("work").len(), 0);
    });
}

#[test]
fn a_wrong_whiteout_is_an_error() {
    as_each("a_wrong_whiteout_is_an_error", |_| {
        let Some(place) = Place::new("a_wrong_whiteout_is_an_error") else { return };
        let wrong = [
            vec![file("d/.wh.", "")],
            vec![file("d/.wh..", "")],
            vec![file("d/.wh...", "")],
            vec![file(".wh...", "")],
            // Another name for what this layer has removed.
            vec![gone("f"), hard("new", "f")],
            vec![gone("d"), hard("new", "d/one")],
        ];
        for (number, nodes) in wrong.into_iter().enumerate() {
            let layers = [Archive::of(&lowest()).end(), Archive::of(&nodes).end()];
            let directory = place.path(&format!("layout-{number}"));
            Layout::of(&directory, &layers, Packing::None);
            let error = place.store().import(&ImageSource::oci(&directory), None);
            let error = error.expect_err("it removes nothing");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{nodes:?}: {error}");
            assert_eq!(place.names("layers").len(), 1, "the lowest is whole: {nodes:?}");
            assert_eq!(place.names("work").len(), 0, "{nodes:?}");
        }
    });
}

/// A layer may say last that it hides a directory, however many files it has made there.
#[test]
fn a_directory_with_many_files_is_hidden_after_them() {
    as_each("a_directory_with_many_files_is_hidden_after_them", |_| {
        let Some(place) = Place::new("a_directory_with_many_files_is_hidden_after_them") else {
            return;
        };
        let name = |number: u32| format!("d/a-name-that-is-not-short-{number:06}");
        let mut above: Vec<Node> = (0..5_000).map(|number| file(name(number), "")).collect();
        above.push(opaque("d"));
        above.push(gone("d/one"));
        let layers = [Archive::of(&lowest()).end(), Archive::of(&above).end()];
        let directory = place.path("layout");
        Layout::of(&directory, &layers, Packing::Gzip);
        let image = place.store().import(&ImageSource::oci(&directory), None).expect("it is whole");
        let found = timeless(&image);
        assert_eq!(found.lines().filter(|line| line.starts_with("d/")).count(), 5_000);
        assert!(!found.contains("\nd/one") && !found.contains("\nd/sub"));
    });
}
