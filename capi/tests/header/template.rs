//! The template: a header in which some lines stand for declarations.
//!
//! ```text
//! @types@                              all type names, each with its first sentence
//!  * @about seclude_pool@              the documentation of a type, in a comment
//! @structs pool@                       the structures of src/pool.rs
//! @functions pool@                     its functions
//! @constants outcome SECLUDE_ENDED_@   its constants of which the names begin so
//! ```
//!
//! Every declaration must have its place.

use crate::items::{Items, Kind, comment};

pub fn filled(template: &str, items: &mut Items) -> String {
    let mut types: Vec<_> = items.types().cloned().collect();
    // In the order in which the header explains them.
    types.sort_by_key(|item| {
        let places = [format!("@about {}@", item.name), format!("@structs {}@", item.file)];
        places.iter().filter_map(|place| template.find(place)).min()
    });
    let mut out = String::new();
    for line in template.lines() {
        let Some((before, place)) = line.split_once('@') else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let place = place.strip_suffix('@').unwrap_or_else(|| panic!("{line}: no @ at its end"));
        let words: Vec<&str> = place.split(' ').collect();
        match words.as_slice() {
            ["types"] => {
                let each = types.iter().map(|item| {
                    let name = &item.name;
                    format!("{}typedef struct {name} {name};\n", comment(&item.summary(), ""))
                });
                out.push_str(&each.collect::<Vec<_>>().join("\n"));
            }
            ["about", name] => {
                let known = types.iter().find(|item| item.name == *name);
                let item = known.unwrap_or_else(|| panic!("{line}: there is no such type"));
                items.take(Kind::Object, &item.file, name);
                for text in &item.doc {
                    out.push_str(format!("{before}{text}").trim_end());
                    out.push('\n');
                }
            }
            [kind, file, prefix @ ..] => {
                let kind = match *kind {
                    "structs" => Kind::Struct,
                    "functions" => Kind::Function,
                    "constants" => Kind::Constant,
                    _ => panic!("{line}: there is no such kind"),
                };
                let taken = items.take(kind, file, prefix.first().unwrap_or(&""));
                assert!(!taken.is_empty(), "{line}: there are none");
                let each: Vec<String> = taken.iter().map(|item| item.text()).collect();
                out.push_str(&each.join("\n"));
            }
            _ => panic!("{line}: cannot be read"),
        }
    }
    let left = items.names();
    assert!(left.is_empty(), "seclude.h.in has no place for {left:?}");
    out
}
