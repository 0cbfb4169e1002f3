//! One way to send requests to services of any type.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::origin::{BODY_BYTES, Origin};
use crate::workload::Requests;

/// The future that [`Endpoint::exchange`] returns.
pub type Exchanges<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A service with its types hidden, so that subjects of different types stand in one list.
///
/// The box around the future is made once for a whole run of requests, not for each.
pub trait Endpoint: Send {
    /// Sends `count` requests one after another and reads every response to its end.
    ///
    /// # Panics
    ///
    /// When the service fails or the body is not the origin's.
    fn exchange<'a>(&'a mut self, requests: &'a mut Requests, count: u32) -> Exchanges<'a>;

    /// Another handle on the same service, for requests at the same time.
    fn fork(&self) -> Box<dyn Endpoint>;
}

/// Hides the types of `service`.
pub fn endpoint<S, Q, B>(service: S) -> Box<dyn Endpoint>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Debug,
    S::Future: Send,
    Q: Default + Send + 'static,
    B: Body + Send + 'static,
    B::Error: Debug,
    B::Data: Send,
{
    Box::new(Typed { service, request: PhantomData::<fn() -> Q> })
}

struct Typed<S, Q> {
    service: S,
    request: PhantomData<fn() -> Q>,
}

impl<S, Q, B> Endpoint for Typed<S, Q>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Debug,
    S::Future: Send,
    Q: Default + Send + 'static,
    B: Body + Send + 'static,
    B::Error: Debug,
    B::Data: Send,
{
    fn exchange<'a>(&'a mut self, requests: &'a mut Requests, count: u32) -> Exchanges<'a> {
        Box::pin(async move {
            for sent in 1..=count {
                let request = requests.make();
                poll_fn(|context| self.service.poll_ready(context)).await.expect("the service is ready");
                let response = self.service.call(request).await.expect("the service answers");
                assert_eq!(read(response.into_body()).await, BODY_BYTES, "the body is the origin's");
                if sent % SPAWNED_EVERY == 0 && requests.workload().stores() {
                    tokio::task::yield_now().await;
                }
            }
            // What the service has spawned after the last answer belongs to this run as well.
            tokio::task::yield_now().await;
        })
    }

    fn fork(&self) -> Box<dyn Endpoint> {
        Box::new(Self { service: self.service.clone(), request: PhantomData })
    }
}

/// Asks until an answer comes without the origin: entries are written to Redis in the background.
pub(crate) async fn stored(endpoint: &mut dyn Endpoint, requests: &mut Requests, origin: &Origin) {
    loop {
        let before = origin.calls();
        endpoint.exchange(requests, 1).await;
        if origin.calls() == before {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn read<B>(body: B) -> usize
where
    B: Body,
    B::Error: Debug,
{
    let mut body = pin!(body);
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        if let Ok(data) = frame.expect("the body is whole").into_data() {
            bytes += data.remaining();
        }
    }
    bytes
}

/// Stores that a subject has spawned run at this interval; more often, the yield itself would show.
const SPAWNED_EVERY: u32 = 16;
const RETRY: Duration = Duration::from_millis(5);
