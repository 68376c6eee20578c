//! Certificates, keys and authorities the configuration names by path are read into it, so that a renewed file is a changed
//! configuration like any other.

use crate::{
    listener::tls,
    model::{Certificate, Dynamic, Mistake, Place},
};
use std::{fs, path::PathBuf};

/// Replaces paths by what the files hold, and says which files those are. A file that cannot be read stays a path: whoever
/// needs it says what is wrong.
pub fn files(config: &mut Dynamic) -> Vec<PathBuf> {
    let mut named = Vec::new();
    let mut read = |text: &mut String| {
        if text.is_empty() || text.contains("-----BEGIN") {
            return;
        }
        let path = PathBuf::from(&*text);
        if let Ok(content) = fs::read_to_string(&path)
            && content.contains("-----BEGIN")
        {
            *text = content;
        }
        named.push(path);
    };
    if let Some(tls) = &mut config.tls {
        for certificate in all_certificates(tls) {
            certificate.cert_file.iter_mut().for_each(&mut read);
            certificate.key_file.iter_mut().for_each(&mut read);
        }
        let options = tls.options.iter_mut().flat_map(|options| options.values_mut());
        for auth in options.filter_map(|options| options.client_auth.as_mut()) {
            auth.ca_files.iter_mut().flatten().for_each(&mut read);
        }
    }
    let http = config.http.as_mut();
    let transports = http.and_then(|http| http.servers_transports.as_mut());
    for transport in transports.into_iter().flat_map(|all| all.values_mut()) {
        transport.root_cas.iter_mut().flatten().for_each(&mut read);
        for certificate in transport.certificates.iter_mut().flatten() {
            certificate.cert_file.iter_mut().for_each(&mut read);
            certificate.key_file.iter_mut().for_each(&mut read);
        }
    }
    named.sort();
    named.dedup();
    named
}

fn all_certificates(tls: &mut crate::model::Tls) -> Vec<&mut Certificate> {
    let stores = tls.stores.iter_mut().flat_map(|stores| stores.values_mut());
    let defaults = stores.filter_map(|store| store.default_certificate.as_mut());
    tls.certificates.iter_mut().flatten().chain(defaults).collect()
}

/// A certificate whose key is not its own, or that cannot be read.
pub fn broken_pair(config: &Dynamic) -> Option<Mistake> {
    let certificates = config.tls.as_ref()?.certificates.iter().flatten();
    certificates.enumerate().find_map(|(index, pair)| {
        let text = |given: &Option<String>| tls::file_or_text(given.as_deref().unwrap_or_default());
        let broken = text(&pair.cert_file).and_then(|chain| tls::certified(&chain, &text(&pair.key_file)?));
        broken.err().map(|message| Mistake {
            place: Place {
                source: "file".into(),
                line: 0,
            },
            key: format!("tls.certificates[{index}]"),
            message,
        })
    })
}
