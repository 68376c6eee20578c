//! A JSON object in the making whose parts stay as PostgreSQL wrote them: numbers keep all their digits.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

#[derive(Debug, Clone, Default)]
pub struct Body(Vec<(&'static str, Box<RawValue>)>);

impl Body {
    pub fn with(mut self, key: &'static str, value: &(impl Serialize + ?Sized)) -> Self {
        // What cannot be written as JSON is no value of ours.
        self.0
            .push((key, to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())));
        self
    }

    /// JSON as it was written; nothing is `null`.
    pub fn with_json(self, key: &'static str, json: Option<&str>) -> Self {
        let raw: Option<&RawValue> = json.and_then(|json| serde_json::from_str(json).ok());
        self.with(key, &raw)
    }

    pub fn text(&self) -> String {
        let mut text = String::from("{");
        for (place, (key, value)) in self.0.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(&format!("\"{key}\":{}", value.get()));
        }
        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept() {
        let body = Body::default()
            .with("id", "a\"b")
            .with_json("event", Some("{\"n\": 1.10000000000000000000001}"))
            .with_json("comment", None);
        assert_eq!(
            body.text(),
            "{\"id\":\"a\\\"b\",\"event\":{\"n\": 1.10000000000000000000001},\"comment\":null}"
        );
    }
}
