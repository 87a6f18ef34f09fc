//! Credentials that the caller adds to the requests of a program, which never sees them.
//!
//! ```text
//!   sandbox                      caller                            server
//!     |  http://api.example.org  |                                   |
//!     +------------------------->| the header of the file is added,  |
//!     |                          | whatever the program has sent     |
//!     |                          +---- https://api.example.org ----->|
//! ```
//!
//! Over TLS nothing can be added to what a program sends. So the program speaks plain HTTP, which
//! never leaves the host, and the caller speaks HTTPS.

#[cfg(feature = "credentials")]
mod exchange;
#[cfg(feature = "credentials")]
mod headers;
#[cfg(feature = "credentials")]
mod target;

#[cfg(not(feature = "credentials"))]
pub use without::{Credentials, Target, carry};
#[cfg(feature = "credentials")]
pub use {exchange::carry, target::Credentials, target::Target};

/// The port of a name to which programs speak plain HTTP.
pub const PORT: u16 = 80;

/// Always refuses: this build includes neither HTTP nor TLS.
#[cfg(not(feature = "credentials"))]
mod without {
    use crate::base::error::{Error, ErrorKind, Result};
    use crate::host::forward::{Counters, Token};
    use crate::policy::egress::{Credential, Origin};
    use std::net::SocketAddr;
    use std::sync::Arc;
    use tokio::net::TcpStream;

    pub struct Credentials;

    pub struct Target {
        pub origin: Origin,
    }

    impl Credentials {
        pub fn load(credentials: &[Credential]) -> Result<Credentials> {
            match credentials.first() {
                None => Ok(Credentials),
                Some(first) => {
                    let action = format!("read the credential of {}", first.origin);
                    Err(Error::new(ErrorKind::Unsupported, action)
                        .hint("build seclude with its feature `credentials`"))
                }
            }
        }

        pub fn of(&self, _name: &str) -> Option<Arc<Target>> {
            None
        }
    }

    pub async fn carry(
        _inside: TcpStream,
        _target: Arc<Target>,
        _way: Vec<SocketAddr>,
        _counters: Arc<Counters>,
        _token: Token,
    ) {
    }
}
