//! Flags, variables and the file.

use crate::support::{Origin, Proxy, Scrap, command, ok, within};

/// What it says on stderr, and its exit code.
async fn refusal(args: &[&str], variables: &[(&str, &str)]) -> (String, Option<i32>) {
    let mut command = command(args);
    command.envs(variables.iter().copied());
    let output = within(command.output()).await.unwrap();
    assert!(output.stdout.is_empty(), "{args:?}: {:?}", String::from_utf8_lossy(&output.stdout));
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[tokio::test]
async fn a_wrong_flag_is_one_line_that_names_it_and_what_is_accepted() {
    let time = "a time such as 500ms, 2s, 5m or 1h is accepted, at most 365days";
    let positive = "a time such as 500ms, 2s, 5m or 1h is accepted, from 1ms to 365days";
    let address = "an address and a port such as 127.0.0.1:9100 or [::1]:9100 are accepted";
    let size = "a size such as 65536, 64KiB, 256MiB or 1GiB is accepted";
    let cases = [
        ("--listen", "9100", address),
        ("--origin", "ftp://a", "an address such as http://127.0.0.1:8000 is accepted, without a path"),
        ("--origin", "https://a", "an address such as http://127.0.0.1:8000 is accepted, without a path"),
        ("--origin", "http://a/b", "an address such as http://127.0.0.1:8000 is accepted, without a path"),
        ("--l2-compression", "gzip", "none or lz4 is accepted"),
        ("--profile", "cdn", "proxy or origin is accepted"),
        ("--l1-bytes", "10", "a size such as 64MiB or 1GiB is accepted, 1MiB or more"),
        ("--l1-bytes", "1GB", "a size such as 64MiB or 1GiB is accepted, 1MiB or more"),
        ("--lease", "2", time),
        ("--partition-grace", "soon", time),
        ("--refresh-ahead", "1.1", "a number from 0.01 to 1 is accepted, as in 0.8"),
        ("--refresh-early", "-1", "a number from 0 to 10 is accepted, as in 1.0"),
        ("--jitter", "NaN", "a number from 0 to 0.5 is accepted, as in 0.1"),
        ("--negative-ttl", "2m", "a time such as 10s or 1m is accepted, from 1ms to 1m"),
        ("--failover", "none", "reissue or flush is accepted"),
        ("--set-cookie", "keep", "refuse, strip or store is accepted"),
        ("--targeted", "a b", "field names are accepted, as in CDN-Cache-Control,Surrogate-Control"),
        (
            "--trusted-proxies",
            "10.0.0.0/33",
            "addresses and networks are accepted, as in 10.0.0.0/8,192.0.2.1,fd00::/8",
        ),
        ("--cache-status", "", "on, off, or a name of 1 to 64 printable ASCII characters is accepted"),
        ("--max-body", "1MB", size),
        ("--max-header-bytes", "1KiB", "a size from 8KiB to 16MiB is accepted"),
        ("--header-read-timeout", "0s", positive),
        ("--idle-timeout", "0s", positive),
        ("--origin-timeout", "-1s", positive),
        ("--soft-timeout", "1h", "a time such as 200ms or 2s is accepted, from 1ms to 10m"),
        ("--origin-idle-timeout", "x", time),
        ("--drain-timeout", "1000years", time),
        ("--admin-listen", "here", address),
        ("--log", "loud", "off, error, warn, info, debug or trace is accepted"),
    ];
    for (flag, value, accepted) in cases {
        let given = format!("{flag}={value}");
        let mut args = vec!["serve", given.as_str()];
        if flag != "--origin" {
            args.extend(["--origin", "http://127.0.0.1:1"]);
        }
        let expected = format!("error: {flag} {value:?}: {accepted}\n");
        assert_eq!(refusal(&args, &[]).await, (expected, Some(2)), "{flag}");
    }
}

#[tokio::test]
async fn other_mistakes_are_one_line_too() {
    let origin = ["serve", "--origin", "http://127.0.0.1:1"];
    let cases: [(&[&str], &str); 20] = [
        (
            &["serve"],
            "--origin (FOREBAY_ORIGIN) is missing: an address such as http://127.0.0.1:8000 is accepted, without a path",
        ),
        (
            &[],
            "'forebay' requires a subcommand but one was not provided; `forebay serve --help` lists what is accepted",
        ),
        (&["serv"], "unrecognized subcommand 'serv'; `serve` is similar"),
        (&["serve", "--leas", "2s"], "unexpected argument '--leas' found; `--lease` is similar"),
        (
            &["serve", "--quick"],
            "unexpected argument '--quick' found; `forebay serve --help` lists what is accepted",
        ),
        (
            &["serve", "--lease"],
            "a value is required for '--lease <TIME>' but none was supplied; `forebay serve --help` lists what is accepted",
        ),
        (
            &["serve", "--lease=2s", "--lease=3s"],
            "the argument '--lease <TIME>' cannot be used multiple times; `forebay serve --help` lists what is accepted",
        ),
        (
            &["--namespace", "My Shop"],
            "namespace \"My Shop\": 1 to 64 characters out of a-z, 0-9, `_`, `.` and `-` are accepted",
        ),
        (&["--lease", "1ms"], "lease of 1ms: 100ms to 5m is accepted"),
        (
            &["--admin-listen", "127.0.0.1:0"],
            "--admin-token-file (FOREBAY_ADMIN_TOKEN_FILE) is missing: --admin-listen needs a file with a token of 32 bytes or more",
        ),
        (
            &["--admin-token-file", "x"],
            "--admin-listen (FOREBAY_ADMIN_LISTEN) is missing: --admin-token-file needs an address such as 127.0.0.1:9190",
        ),
        (
            &["--redis-timeout", "20ms"],
            "--redis-timeout \"20ms\": it goes with --redis (FOREBAY_REDIS), which is missing",
        ),
        (
            &["--wait-replicas", "1"],
            "--wait-replicas \"1\": it goes with --redis (FOREBAY_REDIS), which is missing",
        ),
        (
            &["--redis", "redis://127.0.0.1", "--redis-shards", "3"],
            "--redis-shards \"3\": a power of two from 1 to 256 is accepted",
        ),
        (
            &["--redis", "redis://127.0.0.1", "--wait-replicas", "17"],
            "--wait-replicas \"17\": a number from 0 to 16 is accepted",
        ),
        (
            &["--redis", "redis://127.0.0.1", "--compat", "1a2b3c4d,shop"],
            "redis compat_namespaces \"shop\": 8 hex digits, as in 1a2b3c4d or 1a2b3c4d/16, is accepted",
        ),
        (
            &["--redis", "redis://127.0.0.1", "--compat", "1a2b3c4d, 1a2b3c4d"],
            "redis compat_namespaces 1a2b3c4d: each of them once is accepted",
        ),
        (
            &["--redis", "rediss://127.0.0.1", "--redis-key-file", "x"],
            "--redis-certificate-file (FOREBAY_REDIS_CERTIFICATE_FILE) is missing: --redis-key-file needs a file with \
             the key's certificate",
        ),
        (
            &["--redis", "redis://127.0.0.1", "--redis-password-file", "/nowhere/at/all"],
            "redis password_file /nowhere/at/all: No such file or directory (os error 2); a file that can be read and \
             holds a password is accepted",
        ),
        (
            &["--redis", "redis://127.0.0.1", "--lease", "200ms"],
            "redis timeout of 100ms with a lease of 200ms: four polls have to fit into a lease; a timeout of at most \
             50ms, or a lease of at least 400ms, is accepted",
        ),
    ];
    for (args, expected) in cases {
        let mut all =
            if args.first().is_some_and(|arg| arg.starts_with("--")) { origin.to_vec() } else { vec![] };
        if !all.is_empty() {
            all.push("--listen=127.0.0.1:0");
        }
        all.extend(args);
        assert_eq!(refusal(&all, &[]).await, (format!("error: {expected}\n"), Some(2)), "{args:?}");
    }
}

#[tokio::test]
async fn a_password_in_a_wrong_url_is_not_shown() {
    let args = ["serve", "--origin", "http://127.0.0.1:1", "--redis", "http://:secret@127.0.0.1"];
    let (said, code) = refusal(&args, &[]).await;
    assert!(said.starts_with("error: --redis \"..\": ") && !said.contains("secret"), "{said}");
    assert_eq!((said.lines().count(), code), (1, Some(2)));
}

#[tokio::test]
async fn a_wrong_variable_is_called_by_its_name() {
    let (said, code) = refusal(&["serve", "--origin", "http://a"], &[("FOREBAY_LEASE", "2x")]).await;
    assert_eq!(
        said,
        "error: FOREBAY_LEASE \"2x\": a time such as 500ms, 2s, 5m or 1h is accepted, at most 365days\n"
    );
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn a_wrong_file_is_one_line_that_names_it() {
    let known = "listen, origin, redis, redis-password-file, redis-sentinel-password-file, redis-ca-file, \
                 redis-certificate-file, redis-key-file, redis-timeout, redis-shards, namespace, secret-file, l2-compression, profile, l1-bytes, lease, \
                 partition-grace, refresh-ahead, refresh-early, jitter, negative-ttl, failover, wait-replicas, compat, set-cookie, \
                 store-request-errors, targeted, read-your-writes, trusted-proxies, cache-status, max-body, max-header-bytes, \
                 header-read-timeout, idle-timeout, origin-timeout, soft-timeout, origin-idle-timeout, \
                 drain-timeout, admin-listen, \
                 admin-token-file, log";
    let time = "a time such as 500ms, 2s, 5m or 1h is accepted, at most 365days";
    let cases = [
        ("lease = 2", format!("lease in PATH \"2\": {time}")),
        (
            "lease = 2026-11-21",
            "lease in PATH \"datetime\": a text, a number, true, false, or a list of texts is accepted"
                .to_owned(),
        ),
        ("leese = \"2s\"", format!("config file PATH: `leese` is no setting; accepted are {known}")),
        ("l1_bytes = 1", format!("config file PATH: `l1_bytes` is no setting; accepted are {known}")),
        ("config = \"x\"", format!("config file PATH: `config` is no setting; accepted are {known}")),
        (
            "store-request-errors = \"yes\"",
            "store-request-errors in PATH \"yes\": true or false is accepted".to_owned(),
        ),
    ];
    for (number, (text, expected)) in cases.into_iter().enumerate() {
        let file = Scrap::new(&format!("wrong-{number}.toml"), text);
        let expected = format!("error: {}\n", expected.replace("PATH", file.path()));
        let args = ["serve", "--origin", "http://a", "--config", file.path()];
        assert_eq!(refusal(&args, &[]).await, (expected, Some(2)), "{text}");
    }
    let broken = Scrap::new("broken.toml", "listen = \"127.0.0.1:0\"\nlease = = 2\n");
    let (said, code) = refusal(&["serve", "--config", broken.path()], &[]).await;
    assert!(said.starts_with(&format!("error: config file {}: line 2: ", broken.path())), "{said}");
    assert_eq!((said.lines().count(), code), (1, Some(2)));
    let (said, code) = refusal(&["serve", "--config", "/nowhere/f.toml"], &[]).await;
    assert_eq!(said, "error: config file /nowhere/f.toml: No such file or directory (os error 2)\n");
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn a_wrong_token_file_is_one_line_that_names_it_and_not_the_token() {
    let check = async |path: &str, problem: &str| {
        let args =
            ["serve", "--origin", "http://a", "--admin-listen", "127.0.0.1:0", "--admin-token-file", path];
        let expected = format!("error: admin token file {path}: {problem}\n");
        assert_eq!(refusal(&args, &[]).await, (expected, Some(2)));
    };
    let short = Scrap::new("short", "0123456789abcdef0123456789abcde\n");
    check(short.path(), "a token of 32 bytes or more is accepted").await;
    let blank = Scrap::new("blank", "0123456789abcdef 0123456789abcdef");
    check(blank.path(), "a token on one line, of printable ASCII characters without blanks, is accepted")
        .await;
    check("/nowhere/token", "No such file or directory (os error 2)").await;
}

#[tokio::test]
async fn a_wrong_secret_file_is_one_line_that_names_it_and_not_the_secret() {
    let short = Scrap::new("short-secret", "fifteen bytes..\n");
    let args = ["serve", "--origin", "http://a", "--secret-file", short.path()];
    let path = short.path();
    let expected = format!("error: secret file {path}: a secret of 16 bytes or more is accepted\n");
    assert_eq!(refusal(&args, &[]).await, (expected, Some(2)));
}

#[tokio::test]
async fn a_flag_comes_before_a_variable_and_a_variable_before_the_file() {
    let origin = Origin::start(|_| ok("", "")).await;
    let file = Scrap::new(
        "all.toml",
        "listen = \"127.0.0.1:0\"\ncache-status = \"file\"\nprofile = \"origin\"\nmax-body = 5\nstore-request-errors = true\n\
         trusted-proxies = [\"10.0.0.0/8\", \"127.0.0.1\"]\n",
    );
    let url = format!("http://{}", origin.address);
    let start = async |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(&["serve", "--store-request-errors"]);
        command.args(flags).env("FOREBAY_CONFIG", file.path()).env("FOREBAY_ORIGIN", &url);
        command.envs(variables.iter().copied());
        Proxy::spawn(command).await
    };
    let name = async |proxy: &Proxy| {
        let answer = proxy.get("/").await;
        answer.field("cache-status").split(';').next().unwrap().to_owned()
    };
    let proxy = start(&[], &[]).await;
    assert!(proxy.introduction.contains("profile origin"), "{}", proxy.introduction);
    assert_eq!(name(&proxy).await, "file");
    assert_eq!(
        proxy.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nworlds").await.status(),
        413
    );
    proxy.ask("GET / HTTP/1.1\r\nhost: a\r\nx-real-ip: 1.1.1.1\r\n\r\n").await;
    assert_eq!(origin.seen().pop().unwrap().field("x-real-ip"), "1.1.1.1");

    let variables = [("FOREBAY_CACHE_STATUS", "variable"), ("FOREBAY_PROFILE", "proxy")];
    let proxy = start(&[], &variables).await;
    assert!(proxy.introduction.contains("profile proxy"), "{}", proxy.introduction);
    assert_eq!(name(&proxy).await, "variable");
    assert_eq!(name(&start(&["--cache-status", "flag"], &variables).await).await, "flag");
}

#[tokio::test]
async fn help_names_every_setting_its_variable_and_the_exit_codes() {
    let output = within(command(&["serve", "--help"]).output()).await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for part in [
        "--lease",
        "[env: FOREBAY_LEASE",
        "Examples:",
        "Exit codes:",
        "Signals:",
        "proxy: all that",
        "[default: 256MiB]",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let output = within(command(&["--version"]).output()).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("forebay {}\n", env!("CARGO_PKG_VERSION")));
}
