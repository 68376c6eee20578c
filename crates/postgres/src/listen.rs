//! LISTEN/NOTIFY over a connection of its own that comes back by itself.

use crate::{DatabaseUrl, roles::quote_ident, settings::SslMode, tls};
use foundation::{Error, Result};
use futures_util::{StreamExt, stream};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc::{Sender, UnboundedSender, unbounded_channel},
};
use tokio_postgres::{AsyncMessage, Connection};

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The connection is (again) there. Notifications sent while it was not are lost: reload what you hold.
    Connected,
    Notification {
        channel: String,
        payload: String,
    },
}

/// Listens until the receiver is dropped; reconnects with back-off up to 5 s. Hand the future to a task.
pub async fn listen(url: DatabaseUrl, channels: Vec<String>, signals: Sender<Signal>) {
    let mut pause = Duration::from_millis(100);
    while !signals.is_closed() {
        match hear(&url, &channels, &signals).await {
            Ok(()) => pause = Duration::from_millis(100),
            Err(error) => {
                tracing::warn!(error = %error.chain(), retry_in_ms = pause.as_millis() as u64, "the listening connection was lost");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = signals.closed() => return,
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn hear(url: &DatabaseUrl, channels: &[String], signals: &Sender<Signal>) -> Result<()> {
    let mut config = url.config.clone();
    config
        .application_name("portico listen")
        .keepalives_idle(Duration::from_secs(30));
    let lost = |error| Error::internal("listening", error);
    if url.ssl == SslMode::Disable {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(lost)?;
        attend(client, connection, channels, signals).await
    } else {
        let connector = tls::connector(url).map_err(|message| Error::internal("database TLS", message))?;
        let (client, connection) = config.connect(connector).await.map_err(lost)?;
        attend(client, connection, channels, signals).await
    }
}

async fn attend<S, T>(
    client: tokio_postgres::Client,
    mut connection: Connection<S, T>,
    channels: &[String],
    signals: &Sender<Signal>,
) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (heard, mut hearing) = unbounded_channel();
    let subscribe = async {
        let statements: String = channels
            .iter()
            .map(|channel| format!("listen {};", quote_ident(channel)))
            .collect();
        client
            .batch_execute(&statements)
            .await
            .map_err(|error| Error::internal("listen", error))?;
        forward(signals, Signal::Connected).await?;
        while let Some(signal) = hearing.recv().await {
            forward(signals, signal).await?;
        }
        Ok(())
    };
    let pump = async {
        let mut messages = stream::poll_fn(|context| connection.poll_message(context));
        while let Some(message) = messages.next().await {
            pass_on(message.map_err(|error| Error::internal("listening", error))?, &heard);
        }
        drop(heard);
        Err(Error::internal("listening", "the server closed the connection"))
    };
    tokio::select! {
        done = subscribe => done,
        lost = pump => lost,
        () = signals.closed() => Ok(()),
    }
}

fn pass_on(message: AsyncMessage, heard: &UnboundedSender<Signal>) {
    if let AsyncMessage::Notification(notification) = message {
        let signal = Signal::Notification {
            channel: notification.channel().to_owned(),
            payload: notification.payload().to_owned(),
        };
        // The other half ends together with this one.
        let _ = heard.send(signal);
    }
}

async fn forward(signals: &Sender<Signal>, signal: Signal) -> Result<()> {
    signals
        .send(signal)
        .await
        .map_err(|_| Error::internal("listening", "nobody hears any more"))
}
