//! A credential for a host, as text: `ORIGIN=FILE`.

use super::domain;
use crate::base::error::{Error, Result};
use crate::policy::ports;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a credential is added, and the file that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub origin: Origin,
    pub file: PathBuf,
}

/// A server, as the caller speaks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub name: String,
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub is_secure: bool,
}

impl Credential {
    /// # Errors
    ///
    /// `Invalid` if the text is malformed.
    pub fn read(text: &str) -> Result<Credential> {
        let wrong = |why: &str| {
            Error::invalid(format!("egress_credentials {text:?}"), why)
                .hint("write https://NAME[:PORT]=FILE, such as https://api.example.org=/run/token")
        };
        let (origin, file) = text.split_once('=').ok_or_else(|| wrong("it is malformed"))?;
        let (is_secure, rest) = match origin.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(wrong("its origin begins neither with https:// nor with http://")),
        };
        let (name, port) = match rest.split_once(':') {
            Some((name, port)) => (name, ports::port(port).filter(|port| *port > 0)),
            None => (rest, Some(if is_secure { 443 } else { 80 })),
        };
        let name = domain(name).ok_or_else(|| wrong("its name is not that of a host"))?;
        let port = port.ok_or_else(|| wrong("its port is not from 1 to 65535"))?;
        let file = Path::new(file);
        if !file.is_absolute() {
            return Err(wrong("its file is no absolute path"));
        }
        Ok(Credential { origin: Origin { name, port, is_secure }, file: file.into() })
    }
}

impl Origin {
    /// The name, with the port if that is not the usual one.
    pub fn authority(&self) -> String {
        let usual = if self.is_secure { 443 } else { 80 };
        match self.port == usual {
            true => self.name.clone(),
            false => format!("{}:{}", self.name, self.port),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_and_a_file_are_read() {
        for (text, shown, port) in [
            ("https://API.example.org=/run/token", "https://api.example.org", 443),
            ("https://api.example.org:443=/run/token", "https://api.example.org", 443),
            ("https://api.example.org:8443=/run/token", "https://api.example.org:8443", 8443),
            ("http://intranet.test=/run/token", "http://intranet.test", 80),
        ] {
            let read = Credential::read(text).expect(text);
            assert_eq!((read.origin.to_string().as_str(), read.origin.port), (shown, port));
            assert_eq!(read.file, Path::new("/run/token"));
        }
        let read = Credential::read("https://a.test=/a=b").expect("a path may have the sign");
        assert_eq!(read.file, Path::new("/a=b"));
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for text in [
            "",
            "https://a.test",
            "a.test=/run/token",
            "ftp://a.test=/run/token",
            "https://*.test=/run/token",
            "https://a.test/path=/run/token",
            "https://user@a.test=/run/token",
            "https://a.test:0=/run/token",
            "https://a.test:65536=/run/token",
            "https://a.test=token",
            "https://a.test=",
        ] {
            let error = Credential::read(text).expect_err(text);
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        }
    }
}
