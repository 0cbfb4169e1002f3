//! The subscription: its own connection, its own loop.

use std::pin::pin;

use forebay_core::l2::{L2Error, Notice};
use fred::interfaces::EventInterface;
use fred::types::Message;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::connection::{Connection, Dialer, Slot};
use crate::schema::{Schema, decode, is_report, released};

/// Subscribes, and again whenever the subscription is lost, until nobody listens any more.
pub(crate) async fn run(mut dialer: Dialer, slot: Slot, schema: Schema, notices: Sender<Notice>) {
    loop {
        tokio::select! {
            () = notices.closed() => return,
            why = subscribe(&mut dialer, &slot, &schema, &notices) => {
                slot.vacate(&why);
                tokio::select! {
                    () = notices.closed() => return,
                    () = dialer.rest(&why) => {}
                }
            }
        }
    }
}

/// One subscription, from dialling to its end.
async fn subscribe(dialer: &mut Dialer, slot: &Slot, schema: &Schema, notices: &Sender<Notice>) -> L2Error {
    let connection = match dialer.dial().await {
        Ok(connection) => connection,
        Err(why) => return why,
    };
    let messages = connection.client().message_rx();
    if let Err(why) = connection.subscribe(&schema.channel).await {
        return why;
    }
    // From now on polls may go over this connection, and not before: a poll proves that the subscription lives.
    let occupied = slot.occupy(&connection);
    dialer.connected();
    // Nobody to tell is noticed by `run`.
    let _ = notices.send(Notice::Subscribed).await;
    let server = connection.run_id().map(|id| id.to_string());
    let _ = notices.send(Notice::Server(server)).await;
    let why = forward(messages, connection, schema, notices).await;
    drop(occupied);
    let _ = notices.send(Notice::Lost).await;
    why
}

/// Hands on what arrives until the connection is lost. Never waits for the listener while it can keep up.
async fn forward(
    mut messages: Receiver<Message>,
    connection: Connection,
    schema: &Schema,
    notices: &Sender<Notice>,
) -> L2Error {
    let mut lost = pin!(connection.lost());
    loop {
        let received = tokio::select! {
            biased;
            received = messages.recv() => received,
            why = &mut lost => return why,
        };
        let notice = match received {
            Ok(message) => read(schema, &message),
            Err(RecvError::Lagged(_)) => Notice::Lagged,
            Err(RecvError::Closed) => return L2Error::Unavailable("the subscription was closed".into()),
        };
        if let Err(TrySendError::Full(_)) = notices.try_send(notice) {
            // The listener has to learn of the gap, even if nothing more is ever published.
            let _ = notices.send(Notice::Lagged).await;
        }
    }
}

fn read(schema: &Schema, message: &Message) -> Notice {
    let Some(message) = message.value.as_bytes().and_then(|bytes| schema.opened(bytes)) else {
        return Notice::Malformed;
    };
    if is_report(message) {
        return Notice::Report;
    }
    match released(message) {
        Some(key) => Notice::Released(key),
        None => decode(message).map_or(Notice::Malformed, Notice::Message),
    }
}
