//! Traefik's `acme.json`: by resolver an account and its certificates. Written so that Traefik could read it again.

use super::{Account, Attempt, Kept, pause};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use foundation::OffsetDateTime;
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

pub struct File {
    path: PathBuf,
    /// Held while the file is read and written.
    whole: Mutex<Map<String, Value>>,
    attempts: Mutex<HashMap<(String, String), (bool, Attempt)>>,
}

impl File {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// It cannot be read, is open to others than its owner, or holds something else.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the storage '{}': {error}", path.display());
        let text = match fs::metadata(path) {
            Ok(meta) => {
                let mode = meta.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(failed(&format!(
                        "permissions {mode:o} are too open for private keys; mend: chmod 600 {}",
                        path.display()
                    )));
                }
                fs::read_to_string(path).map_err(|error| failed(&error))?
            }
            // Made with the first claim; looking makes nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(&error)),
        };
        let whole = if text.trim().is_empty() {
            Map::new()
        } else {
            serde_json::from_str(&text).map_err(|error| failed(&format!("this is no acme.json: {error}")))?
        };
        Ok(Self {
            path: path.to_owned(),
            whole: Mutex::new(whole),
            attempts: Mutex::default(),
        })
    }

    pub fn account(&self, resolver: &str) -> Result<Option<Account>, String> {
        let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = whole
            .get(resolver)
            .map(|entry| &entry["Account"])
            .filter(|account| account.is_object())
        else {
            return Ok(None);
        };
        let key = account["PrivateKey"].as_str().unwrap_or_default();
        let key = BASE64
            .decode(key)
            .map_err(|_| format!("the storage '{}': the account's key is not base64", self.path.display()))?;
        let url = account["Registration"]["uri"].as_str().unwrap_or_default();
        Ok((!key.is_empty() && !url.is_empty()).then(|| Account {
            email: account["Email"].as_str().unwrap_or_default().to_owned(),
            url: url.to_owned(),
            key,
        }))
    }

    pub fn keep_account(&self, resolver: &str, account: &Account) -> Result<(), String> {
        let contact = if account.email.is_empty() {
            json!([])
        } else {
            json!([format!("mailto:{}", account.email)])
        };
        let value = json!({
            "Email": account.email,
            "Registration": {"body": {"status": "valid", "contact": contact}, "uri": account.url},
            "PrivateKey": BASE64.encode(&account.key),
            "KeyType": "4096",
        });
        self.change(resolver, |entry| drop(entry.insert("Account".into(), value)))
    }

    pub fn forget_account(&self, resolver: &str) -> Result<(), String> {
        if self.account(resolver)?.is_none() {
            return Ok(());
        }
        self.change(resolver, |entry| drop(entry.insert("Account".into(), Value::Null)))
    }

    pub fn certificates(&self, resolver: &str) -> Result<Vec<Kept>, String> {
        let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = whole.get(resolver).map(|entry| &entry["Certificates"]);
        let all = entry.and_then(Value::as_array).into_iter().flatten();
        Ok(all.filter_map(|value| kept(resolver, value)).collect())
    }

    pub fn keep(&self, certificate: &Kept) -> Result<(), String> {
        let (main, sans) = certificate.names.split_first().ok_or("a certificate without names")?;
        let mut domain = json!({"main": main});
        if !sans.is_empty() {
            domain["sans"] = json!(sans);
        }
        let value = json!({
            "domain": domain,
            "certificate": BASE64.encode(&certificate.chain),
            "key": BASE64.encode(&certificate.key),
            "Store": "default",
        });
        self.change(&certificate.resolver, |entry| {
            let all = entry.entry("Certificates").or_insert_with(|| json!([]));
            if !all.is_array() {
                *all = json!([]);
            }
            let Value::Array(all) = all else { return };
            all.retain(|other| kept("", other).is_none_or(|other| other.names != certificate.names));
            all.push(value);
        })
    }

    fn change(&self, resolver: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), String> {
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = whole
            .entry(resolver)
            .or_insert_with(|| json!({"Account": null, "Certificates": null}));
        if let Value::Object(entry) = entry {
            change(entry);
        }
        let text = serde_json::to_string_pretty(&*whole).map_err(|error| error.to_string())?;
        write(&self.path, &text).map_err(|error| format!("writing the storage '{}': {error}", self.path.display()))
    }

    /// # Errors
    /// What would be issued could not be kept.
    pub fn claim(&self, resolver: &str, names: &[String]) -> Result<bool, String> {
        self.make()?;
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let (busy, attempt) = attempts.entry(key(resolver, names)).or_default();
        let free = !*busy && attempt.next_try <= now();
        *busy |= free;
        Ok(free)
    }

    fn make(&self) -> Result<(), String> {
        if self.path.exists() {
            return Ok(());
        }
        let failed = |error| format!("the storage '{}' cannot be made: {error}", self.path.display());
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        write(&self.path, "").map_err(failed)
    }

    pub fn release(&self, resolver: &str, names: &[String], error: Option<&str>) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let (busy, attempt) = attempts.entry(key(resolver, names)).or_default();
        *busy = false;
        *attempt = match error {
            None => Attempt::default(),
            Some(error) => Attempt {
                failures: attempt.failures + 1,
                next_try: now() + i64::try_from(pause(attempt.failures + 1).as_secs()).unwrap_or(i64::MAX),
                error: Some(error.to_owned()),
            },
        };
    }

    pub fn attempt(&self, resolver: &str, names: &[String]) -> Attempt {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts
            .get(&key(resolver, names))
            .map(|(_, attempt)| attempt.clone())
            .unwrap_or_default()
    }
}

