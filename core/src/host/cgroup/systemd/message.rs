//! D-Bus messages as bytes: the D-Bus specification, "Message Protocol".
//!
//! The header of a call is a handful of strings and written here; bodies, and everything that comes
//! from outside, go through zvariant. What a peer sends is checked before it is used: it can be
//! refused, never believed.

use serde::de::Deserialize;
use serde::ser::Serialize;
use std::fmt::Write as _;
use zvariant::serialized::{Context, Data};
use zvariant::{Endian, Type, Value};

/// Bytes that tell how long the whole message is.
pub const PREFIX: usize = 16;
/// The specification allows 128 MiB; what is asked here is answered in a few hundred bytes.
const LENGTH_MAX: usize = 1 << 20;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;
const VERSION: u8 = 1;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Whom a call is for.
pub struct Target {
    pub destination: &'static str,
    pub path: &'static str,
    pub interface: &'static str,
}

/// The bytes of a method call whose arguments are the members of the tuple `arguments`.
pub fn call<T: Serialize + Type>(
    serial: u32,
    target: &Target,
    member: &str,
    arguments: &T,
) -> zvariant::Result<Vec<u8>> {
    let body = zvariant::to_bytes(Context::new_dbus(Endian::Little, 0), arguments)?;
    let mut fields = Vec::new();
    field(&mut fields, PATH, b'o', target.path);
    field(&mut fields, INTERFACE, b's', target.interface);
    field(&mut fields, MEMBER, b's', member);
    field(&mut fields, DESTINATION, b's', target.destination);
    if !body.is_empty() {
        field(&mut fields, SIGNATURE, b'g', &T::SIGNATURE.to_string_no_parens());
    }
    let mut message = vec![b'l', METHOD_CALL, 0, VERSION];
    message.extend((body.len() as u32).to_le_bytes());
    message.extend(serial.to_le_bytes());
    message.extend((fields.len() as u32).to_le_bytes());
    message.extend(&fields);
    pad(&mut message);
    message.extend(body.bytes());
    Ok(message)
}

/// One header field: its code and a variant, aligned to 8.
fn field(fields: &mut Vec<u8>, code: u8, kind: u8, text: &str) {
    pad(fields);
    fields.extend([code, 1, kind, 0]);
    match kind {
        b'g' => fields.push(text.len() as u8),
        _ => fields.extend((text.len() as u32).to_le_bytes()),
    }
    fields.extend(text.as_bytes());
    fields.push(0);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// How long the message is that begins with `prefix`, or why it cannot be read.
pub fn length(prefix: &[u8; PREFIX]) -> Result<usize, String> {
    let word = |at: usize| {
        let bytes = [prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]];
        (if prefix[0] == b'B' { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
            as usize
    };
    if !matches!(prefix[0], b'l' | b'B') || prefix[3] != VERSION {
        return Err("the bus does not speak D-Bus".to_owned());
    }
    let (body, fields) = (word(4), word(12));
    if body > LENGTH_MAX || fields > LENGTH_MAX {
        return Err(format!("the bus sent a message of more than {LENGTH_MAX} bytes"));
    }
    Ok(PREFIX + fields.next_multiple_of(8) + body)
}

/// What a received message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Reply { serial: u32 },
    Error { serial: u32, name: String },
    Signal { path: String, interface: String, member: String },
    Other,
}

/// A received message.
#[derive(Debug)]
pub struct Message {
    pub kind: Kind,
    signature: String,
    body: Data<'static, 'static>,
}

impl Message {
    pub fn read(bytes: Vec<u8>) -> Result<Message, String> {
        let malformed = || "the bus sent a malformed message".to_owned();
        let endian = if bytes.first() == Some(&b'B') { Endian::Big } else { Endian::Little };
        let context = Context::new_dbus(endian, 0);
        let all = Data::new(bytes, context);
        type Header<'a> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Value<'a>)>);
        let ((_, kind, _, _, _, _, fields), read): (Header<'_>, usize) =
            all.deserialize().map_err(|_| malformed())?;
        let text = |code: u8| {
            fields.iter().find(|(field, _)| *field == code).and_then(|(_, value)| match value {
                Value::Str(text) => Some(text.as_str().to_owned()),
                Value::ObjectPath(path) => Some(path.as_str().to_owned()),
                Value::Signature(signature) => Some(signature.to_string_no_parens()),
                _ => None,
            })
        };
        let number = |code: u8| {
            fields.iter().find(|(field, _)| *field == code).and_then(|(_, value)| match value {
                Value::U32(number) => Some(*number),
                _ => None,
            })
        };
        let kind = match kind {
            METHOD_RETURN => Kind::Reply { serial: number(REPLY_SERIAL).ok_or_else(malformed)? },
            ERROR => Kind::Error {
                serial: number(REPLY_SERIAL).ok_or_else(malformed)?,
                name: text(ERROR_NAME).ok_or_else(malformed)?,
            },
            SIGNAL => Kind::Signal {
                path: text(PATH).ok_or_else(malformed)?,
                interface: text(INTERFACE).ok_or_else(malformed)?,
                member: text(MEMBER).ok_or_else(malformed)?,
            },
            _ => Kind::Other,
        };
        let signature = text(SIGNATURE).unwrap_or_default();
        let start = read.next_multiple_of(8);
        if start > all.len() {
            return Err(malformed());
        }
        let body = Data::new(all[start..].to_vec(), context);
        Ok(Message { kind, signature, body })
    }

    /// Its arguments as the tuple `T`; nothing if they are of other types.
    pub fn arguments<'m, T: Deserialize<'m> + Type>(&'m self) -> Option<T> {
        let mut expected = String::new();
        T::SIGNATURE.write_as_string_no_parens(&mut expected).ok()?;
        (expected == self.signature)
            .then(|| self.body.deserialize().ok())?
            .map(|(arguments, _)| arguments)
    }

    /// The text of an error: its first argument, if that is a text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some((said,)) = self.arguments::<(&str,)>() {
            // An error's text ends up in a line of ours.
            said.chars().filter(|letter| !letter.is_control()).take(200).for_each(|letter| {
                let _ = text.write_char(letter);
            });
        }
        text
    }
}
