//! The URL: which server, whether over TLS, as whom.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use fred::types::config::Server;
use percent_encoding::percent_decode_str;

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) target: Target,
    pub(crate) encryption: Encryption,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<u8>,
}

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Server(Server),
    Socket(PathBuf),
    /// At the master that these sentinels name for the service.
    Sentinels {
        sentinels: Vec<Server>,
        service: String,
    },
    /// Spread over a cluster that these nodes know.
    Cluster(Vec<Server>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |servers: &[Server]| servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match self {
            Self::Server(server) => server.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
            Self::Sentinels { sentinels, service } => {
                write!(f, "the master of {service} by sentinels {}", list(sentinels))
            }
            Self::Cluster(nodes) => write!(f, "the cluster of {}", list(nodes)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Plain,
    Tls,
}

/// What is wrong with a URL, and the form that is accepted. Shows nothing of the URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) problem: &'static str,
    pub(crate) form: &'static str,
}

/// Reads a URL.
pub(crate) fn parse(url: &str) -> Result<Parts, Refused> {
    let unknown = |problem| Refused { problem, form: FORMS };
    let (name, rest) = url.split_once("://").ok_or_else(|| unknown("it has no scheme"))?;
    let known = SCHEMES.iter().find(|(known, ..)| *known == name);
    let &(_, kind, encryption) = known.ok_or_else(|| unknown("its scheme is unknown"))?;
    let form = kind.form();
    read(kind, rest)
        .map(|(target, login, database)| {
            let (user, password) = login;
            Parts { target, encryption, user, password, database }
        })
        .map_err(|problem| Refused { problem, form })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Socket,
    Sentinels,
    Cluster,
}

impl Kind {
    const fn form(self) -> &'static str {
        match self {
            Self::Server => SERVER,
            Self::Socket => "redis+unix://[user:password@]/path/of/the/socket",
            Self::Sentinels => {
                "redis-sentinel://[user:password@]host[:port][,host[:port]..]/service[/database]"
            }
            Self::Cluster => "redis-cluster://[user:password@]host[:port][,host[:port]..]",
        }
    }
}

type Problem = &'static str;
type Login = (Option<String>, Option<String>);

/// Reads what follows the scheme.
fn read(kind: Kind, rest: &str) -> Result<(Target, Login, Option<u8>), Problem> {
    if rest.contains(['?', '#']) {
        return Err("a query or fragment says nothing here (in a password `?` is %3F and `#` is %23)");
    }
    let (login, place) = match rest.rsplit_once('@') {
        Some((who, place)) => (login(who)?, place),
        None => ((None, None), rest),
    };
    if kind == Kind::Socket {
        return socket(place).map(|target| (target, login, None));
    }
    let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
    let port = if kind == Kind::Sentinels { SENTINEL_PORT } else { PORT };
    let mut servers = hosts.split(',').map(|host| server(host, port)).collect::<Result<Vec<_>, _>>()?;
    let (target, number) = match kind {
        Kind::Sentinels => {
            let (service, number) = path.split_once('/').unwrap_or((path, ""));
            let service = decoded(service)?;
            if service.is_empty() {
                return Err("it names no service after the sentinels");
            }
            (Target::Sentinels { sentinels: servers, service }, number)
        }
        Kind::Cluster if path.is_empty() || path == "0" => (Target::Cluster(servers), ""),
        Kind::Cluster => return Err("a cluster has no databases"),
        Kind::Server | Kind::Socket if servers.len() > 1 => return Err("it names more than one server"),
        Kind::Server | Kind::Socket => (Target::Server(servers.remove(0)), path),
    };
    Ok((target, login, database(number)?))
}

fn login(who: &str) -> Result<Login, Problem> {
    let (user, password) = who.split_once(':').ok_or(
        "what stands before `@` has no colon (a user is `user:@`, a password `:password@`, both are `user:password@`)",
    )?;
    let given = |text: String| if text.is_empty() { None } else { Some(text) };
    Ok((given(decoded(user)?), given(decoded(password)?)))
}

fn socket(place: &str) -> Result<Target, Problem> {
    if !place.starts_with('/') || place.ends_with('/') {
        return Err("the path of a socket is absolute, and comes after three slashes");
    }
    Ok(Target::Socket(decoded(place)?.into()))
}

fn server(text: &str, default: u16) -> Result<Server, Problem> {
    let (host, port) = match text.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, port)) if v6.parse::<Ipv6Addr>().is_ok() => {
            (v6, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or(port)) })
        }
        Some(_) => return Err("what stands in brackets is no IPv6 address"),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err("a host is missing");
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)) {
        return Err("a host has characters that no name of a host has");
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0),
        None => Some(default),
    };
    Ok(Server::new(host, port.ok_or("a port is no number from 1 to 65535")?))
}

fn database(text: &str) -> Result<Option<u8>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "the database is no number from 0 to 255")
}

fn decoded(text: &str) -> Result<String, Problem> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| "what is percent-encoded is no UTF-8")
}

