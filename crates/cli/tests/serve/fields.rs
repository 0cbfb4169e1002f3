//! What an intermediary adds, takes out and leaves as it is.

use forebay_policy::facts::ROUTING_FIELDS;

use crate::support::{Origin, Proxy, ok};

async fn pair() -> (Origin, Proxy) {
    pair_with("", &[]).await
}

async fn pair_with(fields: &'static str, more: &[&str]) -> (Origin, Proxy) {
    let origin = Origin::start(move |_| ok(fields, "hello")).await;
    let proxy = Proxy::start(origin.address, more).await;
    (origin, proxy)
}

#[tokio::test]
async fn path_and_query_reach_the_origin_byte_for_byte() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.7
    //= type=test
    //# A proxy MUST NOT modify the "absolute-path" and "query" parts of the received target URI when
    //# forwarding it to the next inbound server except as required by that forwarding protocol.
    let (origin, proxy) = pair().await;
    let targets = [
        "/",
        "//",
        "//a//b",
        "/a%2Fb",
        "/a%2fb",
        "/a/../b",
        "/a/./b/..",
        "/..;/b",
        "/a;x=1/b;y",
        "/%00",
        "/%0a.css",
        "/a?",
        "/?b=c&b=d",
        "/?a=b?c/d",
        "/?q=%26;x",
        "/~a!$&'()*+,=:@",
        "/a|b{}\"",
        "/a.",
        "/%",
    ];
    for target in targets {
        let answer = proxy.get(target).await;
        assert_eq!(answer.status(), 200, "{target}");
        let seen = origin.seen().pop().unwrap();
        assert_eq!(seen.first_line(), format!("GET {target} HTTP/1.1"));
    }
}

#[tokio::test]
async fn a_target_in_absolute_form_names_the_host() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
    //= type=test
    //# When a proxy receives a request with an absolute-form of request-target, the proxy MUST ignore the
    //# received Host header field (if any) and instead replace it with the host information of the
    //# request-target.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
    //= type=test
    //# A proxy that forwards such a request MUST generate a new Host field value based on the received
    //# request-target rather than forward the received Host field value.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
    //= type=test
    //# A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send
    //# the absolute-form to a proxy.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.7
    //= type=test
    //# A proxy MUST NOT change the host name if the target URI contains a fully qualified domain name.
    let (origin, proxy) = pair().await;
    proxy.ask("GET http://b.example:81/x?y HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
    let seen = origin.only();
    assert_eq!(seen.first_line(), "GET /x?y HTTP/1.1");
    assert_eq!(seen.field("host"), "b.example:81");
}

#[tokio::test]
async fn options_for_the_whole_server_is_forwarded() {
    let (origin, proxy) = pair().await;
    proxy.ask("OPTIONS * HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
    assert_eq!(origin.only().first_line(), "OPTIONS * HTTP/1.1");
}

#[tokio::test]
async fn fields_of_the_connection_end_here_in_both_directions() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6
    //= type=test
    //# An intermediary not acting as a tunnel MUST implement the Connection header field, as specified in
    //# Section 7.6.1, and exclude fields from being forwarded that are only intended for the incoming
    //# connection.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    //= type=test
    //# Intermediaries MUST parse a received Connection header field before a message is forwarded and, for
    //# each connection-option in this field, remove any header or trailer field(s) from the message with
    //# the same name as the connection-option, and then remove the Connection header field itself (or
    //# replace it with the intermediary's own control options for the forwarded message).
    let answered = "connection: x-there, keep-alive\r\nx-there: 1\r\nkeep-alive: timeout=5\r\n\
                    proxy-connection: keep-alive\r\nproxy-authenticate: Basic\r\nupgrade: h3\r\nx-stays: 1\r\n";
    let (origin, proxy) = pair_with(answered, &[]).await;
    let request = "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: X-Here, close\r\nconnection: x-too\r\nx-here: 1\r\n\
                   x-too: 1\r\nkeep-alive: 5\r\nproxy-connection: keep-alive\r\nproxy-authorization: Basic x\r\n\
                   te: gzip\r\nx-end: 1\r\nx-end: 2\r\n\r\n";
    let answer = proxy.ask(request).await;
    let seen = origin.only();
    for gone in
        ["x-here", "x-too", "keep-alive", "proxy-connection", "proxy-authorization", "te", "connection"]
    {
        assert_eq!(seen.all(gone), [""; 0], "{gone}");
    }
    assert_eq!(seen.all("x-end"), ["1", "2"]);
    for gone in ["x-there", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade"] {
        assert_eq!(answer.all(gone), [""; 0], "{gone}");
    }
    assert_eq!(answer.field("connection"), "close");
    assert_eq!(answer.field("x-stays"), "1");
}

#[tokio::test]
async fn connection_cannot_take_out_what_frames_or_names_a_message() {
    let (origin, proxy) = pair().await;
    proxy.ask("POST / HTTP/1.1\r\nhost: a.example\r\nconnection: host, content-length\r\ncontent-length: 2\r\n\r\nhi").await;
    assert_eq!(origin.only().field("host"), "a.example");
    assert_eq!(origin.only().body, "hi");
}

