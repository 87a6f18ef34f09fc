//! The formats of single values in a policy's text (sizes, times, modes, paths, bytes), and the
//! errors for values in other formats.

use crate::base::error::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A JSON value in which no table has a duplicate key. serde_json itself would silently keep the
/// last one.
pub struct Distinct(pub Value);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Distinct, D::Error> {
        from.deserialize_any(DistinctVisitor).map(Distinct)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(json!(value))
    }
    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(json!(value))
    }
    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(json!(value))
    }
    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(json!(value))
    }
    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(json!(value))
    }
    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Distinct(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let mut table = Map::new();
        while let Some((key, Distinct(value))) = members.next_entry::<String, Distinct>()? {
            if table.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("the key {key} is given twice")));
            }
            table.insert(key, value);
        }
        Ok(Value::Object(table))
    }
}

/// A value with its place in the policy, such as `files[0].size`, or in another text.
pub struct Key<'a> {
    /// What the text is: a policy.
    text: &'a str,
    place: String,
    value: &'a Value,
}

impl<'a> Key<'a> {
    pub fn top(value: &'a Value) -> Key<'a> {
        Key::top_of("policy", value)
    }

    /// The value of a text that is not a policy but `text`.
    pub fn top_of(text: &'a str, value: &'a Value) -> Key<'a> {
        Key { text, place: String::new(), value }
    }

    fn inner(&self, name: &str, value: &'a Value) -> Key<'a> {
        let place =
            if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        Key { text: self.text, place, value }
    }

    /// The error for a mistake at this place.
    pub fn wrong(&self, what: impl AsRef<str>) -> Error {
        let place = if self.place.is_empty() {
            self.text.to_owned()
        } else {
            format!("{} key {}", self.text, self.place)
        };
        Error::new(ErrorKind::Policy, place).because(what.as_ref())
    }

    /// The error for a value that is not of the wanted form.
    pub fn unlike(&self, wanted: &str) -> Error {
        self.wrong(format!("{} is not {wanted}", self.value))
    }

    fn object(&self) -> Result<&'a Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.unlike("a table of keys"))
    }

    /// The members of the table. Each name must be one of `known`.
    pub fn members(&self, known: &[&str]) -> Result<Vec<(&'a str, Key<'a>)>> {
        let mut members = Vec::new();
        for (name, value) in self.object()? {
            let key = self.inner(name, value);
            if !known.contains(&name.as_str()) {
                return Err(suggest(key.wrong("is unknown"), name, known));
            }
            members.push((name.as_str(), key));
        }
        Ok(members)
    }

    /// The members of the table. Each must have the name of one of `kinds`.
    pub fn named<T: Copy>(
        &self,
        kinds: &[T],
        name_of: fn(T) -> &'static str,
    ) -> Result<Vec<(T, Key<'a>)>> {
        let names: Vec<&str> = kinds.iter().map(|kind| name_of(*kind)).collect();
        let members = self.members(&names)?;
        Ok(members
            .into_iter()
            .filter_map(|(name, key)| {
                Some((*kinds.iter().find(|kind| name_of(**kind) == name)?, key))
            })
            .collect())
    }

    pub fn is_table(&self) -> bool {
        self.value.is_object()
    }

