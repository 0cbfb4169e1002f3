//! What can be said on the command line and in the environment, and the text of `--help`.
//!
//! Every value is taken as text here, so that a wrong one is told in the same words wherever it was given: see
//! [`config`](crate::config).

use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// The program.
#[derive(Debug, Parser)]
#[command(
    name = "forebay",
    version,
    about = "A two-tier HTTP response cache: local L1, Redis L2, coherent on every instance"
)]
#[command(disable_help_subcommand = true, arg_required_else_help = false)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

/// What it does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve as a caching reverse proxy in front of an HTTP service
    Serve(Box<Serve>),
}

/// The settings of `forebay serve`, as given.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_SERVE)]
#[command(long_about = "A caching reverse proxy in front of an HTTP service in any language.

Answers from memory what it may by RFC 9111, from Redis what other instances have stored, and asks the origin for the rest. \
What is stored, and for how long, the origin says with Cache-Control; Cache-Status tells for each response what was done.")]
pub(crate) struct Serve {
    /// Where clients connect: an address and a port; port 0 takes a free one [default: 127.0.0.1:9100]
    #[arg(long, env = "FOREBAY_LISTEN", value_name = "ADDR", hide_env_values = true)]
    listen: Option<String>,
    /// The service behind: http://HOST[:PORT] (required)
    #[arg(long, env = "FOREBAY_ORIGIN", value_name = "URL", hide_env_values = true)]
    origin: Option<String>,
    /// The Redis that instances share: redis://[USER:PASSWORD@]HOST[:PORT][/DB] [default: none, L1 alone]
    ///
    /// It may be down, also at the start: no request fails because of it. Over TLS rediss://; a Unix socket
    /// redis+unix:///PATH; the master that sentinels name redis-sentinel://HOST[:PORT],..,HOST[:PORT]/SERVICE; a cluster
    /// redis-cluster://HOST[:PORT],..; valkey means the same as redis.
    #[arg(long, env = "FOREBAY_REDIS", value_name = "URL", hide_env_values = true)]
    redis: Option<String>,
    /// A file with Redis' password, instead of one in the URL; it is read again for each connection
    #[arg(long, env = "FOREBAY_REDIS_PASSWORD_FILE", value_name = "FILE", hide_env_values = true)]
    redis_password_file: Option<String>,
    /// A file with the password of the sentinels, where they ask for one
    #[arg(long, env = "FOREBAY_REDIS_SENTINEL_PASSWORD_FILE", value_name = "FILE", hide_env_values = true)]
    redis_sentinel_password_file: Option<String>,
    /// The certificate authorities that may vouch for Redis, in PEM [default: those of the system]
    #[arg(long, env = "FOREBAY_REDIS_CA_FILE", value_name = "FILE", hide_env_values = true)]
    redis_ca_file: Option<String>,
    /// A certificate to show to Redis, in PEM; needs --redis-key-file
    #[arg(long, env = "FOREBAY_REDIS_CERTIFICATE_FILE", value_name = "FILE", hide_env_values = true)]
    redis_certificate_file: Option<String>,
    /// The key of that certificate, in PEM; needs --redis-certificate-file
    #[arg(long, env = "FOREBAY_REDIS_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    redis_key_file: Option<String>,
    /// How long an operation of Redis may take; at most a quarter of --lease [default: 100ms]
    #[arg(long, env = "FOREBAY_REDIS_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    redis_timeout: Option<String>,
    /// Over how many logs entries are spread, which may lie on different nodes of a cluster: a power of two up to 256, the same for all
    /// instances [default: 16 for a cluster, else 1]
    #[arg(long, env = "FOREBAY_REDIS_SHARDS", value_name = "NUMBER", hide_env_values = true)]
    redis_shards: Option<String>,
    /// Instances with the same namespace on the same Redis share entries and invalidations [default: default]
    ///
    /// Give each service its own: 1 to 64 characters out of a-z, 0-9, `_`, `.` and `-`.
    #[arg(long, env = "FOREBAY_NAMESPACE", value_name = "NAME", hide_env_values = true)]
    namespace: Option<String>,
    /// A file with a secret of 16 bytes or more that all instances share: nobody without it can forge what stands in Redis
    #[arg(long, env = "FOREBAY_SECRET_FILE", value_name = "FILE", hide_env_values = true)]
    secret_file: Option<String>,
    /// How bodies are compressed on their way to Redis: none or lz4 [default: none]
    #[arg(long, env = "FOREBAY_L2_COMPRESSION", value_name = "CHOICE", hide_env_values = true)]
    l2_compression: Option<String>,
    /// Which choices of RFC 9111 are taken: proxy or origin [default: proxy]
    ///
    /// proxy: all that a shared cache may do: heuristic freshness, clients' Cache-Control, stale answers while the origin is
    /// down, partial responses.
    /// origin: only what a response's own fields say; clients cannot make it ask the origin.
    #[arg(long, env = "FOREBAY_PROFILE", value_name = "PROFILE", hide_env_values = true)]
    profile: Option<String>,
    /// The memory for entries: bytes, or with KiB, MiB or GiB [default: 256MiB]
    #[arg(long, env = "FOREBAY_L1_BYTES", value_name = "SIZE", hide_env_values = true)]
    l1_bytes: Option<String>,
    /// How long memory is trusted without news from Redis: the bound on staleness when messages are lost [default: 2s]
    #[arg(long, env = "FOREBAY_LEASE", value_name = "TIME", hide_env_values = true)]
    lease: Option<String>,
    /// How long memory is served beyond the lease while Redis cannot be reached; 0s for not at all [default: 30s]
    #[arg(long, env = "FOREBAY_PARTITION_GRACE", value_name = "TIME", hide_env_values = true)]
    partition_grace: Option<String>,
    /// A request in the last stretch of a response's time has it fetched anew beside its answer, from this part of the time on, as in 0.8
    #[arg(long, env = "FOREBAY_REFRESH_AHEAD", value_name = "PART", hide_env_values = true)]
    refresh_ahead: Option<String>,
    /// The same by chance, the likelier the longer the origin took: 1 weighs that as it is, more is earlier
    #[arg(long, env = "FOREBAY_REFRESH_EARLY", value_name = "WEIGHT", hide_env_values = true)]
    refresh_early: Option<String>,
    /// Responses are fresh for up to this part less than they say, so that they do not expire together, as in 0.1
    #[arg(long, env = "FOREBAY_JITTER", value_name = "PART", hide_env_values = true)]
    jitter: Option<String>,
    /// How long a 404 or 410 is fresh that does not say it itself; at most 1m [default: it is not stored]
    #[arg(long, env = "FOREBAY_NEGATIVE_TTL", value_name = "TIME", hide_env_values = true)]
    negative_ttl: Option<String>,
    /// When another Redis takes over and may lack the last invalidations: reissue (who has heard of them sends them again) or flush
    /// (everything is fetched anew) [default: reissue]
    #[arg(long, env = "FOREBAY_FAILOVER", value_name = "CHOICE", hide_env_values = true)]
    failover: Option<String>,
    /// How many replicas of Redis must have an invalidation before it is confirmed, within 100ms [default: 0]
    #[arg(long, env = "FOREBAY_WAIT_REPLICAS", value_name = "NUMBER", hide_env_values = true)]
    wait_replicas: Option<String>,
    /// Other configurations in the namespace that hear of invalidations as well, while a deployment rolls; each names the other [default: none]
    ///
    /// What a configuration is called, GET /stats and the log say: 1a2b3c4d, or 1a2b3c4d/16 with 16 shards.
    #[arg(long, env = "FOREBAY_COMPAT", value_name = "NAME,..", hide_env_values = true)]
    compat: Option<String>,
    /// A response that sets a cookie: refuse (is not stored), strip (is stored without it), store (everybody gets it) [default: refuse]
    #[arg(long, env = "FOREBAY_SET_COOKIE", value_name = "CHOICE", hide_env_values = true)]
    set_cookie: Option<String>,
    /// Store errors that a field outside of the key can provoke (400, 431, ..) when they say how long they are fresh
    #[arg(long, env = "FOREBAY_STORE_REQUEST_ERRORS", value_name = "BOOL", hide_env_values = true)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    store_request_errors: Option<String>,
    /// The targeted fields (RFC 9213) that speak to this cache, the most specific first [default: CDN-Cache-Control]
    #[arg(long, env = "FOREBAY_TARGETED", value_name = "FIELD,..", hide_env_values = true)]
    targeted: Option<String>,
    /// Tell whoever changes something a token (Cache-Seq), and let whoever sends one see that change on every instance
    #[arg(long, env = "FOREBAY_READ_YOUR_WRITES", value_name = "BOOL", hide_env_values = true)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    read_your_writes: Option<String>,
    /// Peers whose X-Forwarded-* and Forwarded fields are believed; everyone else's are dropped [default: none]
    #[arg(long, env = "FOREBAY_TRUSTED_PROXIES", value_name = "CIDR,..", hide_env_values = true)]
    trusted_proxies: Option<String>,
    /// The name in Cache-Status, `on` for `forebay`, or `off` to send none [default: on]
    #[arg(long, env = "FOREBAY_CACHE_STATUS", value_name = "on|off|NAME", hide_env_values = true)]
    cache_status: Option<String>,
    /// The largest request body: bytes, or with KiB, MiB or GiB [default: 100MiB]
    #[arg(long, env = "FOREBAY_MAX_BODY", value_name = "SIZE", hide_env_values = true)]
    max_body: Option<String>,
    /// The largest head of a request: request line and fields [default: 64KiB]
    #[arg(long, env = "FOREBAY_MAX_HEADER_BYTES", value_name = "SIZE", hide_env_values = true)]
    max_header_bytes: Option<String>,
    /// How long a client may take to send the head of a request [default: 10s]
    #[arg(long, env = "FOREBAY_HEADER_READ_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    header_read_timeout: Option<String>,
    /// How long a connection may lie idle, and a request's body may pause [default: 60s]
    #[arg(long, env = "FOREBAY_IDLE_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    idle_timeout: Option<String>,
    /// How long the origin may take to begin its answer, once it has the request [default: 60s]
    #[arg(long, env = "FOREBAY_ORIGIN_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    origin_timeout: Option<String>,
    /// How long the origin may take before a stale response is given where that is permitted; the call goes on [default: no limit]
    #[arg(long, env = "FOREBAY_SOFT_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    soft_timeout: Option<String>,
    /// How long an idle connection to the origin is kept [default: 1s]
    ///
    /// Keep it below the time after which the origin closes its own: no request is sent twice, so one that meets a closing
    /// connection is answered with 502.
    #[arg(long, env = "FOREBAY_ORIGIN_IDLE_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    origin_idle_timeout: Option<String>,
    /// How long requests under way may go on after SIGTERM or SIGINT [default: 30s]
    #[arg(long, env = "FOREBAY_DRAIN_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    drain_timeout: Option<String>,
    /// Where the admin API listens; needs --admin-token-file
    #[arg(long, env = "FOREBAY_ADMIN_LISTEN", value_name = "ADDR", hide_env_values = true)]
    admin_listen: Option<String>,
    /// A file with the admin API's bearer token, at least 32 bytes; needs --admin-listen
    #[arg(long, env = "FOREBAY_ADMIN_TOKEN_FILE", value_name = "FILE", hide_env_values = true)]
    admin_token_file: Option<String>,
    /// What is logged to stderr: off, error, warn, info, debug or trace [default: warn]
    #[arg(long, env = "FOREBAY_LOG", value_name = "LEVEL", hide_env_values = true)]
    log: Option<String>,
    /// A TOML file with the same settings: `lease = "2s"`, `trusted-proxies = ["10.0.0.0/8"]`
    #[arg(long, env = "FOREBAY_CONFIG", value_name = "FILE", hide_env_values = true)]
    pub(crate) config: Option<String>,
}

