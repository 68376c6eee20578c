//! What `/api/certificates` says of resolvers' certificates: until when they last, and why there is none.

use super::{Wanted, certificate, find, resolver::Standing, store::Kept};
use foundation::OffsetDateTime;
use serde_json::{Value, json};

pub async fn all(resolvers: &[Standing], wanted: &[Wanted], kept: &[Kept]) -> Vec<Value> {
    let mut out = Vec::new();
    for one in wanted {
        let standing = resolvers.iter().find(|standing| standing.settings.name == one.resolver);
        let mut shown = json!({"resolver": one.resolver, "domains": one.names, "status": "pending"});
        if let Some((from, until)) = find(kept, one).and_then(|kept| certificate::validity(&kept.chain)) {
            let valid = until > OffsetDateTime::now_utc().unix_timestamp();
            shown["status"] = json!(if valid { "valid" } else { "expired" });
            shown["notBefore"] = json!(time(from));
            shown["notAfter"] = json!(time(until));
        }
        match standing.map(|standing| &standing.ready) {
            Some(Ok(ready)) => {
                let attempt = ready.store.attempt(&one.resolver, &one.names).await;
                if let Some(error) = attempt.error {
                    shown["error"] = json!([error]);
                    shown["failures"] = json!(attempt.failures);
                    shown["nextTry"] = json!(time(attempt.next_try));
                }
            }
            Some(Err(error)) => shown["error"] = json!([error]),
            None => {}
        }
        if shown["status"] == "pending" && shown["error"].is_array() {
            shown["status"] = json!("error");
        }
        out.push(shown);
    }
    out
}

/// RFC 3339, in seconds.
fn time(unix: i64) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(unix) else {
        return String::new();
    };
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}
