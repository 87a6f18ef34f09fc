//! NaN and the infinities, which no policy can hold. JSON has no words for them and TOML has, so
//! each text is searched in its own way, and both say the same.

use crate::base::error::{Error, ErrorKind};

/// The refusal of a number at this place, such as `files[0].size`.
fn refused(place: &str, number: &str) -> Error {
    Error::new(ErrorKind::Policy, format!("policy key {place}"))
        .because(format!("{number} is not a number that a policy can hold"))
        .hint("what is not limited is left out")
}

/// Where the search is, from the outermost table inwards.
enum Place {
    Key(String),
    Item(usize),
}

fn named(places: &[Place]) -> String {
    places.iter().fold(String::new(), |name, place| match place {
        Place::Key(key) if name.is_empty() => key.clone(),
        Place::Key(key) => format!("{name}.{key}"),
        Place::Item(index) => format!("{name}[{index}]"),
    })
}

/// The first number in a text that is no JSON for its sake. The text is read as far as the search
/// needs it, so that all else that is wrong with it stays for the JSON reader to tell.
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
            b'{' => places.push(Place::Key(String::new())),
            b'[' => places.push(Place::Item(0)),
            b'}' | b']' => drop(places.pop()),
            b':' => {
                if let Some(Place::Key(key)) = places.last_mut() {
                    string.clone_into(key);
                }
            }
            b',' => {
                if let Some(Place::Item(index)) = places.last_mut() {
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

/// The contents of the string that a text begins with, its escapes as they stand.
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

/// What TOML has and a policy does not: numbers that are not finite, and dates.
pub fn in_toml(value: &toml::Value) -> Option<Error> {
    search(value, &mut Vec::new())
}

fn search(value: &toml::Value, places: &mut Vec<Place>) -> Option<Error> {
    let mut inner = |place: Place, value: &toml::Value| {
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
            items.iter().enumerate().find_map(|(index, item)| inner(Place::Item(index), item))
        }
        toml::Value::Table(table) => {
            table.iter().find_map(|(key, item)| inner(Place::Key(key.clone()), item))
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
    fn a_number_that_is_none_is_told_by_its_key_in_both_texts() {
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
    fn every_other_mistake_is_the_readers_to_tell() {
        for text in
            ["", "{", r#"{"user": "NaN""#, r#"{"uid": 1,}"#, r#"{"user": "a"#, "{\"uid\": é}", "]]"]
        {
            let told = Sandbox::from_json(text).unwrap_err().to_string();
            assert!(told.starts_with("read the policy as JSON: "), "{text}: {told}");
        }
    }
}
