//! A webhook with everything it needs known: where it is, what is sent along, how often it is tried.

use crate::{
    address::{environment_header, resolve, variable},
    transform::{Mistake, RequestTransform, ResponseTransform},
};
use metadata::{
    ActionDefinition, CronTrigger, EventTrigger, Header, RemoteDefinition, RetryConf, ScheduleRetryConf,
    ValidationWebhook,
};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    pub url: String,
    pub headers: Vec<(Header, String)>,
    pub retry: Retry,
    pub request_transform: Option<RequestTransform>,
    pub response_transform: Option<ResponseTransform>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub most: u32,
    pub interval: Duration,
    pub timeout: Duration,
    /// A call that is later is not made.
    pub tolerance: Option<Duration>,
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(u64::from(number))
}

impl Retry {
    /// One call, which has so many seconds.
    fn none(timeout: u32) -> Self {
        Retry {
            most: 0,
            interval: Duration::ZERO,
            timeout: seconds(timeout),
            tolerance: None,
        }
    }
}

impl From<&RetryConf> for Retry {
    fn from(given: &RetryConf) -> Self {
        Retry {
            most: given.num_retries,
            interval: seconds(given.interval_sec),
            timeout: seconds(given.timeout_sec),
            tolerance: None,
        }
    }
}

impl From<&ScheduleRetryConf> for Retry {
    fn from(given: &ScheduleRetryConf) -> Self {
        Retry {
            most: given.num_retries,
            interval: seconds(given.retry_interval_seconds),
            timeout: seconds(given.timeout_seconds),
            tolerance: Some(seconds(given.tolerance_seconds)),
        }
    }
}

/// Seconds.
const ACTION_TIMEOUT: u32 = 30;
const VALIDATION_TIMEOUT: u32 = 10;
const REMOTE_TIMEOUT: u32 = 60;

type Environment = BTreeMap<String, String>;

impl Hook {
    /// # Errors
    /// What is not set in the environment, or wrong with the address or a header.
    pub fn of_event(trigger: &EventTrigger, environment: &Environment) -> Result<Self, String> {
        let url = match (&trigger.webhook, &trigger.webhook_from_env) {
            (Some(template), _) => resolve(template, environment)?,
            (None, Some(name)) => variable(name, environment)?,
            (None, None) => return Err("it has neither webhook nor webhook_from_env".to_owned()),
        };
        Self::new(url, &trigger.headers, Retry::from(&trigger.retry_conf), environment)?
            .transformed(trigger.request_transform.as_ref(), trigger.response_transform.as_ref())
    }

    /// # Errors
    /// As [`Hook::of_event`].
    pub fn of_cron(trigger: &CronTrigger, environment: &Environment) -> Result<Self, String> {
        let retry = trigger.retry_conf.clone().unwrap_or_default();
        Self::new(
            resolve(&trigger.webhook, environment)?,
            &trigger.headers,
            Retry::from(&retry),
            environment,
        )?
        .transformed(trigger.request_transform.as_ref(), trigger.response_transform.as_ref())
    }

    /// An action's handler; it is asked once.
    ///
    /// # Errors
    /// As [`Hook::of_event`].
    pub fn of_action(definition: &ActionDefinition, environment: &Environment) -> Result<Self, String> {
        let retry = Retry::none(definition.timeout.unwrap_or(ACTION_TIMEOUT));
        Self::new(
            resolve(&definition.handler, environment)?,
            &definition.headers,
            retry,
            environment,
        )?
        .transformed(
            definition.request_transform.as_ref(),
            definition.response_transform.as_ref(),
        )
    }

    /// What judges a mutation's input.
    ///
    /// # Errors
    /// As [`Hook::of_event`].
    pub fn of_validation(definition: &ValidationWebhook, environment: &Environment) -> Result<Self, String> {
        let retry = Retry::none(definition.timeout.unwrap_or(VALIDATION_TIMEOUT));
        let url = resolve(&definition.url, environment)?;
        Self::new(url, &definition.headers, retry, environment)
    }

    /// Another GraphQL server.
    ///
    /// # Errors
    /// As [`Hook::of_event`].
    pub fn of_remote(definition: &RemoteDefinition, environment: &Environment) -> Result<Self, String> {
        let url = match (&definition.url, &definition.url_from_env) {
            (Some(template), _) => resolve(template, environment)?,
            (None, Some(name)) => variable(name, environment)?,
            (None, None) => return Err("it has neither url nor url_from_env".to_owned()),
        };
        let retry = Retry::none(definition.timeout_seconds.unwrap_or(REMOTE_TIMEOUT));
        Self::new(url, &definition.headers, retry, environment)
    }

    /// A one-off event's, as its row holds it.
    ///
    /// # Errors
    /// As [`Hook::of_event`].
    pub fn of_row(
        webhook: &Value,
        headers: Option<Value>,
        retry: Option<Value>,
        environment: &Environment,
    ) -> Result<Self, String> {
        let url = match (webhook.as_str(), webhook["from_env"].as_str()) {
            (Some(template), _) => resolve(template, environment)?,
            (None, Some(name)) => variable(name, environment)?,
            (None, None) => return Err("its webhook is no text".to_owned()),
        };
        fn read<T: serde::de::DeserializeOwned + Default>(given: Option<Value>) -> Result<T, String> {
            let given: Option<T> =
                serde_json::from_value(given.unwrap_or_default()).map_err(|error| error.to_string())?;
            Ok(given.unwrap_or_default())
        }
        let headers: Vec<Header> = read(headers)?;
        let retry: ScheduleRetryConf = read(retry)?;
        Self::new(url, &headers, Retry::from(&retry), environment)
    }

    fn new(url: String, headers: &[Header], retry: Retry, environment: &Environment) -> Result<Self, String> {
        let parsed: http::Uri = url.parse().map_err(|error| format!("'{url}' is no URL: {error}"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
            return Err(format!(
                "'{url}' is no URL: it has to begin with http:// or https:// and name a host"
            ));
        }
        let mut sent = Vec::with_capacity(headers.len());
        for header in headers {
            let value = environment_header(header, environment)?;
            let sound = header.name.parse::<http::HeaderName>().is_ok() && value.parse::<http::HeaderValue>().is_ok();
            if !sound {
                return Err(format!("header \"{}\" is none that HTTP can send", header.name));
            }
            sent.push((header.clone(), value));
        }
        Ok(Hook {
            url,
            headers: sent,
            retry,
            request_transform: None,
            response_transform: None,
        })
    }

    /// # Errors
    /// The mistakes in a template.
    fn transformed(mut self, request: Option<&Value>, response: Option<&Value>) -> Result<Self, String> {
        let told = |what: &str, mistakes: Vec<Mistake>| {
            let mistakes: Vec<String> = mistakes.iter().map(|mistake| format!("{what}.{mistake}")).collect();
            mistakes.join("; ")
        };
        let request = request.map(RequestTransform::parse).transpose();
        self.request_transform = request.map_err(|mistakes| told("request_transform", mistakes))?;
        let response = response.map(ResponseTransform::parse).transpose();
        self.response_transform = response.map_err(|mistakes| told("response_transform", mistakes))?;
        Ok(self)
    }
}
