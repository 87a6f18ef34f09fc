//! Archives and layouts that attack whoever imports them: each is a typed error, or can do no more
//! than a program inside could do itself.

use crate::layout::{Layout, Packing, saved, sha256};
use crate::place::{Place, timeless};
use crate::tree::{Archive, Header, Node, What, binary, dir, file, hard, link, other, record};
use seclude::{ErrorKind, Image, ImageSource};
use seclude_tests::caller::as_each;
use seclude_tests::census;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

/// What must be the same before and after. Other tests start programs in the same process, but not
/// beside a test that was asked for alone, as those of the unprivileged user are.
fn residue() -> (usize, usize) {
    let own = std::process::id();
    match std::env::args().any(|argument| argument == "--exact") {
        true => (census::descriptors().len(), census::descendants().len()),
        false => (0, census::wardens().iter().filter(|(parent, _)| *parent == own).count()),
    }
}

/// Imports what must be refused. Nothing is left of it.
fn refused(place: &Place, source: &ImageSource, what: &str) -> seclude::Error {
    let (layers, images, beside) = (place.names("layers"), place.names("images"), place.beside());
    let before = residue();
    let error = place.store().import(source, Some("hostile")).expect_err(what);
    assert_eq!(place.names("layers"), layers, "{what}: {error}");
    assert_eq!(place.names("images"), images, "{what}: {error}");
    assert_eq!(place.names("work").len(), 0, "{what}: {error}");
    assert_eq!(place.beside(), beside, "{what}: {error}");
    assert_eq!(residue(), before, "{what}: {error}");
    error
}

fn import(place: &Place, nodes: &[Node]) -> Image {
    let tar = Archive::of(nodes).write(place.path("it.tar"));
    let image = place.store().import(&ImageSource::tar(tar), None);
    image.unwrap_or_else(|error| panic!("{nodes:?}: {error}"))
}

/// A file whose size is in binary.
fn sized(name: &str, letter: u8, size: u64) -> Header {
    Header { size: binary(size), ..Header::new(name, letter, 0) }
}

fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let of = |nodes: &[Node]| Archive::of(nodes).end();
    let pax = |records: &[Vec<u8>]| {
        Archive::default().pax(records).raw(&Header::new("f", b'0', 0), b"").end()
    };
    let sized = |letter, size| Archive::default().raw(&sized("f", letter, size), b"short").end();
    let mut damaged = of(&[file("f", "x")]);
    damaged[0] = b'g';
    let deep = "d/".repeat(300);
    vec![
        ("up", of(&[file("../escaped", "x")])),
        ("up from within", of(&[file("a/../../escaped", "x")])),
        ("up in a whiteout", of(&[file("../.wh.escaped", "x")])),
        ("up in a hard link", of(&[hard("l", "../../escaped")])),
        ("up to itself", of(&[dir("..")])),
        ("a hard link to nothing", of(&[hard("l", "nothing")])),
        ("a hard link to a directory", of(&[dir("d"), hard("l", "d")])),
        ("a hard link to the root", of(&[hard("l", "/")])),
        ("a hard link over the directory that it is in", of(&[file("d/f", "x"), hard("d", "d/f")])),
        ("a file as the root", of(&[file("", "x")])),
        ("a link as the root", of(&[link("", "/etc")])),
        ("below a file", of(&[file("f", "x"), file("f/x", "x")])),
        ("below a link to nothing", of(&[link("l", "/nothing"), file("l/x", "x")])),
        ("below a circle of links", of(&[link("l", "k"), link("k", "l"), file("l/x", "x")])),
        ("a link without a target", of(&[link("l", "")])),
        ("a NUL in a name", pax(&[record("path", b"a\0b")])),
        ("a NUL in a target", pax(&[record("linkpath", b"a\0b"), record("path", b"a\0b")])),
        ("a name of 256 bytes", of(&[file("n".repeat(256), "x")])),
        ("a path of 4096 bytes", of(&[file("n/".repeat(100) + &"m/".repeat(2000), "x")])),
        ("300 directories deep", of(&[file(deep, "x")])),
        ("a size of 8 EiB", sized(b'0', 1 << 63)),
        ("the largest size", sized(b'0', u64::MAX)),
        ("the largest size of a whiteout", {
            Archive::default().raw(&self::sized(".wh.f", b'0', u64::MAX), b"").end()
        }),
        ("the largest size of a global header", sized(b'g', u64::MAX)),
        ("the largest size of a pax header", sized(b'x', u64::MAX)),
        ("the largest size of a long name", sized(b'L', u64::MAX)),
        ("a negative size", {
            let size = [0xff; 12];
            Archive::default().raw(&Header { size, ..Header::new("f", b'0', 0) }, b"").end()
        }),
        ("a size that is no number", {
            let size = *b"00000000-1\0\0";
            Archive::default().raw(&Header { size, ..Header::new("f", b'0', 0) }, b"").end()
        }),
        ("a pax size of 8 EiB", pax(&[record("size", b"9223372036854775808")])),
        ("the largest pax size", pax(&[record("size", b"18446744073709551615")])),
        ("a pax size that is too large", pax(&[record("size", b"18446744073709551616")])),
        ("a negative pax size", pax(&[record("size", b"-1")])),
        ("a pax record of no length", pax(&[b"0 path=x\n".to_vec()])),
        ("a pax record that is too long", pax(&[b"99 path=x\n".to_vec()])),
        ("a pax record without an end", pax(&[b"8 path=x".to_vec()])),
        ("the earliest time, and earlier", pax(&[record("mtime", b"-9223372036854775808.5")])),
        ("an owner that no sandbox has", pax(&[record("uid", b"4294967296")])),
        ("sparse, old", Archive::default().raw(&Header::new("f", b'S', 0), b"").end()),
        ("sparse, new", pax(&[record("GNU.sparse.realsize", b"9223372036854775807")])),
        ("an unknown type", of(&[other("f", b'?')])),
        ("another sum", damaged),
        ("no archive", b"this is no archive".repeat(100)),
        ("a name of an attribute that is too long", {
            pax(&[record(&format!("SCHILY.xattr.user.{}", "n".repeat(300)), b"x")])
        }),
        ("an attribute without a name", pax(&[record("SCHILY.xattr.user.", b"x")])),
        ("a NUL in an attribute", pax(&[record("SCHILY.xattr.user.a\0b", b"x")])),
    ]
}