/// The URL as it may be shown. Whatever stands before the last `@` or in a query may be a password.
pub(crate) fn without_secrets(url: &str) -> String {
    let mut shown = url.to_owned();
    if let Some((before, after)) = url.rsplit_once('@') {
        let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
        shown = format!("{scheme}://***@{after}");
    }
    if let Some(query) = shown.find(['?', '#']) {
        shown.replace_range(query + 1.., "***");
    }
    format!("{shown:?}")
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const SERVER: &str = "redis://[user:password@]host[:port][/database]";
const FORMS: &str = "redis://[user:password@]host[:port][/database], or one that begins with rediss://, redis+unix://, \
                     redis-sentinel://, rediss-sentinel://, redis-cluster:// or rediss-cluster:// (valkey as redis)";
/// With an `s` over TLS; `valkey` means `redis`.
const SCHEMES: [(&str, Kind, Encryption); 15] = [
    ("redis", Kind::Server, Encryption::Plain),
    ("rediss", Kind::Server, Encryption::Tls),
    ("valkey", Kind::Server, Encryption::Plain),
    ("valkeys", Kind::Server, Encryption::Tls),
    ("unix", Kind::Socket, Encryption::Plain),
    ("redis+unix", Kind::Socket, Encryption::Plain),
    ("valkey+unix", Kind::Socket, Encryption::Plain),
    ("redis-sentinel", Kind::Sentinels, Encryption::Plain),
    ("rediss-sentinel", Kind::Sentinels, Encryption::Tls),
    ("valkey-sentinel", Kind::Sentinels, Encryption::Plain),
    ("valkeys-sentinel", Kind::Sentinels, Encryption::Tls),
    ("redis-cluster", Kind::Cluster, Encryption::Plain),
    ("rediss-cluster", Kind::Cluster, Encryption::Tls),
    ("valkey-cluster", Kind::Cluster, Encryption::Plain),
    ("valkeys-cluster", Kind::Cluster, Encryption::Tls),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(of: &[(&str, u16)]) -> Vec<Server> {
        of.iter().map(|&(host, port)| Server::new(host, port)).collect()
    }

    #[test]
    fn a_server_has_host_port_user_password_and_database() {
        let parts = parse("valkey://u%40x:p%2Fw@[::1]:7000/3").unwrap();
        assert_eq!(parts.target, Target::Server(Server::new("::1", 7000)));
        assert_eq!((parts.user.as_deref(), parts.password.as_deref()), (Some("u@x"), Some("p/w")));
        assert_eq!((parts.encryption, parts.database), (Encryption::Plain, Some(3)));
        let parts = parse("rediss://:secret@cache.internal/").unwrap();
        assert_eq!(parts.target, Target::Server(Server::new("cache.internal", 6379)));
        assert_eq!((parts.user, parts.password.as_deref()), (None, Some("secret")));
        assert_eq!((parts.encryption, parts.database), (Encryption::Tls, None));
        let parts = parse("redis://shop:@localhost").unwrap();
        assert_eq!((parts.user.as_deref(), parts.password), (Some("shop"), None));
    }

    #[test]
    fn a_socket_is_a_path_with_or_without_a_login() {
        for url in ["redis+unix:///run/redis/redis.sock", "unix:///run/redis/redis.sock"] {
            assert_eq!(parse(url).unwrap().target, Target::Socket("/run/redis/redis.sock".into()));
        }
        let parts = parse("valkey+unix://shop:secret@/run/a%20b").unwrap();
        assert_eq!(parts.target, Target::Socket("/run/a b".into()));
        assert_eq!((parts.user.as_deref(), parts.password.as_deref()), (Some("shop"), Some("secret")));
    }

    #[test]
    fn sentinels_are_a_list_and_a_service_and_their_port_is_their_own() {
        let parts = parse("redis-sentinel://:pw@a,b:1,[::1]:2/shop/4").unwrap();
        let sentinels = servers(&[("a", 26379), ("b", 1), ("::1", 2)]);
        assert_eq!(parts.target, Target::Sentinels { sentinels, service: "shop".into() });
        assert_eq!((parts.password.as_deref(), parts.database), (Some("pw"), Some(4)));
        assert_eq!(parse("valkeys-sentinel://a/m").unwrap().encryption, Encryption::Tls);
    }

    #[test]
    fn a_cluster_is_a_list_of_nodes() {
        let parts = parse("redis-cluster://a:7000,b").unwrap();
        assert_eq!(parts.target, Target::Cluster(servers(&[("a", 7000), ("b", 6379)])));
        assert_eq!(parse("rediss-cluster://a/0").unwrap().encryption, Encryption::Tls);
    }

    #[test]
    fn what_is_wrong_is_named_with_the_form_of_its_scheme() {
        for (url, problem, form) in [
            ("localhost:6379", "no scheme", "redis+unix://"),
            ("", "no scheme", "redis-cluster://"),
            ("http://localhost:6379", "scheme is unknown", "redis-sentinel://"),
            ("redis://", "host is missing", "redis://["),
            ("redis://:6379", "host is missing", "redis://["),
            ("redis://local host", "no name of a host", "redis://["),
            ("redis://localhost:99999", "port is no number", "redis://["),
            ("redis://localhost:0", "port is no number", "redis://["),
            ("redis://[::1]x", "port is no number", "redis://["),
            ("redis://[::g]:1", "no IPv6 address", "redis://["),
            ("redis://localhost/x", "database is no number", "redis://["),
            ("redis://localhost/1/2", "database is no number", "redis://["),
            ("redis://a,b", "more than one server", "redis://["),
            ("redis://secret@localhost", "has no colon", "redis://["),
            ("redis://:%ff@localhost", "no UTF-8", "redis://["),
            ("redis://localhost?db=1", "a query", "redis://["),
            ("redis-sentinel://a,b", "no service", "redis-sentinel://["),
            ("redis-sentinel://a,,b/m", "host is missing", "redis-sentinel://["),
            ("redis-sentinel://a/m/x", "database is no number", "redis-sentinel://["),
            ("redis-cluster://a/1", "no databases", "redis-cluster://["),
            ("redis+unix://run/redis.sock", "three slashes", "redis+unix://["),
            ("unix:///", "three slashes", "redis+unix://["),
        ] {
            let refused = parse(url).unwrap_err();
            assert!(refused.problem.contains(problem), "{url}: {}", refused.problem);
            assert!(refused.form.contains(form), "{url}: {}", refused.form);
        }
    }
}
