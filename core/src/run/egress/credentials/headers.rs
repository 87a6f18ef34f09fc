//! The headers of requests and answers on their way through the caller.

use crate::base::error::{Error, Result};
use crate::policy::egress::Origin;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The headers that the caller adds.
pub type Added = Vec<(HeaderName, HeaderValue)>;

/// Headers about one connection alone: RFC 9110, 7.6.1.
const OF_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// Headers that say where a request goes and where it ends.
const OF_FRAME: [HeaderName; 3] = [HOST, CONTENT_LENGTH, EXPECT];

/// Reads the headers of a file. No error contains any of them.
///
/// # Errors
///
/// The file cannot be read, or a line is none of the form `HEADER: VALUE`.
pub fn read(path: &Path) -> Result<Added> {
    const LONGEST: u64 = 64 * 1024;
    let subject = format!("the credential {}", path.display());
    let failed = |error| Error::io(format!("read {subject}"), error);
    // A pipe would have the caller wait.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::invalid(subject, "it is no regular file"));
    }
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(Error::invalid(subject, format!("it is longer than {LONGEST} bytes")));
    }
    parse(&text).map_err(|why| {
        Error::invalid(subject, why).hint("write lines such as `Authorization: Bearer TOKEN`")
    })
}

fn parse(text: &[u8]) -> std::result::Result<Added, String> {
    let mut added = Added::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let colon = line.iter().position(|byte| *byte == b':');
        let header = colon.and_then(|colon| {
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            Some((name, value)).filter(|(_, value)| !value.is_empty())
        });
        let (name, mut value) = header.ok_or_else(|| format!("line {number} is no header"))?;
        if OF_CONNECTION.contains(&name) || OF_FRAME.contains(&name) {
            return Err(format!("line {number} has a header that the connection itself needs"));
        }
        value.set_sensitive(true);
        added.push((name, value));
    }
    if added.is_empty() { Err("it has no header".into()) } else { Ok(added) }
}

/// Makes the headers of a program's request those of the caller's to `origin`.
pub fn outgoing(headers: &mut HeaderMap, origin: &Origin, added: &Added) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_of_connection(headers);
    headers.remove(EXPECT);
    for (name, _) in added {
        headers.remove(name);
    }
    for (name, value) in added {
        headers.append(name, value.clone());
    }
    if let Ok(host) = HeaderValue::from_str(&origin.authority()) {
        headers.insert(HOST, host);
    }
}

/// Makes the headers of the server's answer those of the caller's to the program. A redirection
/// within the server stays one.
pub fn incoming(headers: &mut HeaderMap, origin: &Origin) {
    remove_of_connection(headers);
    let path = headers.get(LOCATION).and_then(|location| {
        let path = location.to_str().ok()?.strip_prefix(&origin.to_string())?;
        (path.is_empty() || path.starts_with(['/', '?', '#'])).then(|| path.to_owned())
    });
    let inside = path.map(|path| HeaderValue::try_from(format!("http://{}{path}", origin.name)));
    if let Some(Ok(inside)) = inside {
        headers.insert(LOCATION, inside);
    }
}

fn remove_of_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !OF_FRAME.contains(name))
        .collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { name: "api.test".into(), port: 443, is_secure: true }
    }

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn a_file_has_a_header_in_each_line() {
        let read = parse(b"Authorization: Bearer abc\r\n\nX-Key:  1: 2 \n").unwrap();
        let values: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(values[0].0, "authorization");
        assert_eq!(
            (values[0].1.as_bytes(), values[1].1.as_bytes()),
            (&b"Bearer abc"[..], &b"1: 2"[..])
        );
        assert!(read.iter().all(|(_, value)| value.is_sensitive()));
        for wrong in ["", "\n", "token", ": a", "A b: c", "A:", "A: \x01", "Host: a", "Upgrade: a"]
        {
            let why = parse(wrong.as_bytes()).expect_err(wrong);
            assert!(!why.contains("token"), "{why}");
        }
    }

    #[test]
    fn what_the_program_sends_in_the_place_of_the_credential_is_dropped() {
        let mut sent = headers(&[
            ("authorization", "own"),
            ("authorization", "own too"),
            ("connection", "close, x-dropped, content-length"),
            ("content-length", "3"),
            ("host", "other.test"),
            ("x-dropped", "1"),
            ("x-kept", "1"),
        ]);
        let added = parse(b"Authorization: secret").unwrap();
        outgoing(&mut sent, &origin(), &added);
        let expected = headers(&[
            ("authorization", "secret"),
            ("content-length", "3"),
            ("host", "api.test"),
            ("x-kept", "1"),
        ]);
        assert_eq!(sent, expected);
    }

    #[test]
    fn one_of_two_lengths_is_dropped() {
        let mut sent = headers(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
        outgoing(&mut sent, &origin(), &Added::new());
        assert_eq!(sent, headers(&[("host", "api.test")]));
    }

    #[test]
    fn a_redirection_within_the_server_stays_one() {
        for (from, to) in [
            ("https://api.test/a?b", "http://api.test/a?b"),
            ("https://api.test", "http://api.test"),
            ("https://api.test.evil.test/", "https://api.test.evil.test/"),
            ("https://api.test:8443/", "https://api.test:8443/"),
            ("/a", "/a"),
        ] {
            let mut answer = headers(&[("location", from), ("keep-alive", "1")]);
            incoming(&mut answer, &origin());
            assert_eq!(answer, headers(&[("location", to)]));
        }
    }
}