#[test]
fn a_hostile_archive_is_invalid_and_leaves_nothing() {
    as_each("a_hostile_archive_is_invalid_and_leaves_nothing", |_| {
        let Some(place) = Place::new("a_hostile_archive_is_invalid_and_leaves_nothing") else {
            return;
        };
        fs::write(place.path("escaped"), "untouched").expect("there is room");
        let control = Archive::of(&[file("escaped", "x")]).write(place.path("it.tar"));
        place.store().import(&ImageSource::tar(control), None).expect("there is nothing wrong");
        for (what, archive) in archives() {
            let path = place.path("it.tar");
            fs::write(&path, &archive).expect("there is room");
            let error = refused(&place, &ImageSource::tar(&path), what);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
            // As a layer, too, and as an archive of layers.
            let directory = place.make("layout");
            Layout::of(&directory, std::slice::from_ref(&archive), Packing::Gzip);
            let error = refused(&place, &ImageSource::oci(&directory), what);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{what}, as a layer: {error}");
            fs::remove_dir_all(&directory).expect("it is ours");
            let error = refused(&place, &ImageSource::archive(&path), what);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{what}, as an archive: {error}");
            let _ = ImageSource::found_at(&path);
        }
        assert_eq!(fs::read_to_string(place.path("escaped")).expect("there"), "untouched");
    });
}

#[test]
fn links_of_the_image_lead_nowhere_else() {
    as_each("links_of_the_image_lead_nowhere_else", |_| {
        let Some(place) = Place::new("links_of_the_image_lead_nowhere_else") else { return };
        let outside = place.make("outside");
        fs::write(outside.join("victim"), "untouched").expect("there is room");
        let up = format!("{}{}", "../".repeat(40), &outside.display().to_string()[1..]);
        let absolute = outside.display().to_string();
        for target in [&up, &absolute] {
            let inside = outside.display().to_string()[1..].to_owned();
            let image = import(
                &place,
                &[
                    link("l", target),
                    dir(&inside),
                    file("l/victim", "written"),
                    file("l/new", "written"),
                    link("f", format!("{target}/victim")),
                    // In the place of the link, not where it leads.
                    file("f", "replaced"),
                    hard("h", "l/victim"),
                    file("l/.wh.victim", ""),
                ],
            );
            let found = timeless(&image);
            assert!(found.contains(&format!("{inside}/new file=7")), "{found}");
            assert!(found.contains("f file=8"), "{found}");
        }
        assert_eq!(fs::read_to_string(outside.join("victim")).expect("there"), "untouched");
        assert_eq!(fs::read_dir(&outside).expect("there").count(), 1);
    });
}

