//! Requests to addresses that users named: each host is resolved once, every address checked, and the checked address is the one
//! connected to, so neither a name that changes its mind nor a redirect leads into the house.

mod address;
mod page;

pub use address::Allowed;
pub use page::{Page, read as read_page};

use bytes::Bytes;
use foundation::Uuid;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

const WITHIN: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(4);
const REDIRECTS: usize = 5;
const LIMIT: usize = 512 * 1024;
const AGENT: &str = "Portico link check";

pub struct Fetch {
    allowed: Allowed,
    tls: TlsConnector,
}

#[derive(Debug)]
pub struct Fetched {
    /// After the redirects.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// At most half a megabyte of it.
    pub body: Bytes,
}

impl Fetch {
    pub fn new(allowed: Allowed) -> Self {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("aws-lc offers TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            allowed,
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    /// Follows up to five redirects, each checked like the first address.
    ///
    /// # Errors
    /// Why it could not be fetched, in words for the user.
    pub async fn get(&self, url: &str) -> Result<Fetched, String> {
        let follow = async {
            let mut url = parse(url)?;
            for _ in 0..=REDIRECTS {
                let fetched = self.once(Method::GET, &url, &[], Bytes::new()).await?;
                let location = fetched
                    .headers
                    .get(header::LOCATION)
                    .and_then(|value| value.to_str().ok());
                match location.filter(|_| fetched.status.is_redirection()) {
                    Some(location) => {
                        url = url
                            .join(location)
                            .map_err(|_| "it redirects to no address".to_owned())
                            .and_then(web)?
                    }
                    None => return Ok(fetched),
                }
            }
            Err(format!("it redirects more than {REDIRECTS} times"))
        };
        tokio::time::timeout(WITHIN, follow)
            .await
            .unwrap_or_else(|_| Err("it took longer than ten seconds".into()))
    }

    async fn once(&self, method: Method, url: &Url, headers: &[(&str, &str)], body: Bytes) -> Result<Fetched, String> {
        let address = self.resolve(url).await?;
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
        let stream = stream
            .map_err(|_| "it could not be connected to in time")?
            .map_err(|error| format!("it could not be connected to: {error}"))?;
        let mut request = Request::builder()
            .method(method)
            .uri(&url[url::Position::BeforePath..url::Position::AfterQuery]);
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        request = request
            .header(header::HOST, host)
            .header(header::USER_AGENT, AGENT)
            .header(header::ACCEPT, "*/*");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let (status, headers, body) = if url.scheme() == "https" {
            let name = url
                .host_str()
                .and_then(|host| ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok());
            let name = name.ok_or("its host is no name for a certificate")?;
            let stream = self
                .tls
                .connect(name, stream)
                .await
                .map_err(|error| format!("TLS failed: {error}"))?;
            exchange(stream, request).await?
        } else {
            exchange(stream, request).await?
        };
        Ok(Fetched {
            url: url.clone(),
            status,
            headers,
            body,
        })
    }

    /// One checked address; all of a name's must be fit, or none is used.
    async fn resolve(&self, url: &Url) -> Result<SocketAddr, String> {
        let port = url.port_or_known_default().ok_or("it has no port")?;
        let addresses: Vec<SocketAddr> = match url.host().ok_or("it has no host")? {
            Host::Ipv4(ip) => vec![(ip, port).into()],
            Host::Ipv6(ip) => vec![(ip, port).into()],
            Host::Domain(name) => {
                let found = tokio::net::lookup_host((name, port)).await;
                found.map_err(|_| format!("the host '{name}' is not known"))?.collect()
            }
        };
        if let Some(bad) = addresses.iter().find(|address| !self.allowed.may(address.ip())) {
            return Err(format!("its address {} is not public", bad.ip()));
        }
        addresses
            .first()
            .copied()
            .ok_or_else(|| "its host has no address".into())
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, HeaderMap, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let told = |error: hyper::Error| format!("it answered no HTTP: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(told)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(told)?;
        let (head, mut body) = response.into_parts();
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(told)?;
            if let Some(data) = frame.data_ref() {
                read.extend_from_slice(data);
            }
            if read.len() >= LIMIT {
                read.truncate(LIMIT);
                break;
            }
        }
        Ok((head.status, head.headers, read.into()))
    };
    tokio::select! {
        biased;
        answer = exchange => answer,
        lost = connection => Err(lost.map_or_else(|error| format!("the connection broke: {error}"), |()| "the connection ended".into())),
    }
}

/// A hook's call, signed by nobody: whoever needs proof asks the API for the click.
///
/// # Errors
/// It was not answered with 2xx, and why.
pub async fn post(fetch: &Fetch, url: &str, id: Uuid, body: String) -> Result<(), String> {
    let url = parse(url)?;
    let id = id.to_string();
    let headers = [("content-type", "application/json"), ("webhook-id", id.as_str())];
    let call = fetch.once(Method::POST, &url, &headers, body.into());
    let answer = tokio::time::timeout(WITHIN, call)
        .await
        .unwrap_or_else(|_| Err("it took longer than ten seconds".into()))?;
    if answer.status.is_success() {
        Ok(())
    } else {
        Err(format!("it answered {}", answer.status))
    }
}

fn parse(url: &str) -> Result<Url, String> {
    Url::parse(url)
        .map_err(|error| format!("it is no address: {error}"))
        .and_then(web)
}

fn web(url: Url) -> Result<Url, String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("'{}' is not http or https", url.scheme()));
    }
    if url.username() != "" || url.password().is_some() {
        return Err("it has a user name or password in it".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_in_the_house_is_asked() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fetch = Fetch::new(Allowed::default());
        for host in [
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "[::]",
        ] {
            let refused = fetch.get(&format!("http://{host}:{port}/")).await.unwrap_err();
            assert!(refused.contains("not public"), "{host}: {refused}");
        }
        for url in [
            "file:///etc/passwd",
            "ftp://example.org/",
            "gopher://example.org/",
            "http://a:b@example.org/",
            "javascript:1",
        ] {
            assert!(fetch.get(url).await.is_err(), "{url}");
        }
        // The witness: nobody came.
        assert!(
            tokio::time::timeout(Duration::from_millis(50), listener.accept())
                .await
                .is_err()
        );
    }
}
