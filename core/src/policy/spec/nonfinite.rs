//! Rejects NaN and infinities, which a policy cannot contain.
//!
//! TOML can express them and JSON cannot, so each format needs its own search. Both report the same
//! error.

use crate::base::error::{Error, ErrorKind};

/// The error for a number at a place such as `files[0].size`.
fn refused(place: &str, number: &str) -> Error {
    Error::new(ErrorKind::Policy, format!("policy key {place}"))
        .because(format!("{number} is not a number that a policy can hold"))
        .hint("what is not limited is left out")
}

/// One component of a place in a policy, such as `files` or `[0]`.
enum Position {
    Key(String),
    Item(usize),
}

fn named(places: &[Position]) -> String {
    places.iter().fold(String::new(), |name, place| match place {
        Position::Key(key) if name.is_empty() => key.clone(),
        Position::Key(key) => format!("{name}.{key}"),
        Position::Item(index) => format!("{name}[{index}]"),
    })
}

/// Finds the first number that is not finite in a text that the JSON parser has rejected.
///
/// The search tokenises the text only roughly. It ignores all other mistakes, which the JSON parser
/// has already found.
pub fn in_json(text: &str) -> Option<Error> {
    let (mut places, mut string) = (Vec::new(), "");
    let mut rest = text;
    while let Some(byte) = rest.bytes().next() {
        let mut length = 1;
        match byte {
            b'"' => {
                string = string_at(rest)?;
                length = string.len() + 2;
            }
            b'{' => places.push(Position::Key(String::new())),
            b'[' => places.push(Position::Item(0)),
            b'}' | b']' => drop(places.pop()),
            b':' => {
                if let Some(Position::Key(key)) = places.last_mut() {
                    string.clone_into(key);
                }
            }
            b',' => {
                if let Some(Position::Item(index)) = places.last_mut() {
                    *index += 1;
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => {
                let end = rest.find(|letter: char| {
                    letter.is_ascii_whitespace() || "\"{}[]:,".contains(letter)
                });
                length = end.unwrap_or(rest.len());
                let word = &rest[..length];
                if word.parse().is_ok_and(|number: f64| !number.is_finite()) {
                    return Some(refused(&named(&places), word));
                }
            }
        }
        rest = &rest[length..];
    }
    None
}

/// The contents of the JSON string at the start of a text, with its escapes unchanged.
fn string_at(text: &str) -> Option<&str> {
    let mut escaped = false;
    let inner = &text[1..];
    let end = inner.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some(&inner[..end])
}

/// Finds the first TOML value that a policy cannot contain: a number that is not finite, or a date.
pub fn in_toml(value: &toml::Value) -> Option<Error> {
    search(value, &mut Vec::new())
}

fn search(value: &toml::Value, places: &mut Vec<Position>) -> Option<Error> {
    let mut inner = |place: Position, value: &toml::Value| {
        places.push(place);
        let found = search(value, places);
        places.pop();
        found
    };
    match value {
        toml::Value::Float(number) if !number.is_finite() => {
            Some(refused(&named(places), &number.to_string().to_lowercase()))
        }
        toml::Value::Datetime(_) => Some(
            Error::new(ErrorKind::Policy, format!("policy key {}", named(places)))
                .because(format!("{value} is a date, and no key takes one")),
        ),
        toml::Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| inner(Position::Item(index), item))
        }
        toml::Value::Table(table) => {
            table.iter().find_map(|(key, item)| inner(Position::Key(key.clone()), item))
        }
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Sandbox;

    const REST: &str =
        "is not a number that a policy can hold; hint: what is not limited is left out";

    #[test]
    fn a_number_that_is_not_finite_is_reported_with_its_key() {
        let json = |text: &str| Sandbox::from_json(text).unwrap_err().to_string();
        for word in ["NaN", "Infinity", "-Infinity", "inf", "1e999"] {
            let told = format!("policy key wall_time: {word} {REST}");
            assert_eq!(json(&format!(r#"{{"wall_time": {word}}}"#)), told);
            assert_eq!(
                json(&format!(r#"{{ "user": "a, \"b\": nan", "wall_time":{word} , "uid": 1}}"#)),
                told
            );
        }
        let nested = r#"{"files": [{"dir": "/d"}, {"tmpfs": "/t", "size": NaN}]}"#;
        assert_eq!(json(nested), format!("policy key files[1].size: NaN {REST}"));
        let toml = |text: &str| Sandbox::from_toml(text).unwrap_err().to_string();
        assert_eq!(toml("wall_time = inf"), format!("policy key wall_time: inf {REST}"));
        assert_eq!(toml("cpus = -nan"), format!("policy key cpus: nan {REST}"));
        assert_eq!(
            toml("[[files]]\ntmpfs = \"/t\"\nsize = -inf"),
            format!("policy key files[0].size: -inf {REST}")
        );
        assert_eq!(
            toml("uid = 2026-01-31"),
            "policy key uid: 2026-01-31 is a date, and no key takes one"
        );
    }

    #[test]
    fn the_json_parser_reports_every_other_mistake() {
        for text in
            ["", "{", r#"{"user": "NaN""#, r#"{"uid": 1,}"#, r#"{"user": "a"#, "{\"uid\": é}", "]]"]
        {
            let told = Sandbox::from_json(text).unwrap_err().to_string();
            assert!(told.starts_with("read the policy as JSON: "), "{text}: {told}");
        }
    }
}