#[test]
fn what_an_image_may_not_have_is_left_out() {
    as_each("what_an_image_may_not_have_is_left_out", |_| {
        let Some(place) = Place::new("what_an_image_may_not_have_is_left_out") else { return };
        let hidden = [
            ("user.overlay.opaque", "y"),
            ("user.overlay.redirect", "/etc"),
            ("user.overlay.metacopy", ""),
            ("user.overlay.whiteout", "y"),
            ("user.seclude.owner", "0:0"),
            ("trusted.overlay.opaque", "y"),
            ("security.capability", "\x01\0\0\x02\u{ff}"),
            ("system.posix_acl_access", "\x02\0\0\0"),
        ];
        let marked = |node: Node| {
            hidden.iter().fold(node, |node, (name, value)| node.attribute(name, value.as_bytes()))
        };
        let above = [
            marked(dir("d")),
            marked(file("d/f", "above")).attribute("user.kept", b"x"),
            other("dev/null", b'3'),
            other("dev/sda", b'4'),
            // A device node 0, 0 would be a whiteout.
            other("d/below", b'3'),
        ];
        let layers =
            [Archive::of(&[dir("d"), file("d/below", "x")]).end(), Archive::of(&above).end()];
        let directory = place.path("layout");
        Layout::of(&directory, &layers, Packing::None);
        let image = place.store().import(&ImageSource::oci(&directory), None).expect("it is whole");
        let found = crate::place::listing(&image);
        assert_eq!(image.left_out(), 3);
        assert!(found.contains("\nd/below file=1"), "{found}");
        assert!(found.lines().filter(|line| line.contains(" user.")).count() == 1, "{found}");
        assert!(!found.contains("dev/"), "{found}");
        // Set-user-ID programs are there, and do nothing: the sandbox has no_new_privs and the
        // overlay is nosuid.
        let image = import(&place, &[file("su", "x").mode(0o6755)]);
        assert!(timeless(&image).contains("su file=1"));
    });
}

#[test]
fn names_that_come_twice_are_what_came_last() {
    as_each("names_that_come_twice_are_what_came_last", |_| {
        let Some(place) = Place::new("names_that_come_twice_are_what_came_last") else { return };
        let image = import(
            &place,
            &[
                file("f", "one").mode(0o4777),
                hard("same", "f"),
                file("f", "two"),
                hard("f", "f"),
                link("l", "f"),
                file("l", "three"),
                dir("d").mode(0o700),
                file("d/x", "x"),
                dir("d").mode(0o711),
                file("./d/./x", "four"),
                dir("e"),
                file("e/x", "x"),
                link("e", "d"),
                file("e/y", "five"),
            ],
        );
        let found = timeless(&image);
        let kinds: Vec<&str> = found
            .lines()
            .skip(1)
            .map(|line| line.split([',', ':']).next().expect("there"))
            .collect();
        assert_eq!(
            kinds,
            [
                "d directory 711 0",
                "d/x file=4",
                "d/y file=4",
                "e symlink=d 777 0",
                "f file=3",
                "l file=5",
                "same file=3"
            ],
            "{found}"
        );
        assert!(found.contains(" 4777 "), "the first file keeps its mode under its other name");
    });
}

#[test]
fn the_bounds_hold() {
    as_each("the_bounds_hold", |_| {
        let Some(place) = Place::new("the_bounds_hold") else { return };
        let path = place.path("it.tar");
        let many: Vec<Node> = (0..101).map(|number| file(format!("f{number}"), "x")).collect();
        Archive::of(&many).write(&path);
        let source = ImageSource::tar(&path);
        let error = refused(&place, &source.clone().max_entries(100), "101 entries");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let error = refused(&place, &source.clone().max_bytes(100u64), "101 bytes");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        place.store().import(&source.max_entries(101).max_bytes(101u64), None).expect("just so");

        // Over all layers of an image.
        let layers: Vec<Vec<u8>> = (0..3)
            .map(|number| Archive::of(&[file(format!("f{number}"), vec![0; 1000])]).end())
            .collect();
        let directory = place.path("layout");
        Layout::of(&directory, &layers, Packing::Gzip);
        let source = ImageSource::oci(&directory);
        for bounded in [source.clone().max_bytes(2999u64), source.clone().max_entries(2)] {
            let error = place.store().import(&bounded, None).expect_err("one too many");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert_eq!(place.names("work").len(), 0);
        }
        place.store().import(&source.max_bytes(3000u64).max_entries(3), None).expect("just so");

        // 64 MiB of zeros in some hundred kilobytes.
        let bomb = Packing::Gzip.pack(&Archive::of(&[file("f", vec![0; 64 << 20])]).end());
        assert!(bomb.len() < 1 << 20);
        fs::write(&path, bomb).expect("there is room");
        let error = refused(&place, &ImageSource::tar(&path).max_bytes(1u64 << 20), "a bomb");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let archive = ImageSource::archive(&path).max_bytes(1u64 << 20);
        let error = refused(&place, &archive, "a bomb that is to be an archive of images");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    });
}

