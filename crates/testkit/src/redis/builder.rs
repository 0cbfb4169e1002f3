//! How a server is to be.

use std::io;
use std::path::Path;

use super::{certificates, process};

/// Settings of a [`RedisServer`](super::RedisServer); made by [its `builder`](super::RedisServer::builder).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RedisBuilder {
    directives: Vec<(String, Vec<String>)>,
    pub(super) password: Option<String>,
    pub(super) user: Option<(String, String)>,
    pub(super) unix_socket: UnixSocket,
    pub(super) tls: Tls,
    pub(super) kind: Kind,
}

impl RedisBuilder {
    /// Adds a directive as it would stand in `redis.conf`, for instance `set("maxmemory", "20mb")`. The value's
    /// words are separate arguments: `set("user", "reader on >secret ~* +get")`.
    pub fn set(mut self, directive: &str, value: &str) -> Self {
        let words = value.split_whitespace().map(str::to_owned).collect();
        self.directives.push((format!("--{directive}"), words));
        self
    }

    /// Demands a password of every client; it becomes part of [`RedisServer::url`](super::RedisServer::url). Replicas show it to their master.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.set("requirepass", password).set("masterauth", password)
    }

    /// Adds an ACL user with these rights, and makes it the one of [`RedisServer::url`](super::RedisServer::url). The test's own
    /// [`command`](super::RedisServer::command) may do everything all the same.
    pub fn user(mut self, name: &str, secret: &str, rights: &str) -> Self {
        self.user = Some((name.to_owned(), secret.to_owned()));
        self.set("user", &format!("{name} on >{secret} {rights}"))
    }

    /// Listens on a Unix socket too: [`RedisServer::unix_url`](super::RedisServer::unix_url).
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = UnixSocket::Yes;
        self.set("unixsocket", SOCKET)
    }

    /// Listens for TLS too, on a port of its own, with certificates made for this server: [`RedisServer::url`](super::RedisServer::url) is a
    /// `rediss://` one then, and [`RedisServer::ca_file`](super::RedisServer::ca_file) what its clients must trust.
    pub fn tls(mut self) -> Self {
        self.tls = Tls::ServerShowsCertificate;
        self
    }

    /// As [`tls`](Self::tls), and demands a certificate of clients: [`RedisServer::client_certificate_files`](super::RedisServer::client_certificate_files).
    pub fn mutual_tls(mut self) -> Self {
        self.tls = Tls::BothShowCertificates;
        self
    }

    pub(super) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Puts into `dir` what the server reads at its first start.
    pub(super) fn prepare(&self, ports: Ports, dir: &Path) -> io::Result<()> {
        if self.tls != Tls::No {
            certificates::write(dir)?;
        }
        match &self.kind {
            Kind::Server | Kind::ClusterNode => Ok(()),
            Kind::Sentinel(config) => {
                let own = format!("bind 127.0.0.1\nport {}\n", ports.plain);
                std::fs::write(dir.join(SENTINEL_CONFIG), own + config)
            }
        }
    }

    pub(super) fn args(&self, ports: Ports) -> Vec<String> {
        // A sentinel keeps what it learns in its file, and takes everything from there.
        if let Kind::Sentinel(_) = self.kind {
            return vec![SENTINEL_CONFIG.to_owned(), "--sentinel".to_owned()];
        }
        let mut args = vec![];
        let mut set =
            |directive: &str, value: &str| args.extend([format!("--{directive}"), value.to_owned()]);
        for (directive, value) in DIRECTIVES {
            set(directive, value);
        }
        set("port", &ports.plain.to_string());
        if self.kind == Kind::ClusterNode {
            set("cluster-enabled", "yes");
            set("cluster-port", &ports.bus.to_string());
        }
        if self.tls != Tls::No {
            set("tls-port", &ports.tls.to_string());
            set("tls-cert-file", certificates::CERTIFICATE);
            set("tls-key-file", certificates::KEY);
            set("tls-ca-cert-file", certificates::AUTHORITY);
            set("tls-auth-clients", if self.tls == Tls::BothShowCertificates { "yes" } else { "no" });
        }
        for (directive, words) in &self.directives {
            args.push(directive.clone());
            args.extend(words.iter().cloned());
        }
        args
    }
}

/// What the process is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Server,
    ClusterNode,
    /// With the lines of its file.
    Sentinel(String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum UnixSocket {
    #[default]
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tls {
    #[default]
    No,
    ServerShowsCertificate,
    BothShowCertificates,
}

/// Where a server listens; the same after every restart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) plain: u16,
    pub(super) tls: u16,
    /// Where the nodes of a cluster talk to each other.
    pub(super) bus: u16,
}

impl Ports {
    pub(super) fn free() -> io::Result<Self> {
        Ok(Self { plain: process::free_port()?, tls: process::free_port()?, bus: process::free_port()? })
    }
}

pub(super) const SOCKET: &str = "redis.sock";
const DIRECTIVES: [(&str, &str); 4] =
    [("bind", "127.0.0.1"), ("save", ""), ("appendonly", "no"), ("daemonize", "no")];
const SENTINEL_CONFIG: &str = "sentinel.conf";