/// Reads the command line and the environment.
pub(crate) fn parse() -> Result<(Command, ArgMatches), clap::Error> {
    let matches = Program::command().try_get_matches()?;
    let command = Program::from_arg_matches(&matches)?.command;
    let (_, of_command) =
        matches.subcommand().ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
    Ok((command, of_command.clone()))
}

/// The names of all settings that a file can have.
pub(crate) fn settings() -> Vec<String> {
    let program = Program::command();
    let serve = program.find_subcommand("serve").into_iter().flat_map(clap::Command::get_arguments);
    let names = serve.filter_map(|argument| argument.get_long()).map(str::to_owned);
    names.filter(|name| !["config", "help", "version"].contains(&name.as_str())).collect()
}

/// What is wrong with a command line, on one line.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let first = rendered.lines().next().unwrap_or_default();
    let said = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    let hint =
        match error.get(ContextKind::SuggestedArg).or_else(|| error.get(ContextKind::SuggestedSubcommand)) {
            Some(ContextValue::String(similar)) => format!("; `{similar}` is similar"),
            Some(ContextValue::Strings(similar)) if !similar.is_empty() => {
                format!("; `{}` is similar", similar[0])
            }
            _ => "; `forebay serve --help` lists what is accepted".to_owned(),
        };
    said + &hint
}

