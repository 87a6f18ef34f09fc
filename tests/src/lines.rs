//! The line format between the runner and its drivers: one `key value…` per line, with values
//! separated by one space. A byte of a value that is not a printable character, and `%`, is written
//! as `%XX`. A driver in any language can read it without a parser.

use std::fmt::Write;

/// Encodes a value for a line.
pub fn escape(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value {
        match byte {
            b'!'..=b'$' | b'&'..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    text
}

/// Decodes a value from a line.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|error| error.to_string())?;
                (
                    u8::from_str_radix(digits, 16)
                        .map_err(|error| format!("%{digits}: {error}"))?,
                    after,
                )
            }
            (b'%', _) => return Err(format!("a cut escape in {text:?}")),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = escape(&all);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(unescape(&text).as_deref(), Ok(&*all));
        assert!(unescape("%4").is_err() && unescape("%zz").is_err());
    }
}