#[tokio::test]
async fn via_names_the_proxy_in_both_directions() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3
    //= type=test
    //# However, if the real host is considered to be sensitive information, a sender MAY replace it with a
    //# pseudonym.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3
    //= type=test
    //# A proxy MUST send an appropriate Via header field, as described below, in each message that it
    //# forwards. An HTTP-to-HTTP gateway MUST send an appropriate Via header field in each inbound request
    //# message and MAY send a Via header field in forwarded response messages.
    let (origin, proxy) = pair_with("via: 1.1 inner\r\n", &[]).await;
    let answer = proxy.ask("GET / HTTP/1.0\r\nhost: a.example\r\nvia: 1.1 outer\r\n\r\n").await;
    assert_eq!(origin.only().all("via"), ["1.1 outer", "1.0 forebay"]);
    assert_eq!(answer.all("via"), ["1.1 inner", "1.1 forebay"]);
}

#[tokio::test]
async fn date_is_added_where_the_origin_sent_none_and_left_where_it_did() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
    //= type=test
    //# A sender that generates a Date header field SHOULD generate its field value as the best available
    //# approximation of the date and time of message generation.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    //= type=test
    //# When a sender generates a field that contains one or more timestamps defined as HTTP-date, the
    //# sender MUST generate those timestamps in the IMF-fixdate format.
    let (_origin, proxy) = pair().await;
    let date = proxy.get("/").await.field("date").to_owned();
    assert!(date.ends_with(" GMT"), "{date}");

    let (_origin, proxy) = pair_with("date: Tue, 15 Nov 1994 08:12:31 GMT\r\n", &[]).await;
    assert_eq!(proxy.get("/").await.field("date"), "Tue, 15 Nov 1994 08:12:31 GMT");
}

#[tokio::test]
async fn what_a_stranger_says_of_routing_is_dropped_and_set_anew() {
    let (origin, proxy) = pair().await;
    let claims = "x-forwarded-for: 6.6.6.6\r\nx-forwarded-host: evil.example\r\nx-forwarded-proto: https\r\nforwarded: for=6.6.6.6\r\n\
                  x-real-ip: 6.6.6.6\r\nx-original-url: /admin\r\nx-middleware-subrequest: 1\r\nx-rewrite-url: /x\r\n\
                  cf-connecting-ip: 6.6.6.6\r\nx-forwarded-port: 1\r\n";
    proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a.example\r\n{claims}rsc: 1\r\n\r\n")).await;
    let seen = origin.only();
    assert_eq!(seen.field("x-forwarded-for"), "127.0.0.1");
    assert_eq!(seen.field("x-forwarded-host"), "a.example");
    assert_eq!(seen.field("x-forwarded-proto"), "http");
    for gone in [
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-middleware-subrequest",
        "x-rewrite-url",
        "cf-connecting-ip",
    ] {
        assert_eq!(seen.all(gone), [""; 0], "{gone}");
    }
    assert!(!seen.head.contains("6.6.6.6") && !seen.head.contains("evil"), "{}", seen.head);
    // Pages send this one from the browser; the cache keeps its answers apart.
    assert_eq!(seen.field("rsc"), "1");
}

#[tokio::test]
async fn no_routing_field_of_a_stranger_reaches_the_origin_but_those_that_pages_send() {
    let (origin, proxy) = pair().await;
    let fields: String = ROUTING_FIELDS.iter().map(|name| format!("{name}: canary\r\n")).collect();
    proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}next-router-prefetch: canary\r\n\r\n")).await;
    let seen = origin.only();
    let mut kept: Vec<&str> = seen.head.lines().filter_map(|line| line.strip_suffix(": canary")).collect();
    kept.sort_unstable();
    let from_pages =
        ["next-action", "next-hmr-refresh", "next-router-prefetch", "next-url", "rsc", "x-nextjs-data"];
    assert_eq!(kept, from_pages);
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_routing_is_kept_and_added_to() {
    let (origin, proxy) = pair_with("", &["--trusted-proxies", "10.0.0.0/8,127.0.0.1"]).await;
    let claims = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\nx-forwarded-host: shop.example\r\n\
                  x-forwarded-proto: https\r\nforwarded: for=192.0.2.1\r\nx-real-ip: 192.0.2.1\r\n";
    proxy.ask(&format!("GET / HTTP/1.1\r\nhost: a.example\r\n{claims}\r\n")).await;
    let seen = origin.only();
    assert_eq!(seen.field("x-forwarded-for"), "192.0.2.1, 192.0.2.2, 127.0.0.1");
    assert_eq!(seen.field("x-forwarded-host"), "shop.example");
    assert_eq!(seen.field("x-forwarded-proto"), "https");
    assert_eq!(seen.field("forwarded"), "for=192.0.2.1");
    assert_eq!(seen.field("x-real-ip"), "192.0.2.1");
}

