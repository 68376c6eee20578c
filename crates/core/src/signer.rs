//! Signs access tokens: with a rotating ES256 key whose public half every service reads from the platform schema, or with
//! the shared secret where the operator configured one for existing clients.

use foundation::{Clock, Error, Result, Secret, Uuid, new_id};
use http_chassis::auth::HASURA_NAMESPACE;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use postgres_chassis::{Pool, translate, trust};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

pub const ACCESS_TOKEN_S: i64 = 15 * 60;
/// A key signs for 30 days; it is published for a day longer than its last token lives.
const ROTATE_AFTER_S: f64 = 30.0 * 86_400.0;
const PUBLISHED_S: f64 = 32.0 * 86_400.0;
/// Copies learn of a new key within milliseconds; none signs with it earlier than this, unless there is no other.
const SETTLE_S: f64 = 10.0;

pub struct Signer {
    issuer: String,
    audience: String,
    clock: Clock,
    key: RwLock<Arc<Key>>,
}

struct Key {
    header: Header,
    key: EncodingKey,
}

/// Who a token speaks for.
pub struct Subject<'a> {
    pub user_id: Uuid,
    pub email: &'a str,
    pub role: &'a str,
    /// None for tokens issued on the command line.
    pub session_id: Option<Uuid>,
}

impl Signer {
    /// `secret`: sign HS256 with it. Otherwise the current ES256 key is loaded, or made.
    pub async fn open(
        pool: &Pool,
        issuer: &str,
        audience: &str,
        clock: Clock,
        secret: Option<&Secret>,
    ) -> Result<Self> {
        let key = match secret {
            Some(secret) => Key {
                header: Header::new(Algorithm::HS256),
                key: EncodingKey::from_secret(secret.expose().as_bytes()),
            },
            None => current(pool).await?,
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            clock,
            key: RwLock::new(Arc::new(key)),
        })
    }

    /// Takes over the newest key, making one when the newest has signed long enough. For a task, hourly.
    pub async fn rotate(&self, pool: &Pool) -> Result<()> {
        let rotates = self.key().header.alg == Algorithm::ES256;
        if rotates {
            let key = current(pool).await?;
            *self.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
        }
        Ok(())
    }

    pub fn sign(&self, subject: &Subject<'_>, lifetime_s: i64) -> Result<String> {
        let now = self.clock.unix();
        let mut claims = json!({
            "iss": self.issuer,
            "sub": subject.user_id,
            "aud": self.audience,
            "exp": now + lifetime_s,
            "iat": now,
            "jti": new_id(),
            "email": subject.email,
            "role": subject.role,
            HASURA_NAMESPACE: {
                "x-hasura-default-role": subject.role,
                "x-hasura-allowed-roles": allowed_roles(subject.role),
                "x-hasura-user-id": subject.user_id,
            },
        });
        if let Some(session) = subject.session_id {
            claims["sid"] = json!(session);
        }
        let key = self.key();
        jsonwebtoken::encode(&key.header, &claims, &key.key).map_err(|error| Error::internal("signing a token", error))
    }

    fn key(&self) -> Arc<Key> {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An administrator may also ask GraphQL as a plain user, to see what users see.
fn allowed_roles(role: &str) -> Vec<&str> {
    if role == "user" {
        vec!["user"]
    } else {
        vec![role, "user"]
    }
}

/// The key to sign with now. One transaction under a lock, so that copies starting together agree on one key.
async fn current(pool: &Pool) -> Result<Key> {
    let mut client = pool.client().await?;
    let told = |error| translate("loading the signing key", error);
    let transaction = client.transaction().await.map_err(told)?;
    transaction
        .execute("lock table core.signing_keys in share row exclusive mode", &[])
        .await
        .map_err(told)?;
    let fresh = transaction
        .query_opt(
            "select 1 from core.signing_keys where created_at > now() - make_interval(secs => $1) limit 1",
            &[&ROTATE_AFTER_S],
        )
        .await
        .map_err(told)?;
    if fresh.is_none() {
        make(&transaction).await?;
    }
    let row = transaction
        .query_one(
            "select kid, pkcs8 from core.signing_keys
             order by created_at > now() - make_interval(secs => $1), created_at desc limit 1",
            &[&SETTLE_S],
        )
        .await
        .map_err(told)?;
    transaction
        .execute(
            "delete from core.signing_keys where created_at < now() - make_interval(secs => $1)",
            &[&PUBLISHED_S],
        )
        .await
        .map_err(told)?;
    transaction.commit().await.map_err(told)?;
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(row.get(0));
    Ok(Key {
        header,
        key: EncodingKey::from_ec_der(row.get(1)),
    })
}

async fn make(transaction: &deadpool_postgres::Transaction<'_>) -> Result<()> {
    let unspecified = |error| Error::internal("making a signing key", error);
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(unspecified)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())
        .map_err(|error| Error::internal("reading the new signing key", error))?;
    let kid = new_id().simple().to_string();
    transaction
        .execute(
            "insert into core.signing_keys (kid, pkcs8) values ($1, $2)",
            &[&kid, &document.as_ref()],
        )
        .await
        .map_err(|error| translate("storing the signing key", error))?;
    trust::publish_key(transaction, &kid, &jwk(&kid, pair.public_key().as_ref()), PUBLISHED_S).await?;
    tracing::info!(kid, "a new token signing key is in force");
    Ok(())
}

/// RFC 7518 section 6.2: the uncompressed point is 0x04, x, y.
fn jwk(kid: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(32);
    json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    })
}
