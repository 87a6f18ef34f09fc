//! Turns the groups of the header into pages for man(1), in the macros of man(7).

use crate::header::{Group, Header, Item};

/// The pages of the groups whose titles name no type. The others are called like their type.
const NAMES: [(&str, &str); 14] = [
    ("", "libseclude"),
    ("Version", "seclude_version"),
    ("Types", "seclude_types"),
    ("Files", "seclude_files"),
    ("Limits", "seclude_limits"),
    ("Landlock", "seclude_landlock"),
    ("Control", "seclude_control"),
    ("Outcomes", "seclude_outcome"),
    ("System calls that the caller decides", "seclude_listener"),
    ("Joining namespaces", "seclude_join"),
    ("Images and their store", "seclude_images"),
    ("Changes of a cell", "seclude_changes"),
    ("Private networks", "seclude_network"),
    ("Published ports and the way out", "seclude_egress"),
];

/// The pages by their names, and the links of the functions to them.
pub fn pages(header: &Header) -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = Vec::new();
    for group in &header.groups {
        let name = page_name(group);
        pages.push((name.clone(), page(&name, group, header)));
        let links = functions(group).filter_map(|item| item.function());
        let links = links.filter(|function| *function != name);
        pages.extend(links.map(|link| (link.to_owned(), format!(".so man3/{name}.3\n"))));
    }
    pages
}

fn page_name(group: &Group) -> String {
    let named = NAMES.iter().find(|(title, _)| *title == group.title).map(|(_, name)| *name);
    let of_type = || group.title.split_once(": ").map(|(_, name)| name);
    match named.or_else(of_type) {
        // It has two headers of its own, and one group of functions.
        Some("seclude/testing.h, seclude/gtest.hpp") => "seclude_testing".to_owned(),
        Some(name) => name.to_owned(),
        None => panic!("no page for the group {:?}: name it in page.rs", group.title),
    }
}

fn functions(group: &Group) -> impl Iterator<Item = &Item> {
    group.parts.iter().flat_map(|part| &part.items).filter(|item| item.function().is_some())
}

fn page(name: &str, group: &Group, header: &Header) -> String {
    let upper = name.to_uppercase();
    let mut out =
        format!(".TH {upper} 3 \"\" \"seclude {}\" \"C library seclude\"\n", header.version);
    // Names of functions stay whole, so that a reader finds them.
    out += ".nh\n";
    let mut names: Vec<&str> = functions(group).filter_map(Item::function).collect();
    if !names.contains(&name) {
        names.insert(0, name);
    }
    out += &format!(".SH NAME\n{} \\- {}\n", names.join(", "), summary(group));
    out += ".SH LIBRARY\nseclude (\\fIlibseclude\\fP, \\fI\\-lseclude\\fP)\n";
    out += ".SH SYNOPSIS\n.nf\n.B #include <seclude.h>\n";
    if functions(group).next().is_some() {
        out += ".PP\n";
    }
    for item in functions(group) {
        for line in item.declaration.iter().filter(|line| *line != "SECLUDE_WARN_UNUSED") {
            out += &format!(".B {}\n", quoted(line));
        }
    }
    out += ".fi\n";
    describe(&mut out, group);
    see_also(&mut out, name, header);
    out
}

fn summary(group: &Group) -> String {
    match group.title.split(": ").next() {
        None | Some("") => "run programs in isolation, and learn how they ended".to_owned(),
        Some(title) => format!("{}, in the C library seclude", title.to_lowercase()),
    }
}

fn describe(out: &mut String, group: &Group) {
    *out += ".SH DESCRIPTION\n";
    let about = group.about.iter().skip_while(|line| line.is_empty());
    // The generator of the header signs there, and the table of contents is SEE ALSO here.
    let about: Vec<&String> = about.take_while(|line| !line.starts_with("SPDX")).collect();
    prose(out, &without_contents(&about));
    if out.ends_with(".SH DESCRIPTION\n") {
        *out += "The rules of \\fBlibseclude\\fP(3) hold for every function.\n";
    }
    for part in &group.parts {
        let of_kind =
            |wanted: fn(&Item) -> bool| part.items.iter().filter(move |item| wanted(item));
        for item in of_kind(|item| item.function().is_some()) {
            *out += &format!(".SS {}\n", item.function().unwrap_or_default());
            prose(out, &item.doc.iter().collect::<Vec<_>>());
        }
        for item in of_kind(|item| item.structure().is_some()) {
            *out += &format!(".SS struct {}\n", item.structure().unwrap_or_default());
            prose(out, &item.doc.iter().collect::<Vec<_>>());
            for field in item.fields() {
                *out += &format!(".TP\n.B {}\n", quoted(&field.declaration.join(" ")));
                prose(out, &field.doc.iter().collect::<Vec<_>>());
            }
        }
        let others: Vec<_> =
            of_kind(|item| item.function().is_none() && item.structure().is_none()).collect();
        if !part.heading.is_empty() {
            *out += &format!(".SS {}\n", inline(&part.heading));
        } else if !others.is_empty() {
            *out += ".SS Names\n";
        }
        for item in others {
            *out += ".TP\n";
            let lines: Vec<String> = item.declaration.iter().map(|line| named(line)).collect();
            *out += &format!(".B {}\n", quoted(&lines.join(", ")));
            prose(out, &item.doc.iter().collect::<Vec<_>>());
        }
    }
}

