//! The servers that get credentials, and how the caller speaks to them.

use super::headers::{self, Added};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::egress::{Credential, Origin};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The servers of one policy, by name.
pub struct Credentials(HashMap<String, Arc<Target>>);

/// A server.
pub struct Target {
    pub origin: Origin,
    pub added: Added,
    pub tls: Option<Tls>,
}

/// How to make sure that a server is the one of its name.
pub struct Tls {
    pub connector: TlsConnector,
    pub name: ServerName<'static>,
}

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is malformed; the host has no certificates to check servers by.
    pub fn load(credentials: &[Credential]) -> Result<Credentials> {
        let is_secure = credentials.iter().any(|one| one.origin.is_secure);
        let connector = is_secure.then(connector).transpose()?;
        let target = |one: &Credential| {
            let Credential { origin, file } = one;
            let tls = connector.as_ref().filter(|_| origin.is_secure).map(|connector| {
                let name = ServerName::try_from(origin.name.clone()).map_err(|_| {
                    let subject = format!("egress_credentials {origin}");
                    Error::invalid(subject, "no certificate can have this name")
                })?;
                Ok(Tls { connector: connector.clone(), name })
            });
            let (added, tls) = (headers::read(file)?, tls.transpose()?);
            let target = Target { origin: origin.clone(), added, tls };
            Ok((origin.name.clone(), Arc::new(target)))
        };
        credentials.iter().map(target).collect::<Result<_>>().map(Credentials)
    }

    /// The server of this name, if it gets a credential.
    pub fn of(&self, name: &str) -> Option<Arc<Target>> {
        self.0.get(name).cloned()
    }
}

/// TLS with the certificates that the host trusts.
fn connector() -> Result<TlsConnector> {
    let unsupported = || {
        const ACTION: &str = "prepare TLS for the credentials of the way out";
        Error::new(ErrorKind::Unsupported, ACTION)
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(unsupported().hint(
            "the host has no certificates of authorities: install ca-certificates, or set \
            SSL_CERT_FILE for the caller",
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unsupported().because(error.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
