//! Certificates for servers that speak TLS, made anew for each.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Writes a certificate authority of its own (`ca.pem`), and a certificate and key for `localhost` and `127.0.0.1`
/// (`server.pem`, `server.key`) that it signed. They serve clients that must show a certificate as well.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    let (authority, certificate, key) = signed().map_err(io::Error::other)?;
    fs::write(dir.join(AUTHORITY), authority)?;
    fs::write(dir.join(CERTIFICATE), certificate)?;
    fs::write(dir.join(KEY), key)
}

fn signed() -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::new(vec![])?;
    // Another name than the certificates it signs have: they would count as signed by themselves.
    params.distinguished_name.push(DnType::CommonName, "an authority for tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}

pub(super) const AUTHORITY: &str = "ca.pem";
pub(super) const CERTIFICATE: &str = "server.pem";
pub(super) const KEY: &str = "server.key";
