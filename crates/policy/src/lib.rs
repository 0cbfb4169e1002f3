//! What HTTP permits a shared cache: RFC 9111 as pure functions of header fields and time.
//!
//! Nothing here waits, reads a clock or touches a socket: times come in as arguments, answers go out as enums that
//! carry their reason. Every rule stands under the sentence of the RFC that asks for it; where the RFCs leave a choice,
//! [`profile::Policy`] makes it. What cannot be read falls to the careful side: not fresh, not stored, not reused.
//!
//! Before the origin: [`facts`] reads the request's fields once, [`reuse::gate`] says whether the cache may take part.
//! After the origin: [`storable::storability`] turns an exchange into a small [`storable::Lifetime`] or a refusal,
//! [`variant::Vary`] names the request fields that belong to the key, [`fields`] takes out what is not kept, [`groups`] and
//! [`invalidate`] say what is invalidated together and by what. On a hit: [`storable::Lifetime`] compares ages,
//! [`validate::evaluate`] answers the client's own conditions, [`status::CacheStatus`] says what happened.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use forebay_policy::age::Times;
//! use forebay_policy::credentials::{CredentialFields, Credentials};
//! use forebay_policy::facts::RequestFacts;
//! use forebay_policy::freshness::Granted;
//! use forebay_policy::profile::Policy;
//! use forebay_policy::reuse::{Body, Freshness, Gate, Lookup, Reusable, gate};
//! use forebay_policy::storable::{Exchange, Storability, storability};
//! use forebay_policy::target::Target;
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//!
//! // A request comes in: may the cache answer it, and may its answer be stored?
//! let request = HeaderMap::new();
//! let (facts, policy) = (RequestFacts::scan(&request), Policy::origin());
//! assert_eq!(gate(&Method::GET, facts, Body::Empty), Gate::Lookup(Lookup::Fill));
//! let credentials = Credentials::of(facts, &request, &CredentialFields::default());
//!
//! // The origin answers: how long is that good for, and for whom?
//! let mut response = HeaderMap::new();
//! response.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
//! let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let exchange = Exchange {
//!     method: &Method::GET,
//!     request: &request,
//!     status: StatusCode::OK,
//!     response: &response,
//!     times: Times { requested: at, received: at },
//!     target: Target { scheme: None, authority: "shop.example", path: "/articles" },
//! };
//! let Storability::Storable(lifetime) =
//!     storability(&exchange, Granted::default(), credentials, &policy)
//! else {
//!     panic!("an answer with max-age is stored");
//! };
//!
//! // Twenty seconds later the same request comes again.
//! let age = lifetime.age(Duration::from_secs(20));
//! assert_eq!(lifetime.answers(credentials), Reusable::Yes);
//! assert_eq!(lifetime.freshness_at(age), Freshness::Fresh { remaining: Duration::from_secs(40) });
//! ```

mod syntax;

pub mod reason;

pub mod profile;

mod structured;

mod preferences;

pub mod directives;

pub mod date;

pub mod age;

pub mod target;

pub mod freshness;

pub mod windows;

pub mod variant;

pub mod facts;

pub mod credentials;

pub mod fields;

pub mod range;

pub mod storable;

pub mod reuse;

pub mod validate;

pub mod update;

pub mod partial;

pub mod invalidate;

pub mod groups;

pub mod status;
