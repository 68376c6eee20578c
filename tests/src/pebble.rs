//! The real test authority, Let's Encrypt's `pebble`, and its name server.

use crate::{
    directory::Directory,
    edge::{Ports, free_port},
    tls::{Authority, Client},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub struct Pebble {
    /// The directory, for `caServer`.
    pub url: String,
    /// The authority of its own server, for `caCertificates`.
    pub trust: PathBuf,
    /// `host:port` of the name server, and its management.
    pub dns: String,
    pub dns_management: String,
    management: String,
    pem: String,
    children: Vec<Child>,
}

#[derive(Default)]
pub struct Options {
    /// Seconds; 0 leaves it to pebble.
    pub validity: u64,
    /// Accounts must be bound to one of these: kid and base64url key.
    pub external: Option<(&'static str, &'static str)>,
    /// Other roots its chains may lead to.
    pub alternate_roots: u32,
}

impl Pebble {
    pub async fn start(directory: &Directory, ports: &Ports) -> Self {
        Self::start_with(directory, ports, &Options::default()).await
    }

    pub async fn start_with(directory: &Directory, ports: &Ports, options: &Options) -> Self {
        let folder = directory.path().join("pebble");
        fs::create_dir_all(&folder).expect("a folder");
        let authority = Authority::make("pebble's server");
        let pair = authority.issue(&["localhost", "127.0.0.1"]);
        for (name, text) in [
            ("ca.pem", &authority.cert),
            ("cert.pem", &pair.cert),
            ("key.pem", &pair.key),
        ] {
            fs::write(folder.join(name), text).expect("written");
        }
        let [listen, manage, dns, dns_manage] = [(); 4].map(|()| format!("127.0.0.1:{}", free_port()));
        let mut config = json!({
            "listenAddress": listen,
            "managementListenAddress": manage,
            "certificate": folder.join("cert.pem"),
            "privateKey": folder.join("key.pem"),
            "httpPort": ports.web,
            "tlsPort": ports.websecure,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": options.external.is_some(),
        });
        if options.validity > 0 {
            config["certificateValidityPeriod"] = json!(options.validity);
        }
        if let Some((kid, key)) = options.external {
            config["externalAccountMACKeys"] = json!({kid: key});
        }
        fs::write(folder.join("config.json"), json!({"pebble": config}).to_string()).expect("written");
        let log = |name: &str| Stdio::from(File::create(folder.join(name)).expect("a log"));
        let server = Command::new("pebble-challtestsrv")
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
            .args(["-dns01", &dns, "-management", &dns_manage])
            .stdout(log("dns.out"))
            .stderr(log("dns.err"))
            .spawn()
            .expect("pebble-challtestsrv (Debian: pebble)");
        let pebble = Command::new("pebble")
            .args(["-dnsserver", &dns, "-config"])
            .arg(folder.join("config.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_ALTERNATE_ROOTS", options.alternate_roots.to_string())
            .stdout(log("out"))
            .stderr(log("err"))
            .spawn()
            .expect("pebble (Debian: pebble)");
        let started = Self {
            url: format!("https://{listen}/dir"),
            trust: folder.join("ca.pem"),
            dns,
            dns_management: format!("http://{dns_manage}"),
            management: manage,
            pem: authority.cert,
            children: vec![server, pebble],
        };
        let until = Instant::now() + Duration::from_secs(20);
        while started.manage("/roots/0").await.is_none() {
            assert!(Instant::now() < until, "pebble does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        started
    }

    async fn manage(&self, path: &str) -> Option<String> {
        let client = Client::trusting(&self.pem);
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = client.send(&self.management, "localhost", &request).await.ok()?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }

    /// A client that trusts what this authority issues.
    pub async fn client(&self) -> Client {
        self.client_of(0).await
    }

    /// A client that trusts one of the roots.
    pub async fn client_of(&self, root: u32) -> Client {
        Client::trusting(&self.root(root).await)
    }

    async fn root(&self, number: u32) -> String {
        self.manage(&format!("/roots/{number}")).await.expect("pebble's root")
    }

    /// A root's common name: `Pebble Root CA` and six digits.
    pub async fn root_name(&self, number: u32) -> String {
        let pem = self.root(number).await;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        let text = String::from_utf8_lossy(&der).into_owned();
        let from = text.find("Pebble Root CA ").expect("its name");
        text[from..].chars().take("Pebble Root CA ".len() + 6).collect()
    }

    /// The flags of a resolver `le` of this authority; `more` says storage and challenge.
    pub fn flags(&self, more: &[&str]) -> Vec<String> {
        let resolver = "--certificatesresolvers.le.acme";
        let mut flags = vec![
            format!("{resolver}.caserver={}", self.url),
            format!("{resolver}.cacertificates={}", self.trust.display()),
            format!("{resolver}.email=admin@example.org"),
            format!("{resolver}.keytype=EC256"),
        ];
        flags.extend(more.iter().map(|flag| format!("{resolver}.{flag}")));
        flags
    }

    /// Ends the authority; its name server stays.
    pub fn end(&mut self) {
        if let Some(mut pebble) = self.children.pop() {
            // It may have ended.
            let _ = pebble.kill();
            let _ = pebble.wait();
        }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