/// A declaration of a constant or a type, shorter: `SECLUDE_EINVAL = -1`.
fn named(line: &str) -> String {
    if let Some(rest) = line.strip_prefix("typedef struct ") {
        return rest.split(' ').next().unwrap_or_default().to_owned();
    }
    match line.strip_prefix("#define ").map(|rest| rest.split_once(' ').unwrap_or((rest, ""))) {
        Some((name, _)) if name.contains('(') => name.to_owned(),
        Some((name, value)) if !value.is_empty() => {
            format!("{name} = {}", value.trim_start_matches('(').trim_end_matches(')'))
        }
        Some((name, _)) => name.to_owned(),
        None => line.to_owned(),
    }
}

fn without_contents<'a>(lines: &[&'a String]) -> Vec<&'a String> {
    let Some(start) = lines.iter().position(|line| *line == "Contents") else {
        return lines.to_vec();
    };
    let end = lines.iter().skip(start).position(|line| line.starts_with("The rules below"));
    let end = start + end.expect("the contents end with a sentence");
    lines[..start].iter().chain(&lines[end..]).copied().collect()
}

/// Paragraphs, items of lists, headings of the opening comment, and code that is indented.
fn prose(out: &mut String, lines: &[&String]) {
    let mut fresh = true;
    let mut code = false;
    for (index, line) in lines.iter().enumerate() {
        if line.is_empty() {
            if !code {
                fresh = true;
            }
            continue;
        }
        let after_blank = index == 0 || lines[index - 1].is_empty();
        let indented = line.starts_with("    ");
        if code && !indented {
            *out += ".EE\n";
            code = false;
            fresh = true;
        }
        let is_code = indented && (code || line.ends_with(';') || line.ends_with(" {"));
        if is_code {
            if !code {
                *out += ".PP\n.EX\n";
            }
            code = true;
            *out += &format!("{}\n", literal(line));
            continue;
        }
        let text = line.trim_start();
        let alone = after_blank && lines.get(index + 1).is_none_or(|next| next.is_empty());
        if alone && !indented && !text.ends_with(['.', ':', ';']) {
            *out += &format!(".SS {}\n", inline(text));
            fresh = false;
            continue;
        }
        if let Some(entry) = text.strip_prefix("- ") {
            *out += &format!(".IP \\(bu 2\n{}\n", shielded(&inline(entry)));
            fresh = false;
            continue;
        }
        if fresh && index > 0 {
            *out += ".PP\n";
        }
        fresh = false;
        *out += &format!("{}\n", shielded(&inline(text)));
    }
    if code {
        *out += ".EE\n";
    }
}

fn see_also(out: &mut String, name: &str, header: &Header) {
    *out += ".SH SEE ALSO\n";
    let others = header.groups.iter().map(page_name).filter(|other| other != name);
    let mut others: Vec<String> = others.map(|other| format!("\\fB{other}\\fP(3)")).collect();
    others.sort();
    // A page of one subject leads to the overview, and the overview to all.
    let listed = match name {
        "libseclude" => others,
        _ => vec!["\\fBlibseclude\\fP(3)".to_owned()],
    };
    *out += &format!("\\fBseclude\\fP(1),\n{},\n\\fBseclude\\fP(7)\n", listed.join(",\n"));
}

/// Text in which `code` becomes bold.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, piece) in text.split('`').enumerate() {
        match index % 2 {
            0 => out += &escaped(piece),
            _ => out += &format!("\\fB{}\\fP", literal(piece)),
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('~', "\\(ti").replace('^', "\\(ha")
}

/// Text of programs: its hyphens are minus signs.
fn literal(text: &str) -> String {
    shielded(&escaped(text).replace('-', "\\-"))
}

/// One argument of a macro, whatever spaces and quotes it has.
fn quoted(text: &str) -> String {
    format!("\"{}\"", literal(text).replace('"', "\\(dq"))
}

/// A line that begins with a dot or an apostrophe would be a request.
fn shielded(text: &str) -> String {
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text.to_owned(),
    }
}
