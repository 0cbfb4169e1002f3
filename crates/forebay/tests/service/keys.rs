//! Requests that are not the same never share an answer (S1, S4, S5, S6, S8), whatever they are made of.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use forebay_policy::facts::ROUTING_FIELDS;

use crate::support::{Count, cache, field, get, request, send};

/// Says what it was asked for, as a handler sees it.
async fn echo(request: Request<Body>) -> ([(&'static str, &'static str); 1], String) {
    let (uri, host) = (request.uri(), field(request.headers(), "host"));
    ([("cache-control", "max-age=60")], format!("{} {uri} {host}", request.method()))
}

async fn echoing() -> Router {
    Router::new().fallback(echo).layer(cache().await.layer())
}

// S1, S6: what is keyed is what the handler gets, byte for byte.
//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# the presented target URI (Section 7.1 of [HTTP]) and that of the stored response match, and
#[tokio::test]
async fn no_two_ways_to_write_a_request_share_an_answer() {
    let app = echoing().await;
    let targets = [
        "/",
        "/a",
        "/a/",
        "//a",
        "/a//",
        "/A",
        "/%61",
        "/a/b",
        "/a%2Fb",
        "/a%2fb",
        "/a/../b",
        "/a/..;/b",
        "/a/%2e%2e/b",
        "/a%00",
        "/a%0a",
        "/a;x",
        "/a;x.css",
        "/a/x.css",
        "/a%23.css",
        "/a%3Fb=c",
        "/a?",
        "/a?b",
        "/a?b=c",
        "/a?b=c&",
        "/a?b=c&d",
        "/a?b=c%26d",
        "/a?b=c;d",
        "/a?d&b=c",
        "/a?b=c&b=c",
        "/a?B=c",
        "/a?b=%63",
        "/a?b=c+",
        "/a?b=c%20",
        "/a.",
        "/a?/b",
        "/ab?=c",
        "/a?b=c?d",
    ];
    let hosts = ["shop", "shop:80", "SHOP", "shop.", "a", "shop/a", "sho"];
    for round in 0..2 {
        for target in targets {
            for host in hosts {
                let reply = get(&app, target, &[("host", host)]).await;
                assert_eq!(reply.text(), format!("GET {target} {host}"));
                assert_eq!(reply.is_hit(), round == 1, "{target} {host}");
            }
        }
    }
    for uri in ["http://shop/a", "https://shop/a", "http://shop:80/a", "http://u@shop/a", "http://sho/pa"] {
        for hit in [false, true] {
            let reply = get(&app, uri, &[]).await;
            assert_eq!((reply.text(), reply.is_hit()), (&*format!("GET {uri} -"), hit));
        }
    }
}

// S1: moving bytes from one field into its neighbour.
#[tokio::test]
async fn the_pieces_of_a_key_do_not_run_into_each_other() {
    let app = echoing().await;
    let value = |name: &str| field(request(Method::GET, "/", &[]).headers(), name);
    assert_eq!(value("x-forwarded-host"), "-");
    let cases = [
        ("/a?b", "shop", "x"),
        ("/a", "shop?b", "x"),
        ("/", "shop", "ax"),
        ("/a", "shop", "bx"),
        ("/ab", "shop", "x"),
        ("/a", "shopb", "x"),
    ];
    for (target, host, forwarded) in cases {
        let reply = get(&app, target, &[("host", host), ("x-forwarded-host", forwarded)]).await;
        assert!(!reply.is_hit(), "{target} {host} {forwarded}");
        assert_eq!(reply.text(), format!("GET {target} {host}"));
    }
}

// S4: a handler that writes a field into its page.
#[tokio::test]
async fn a_field_that_changes_routing_poisons_nobody() {
    let more = ["x-middleware-rewrite", "x-middleware-subrequest", "x-invoke-path", "x-invoke-status"];
    let more =
        more.into_iter().chain(["next-router-prefetch", "next-router-state-tree", "x-middleware-prefetch"]);
    let fields: Vec<&str> = ROUTING_FIELDS.into_iter().chain(more).collect();
    let reflecting = fields.clone();
    let handler = move |request: Request<Body>| async move {
        let seen: Vec<_> = reflecting.iter().map(|name| field(request.headers(), name)).collect();
        ([("cache-control", "max-age=60")], seen.concat())
    };
    let app = Router::new().fallback(handler).layer(cache().await.layer());
    let clean = "-".repeat(fields.len());
    for (number, name) in fields.iter().enumerate() {
        let page = format!("/{number}");
        assert!(get(&app, &page, &[(name, "evil.example")]).await.text().contains("evil"), "{name}");
        for hit in [false, true] {
            let reply = get(&app, &page, &[]).await;
            assert_eq!((reply.text(), reply.is_hit()), (&*clean, hit), "{name}");
        }
    }
    assert!(fields.len() >= 38, "{}", fields.len());
}

