//! A link about to be written: the fields of a request laid over what was there, each checked.

use super::fields::Fields;
use crate::{
    error,
    redirect::{Slug, link::Variant, rule::Rule, target},
};
use foundation::{Result, Uuid};
use serde_json::{Value, json};
use time::OffsetDateTime;

const RULES: usize = 50;
const LONGEST_TEXT: usize = 2_000;
const LONGEST_PASSWORD: usize = 256;
const TAGS: usize = 50;

#[derive(Clone, Debug)]
pub struct Draft {
    pub slug: Option<String>,
    pub target_url: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub is_active: bool,
    pub metadata: Value,
    pub organization_id: Option<Uuid>,
    pub domain_id: Option<Uuid>,
    pub folder_id: Option<Uuid>,
    pub status: i16,
    pub starts_at: Option<OffsetDateTime>,
    pub expires_at: Option<OffsetDateTime>,
    pub expired_url: Option<String>,
    pub click_limit: Option<i32>,
    pub password_hash: Option<String>,
    pub rules: Value,
    pub variants: Value,
    pub forward_query: bool,
    pub utm: Value,
    pub strict: bool,
    pub cache_seconds: Option<i32>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            slug: None,
            target_url: String::new(),
            title: None,
            description: None,
            is_active: true,
            metadata: json!({}),
            organization_id: None,
            domain_id: None,
            folder_id: None,
            status: 302,
            starts_at: None,
            expires_at: None,
            expired_url: None,
            click_limit: None,
            password_hash: None,
            rules: json!([]),
            variants: json!([]),
            forward_query: false,
            utm: json!({}),
            strict: false,
            cache_seconds: None,
        }
    }
}

impl Draft {
    /// Lays all but the password and the tags over it, which need more than this.
    ///
    /// # Errors
    /// The first field that is wrong, and why.
    pub fn lay(&mut self, fields: &Fields) -> Result<()> {
        self.lay_target(fields)?;
        self.lay_times(fields)?;
        self.lay_ways(fields)?;
        for (name, field, own) in [
            ("title", &fields.title, &mut self.title),
            ("description", &fields.description, &mut self.description),
        ] {
            if let Some(given) = field {
                if given.as_ref().is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
                    return Err(error::invalid(
                        name,
                        format!("is longer than {LONGEST_TEXT} characters"),
                    ));
                }
                own.clone_from(given);
            }
        }
        if let Some(metadata) = &fields.metadata {
            self.metadata.clone_from(metadata);
        }
        self.is_active = fields.is_active.unwrap_or(self.is_active);
        self.organization_id = fields.organization_id.unwrap_or(self.organization_id);
        self.domain_id = fields.domain_id.unwrap_or(self.domain_id);
        self.folder_id = fields.folder_id.unwrap_or(self.folder_id);
        self.forward_query = fields.forward_query.unwrap_or(self.forward_query);
        self.strict = fields.strict.unwrap_or(self.strict);
        check_password(fields)?;
        if fields
            .tags
            .as_ref()
            .is_some_and(|tags| tags.len() > TAGS || tags.iter().any(|tag| tag.is_empty() || tag.len() > 100))
        {
            return Err(error::invalid(
                "tags",
                format!("has more than {TAGS}, or one of no or more than 100 characters"),
            ));
        }
        Ok(())
    }

    fn lay_target(&mut self, fields: &Fields) -> Result<()> {
        if let Some(slug) = &fields.slug {
            if Slug::parse(slug).is_none() {
                return Err(error::invalid(
                    "slug",
                    "is not 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -",
                ));
            }
            self.slug = Some(slug.clone());
        }
        if let Some(target_url) = &fields.target_url {
            self.target_url = address("target_url", target_url)?;
        }
        if self.target_url.is_empty() {
            return Err(error::invalid("target_url", "is missing; it is where the link leads"));
        }
        if let Some(expired_url) = &fields.expired_url {
            self.expired_url = expired_url
                .as_deref()
                .map(|url| address("expired_url", url))
                .transpose()?;
        }
        if let Some(status) = fields.status {
            if ![301, 302, 307, 308].contains(&status) {
                return Err(error::invalid(
                    "status",
                    format!("is {status}; it may be 301, 302, 307 or 308"),
                ));
            }
            self.status = i16::try_from(status).unwrap_or(302);
        }
        Ok(())
    }

    fn lay_times(&mut self, fields: &Fields) -> Result<()> {
        self.starts_at = fields.starts_at.unwrap_or(self.starts_at);
        self.expires_at = fields.expires_at.unwrap_or(self.expires_at);
        if let (Some(start), Some(end)) = (self.starts_at, self.expires_at)
            && end <= start
        {
            return Err(error::invalid("expires_at", "is not after 'starts_at'"));
        }
        if let Some(limit) = fields.click_limit {
            if limit.is_some_and(|limit| limit < 1) {
                return Err(error::invalid("click_limit", "must be at least 1"));
            }
            self.click_limit = limit;
        }
        if let Some(seconds) = fields.cache_seconds {
            if seconds.is_some_and(|seconds| !(1..=31_536_000).contains(&seconds)) {
                return Err(error::invalid("cache_seconds", "must be between 1 and 31536000"));
            }
            self.cache_seconds = seconds;
        }
        Ok(())
    }

    fn lay_ways(&mut self, fields: &Fields) -> Result<()> {
        if let Some(rules) = &fields.rules {
            check_rules(rules)?;
            self.rules = json!(rules);
        }
        if let Some(variants) = &fields.variants {
            check_variants(variants)?;
            self.variants = json!(variants);
        }
        if let Some(utm) = &fields.utm {
            self.utm = check_utm(utm)?;
        }
        Ok(())
    }
}