/// Headers that describe one entry come in any number.
#[test]
fn an_entry_is_described_by_a_bounded_number_of_bytes() {
    as_each("an_entry_is_described_by_a_bounded_number_of_bytes", |_| {
        let name = "an_entry_is_described_by_a_bounded_number_of_bytes";
        let Some(place) = Place::new(name) else { return };
        let value = vec![b'v'; 500_000];
        let one = [record("SCHILY.xattr.user.a", &value)];
        let many = (0..64).fold(Archive::default(), |archive, _| archive.pax(&one));
        let many = many.raw(&Header::new("f", b'0', 0), b"").write(place.path("it.tar"));
        let error = refused(&place, &ImageSource::tar(many), "32 MB of pax headers");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    });
}

#[test]
fn a_layout_that_lies_is_invalid_and_leaves_nothing() {
    as_each("a_layout_that_lies_is_invalid_and_leaves_nothing", |_| {
        let name = "a_layout_that_lies_is_invalid_and_leaves_nothing";
        let Some(place) = Place::new(name) else { return };
        let layer = Archive::of(&[file("f", "x")]).end();
        let secret = place.path("secret");
        fs::write(&secret, &layer).expect("there is room");
        let whole = |layout: &Layout<'_>| layout.image(std::slice::from_ref(&layer), Packing::None);
        let digest = sha256(&layer);
        let at = |layout: &Layout<'_>| layout.directory.join("blobs/sha256").join(&digest);
        type Lie<'a> = (&'a str, Box<dyn Fn(&Layout<'_>) + 'a>);
        let lies: Vec<Lie<'_>> = vec![
            (
                "another layer",
                Box::new(|layout| {
                    layout.index(&[whole(layout)]);
                    fs::write(at(layout), Archive::of(&[file("f", "y")]).end()).expect("room");
                }),
            ),
            (
                "a longer layer",
                Box::new(|layout| {
                    layout.index(&[whole(layout)]);
                    fs::write(at(layout), [&layer[..], b"more"].concat()).expect("room");
                }),
            ),
            (
                "a wrong diff_id",
                Box::new(|layout| {
                    let descriptor = layout.layer(&layer, Packing::Gzip);
                    let manifest =
                        layout.manifest(vec![descriptor], &[format!("sha256:{}", "0".repeat(64))]);
                    layout.index(&[manifest]);
                }),
            ),
            (
                "more diff_ids than layers",
                Box::new(|layout| {
                    let descriptor = layout.layer(&layer, Packing::Gzip);
                    let id = format!("sha256:{digest}");
                    layout.index(&[layout.manifest(vec![descriptor], &[id.clone(), id])]);
                }),
            ),
            (
                "a wrong size",
                Box::new(|layout| {
                    let mut descriptor = layout.layer(&layer, Packing::None);
                    descriptor["size"] = json!(layer.len() + 1);
                    let id = format!("sha256:{digest}");
                    layout.index(&[layout.manifest(vec![descriptor], &[id])]);
                }),
            ),
            (
                "a wrong size of the manifest",
                Box::new(|layout| {
                    let mut manifest = whole(layout);
                    manifest["size"] = json!(u64::MAX);
                    layout.index(&[manifest]);
                }),
            ),
            (
                "a digest with slashes",
                Box::new(|layout| {
                    let mut manifest = whole(layout);
                    manifest["digest"] = json!(format!("sha256:{}", "../".repeat(21) + "x"));
                    layout.index(&[manifest]);
                }),
            ),
            (
                "a digest of another kind",
                Box::new(|layout| {
                    let mut manifest = whole(layout);
                    manifest["digest"] = json!("md5:d41d8cd98f00b204e9800998ecf8427e");
                    layout.index(&[manifest]);
                }),
            ),
            (
                "a digest in capitals",
                Box::new(|layout| {
                    let mut manifest = whole(layout);
                    let upper = manifest["digest"].as_str().expect("text").to_uppercase();
                    manifest["digest"] = json!(upper.replace("SHA", "sha"));
                    layout.index(&[manifest]);
                }),
            ),
            (
                "a blob that is a link",
                Box::new(|layout| {
                    layout.index(&[whole(layout)]);
                    fs::remove_file(at(layout)).expect("it is ours");
                    symlink(&secret, at(layout)).expect("room");
                }),
            ),
            (
                "a blob below a link",
                Box::new(|layout| {
                    layout.index(&[whole(layout)]);
                    let blobs = layout.directory.join("blobs");
                    fs::rename(&blobs, place.path("blobs")).expect("it is ours");
                    symlink(place.path("blobs"), blobs).expect("room");
                }),
            ),
            (
                "a blob that is a fifo",
                Box::new(|layout| {
                    layout.index(&[whole(layout)]);
                    fs::remove_file(at(layout)).expect("it is ours");
                    nix::unistd::mkfifo(&at(layout), nix::sys::stat::Mode::S_IRWXU).expect("room");
                }),
            ),
            (
                "a blob that is a directory",
                Box::new(|layout| {
                    layout.index(&[whole(layout)]);
                    fs::remove_file(at(layout)).expect("it is ours");
                    fs::create_dir(at(layout)).expect("room");
                }),
            ),
            (
                "an index that is a link",
                Box::new(|layout| {
                    layout.index(&[whole(layout)]);
                    let index = layout.directory.join("index.json");
                    fs::rename(&index, layout.directory.join("real.json")).expect("it is ours");
                    symlink("real.json", index).expect("room");
                }),
            ),
            ("no manifest", Box::new(|layout| layout.write("index.json", &json!({})))),
            (
                "no JSON",
                Box::new(|layout| {
                    fs::write(layout.directory.join("index.json"), b"{\"manifests\": [")
                        .expect("room");
                }),
            ),
            (
                "deep JSON",
                Box::new(|layout| {
                    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
                    let text = format!("{{\"manifests\": {deep}, \"x\": {deep}}}");
                    fs::write(layout.directory.join("index.json"), text).expect("room");
                }),
            ),
            (
                "long JSON",
                Box::new(|layout| {
                    let text = vec![b' '; (8 << 20) + 1];
                    fs::write(layout.directory.join("index.json"), text).expect("room");
                }),
            ),
            (
                "indexes in a circle",
                Box::new(|layout| {
                    // No digest leads to itself: so a chain that is too long.
                    let mut inner = whole(layout);
                    for _ in 0..12 {
                        inner = layout.text("index", &json!({ "manifests": [inner] }));
                    }
                    layout.index(&[inner]);
                }),
            ),
            (
                "a manifest that is called an index",
                Box::new(|layout| {
                    let mut manifest = whole(layout);
                    manifest["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
                    layout.index(&[manifest]);
                }),
            ),
            ("no layers", Box::new(|layout| layout.index(&[layout.manifest(vec![], &[])]))),
            (
                "two images",
                Box::new(|layout| {
                    let other = layout.image(&[layer.clone(), layer.clone()], Packing::Zstd);
                    layout.index(&[whole(layout), other]);
                }),
            ),
            (
                "1001 layers",
                Box::new(|layout| {
                    let descriptor = layout.layer(&layer, Packing::None);
                    let ids = vec![format!("sha256:{digest}"); 1001];
                    layout.index(&[layout.manifest(vec![descriptor; 1001], &ids)]);
                }),
            ),
        ];
        for (what, lie) in lies {
            let directory = place.path("layout");
            lie(&Layout::new(&directory));
            let error = refused(&place, &ImageSource::oci(&directory), what);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
            fs::remove_dir_all(&directory).expect("it is ours");
            let _ = fs::remove_dir_all(place.path("blobs"));
        }
        let directory = place.path("layout");
        let layout = Layout::new(&directory);
        layout.index(&[whole(&layout)]);
        place.store().import(&ImageSource::oci(&directory), None).expect("it tells the truth");
        fs::remove_file(at(&layout)).expect("it is ours");
        let _ = place.store().remove(&format!("sha256:{digest}"));
        for known in place.store().images().expect("they can be read") {
            place.store().remove(&known.name).expect("it is there");
        }
        place.store().collect(None).expect("there is nothing wrong");
        let error = refused(&place, &ImageSource::oci(&directory), "a blob that is not there");
        assert_eq!(error.kind(), ErrorKind::SourceMissing, "{error}");
        let error = refused(&place, &ImageSource::oci(&directory).reference("x"), "a name");
        assert_eq!(error.kind(), ErrorKind::SourceMissing, "{error}");
    });
}