fn key(resolver: &str, names: &[String]) -> (String, String) {
    (resolver.to_owned(), names.join(","))
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn kept(resolver: &str, value: &Value) -> Option<Kept> {
    let text = |name: &str| {
        let bytes = BASE64.decode(value[name].as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    };
    let sans = value["domain"]["sans"].as_array().into_iter().flatten();
    let names = std::iter::once(&value["domain"]["main"]).chain(sans);
    let names: Vec<String> = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    Some(Kept {
        resolver: resolver.to_owned(),
        names,
        chain: text("certificate")?,
        key: text("key")?,
    })
}

/// Whole or not at all. A file that is a mount of its own (a container's bind mount) cannot be replaced; it is written over.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let create = |path: &Path| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).open(path)
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_ok() {
        return Ok(());
    }
    // It may not have come into being.
    let _ = fs::remove_file(&beside);
    let mut file = create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back_and_others_entries_stay() {
        let dir = std::env::temp_dir().join(format!("acme-{}", rand::random::<u64>()));
        fs::create_dir(&dir).expect("a directory");
        let path = dir.join("acme.json");
        write(&path, r#"{"other":{"Account":null,"Certificates":null,"Extra":1}}"#).expect("written");
        let store = File::open(&path).expect("open");
        let certificate = Kept {
            resolver: "le".into(),
            names: vec!["a.test".into(), "b.test".into()],
            chain: "chain".into(),
            key: "key".into(),
        };
        store.keep(&certificate).expect("kept");
        store.keep(&certificate).expect("kept once");
        let account = Account {
            email: "a@a.test".into(),
            url: "https://ca/1".into(),
            key: vec![1, 2, 3],
        };
        store.keep_account("le", &account).expect("kept");
        let again = File::open(&path).expect("open");
        assert!(again.certificates("le").expect("read") == [certificate]);
        assert!(again.account("le").expect("read") == Some(account));
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.contains("\"Extra\": 1"), "{text}");
        assert_eq!(fs::metadata(&path).expect("meta").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode");
        let refused = File::open(&path).err().expect("refused");
        assert!(
            refused.contains("permissions 644") && refused.contains("chmod 600"),
            "{refused}"
        );
        fs::remove_dir_all(&dir).expect("gone");
    }
}