    pub fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    pub fn optional(&self, name: &str) -> Option<Key<'a>> {
        self.value.get(name).map(|value| self.inner(name, value))
    }

    pub fn required(&self, name: &str) -> Result<Key<'a>> {
        self.optional(name).ok_or_else(|| self.wrong(format!("lacks the key {name}")))
    }

    pub fn items(&self) -> Result<Vec<Key<'a>>> {
        let one = || self.unlike("a list").hint(format!("a list of one is [{}]", self.value));
        let items = self.value.as_array().ok_or_else(one)?;
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let place = format!("{}[{index}]", self.place);
                Key { text: self.text, place, value }
            })
            .collect())
    }

    pub fn one_of<T: Copy>(&self, kinds: &[T], name_of: fn(T) -> &'static str) -> Result<T> {
        let name = self.text()?;
        let names: Vec<&str> = kinds.iter().map(|kind| name_of(*kind)).collect();
        let found = kinds.iter().find(|kind| name_of(**kind) == name);
        found.copied().ok_or_else(|| {
            suggest(self.wrong(format!("{name:?} is none of {}", names.join(", "))), &name, &names)
        })
    }

    pub fn flag(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.unlike("true or false"))
    }

    pub fn text(&self) -> Result<String> {
        self.value.as_str().map(str::to_owned).ok_or_else(|| self.unlike("a text"))
    }

    pub fn integer(&self) -> Result<i64> {
        self.value.as_i64().ok_or_else(|| self.unlike("a whole number"))
    }

    pub fn number(&self) -> Result<f64> {
        self.value.as_f64().ok_or_else(|| self.unlike("a number"))
    }

    pub fn unsigned_32(&self) -> Result<u32> {
        self.value
            .as_u64()
            .and_then(|value| value.try_into().ok())
            .ok_or_else(|| self.unlike("a whole number from 0 to 4294967295"))
    }

    /// A 64-bit number, or a text with its decimal or hexadecimal digits. TOML has no numbers above
    /// 2⁶³ - 1, so these are written as texts.
    pub fn unsigned_64(&self) -> Result<u64> {
        let digits = self
            .value
            .as_str()
            .and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        digits.or_else(|| self.whole()).ok_or_else(|| self.unlike("a whole number of 64 bits"))
    }

    /// A number, or a text with its decimal digits.
    fn whole(&self) -> Option<u64> {
        self.value.as_u64().or_else(|| self.value.as_str()?.parse().ok())
    }

    /// A size in bytes: a number, or a text with a binary unit (K is 1024).
    pub fn size(&self) -> Result<u64> {
        let bytes = self.value.as_u64().or_else(|| size_in(self.value.as_str()?));
        bytes.ok_or_else(|| self.unlike(SIZE))
    }

    /// A size, or `unlimited`.
    pub fn limit(&self) -> Result<u64> {
        if self.value.as_str() == Some("unlimited") { Ok(u64::MAX) } else { self.size() }
    }

    /// A time: a number of seconds, or a text with a unit.
    pub fn duration(&self) -> Result<Duration> {
        let time = match self.value {
            Value::Number(number) => match number.as_u64() {
                Some(seconds) => Some(Duration::from_secs(seconds)),
                None => {
                    number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                }
            },
            Value::String(text) => time_in(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        time.ok_or_else(|| self.unlike(TIME))
    }

    /// A file mode: a text with octal digits, or a number.
    pub fn mode(&self) -> Result<u32> {
        let wrong = || self.unlike("a mode such as \"0755\"");
        match self.value {
            Value::String(text) => {
                u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).map_err(|_| wrong())
            }
            _ => self.unsigned_32().map_err(|_| wrong()),
        }
    }

    /// Bytes: a text, or a table with the key `base64` for data that is not UTF-8.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match self.value {
            Value::String(text) => Ok(text.clone().into_bytes()),
            Value::Object(_) => {
                self.members(&["base64"])?;
                let inner = self.required("base64")?;
                BASE64
                    .decode(inner.text()?)
                    .map_err(|error| inner.wrong(format!("is not base64: {error}")))
            }
            _ => Err(self.unlike("a text or a base64 table")),
        }
    }

    pub fn path(&self) -> Result<PathBuf> {
        self.bytes().map(|bytes| PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// Adds a hint with the most similar known word. If none is similar, the hint lists all known ones.
pub fn suggest(error: Error, word: &str, known: &[&str]) -> Error {
    match nearest(word, known.iter().copied()) {
        Some(name) => error.hint(format!("did you mean {name}?")),
        None => error.hint(format!("known are {}", known.join(", "))),
    }
}

/// The known word that is most similar to this one, if any is similar enough.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = known.map(|name| (strsim::jaro_winkler(word, name), name));
    let (likeness, name) = likeness.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness > 0.75).then_some(name)
}

const SIZE: &str = "a size such as 65536, \"64K\", \"64M\" or \"1.5G\"";
const TIME: &str = "a time such as 1.5, \"1.5s\", \"200ms\" or \"2m\"";

