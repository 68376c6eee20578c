//! Mail: written to `core.mails` in the transaction that wants it, sent by a task, tried again with growing pauses.

use foundation::{Error, Result, Secret, Uuid, new_id};
use lettre::{
    AsyncFileTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use postgres_chassis::{Pool, translate};
use std::{path::PathBuf, time::Duration};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);
/// About two days with the pauses below.
const MOST_ATTEMPTS: i32 = 12;

#[derive(Clone, Debug)]
pub enum Settings {
    /// `smtps://user:password@host:465` or `smtp://…?tls=required`.
    Smtp { url: Secret, from: String },
    /// No server: each mail becomes an `.eml` file, for development and for operators who send by hand.
    Outbox { directory: PathBuf },
}

impl Settings {
    /// With a mail server an address must be proven before its first login.
    pub fn demands_verification(&self) -> bool {
        matches!(self, Settings::Smtp { .. })
    }
}

pub enum Mailer {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>, Mailbox),
    Outbox(AsyncFileTransport<Tokio1Executor>, Mailbox),
}

impl Mailer {
    /// # Errors
    /// `MAIL_SETTINGS`: the URL or the sender cannot be parsed, or the directory not be made.
    pub fn open(settings: &Settings) -> Result<Self> {
        let wrong = |message: String| Error::new(foundation::Kind::Invalid, "MAIL_SETTINGS", message);
        match settings {
            Settings::Smtp { url, from } => {
                let from = from
                    .parse()
                    .map_err(|error| wrong(format!("PORTICO_MAIL_FROM '{from}': {error}")))?;
                let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
                    .map_err(|error| wrong(format!("PORTICO_SMTP_URL: {error}")))?
                    .timeout(Some(Duration::from_secs(20)))
                    .build();
                Ok(Self::Smtp(Box::new(transport), from))
            }
            Settings::Outbox { directory } => {
                std::fs::create_dir_all(directory)
                    .map_err(|error| wrong(format!("{}: {error}", directory.display())))?;
                let from = "Portico <portico@localhost>"
                    .parse()
                    .map_err(|error| wrong(format!("sender: {error}")))?;
                Ok(Self::Outbox(AsyncFileTransport::new(directory), from))
            }
        }
    }

    async fn send(&self, recipient: &str, subject: &str, body: String) -> Result<(), String> {
        let (Self::Smtp(_, from) | Self::Outbox(_, from)) = self;
        let to: Mailbox = recipient.parse().map_err(|error| format!("recipient: {error}"))?;
        let message = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .map_err(|error| error.to_string())?;
        match self {
            Self::Smtp(transport, _) => transport
                .send(message)
                .await
                .map(drop)
                .map_err(|error| error.to_string()),
            Self::Outbox(transport, _) => transport
                .send(message)
                .await
                .map(drop)
                .map_err(|error| error.to_string()),
        }
    }
}

/// Part of the caller's transaction: the mail exists if and only if what it speaks of does.
pub async fn enqueue(
    client: &impl deadpool_postgres::GenericClient,
    recipient: &str,
    subject: &str,
    body: &str,
) -> Result<()> {
    client
        .execute(
            "insert into core.mails (id, recipient, subject, body) values ($1, $2, $3, $4)",
            &[&new_id(), &recipient, &subject, &body],
        )
        .await
        .map_err(|error| translate("queueing a mail", error))?;
    Ok(())
}

/// Sends what is due until `stop`.
pub async fn deliver(pool: Pool, mailer: Mailer, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match deliver_one(&pool, &mailer).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::debug!(cause = %error.chain(), "mail waits for the database"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Claims one mail by moving its next attempt ahead, so that no other copy sends it meanwhile.
async fn deliver_one(pool: &Pool, mailer: &Mailer) -> Result<bool> {
    let client = pool.client().await?;
    let told = |error| translate("claiming a mail", error);
    let claimed = client
        .query_opt(
            "update core.mails set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => 30 * 2 ^ attempts)
             where id = (select id from core.mails where next_attempt_at <= now()
                         order by next_attempt_at limit 1 for update skip locked)
             returning id, recipient, subject, body, attempts",
            &[],
        )
        .await
        .map_err(told)?;
    let Some(row) = claimed else { return Ok(false) };
    let (id, attempts): (Uuid, i32) = (row.get(0), row.get(4));
    match mailer.send(row.get(1), row.get(2), row.get(3)).await {
        Ok(()) => tracing::info!(mail = %id, "mail sent"),
        Err(error) if attempts < MOST_ATTEMPTS => {
            tracing::warn!(mail = %id, attempts, error, "mail not sent, will be tried again");
            return Ok(true);
        }
        Err(error) => tracing::error!(mail = %id, attempts, error, "mail given up"),
    }
    client
        .execute("delete from core.mails where id = $1", &[&id])
        .await
        .map_err(told)?;
    Ok(true)
}
