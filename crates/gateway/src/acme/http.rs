//! How certificate authorities and DNS providers are asked: the gateway's own connections, with whom to trust told.

use crate::{
    listener::tls::upstream::Wish,
    service::pool::{Pool, Speaks, Transport},
};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);
const LARGEST: usize = 1024 * 1024;

pub struct Http {
    transport: Transport,
    pools: Mutex<HashMap<String, Arc<Pool>>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Http {
    /// # Errors
    /// The authorities to trust cannot be read.
    pub fn new(roots: &[String], server_name: Option<String>) -> Result<Self, String> {
        let wish = Wish::trusting(roots)?;
        let transport = Transport {
            dial_timeout: Duration::from_secs(10),
            header_timeout: PATIENCE,
            idle_timeout: Duration::from_secs(10),
            most_idle: 4,
            tls: wish.build()?,
            tls_key: wish.key(),
            server_name,
            http2: false,
        };
        Ok(Self {
            transport,
            pools: Mutex::default(),
        })
    }

    /// # Errors
    /// Nobody answered; the text says who should have.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(HeaderName, String)],
        body: String,
    ) -> Result<Answer, String> {
        let uri: Uri = url.parse().map_err(|_| format!("'{url}' is no URL"))?;
        let host = uri.authority().ok_or_else(|| format!("'{url}' names no host"))?;
        let host = HeaderValue::from_str(host.as_str()).map_err(|_| format!("'{url}' names no host"))?;
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
        request.headers_mut().insert(header::HOST, host);
        let agent = HeaderValue::from_static(concat!("portico/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is no header value"))?;
            request.headers_mut().insert(name.clone(), value);
        }
        let pool = self.pool(&uri)?;
        let asking = async {
            let answer = pool.send(request).await.map_err(|failure| failure.cause)?;
            let (parts, body) = answer.into_parts();
            let body = axum::body::to_bytes(body, LARGEST)
                .await
                .map_err(|error| error.to_string())?;
            Ok::<_, String>(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(done) => done.map_err(|cause| format!("'{url}' did not answer: {cause}")),
            Err(_) => Err(format!("'{url}' did not answer within {PATIENCE:?}")),
        }
    }

    fn pool(&self, uri: &Uri) -> Result<Arc<Pool>, String> {
        let host = uri.host().unwrap_or_default().to_owned();
        let secure = uri.scheme_str() == Some("https");
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(if secure { 443 } else { 80 }));
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&address) {
            return Ok(pool.clone());
        }
        let name = self.transport.server_name.clone().unwrap_or(host);
        let speaks = match secure {
            true => {
                let name = name.trim_matches(['[', ']']).to_owned();
                Speaks::Tls(name.try_into().map_err(|_| format!("'{uri}' names no host"))?)
            }
            false => Speaks::Http1,
        };
        let pool = Arc::new(Pool::new(address.clone(), speaks, self.transport.clone()));
        pools.insert(address, pool.clone());
        Ok(pool)
    }
}