#[test]
fn an_archive_of_images_leads_nowhere_else() {
    as_each("an_archive_of_images_leads_nowhere_else", |_| {
        let Some(place) = Place::new("an_archive_of_images_leads_nowhere_else") else { return };
        let layer = Archive::of(&[file("f", "x")]).end();
        let config = json!({ "rootfs": { "diff_ids": [format!("sha256:{}", sha256(&layer))] } });
        let archive = |name: &str, nodes: &[Node]| {
            let manifest = json!([{ "Config": "config.json", "Layers": [name] }]).to_string();
            let nodes = [
                nodes,
                &[file("config.json", config.to_string()), file("manifest.json", manifest)],
            ]
            .concat();
            ImageSource::archive(Archive::of(&nodes).write(place.path("it.tar")))
        };
        fs::write(place.path("layer.tar"), &layer).expect("there is room");
        let outside = place.path("layer.tar").display().to_string();
        let cases = [
            ("up", "../layer.tar", vec![], ErrorKind::Invalid),
            ("absolute", &outside, vec![], ErrorKind::SourceMissing),
            ("a link up", "l", vec![link("l", "../layer.tar")], ErrorKind::SourceMissing),
            ("an absolute link", "l", vec![link("l", &outside)], ErrorKind::SourceMissing),
            ("a circle", "l", vec![link("l", "k"), link("k", "l")], ErrorKind::Invalid),
            ("a directory", "d", vec![dir("d")], ErrorKind::SourceMissing),
        ];
        for (what, name, nodes, kind) in cases {
            let error = refused(&place, &archive(name, &nodes), what);
            assert_eq!(error.kind(), kind, "{what}: {error}");
        }
        // A link within, as old versions of Docker write for layers that come twice.
        let within = archive("a/l", &[link("a/l", "../b/layer"), file("b/layer", &layer)]);
        place.store().import(&within, None).expect("it leads to the layer");
    });
}