#[tokio::test]
async fn a_trace_or_options_goes_no_further_than_max_forwards() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.2
    //= type=test
    //# A recipient MAY ignore a Max-Forwards header field received with any other request methods.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7
    //= type=test
    //# A proxy MUST NOT generate a Max-Forwards header field while forwarding a request unless that request
    //# was received with a Max-Forwards field.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7
    //= type=test
    //# A server generating a successful response to OPTIONS SHOULD send any header that might indicate
    //# optional features implemented by the server and applicable to the target resource (e.g., Allow),
    //# including potential extensions not defined by this specification.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.8
    //= type=test
    //# The final recipient of the request SHOULD reflect the message received, excluding some fields
    //# described below, back to the client as the content of a 200 (OK) response.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.2
    //= type=test
    //# Each intermediary that receives a TRACE or OPTIONS request containing a Max-Forwards header field
    //# MUST check and update its value prior to forwarding the request. If the received value is zero (0),
    //# the intermediary MUST NOT forward the request; instead, the intermediary MUST respond as the final
    //# recipient.
    let (origin, proxy) = pair().await;
    let ask = async |method: &str, steps: &str| {
        let fields = format!("host: a.example\r\nmax-forwards: {steps}\r\ncookie: secret\r\nx-a: b\r\n");
        proxy.ask(&format!("{method} /x HTTP/1.1\r\n{fields}\r\n")).await
    };
    let trace = ask("TRACE", "0").await;
    assert_eq!((trace.status(), trace.field("content-type")), (200, "message/http"));
    assert!(
        trace.body.starts_with("TRACE /x HTTP/1.1\r\n") && trace.body.contains("x-a: b"),
        "{}",
        trace.body
    );
    assert!(!trace.body.contains("secret"), "{}", trace.body);
    assert!(ask("OPTIONS", "0").await.field("allow").contains("GET"));
    assert_eq!(origin.seen().len(), 0);

    ask("OPTIONS", "3").await;
    assert_eq!(origin.only().field("max-forwards"), "2");
    ask("OPTIONS", "99999999999999999999").await;
    assert_eq!(origin.seen()[1].field("max-forwards"), "4294967294");
    ask("GET", "0").await;
    assert_eq!(origin.seen()[2].field("max-forwards"), "0");
}

#[tokio::test]
async fn a_body_of_unknown_length_passes_with_its_trailers_in_both_directions() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.4
    //= type=test
    //# A sender of TE MUST also send a "TE" connection option within the Connection header field (Section
    //# 7.6.1) to inform intermediaries not to forward this field.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-7.4
    //= type=test
    //# Since the TE header field only applies to the immediate connection, a sender of TE MUST also send a
    //# "TE" connection option within the Connection header field (Section 7.6.1 of [HTTP]) in order to
    //# prevent the TE header field from being forwarded by intermediaries that do not support its
    //# semantics.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    //= type=test
    //# A recipient MUST be able to parse the chunked transfer coding (Section 7.1) because it plays a
    //# crucial role in framing messages when the content size is not known in advance.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1.2
    //= type=test
    //# A recipient MUST NOT merge a received trailer field into the header section unless its corresponding
    //# header field definition explicitly permits and instructs how the trailer field value can be safely
    //# merged.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    //= type=test
    //# When a field aside from Connection is used to supply control information for or about the current
    //# connection, the sender MUST list the corresponding field name within the Connection header field.
    let reply = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n";
    let origin = Origin::start(move |_| crate::support::Reply::Text(reply.to_owned())).await;
    let proxy = Proxy::start(origin.address, &[]).await;
    let request = "POST / HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\
                   trailer: x-check\r\n\r\n2\r\nhi\r\n0\r\nx-check: 1\r\n\r\n";
    let answer = proxy.ask(request).await;
    let seen = origin.only();
    assert_eq!(
        (seen.field("te"), seen.field("connection"), seen.field("trailer")),
        ("trailers", "te", "x-check")
    );
    assert_eq!(seen.body, "2\r\nhi\r\n0\r\nx-check: 1\r\n\r\n");
    assert_eq!(answer.field("trailer"), "x-sum");
    assert_eq!(answer.body, "5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //= type=test
    //# A server that sends a 100 (Continue) response MUST ultimately send a final status code, once it
    //# receives and processes the request content, unless the connection is closed prematurely.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //= type=test
    //# Upon receiving an HTTP/1.1 (or later) request that has a method, target URI, and complete header
    //# section that contains a 100-continue expectation and indicates a request content will follow, a
    //# proxy MUST either:
    let (origin, proxy) = pair().await;
    let mut connection = proxy.connect().await;
    connection
        .send("PUT / HTTP/1.1\r\nhost: a.example\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        .await;
    assert!(connection.head().await.starts_with("HTTP/1.1 100 "));
    connection.send("hi").await;
    assert_eq!(connection.answer().await.status(), 200);
    assert_eq!(origin.only().body, "hi");

    let other =
        proxy.ask("PUT / HTTP/1.1\r\nhost: a.example\r\nexpect: wonders\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(other.status(), 417);
}
