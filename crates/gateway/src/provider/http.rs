//! Dynamic configuration fetched over HTTP: JSON or YAML. No answer, or a broken one, keeps the last good configuration.

use crate::{
    gateway::Control,
    listener::tls::upstream::Wish,
    model::{Dynamic, text},
    service::pool::{Pool, Speaks, Transport},
    settings::HttpProvider,
};
use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const LARGEST: usize = 16 * 1024 * 1024;

pub async fn run(settings: HttpProvider, control: Arc<Control>, stop: CancellationToken) {
    let source = match Source::new(&settings) {
        Ok(source) => source,
        Err(error) => return tracing::error!(error, endpoint = settings.endpoint, "the HTTP provider cannot start"),
    };
    let mut told = String::new();
    loop {
        match tokio::time::timeout(settings.poll_timeout, source.fetch())
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()))
        {
            Ok(dynamic) => {
                told.clear();
                control.apply("http", dynamic);
            }
            // The same complaint once is enough.
            Err(error) if error == told => {}
            Err(error) => {
                tracing::error!(error, endpoint = settings.endpoint, "the configuration was not applied");
                told = error;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(settings.poll_interval) => {}
            () = stop.cancelled() => return,
        }
    }
}

struct Source {
    endpoint: String,
    target: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    pool: Arc<Pool>,
}

impl Source {
    fn new(settings: &HttpProvider) -> Result<Self, String> {
        let uri: Uri = settings.endpoint.parse().map_err(|_| "the endpoint is no URL")?;
        let authority = uri.authority().ok_or("the endpoint names no host")?;
        let secure = uri.scheme_str() == Some("https");
        let address = format!(
            "{}:{}",
            authority.host(),
            authority.port_u16().unwrap_or(if secure { 443 } else { 80 })
        );
        let speaks = match secure {
            true => Speaks::Tls(
                authority
                    .host()
                    .to_owned()
                    .try_into()
                    .map_err(|_| "the host is no name")?,
            ),
            false => Speaks::Http1,
        };
        let mut headers = vec![(
            header::HOST,
            HeaderValue::from_str(authority.as_str()).map_err(|_| "the host is no name")?,
        )];
        for (name, value) in &settings.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is no header name"))?;
            headers.push((
                name,
                HeaderValue::from_str(value).map_err(|_| "a header has no valid value")?,
            ));
        }
        let transport = Transport {
            dial_timeout: settings.poll_timeout,
            header_timeout: Duration::ZERO,
            idle_timeout: Duration::from_secs(90),
            most_idle: 1,
            tls: Wish::default().build()?,
            tls_key: String::new(),
            server_name: None,
            http2: false,
        };
        Ok(Self {
            endpoint: settings.endpoint.clone(),
            target: uri.path_and_query().cloned().map(Uri::from).unwrap_or_default(),
            headers,
            pool: Arc::new(Pool::new(address, speaks, transport)),
        })
    }

    async fn fetch(&self) -> Result<Dynamic, String> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.target.clone();
        request.headers_mut().extend(self.headers.iter().cloned());
        let response = self.pool.send(request).await.map_err(|failure| failure.cause)?;
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), LARGEST)
            .await
            .map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("it answered {status}"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| "the answer is no UTF-8")?;
        // JSON is YAML, but its own parser says better what is wrong with it.
        let node = if text.trim_start().starts_with('{') {
            text::json(&self.endpoint, text)
        } else {
            text::yaml(&self.endpoint, text)
        };
        let node = node.map_err(|mistake| mistake.to_string())?;
        Dynamic::read(&node).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}