fn check_rules(rules: &[Rule]) -> Result<()> {
    if rules.len() > RULES {
        return Err(error::invalid("rules", format!("has more than {RULES}")));
    }
    for (place, rule) in rules.iter().enumerate() {
        if let Some(mistake) = rule.mistake() {
            return Err(error::invalid(&format!("rules[{place}]"), mistake));
        }
    }
    Ok(())
}

fn check_variants(variants: &[Variant]) -> Result<()> {
    if variants.len() > RULES {
        return Err(error::invalid("variants", format!("has more than {RULES}")));
    }
    for (place, variant) in variants.iter().enumerate() {
        address(&format!("variants[{place}].target_url"), &variant.target_url)?;
    }
    if !variants.is_empty() && variants.iter().all(|variant| variant.weight == 0) {
        return Err(error::invalid("variants", "need a weight above 0"));
    }
    Ok(())
}

/// # Errors
/// A key that is none of UTM's, or a value that is no text.
pub fn check_utm(utm: &Value) -> Result<Value> {
    let Value::Object(pairs) = utm else {
        return Err(error::invalid("utm", "is no object"));
    };
    for (key, value) in pairs {
        if !target::UTM.contains(&key.as_str()) {
            return Err(error::invalid(
                "utm",
                format!("has '{key}'; it may have {}", target::UTM.join(", ")),
            ));
        }
        if value.as_str().is_none_or(|text| text.chars().count() > 200) {
            return Err(error::invalid(
                "utm",
                format!("has in '{key}' no text of up to 200 characters"),
            ));
        }
    }
    Ok(utm.clone())
}

/// As the URL standard writes it.
///
/// # Errors
/// It is no http or https address.
pub fn address(field: &str, text: &str) -> Result<String> {
    let url = target::parse(text).ok_or_else(|| error::invalid(field, "is no http or https address"))?;
    if url.as_str().len() > 8192 {
        return Err(error::invalid(field, "is longer than 8192 characters"));
    }
    Ok(url.into())
}

fn check_password(fields: &Fields) -> Result<()> {
    match &fields.password {
        Some(Some(password)) if password.is_empty() || password.len() > LONGEST_PASSWORD => Err(error::invalid(
            "password",
            format!("must have 1 to {LONGEST_PASSWORD} bytes"),
        )),
        _ => Ok(()),
    }
}