// S4: what a load balancer adds to every request costs no hit.
#[tokio::test]
async fn a_constant_field_from_a_balancer_costs_nothing() {
    let app = echoing().await;
    let behind =
        [("x-forwarded-proto", "https"), ("x-forwarded-host", "shop"), ("x-forwarded-for", "10.0.0.1")];
    assert!(!get(&app, "/a", &behind).await.is_hit());
    let other_client = [behind[0], behind[1], ("x-forwarded-for", "10.0.0.2")];
    assert!(get(&app, "/a", &other_client).await.is_hit());
}

// S4, S8
//= https://www.rfc-editor.org/rfc/rfc9211#section-2.2
//= type=test
//# bypass: The cache was configured to not handle this request.
#[tokio::test]
async fn a_method_override_or_a_body_leaves_nothing_and_gets_nothing() {
    let count = Count::default();
    let counting = count.clone();
    let handler = move || async move { ([("cache-control", "max-age=60")], counting.up().to_string()) };
    let app = Router::new().fallback(handler).layer(cache().await.layer());
    let fat = |uri: &str| {
        let mut fat = request(Method::GET, uri, &[("content-length", "4")]);
        *fat.body_mut() = Body::from("evil");
        fat
    };
    let overriding = |name| request(Method::GET, "/a", &[(name, "DELETE")]);
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        assert!(send(&app, overriding(name)).await.cache_status().contains("fwd=bypass"), "{name}");
    }
    assert!(send(&app, fat("/a")).await.cache_status().contains("fwd=bypass"));
    assert_eq!(get(&app, "/a", &[]).await.text(), "5");
    assert_eq!(get(&app, "/a", &[]).await.text(), "5");
    assert_eq!(send(&app, fat("/a")).await.text(), "6");
    assert_eq!(send(&app, overriding("x-http-method")).await.text(), "7");
}

// S5: which name counts must be beyond doubt. Over HTTP/2 a request carries its authority in the URI and may carry a Host.
#[tokio::test]
async fn a_host_that_is_missing_double_or_contradicted_bypasses() {
    let app = echoing().await;
    let cases: [(&str, &[(&str, &str)]); 5] = [
        ("/a", &[("host", "")]),
        ("/a", &[("host", "shop"), ("host", "shop")]),
        ("/a", &[("host", "shop"), ("host", "evil")]),
        ("http://shop/a", &[("host", "evil")]),
        ("http://shop/a", &[("host", "shop:81")]),
    ];
    for (uri, fields) in cases {
        for _ in 0..2 {
            let reply = get(&app, uri, fields).await;
            assert!(
                reply.cache_status().contains("fwd=bypass"),
                "{uri} {fields:?}: {}",
                reply.cache_status()
            );
        }
    }
    let mut without = request(Method::GET, "/a", &[]);
    without.headers_mut().remove("host");
    assert!(send(&app, without).await.cache_status().contains("detail=no-authority"));
    assert_eq!(get(&app, "http://shop/a", &[]).await.text(), "GET http://shop/a -");
    assert!(
        get(&app, "http://shop/a", &[("host", "Shop")]).await.is_hit(),
        "the same name, written otherwise"
    );
    assert_eq!(get(&app, "/a", &[]).await.text(), "GET /a shop");
}

#[tokio::test]
async fn a_key_or_query_without_measure_bypasses() {
    let app = echoing().await;
    let long = |bytes: usize| format!("/a?{}", "x".repeat(bytes));
    assert!(get(&app, &long(2048), &[]).await.cache_status().contains("stored"));
    assert!(get(&app, &long(2049), &[]).await.cache_status().contains("detail=query-too-long"));
    let path = format!("/{}", "x".repeat(5000));
    assert!(get(&app, &path, &[]).await.cache_status().contains("detail=key-too-long"));
    let host = "h".repeat(5000);
    assert!(get(&app, "/a", &[("host", &host)]).await.cache_status().contains("detail=key-too-long"));
    let deep = "/a".repeat(17);
    assert!(get(&app, &deep, &[]).await.cache_status().contains("detail=path-too-deep"));
}

// S6 below nested routers, where the handler sees a shorter path.
#[tokio::test]
async fn routes_of_the_same_name_under_two_nested_routers_are_two() {
    for outer in [false, true] {
        let cache = cache().await;
        let part = |name: &'static str| {
            let list = axum::routing::get(async move || name).layer(cache.route().ttl("1m"));
            Router::new().route("/list", list)
        };
        let mut app = Router::new().nest("/a", part("a")).nest("/b", part("b"));
        if outer {
            app = app.layer(cache.layer());
        }
        for hit in [false, true] {
            for name in ["a", "b"] {
                let reply = get(&app, &format!("/{name}/list"), &[]).await;
                assert_eq!((reply.text(), reply.is_hit()), (name, hit), "outer: {outer}");
            }
        }
        cache.invalidate(forebay::Path("/a/list")).await.unwrap();
        assert!(!get(&app, "/a/list", &[]).await.is_hit(), "it is invalidated by the path that clients know");
        assert!(get(&app, "/b/list", &[]).await.is_hit());
    }
}
