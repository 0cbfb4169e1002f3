//! Connections that have left HTTP: what one end says, the other hears.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

/// Joins the two connections once both have been upgraded. It ends with either of them.
pub(super) fn join(client: OnUpgrade, origin: OnUpgrade) {
    tokio::spawn(async move {
        let joined = async {
            let (client, origin) = tokio::try_join!(client, origin)?;
            let (mut client, mut origin) = (TokioIo::new(client), TokioIo::new(origin));
            copy_bidirectional(&mut client, &mut origin).await?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        };
        if let Err(error) = joined.await {
            tracing::debug!(%error, "an upgraded connection broke off");
        }
    });
}
