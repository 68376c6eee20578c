//! The two protocols' messages. Sources: github.com/enisdenjo/graphql-ws PROTOCOL.md for `graphql-transport-ws`,
//! github.com/apollographql/subscriptions-transport-ws PROTOCOL.md for `graphql-ws`.

use graphql::GraphqlError;
use http::{HeaderMap, header};
use serde_json::{Value, json};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `graphql-transport-ws`
    Transport,
    /// `graphql-ws`; on the first version of the endpoint errors have the form they had there.
    Apollo { first_version: bool },
}

pub enum Incoming {
    Init(Value),
    Start { id: String, payload: Value },
    Stop(String),
    Ping,
    Terminate,
    Nothing,
}

#[derive(Debug)]
pub enum Frame {
    Ack,
    KeepAlive,
    Pong,
    Refused(String),
    /// Id, and the payload as text.
    Next(String, String),
    /// Before anything was executed.
    Failed(String, GraphqlError),
    Complete(String),
}

impl Frame {
    pub fn failed(id: &str, error: &GraphqlError) -> Vec<Frame> {
        let failed = Frame::Failed(id.to_owned(), error.clone());
        vec![failed, Frame::Complete(id.to_owned())]
    }

    pub fn ends(&self) -> Option<&str> {
        match self {
            Frame::Complete(id) => Some(id),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub struct Closing {
    pub code: u16,
    pub reason: Cow<'static, str>,
}

impl Closing {
    pub const NORMAL: Closing = Closing::new(1000, "");
    pub const GOING_AWAY: Closing = Closing::new(1001, "the server is stopping");
    pub const INIT_TIMEOUT: Closing = Closing::new(4408, "Connection initialisation timeout");
    pub const TOO_MANY_INITS: Closing = Closing::new(4429, "Too many initialisation requests");
    pub const UNAUTHORIZED: Closing = Closing::new(4401, "Unauthorized");
    pub const EXPIRED: Closing = Closing::new(4403, "the token has expired");

    const fn new(code: u16, reason: &'static str) -> Self {
        Closing {
            code,
            reason: Cow::Borrowed(reason),
        }
    }

    fn invalid(reason: String) -> Self {
        Closing {
            code: 4400,
            reason: Cow::Owned(short(reason)),
        }
    }

    pub fn forbidden(reason: &str) -> Self {
        Closing {
            code: 4403,
            reason: Cow::Owned(short(reason.to_owned())),
        }
    }

    pub fn duplicate(id: &str) -> Self {
        Closing {
            code: 4409,
            reason: Cow::Owned(short(format!("Subscriber for {id} already exists"))),
        }
    }
}

/// RFC 6455 gives a reason 123 bytes.
fn short(mut text: String) -> String {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

impl Protocol {
    pub fn of(headers: &HeaderMap, first_version: bool) -> Self {
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let mut names = offered
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        match names.any(|name| name.trim() == "graphql-transport-ws") {
            true => Protocol::Transport,
            false => Protocol::Apollo { first_version },
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Protocol::Transport => "graphql-transport-ws",
            Protocol::Apollo { .. } => "graphql-ws",
        }
    }

    /// # Errors
    /// The message is none of the protocol.
    pub fn read(self, text: &str) -> Result<Incoming, Closing> {
        let message: Value =
            serde_json::from_str(text).map_err(|error| Closing::invalid(format!("Invalid message: {error}")))?;
        let id = || match &message["id"] {
            Value::String(id) if !id.is_empty() => Ok(id.clone()),
            _ => Err(Closing::invalid("Invalid message: it has no id".to_owned())),
        };
        let kind = message["type"].as_str().unwrap_or_default();
        match (self, kind) {
            (_, "connection_init") => Ok(Incoming::Init(message["payload"].clone())),
            (Protocol::Transport, "subscribe") | (Protocol::Apollo { .. }, "start") => Ok(Incoming::Start {
                id: id()?,
                payload: message["payload"].clone(),
            }),
            (Protocol::Transport, "complete") => Ok(Incoming::Stop(id()?)),
            (Protocol::Apollo { .. }, "stop") => Ok(id().map_or(Incoming::Nothing, Incoming::Stop)),
            (Protocol::Transport, "ping") => Ok(Incoming::Ping),
            (Protocol::Transport, "pong") => Ok(Incoming::Nothing),
            (Protocol::Apollo { .. }, "connection_terminate") => Ok(Incoming::Terminate),
            (_, other) => Err(Closing::invalid(format!("Invalid message: type '{other}' is unknown"))),
        }
    }

    /// `None`: the protocol has no such message.
    pub fn write(self, frame: &Frame) -> Option<String> {
        let transport = self == Protocol::Transport;
        Some(match frame {
            Frame::Ack => json!({"type": "connection_ack"}).to_string(),
            Frame::KeepAlive if transport => json!({"type": "ping"}).to_string(),
            Frame::KeepAlive => json!({"type": "ka"}).to_string(),
            Frame::Pong => json!({"type": "pong"}).to_string(),
            Frame::Refused(_) if transport => return None,
            Frame::Refused(message) => json!({"type": "connection_error", "payload": message}).to_string(),
            // The payload is JSON already.
            Frame::Next(id, payload) => {
                let kind = if transport { "next" } else { "data" };
                format!(
                    "{{\"type\":\"{kind}\",\"id\":{},\"payload\":{payload}}}",
                    Value::from(id.as_str())
                )
            }
            Frame::Failed(id, error) => {
                let payload = match self {
                    Protocol::Transport => error.as_list(),
                    Protocol::Apollo { first_version: true } => error.as_query(),
                    Protocol::Apollo { first_version: false } => error.response(),
                };
                json!({"type": "error", "id": id, "payload": payload}).to_string()
            }
            Frame::Complete(id) => json!({"type": "complete", "id": id}).to_string(),
        })
    }
}