/// Parses a size such as `64M` to bytes. `what` names the value in the error. Public for the C and
/// Python bindings.
///
/// # Errors
///
/// `Invalid` if the text is not a size.
#[doc(hidden)]
pub fn size_of_text(what: &str, text: &str) -> Result<u64> {
    size_in(text).ok_or_else(|| Error::invalid(what, format!("{text:?} is not {SIZE}")))
}

/// Parses a time such as `200ms`. `what` names the value in the error. Public for the C and Python
/// bindings.
///
/// # Errors
///
/// `Invalid` if the text is not a time.
#[doc(hidden)]
pub fn time_of_text(what: &str, text: &str) -> Result<Duration> {
    time_in(text).ok_or_else(|| Error::invalid(what, format!("{text:?} is not {TIME}")))
}

fn size_in(text: &str) -> Option<u64> {
    const UNITS: &[(&str, f64)] = &[
        ("", 1.0),
        ("B", 1.0),
        ("K", 1024.0),
        ("KIB", 1024.0),
        ("M", 1048576.0),
        ("MIB", 1048576.0),
        ("G", 1073741824.0),
        ("GIB", 1073741824.0),
    ];
    let scaled = || scaled(text, UNITS).filter(|bytes| *bytes < 18_446_744_073_709_551_615.0);
    text.parse().ok().or_else(|| scaled().map(|bytes| bytes as u64))
}

fn time_in(text: &str) -> Option<Duration> {
    const UNITS: &[(&str, f64)] =
        &[("", 1.0), ("S", 1.0), ("MS", 1e-3), ("US", 1e-6), ("M", 60.0), ("H", 3600.0)];
    let scaled = || Duration::try_from_secs_f64(scaled(text, UNITS)?).ok();
    text.parse()
        .ok()
        .map(Duration::from_secs)
        .or_else(|| seconds_and_nanoseconds(text))
        .or_else(scaled)
}

/// Parses a number that is followed by one of these units.
fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let digits =
        text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let unit = text[digits..].trim().to_uppercase();
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    Some(text[..digits].parse::<f64>().ok()? * factor)
}

pub fn bytes_value(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": BASE64.encode(bytes) }),
    }
}

pub fn path_value(path: &Path) -> Value {
    bytes_value(path.as_os_str().as_bytes())
}

pub fn mode_value(mode: u32) -> Value {
    json!(format!("{mode:04o}"))
}

/// A 64-bit number. Above TOML's largest number, 2⁶³ - 1, it becomes a text with hexadecimal
/// digits.
pub fn unsigned_value(value: u64) -> Value {
    if i64::try_from(value).is_ok() { json!(value) } else { json!(format!("{value:#x}")) }
}

pub fn limit_value(limit: u64) -> Value {
    if limit == u64::MAX { json!("unlimited") } else { json!(limit) }
}

/// Replaces numbers above TOML's largest number, 2⁶³ - 1, by texts with their decimal digits.
pub fn without_large_numbers(value: Value) -> Value {
    match value {
        Value::Number(number)
            if number.as_u64().is_some_and(|number| i64::try_from(number).is_err()) =>
        {
            json!(number.to_string())
        }
        Value::Array(items) => items.into_iter().map(without_large_numbers).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, without_large_numbers(value))).collect()
        }
        other => other,
    }
}

/// A time in seconds: a whole number if possible, else a fraction. If a floating-point number
/// cannot represent it exactly, it becomes a text with all digits.
pub fn duration_value(duration: Duration) -> Value {
    let number = duration.as_secs_f64();
    match duration.subsec_nanos() {
        0 => json!(duration.as_secs()),
        _ if Duration::try_from_secs_f64(number) == Ok(duration) => json!(number),
        nanoseconds => json!(format!("{}.{nanoseconds:09}", duration.as_secs())),
    }
}

/// Parses seconds with exactly nine decimal places, without rounding.
fn seconds_and_nanoseconds(text: &str) -> Option<Duration> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    (digits(seconds) && digits(fraction) && fraction.len() == 9).then_some(())?;
    Some(Duration::new(seconds.parse().ok()?, fraction.parse().ok()?))
}