const AFTER_SERVE: &str = "\
Every setting is a flag, a variable and a key: --lease 2s, FOREBAY_LEASE=2s, and lease = \"2s\" in the file of --config. A \
flag comes before a variable, a variable before the file, the file before the default.

Examples:
  In front of a service on port 8000, memory only:
    forebay serve --listen 127.0.0.1:9100 --origin http://127.0.0.1:8000

  Several instances that share a Redis, behind a load balancer:
    forebay serve --listen 0.0.0.0:80 --origin http://127.0.0.1:8000 --namespace shop \\
      --redis redis://10.0.0.5:6379 --trusted-proxies 10.0.0.0/8

  With an admin API, and an invalidation of all that carries a tag:
    head -c 32 /dev/urandom | base64 > token
    forebay serve --origin http://127.0.0.1:8000 --admin-listen 127.0.0.1:9190 --admin-token-file token
    curl -H \"authorization: Bearer $(cat token)\" -H 'content-type: application/json' \\
      -d '{\"tags\": [\"article:42\"]}' http://127.0.0.1:9190/invalidate

Times are 500ms, 2s, 5m or 1h; sizes are 65536, 64KiB, 256MiB or 1GiB.

Signals: SIGTERM and SIGINT end it once the requests under way are answered, or --drain-timeout is over; upgraded connections \
(WebSocket) are not waited for. A second signal ends it at once.

Exit codes:
  0  it has served and was told to end
  1  it cannot serve: an address that is taken, or a second signal while requests were under way
  2  a flag, a variable or the file is wrong; one line on stderr names it and what is accepted";