/// Cut off at any place, nothing comes of it, but layers that were complete.
#[test]
fn what_is_cut_off_is_invalid() {
    as_each("what_is_cut_off_is_invalid", |_| {
        let Some(place) = Place::new("what_is_cut_off_is_invalid") else { return };
        let nodes = [
            dir("d"),
            file("d/f", vec![1; 1500]),
            file("n".repeat(200), "x").attribute("user.a", b"x"),
            link("l", "t".repeat(200)),
        ];
        let layer = Archive::of(&nodes).end();
        for packing in [Packing::Gzip, Packing::Zstd, Packing::None] {
            let packed = packing.pack(&layer);
            let directory = place.path(&format!("layout-{packing:?}"));
            let layout = Layout::of(&directory, std::slice::from_ref(&layer), packing);
            let blob = layout.directory.join("blobs/sha256").join(sha256(&packed));
            for step in 0..12 {
                let length = packed.len() * step / 12;
                fs::write(&blob, &packed[..length]).expect("there is room");
                let what = format!("{packing:?}, {length} of {} bytes", packed.len());
                let error = refused(&place, &ImageSource::oci(&directory), &what);
                assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
            }
            fs::write(&blob, &packed).expect("there is room");
        }
        // An archive without its end, too, if a file is cut off.
        let archive = saved(&[layer]).end();
        for length in (1..archive.len() - 1536).step_by(700) {
            let path = place.path("saved.tar");
            fs::write(&path, &archive[..length]).expect("there is room");
            let what = format!("{length} of {} bytes of docker save", archive.len());
            let error = refused(&place, &ImageSource::archive(&path), &what);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
        }
        let What::Directory = nodes[0].what else { panic!("it is the first") };
        let whole = ImageSource::oci(place.path("layout-Gzip"));
        place.store().import(&whole, None).expect("it is whole again");
    });
}
