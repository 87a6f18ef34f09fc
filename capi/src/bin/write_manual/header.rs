//! Reads `seclude.h`: its opening comment, its groups, and in each the documented declarations.

/// A declaration with the text of its comment.
#[derive(Debug, Default)]
pub struct Item {
    /// The lines of the comment, without the comment signs.
    pub doc: Vec<String>,
    /// The lines of the declaration.
    pub declaration: Vec<String>,
}

/// A heading within a group, and the declarations below it.
#[derive(Debug, Default)]
pub struct Part {
    /// Empty for the declarations before the first heading.
    pub heading: String,
    pub items: Vec<Item>,
}

/// A group: what stands between two banners.
#[derive(Debug, Default)]
pub struct Group {
    pub title: String,
    pub about: Vec<String>,
    pub parts: Vec<Part>,
}

/// The header. The first group has the opening comment, and the macros before the first banner.
#[derive(Debug)]
pub struct Header {
    pub version: String,
    pub groups: Vec<Group>,
}

impl Item {
    /// The name of the function that it declares.
    pub fn function(&self) -> Option<&str> {
        let first = self.declaration.iter().find(|line| !line.starts_with("SECLUDE_"))?;
        let other = ["#", "typedef ", "struct "].iter().any(|start| first.starts_with(start));
        let name = first.split_once('(')?.0.rsplit([' ', '*']).next()?;
        (!other && name.starts_with("seclude_")).then_some(name)
    }

    /// The name of a structure of which it declares the fields.
    pub fn structure(&self) -> Option<&str> {
        self.declaration.first()?.strip_prefix("struct ")?.strip_suffix(" {")
    }

    /// The fields of a structure, each with its comment.
    pub fn fields(&self) -> Vec<Item> {
        let mut fields = Vec::new();
        let mut lines = self.declaration.iter().skip(1).map(|line| line.trim()).peekable();
        while let Some(line) = lines.next() {
            if line.starts_with("/**") {
                let doc = documentation(line, &mut lines);
                fields.push(Item { doc, declaration: declaration(&mut lines) });
            }
        }
        fields
    }
}

impl Header {
    pub fn read(text: &str) -> Header {
        let mut lines = text.lines().peekable();
        let mut groups = vec![Group { parts: vec![Part::default()], ..Group::default() }];
        let mut version = [0_u32; 3];
        while let Some(line) = lines.next() {
            let group = groups.last_mut().expect("there is always one");
            if line == "/*" {
                group.about = comment(&mut lines);
                // The page has a title of its own.
                if let Some(first) = group.about.first_mut() {
                    *first = first.replace("seclude.h: runs", "Runs");
                }
            } else if line.starts_with("/* ====") {
                let mut about = comment(&mut lines);
                let title = about.remove(0);
                groups.push(Group { title, about, parts: vec![Part::default()] });
            } else if let Some(heading) = line.strip_prefix("/* ---- ") {
                let heading = heading.split(" ----").next().unwrap_or_default().to_owned();
                group.parts.push(Part { heading, items: Vec::new() });
            } else if line.starts_with("/**") {
                let doc = documentation(line, &mut lines);
                let declaration = declaration(&mut lines);
                for (index, part) in ["MAJOR", "MINOR", "PATCH"].iter().enumerate() {
                    let start = format!("#define SECLUDE_VERSION_{part} ");
                    if let Some(number) =
                        declaration.first().and_then(|line| line.strip_prefix(&start))
                    {
                        version[index] = number.parse().expect("a version is a number");
                    }
                }
                let part = group.parts.last_mut().expect("there is always one");
                part.items.push(Item { doc, declaration });
            }
        }
        let [major, minor, patch] = version;
        Header { version: format!("{major}.{minor}.{patch}"), groups }
    }
}

/// A comment that begins with this line: on one line, or on several.
fn documentation<'a>(line: &str, rest: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    match line.strip_prefix("/** ").and_then(|text| text.strip_suffix(" */")) {
        Some(all) => vec![all.to_owned()],
        None => comment(rest),
    }
}

/// The rest of a comment that has begun, without the comment signs.
fn comment<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let rest = lines.take_while(|line| !line.trim_end().ends_with("*/"));
    let rest = rest.map(|line| {
        let line = line.trim_start().strip_prefix('*').unwrap_or(line);
        line.strip_prefix(' ').unwrap_or(line).to_owned()
    });
    rest.collect()
}

/// A declaration: up to its semicolon, or all lines of a preprocessor's block.
fn declaration<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Vec<String> {
    let mut taken = Vec::new();
    let mut depth = 0;
    while let Some(line) = lines.next() {
        depth += line.matches('{').count();
        depth -= line.matches('}').count();
        taken.push(line.to_owned());
        let over = match line.starts_with('#') {
            true => lines.peek().is_none_or(|next| next.is_empty()),
            false => depth == 0 && line.ends_with(';'),
        };
        if over {
            break;
        }
    }
    taken
}
