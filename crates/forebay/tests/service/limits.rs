//! What happens where there is no room.

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::routing::get as on_get;
use forebay::{Cache, Limits};

use crate::support::*;

async fn limited(limits: Limits) -> Cache {
    Cache::builder("test").limits(limits).build().await.unwrap()
}

#[tokio::test]
async fn no_more_variants_are_stored_than_a_url_may_have() {
    let cache = limited(Limits::default().max_variants(2)).await;
    let spoken =
        async |fields: HeaderMap| ([(header::VARY, "accept-language")], field(&fields, "accept-language"));
    let app = Router::new().route("/", on_get(spoken).layer(cache.route().ttl("5m"))).layer(cache.layer());
    for language in ["de", "en", "fr"] {
        assert_eq!(get(&app, "/", &[("accept-language", language)]).await.text(), language);
    }
    let hits = async |language| get(&app, "/", &[("accept-language", language)]).await;
    assert!(hits("de").await.is_hit() && hits("en").await.is_hit());
    let third = hits("fr").await;
    assert!(third.cache_status().ends_with("detail=too-many-variants"), "{}", third.cache_status());
    assert_eq!(third.text(), "fr");
}

#[tokio::test]
async fn a_query_over_the_limit_is_passed_on() {
    let cache = limited(Limits::default().max_query(4)).await;
    let app = Router::new().route("/", on_get(async || "x").layer(cache.route().ttl("5m")));
    for _ in 0..2 {
        assert!(get(&app, "/?a=123", &[]).await.cache_status().contains("detail=query-too-long"));
    }
    get(&app, "/?a=1", &[]).await;
    assert!(get(&app, "/?a=1", &[]).await.is_hit());
}

#[tokio::test]
async fn routes_that_an_outer_layer_cannot_remember_are_answered_and_not_stored() {
    let cache = limited(Limits::default().max_routes(1)).await;
    // What keys these routes is only known from their annotations.
    let route = || on_get(async || "x").layer(cache.route().ttl("5m").vary(["x-shop"]));
    let app = Router::new().route("/a", route()).route("/b", route()).layer(cache.layer());
    for _ in 0..3 {
        for path in ["/a", "/b"] {
            assert_eq!(get(&app, path, &[]).await.text(), "x", "{path}");
        }
    }
    assert!(get(&app, "/a", &[]).await.is_hit());
    let second = get(&app, "/b", &[]).await;
    assert!(second.cache_status().ends_with("detail=too-many-routes"), "{}", second.cache_status());
}
