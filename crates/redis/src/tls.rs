//! TLS: whom to trust, and what to show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fred::rustls::pki_types::pem::{self, PemObject};
use fred::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use fred::rustls::{ClientConfig, Error, RootCertStore, crypto};
use fred::rustls_native_certs::load_native_certs;
use fred::types::config::{TlsConfig, TlsConnector};

/// What was configured beside the URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    /// The certificate authorities to trust, instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// A certificate to show, and its key.
    pub(crate) client_files: Option<(PathBuf, PathBuf)>,
}

/// What is wrong: with which setting and file, and how.
pub(crate) type Problem = (&'static str, PathBuf, String);

impl Tls {
    pub(crate) fn config(&self) -> Result<TlsConfig, Problem> {
        let roots = self.roots()?;
        // Named, for a process may hold several and has not necessarily chosen one.
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| system(&error))?.with_root_certificates(roots);
        let config = match &self.client_files {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(|why| (CLIENT, certificate.clone(), why))?;
                let secret = PrivateKeyDer::from_pem_file(key);
                let secret = secret.map_err(|error| (CLIENT, key.clone(), why(error)))?;
                let shown = builder.with_client_auth_cert(chain, secret);
                shown.map_err(|error| (CLIENT, certificate.clone(), error.to_string()))?
            }
        };
        Ok(TlsConfig::from(TlsConnector::from(config)))
    }

    fn roots(&self) -> Result<RootCertStore, Problem> {
        let mut roots = RootCertStore::empty();
        let Some(file) = &self.ca_file else {
            roots.add_parsable_certificates(load_native_certs().certs);
            if roots.is_empty() {
                return Err(system(&"it trusts no certificate authority: ca_file has to name one"));
            }
            return Ok(roots);
        };
        for certificate in certificates(file).map_err(|why| (CA, file.clone(), why))? {
            roots.add(certificate).map_err(|error: Error| (CA, file.clone(), error.to_string()))?;
        }
        Ok(roots)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found =
        CertificateDer::pem_file_iter(file).map_err(why)?.collect::<Result<Vec<_>, _>>().map_err(why)?;
    if found.is_empty() { Err("there is no certificate in it".into()) } else { Ok(found) }
}

fn why(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in it".into(),
        other => format!("it is no PEM: {other}"),
    }
}

fn system(error: &impl ToString) -> Problem {
    ("tls", PathBuf::from("of this system"), error.to_string())
}

const CA: &str = "ca_file";
const CLIENT: &str = "client_certificate";
