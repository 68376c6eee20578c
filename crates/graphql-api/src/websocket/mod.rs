//! GraphQL over WebSocket, in both protocols: `graphql-transport-ws` and the older `graphql-ws` of Apollo. Queries,
//! mutations and subscriptions; every operation is a stream of frames, and the connection merges them.

mod protocol;

use crate::{answer::shown_to, auth::Authenticated, engine::Engine, live::Event, refusal::Refusal};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{
    StreamExt,
    future::AbortHandle,
    stream::{self, BoxStream, SelectAll},
};
use graphql::{Kind, Request};
use http::{HeaderMap, HeaderName, HeaderValue, header};
pub use protocol::Frame;
use protocol::{Closing, Incoming, Protocol};
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::time::{Instant, interval_at, sleep_until};

const LARGEST_MESSAGE: usize = 4 << 20;
const INIT_WITHIN: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A connection that asks for more at once is answered with errors.
const MOST_OPERATIONS: usize = 1_000;

/// Which of the GraphQL endpoints was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    #[default]
    Current,
    /// `/v1alpha1/graphql`, whose errors have their own form.
    FirstVersion,
    Relay,
}

pub fn upgrade(engine: Arc<Engine>, headers: HeaderMap, socket: WebSocketUpgrade, dialect: Dialect) -> Response {
    let protocol = Protocol::of(&headers, dialect == Dialect::FirstVersion);
    socket
        .protocols([protocol.name()])
        .max_message_size(LARGEST_MESSAGE)
        .on_upgrade(move |socket| async move {
            let mut connection = Connection {
                engine,
                protocol,
                relay: dialect == Dialect::Relay,
                handshake: headers,
                caller: None,
                operations: HashMap::new(),
                frames: SelectAll::new(),
            };
            connection.run(socket).await;
        })
}

struct Connection {
    engine: Arc<Engine>,
    protocol: Protocol,
    /// Operations are against Relay's schema.
    relay: bool,
    handshake: HeaderMap,
    /// Set by `connection_init`.
    caller: Option<Authenticated>,
    operations: HashMap<String, AbortHandle>,
    frames: SelectAll<BoxStream<'static, Frame>>,
}

impl Connection {
    async fn run(&mut self, mut socket: WebSocket) {
        let closing = match self.talk(&mut socket).await {
            Some(closing) => closing,
            None => return,
        };
        let frame = CloseFrame {
            code: closing.code,
            reason: closing.reason.into_owned().into(),
        };
        // The peer may be gone already.
        let _ = socket.send(Message::Close(Some(frame))).await;
    }

    /// `None`: the peer left.
    async fn talk(&mut self, socket: &mut WebSocket) -> Option<Closing> {
        let opened = Instant::now();
        let mut alive = interval_at(opened + KEEP_ALIVE, KEEP_ALIVE);
        let shutdown = self.engine.closing.clone();
        loop {
            let (until, at_end) = self.deadline(opened);
            tokio::select! {
                message = socket.recv() => {
                    let text = match message?.ok()? {
                        Message::Text(text) => text,
                        Message::Close(_) => return None,
                        _ => continue,
                    };
                    match self.hear(&text).await {
                        Ok(frames) => {
                            for frame in frames {
                                send(self.protocol, socket, &frame).await?;
                            }
                        }
                        Err(Refused::Silently(closing)) => return Some(closing),
                        Err(Refused::Told(frame, closing)) => {
                            send(self.protocol, socket, &frame).await?;
                            return Some(closing);
                        }
                    }
                }
                Some(frame) = self.frames.next(), if !self.frames.is_empty() => {
                    if let Some(id) = frame.ends() {
                        self.operations.remove(id);
                    }
                    send(self.protocol, socket, &frame).await?;
                }
                _ = alive.tick(), if self.caller.is_some() => send(self.protocol, socket, &Frame::KeepAlive).await?,
                () = sleep_until(until) => return Some(at_end),
                () = shutdown.cancelled() => return Some(Closing::GOING_AWAY),
            }
        }
    }

    /// When this must end by itself, and why.
    fn deadline(&self, opened: Instant) -> (Instant, Closing) {
        let Some(caller) = &self.caller else {
            return (opened + INIT_WITHIN, Closing::INIT_TIMEOUT);
        };
        let left = caller.expires_at.map(|at| at - OffsetDateTime::now_utc());
        let left = left.map_or(Duration::from_secs(30 * 86_400), |left| {
            left.try_into().unwrap_or_default()
        });
        (Instant::now() + left, Closing::EXPIRED)
    }

    async fn hear(&mut self, text: &str) -> Result<Vec<Frame>, Refused> {
        match self.protocol.read(text) {
            Ok(Incoming::Init(payload)) => self.init(&payload).await,
            Ok(Incoming::Start { id, payload }) => self.start(id, payload),
            Ok(Incoming::Stop(id)) => {
                if let Some(handle) = self.operations.remove(&id) {
                    handle.abort();
                }
                Ok(Vec::new())
            }
            Ok(Incoming::Ping) => Ok(vec![Frame::Pong]),
            Ok(Incoming::Nothing) => Ok(Vec::new()),
            Ok(Incoming::Terminate) => Err(Refused::Silently(Closing::NORMAL)),
            Err(closing) => Err(Refused::Silently(closing)),
        }
    }

    async fn init(&mut self, payload: &Value) -> Result<Vec<Frame>, Refused> {
        if self.caller.is_some() {
            return match self.protocol {
                Protocol::Transport => Err(Refused::Silently(Closing::TOO_MANY_INITS)),
                Protocol::Apollo { .. } => Ok(vec![Frame::Ack]),
            };
        }
        let headers = self.headers(payload);
        match self.engine.auth.session(&headers, None).await {
            Ok(caller) => {
                self.caller = Some(caller);
                Ok(vec![Frame::Ack, Frame::KeepAlive])
            }
            Err(refusal) => {
                let told = Frame::Refused(refusal.error.message.clone());
                Err(Refused::Told(
                    Box::new(told),
                    Closing::forbidden(&refusal.error.message),
                ))
            }
        }
    }

    /// Those of the handshake, and over them those the client could not set there.
    fn headers(&self, payload: &Value) -> HeaderMap {
        let mut headers = self.handshake.clone();
        if !self.engine.auth.reads_cookies_of_sockets() {
            headers.remove(header::COOKIE);
        }
        for (name, value) in payload["headers"].as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.to_lowercase()), HeaderValue::try_from(text)) {
                headers.insert(name, value);
            }
        }
        headers
    }

    fn start(&mut self, id: String, payload: Value) -> Result<Vec<Frame>, Refused> {
        let Some(caller) = self.caller.clone() else {
            return match self.protocol {
                Protocol::Transport => Err(Refused::Silently(Closing::UNAUTHORIZED)),
                Protocol::Apollo { .. } => {
                    let message = "start received before the connection is initialised";
                    let refusal = Refusal::new("start-failed", "$", message);
                    Ok(Frame::failed(&id, &refusal.error))
                }
            };
        };
        if self.operations.contains_key(&id) {
            return match self.protocol {
                Protocol::Transport => Err(Refused::Silently(Closing::duplicate(&id))),
                Protocol::Apollo { .. } => {
                    let message = format!("an operation already exists with this id: {id}");
                    let refusal = Refusal::new("unexpected", "$", message);
                    Ok(Frame::failed(&id, &refusal.error))
                }
            };
        }
        if self.operations.len() >= MOST_OPERATIONS {
            let refusal = Refusal::new("unexpected", "$", "too many operations at once on this connection");
            return Ok(Frame::failed(&id, &refusal.error));
        }
        let asked = request(&payload).map(|request| Request {
            relay: self.relay,
            ..request
        });
        let frames = operation(self.engine.clone(), caller, self.handshake.clone(), id.clone(), asked);
        let (frames, handle) = stream::abortable(frames);
        self.operations.insert(id, handle);
        self.frames.push(frames.boxed());
        Ok(Vec::new())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.operations.values().for_each(AbortHandle::abort);
    }
}

/// `None`: the peer is gone.
async fn send(protocol: Protocol, socket: &mut WebSocket, frame: &Frame) -> Option<()> {
    match protocol.write(frame) {
        Some(text) => socket.send(Message::Text(text.into())).await.ok(),
        None => Some(()),
    }
}

enum Refused {
    Silently(Closing),
    Told(Box<Frame>, Closing),
}

fn request(payload: &Value) -> Result<Request, Refusal> {
    if payload["extensions"].get("persistedQuery").is_some() {
        let message = "Automatic Persisted Queries is not enabled";
        return Err(Refusal::new("not-supported", "$", message));
    }
    let Some(query) = payload["query"].as_str() else {
        return Err(Refusal::new("parse-failed", "$", "the key 'query' was not present"));
    };
    let variables = match &payload["variables"] {
        Value::Null => Map::new(),
        Value::Object(variables) => variables.clone(),
        _ => {
            return Err(Refusal::new(
                "parse-failed",
                "$.variables",
                "variables must be an object",
            ));
        }
    };
    Ok(Request {
        query: query.to_owned(),
        operation_name: payload["operationName"].as_str().map(str::to_owned),
        variables,
        relay: false,
    })
}

/// All frames of one operation, the last of which ends it.
pub fn operation(
    engine: Arc<Engine>,
    caller: Authenticated,
    handshake: HeaderMap,
    id: String,
    asked: Result<Request, Refusal>,
) -> BoxStream<'static, Frame> {
    let session = caller.session;
    let started = async move {
        let request = match asked {
            Ok(request) => request,
            Err(refusal) => return stream::iter(Frame::failed(&id, &refusal.error)).boxed(),
        };
        if let Err(error) = engine.admit(&request, &session, &handshake) {
            return stream::iter(Frame::failed(&id, &error)).boxed();
        }
        let kind = engine.kind(&request, &session);
        match kind {
            Ok(Kind::Subscription) if engine.asks_for_result(&request, &session) => {
                let role = session.role.clone();
                framed(id, role, engine.follow_result(request, session, handshake))
            }
            Ok(Kind::Subscription) => subscription(engine, id, request, session),
            Ok(_) => match engine.answer(&request, &session, &handshake, true).await {
                Ok(answer) => {
                    let next = Frame::Next(id.clone(), format!("{{\"data\":{}}}", answer.data));
                    stream::iter([next, Frame::Complete(id)]).boxed()
                }
                Err(error) => stream::iter(Frame::failed(&id, &error)).boxed(),
            },
            Err(error) => stream::iter(Frame::failed(&id, &error)).boxed(),
        }
    };
    stream::once(started).flatten().boxed()
}

fn subscription(
    engine: Arc<Engine>,
    id: String,
    request: Request,
    session: graphql::Session,
) -> BoxStream<'static, Frame> {
    let role = session.role.clone();
    let subscription = engine.live.subscribe(request, session);
    let events = stream::unfold(subscription, |mut subscription| async move {
        let event = subscription.next().await?;
        Some((event, subscription))
    });
    framed(id, role, events.boxed())
}

/// A failure is the last frame; what ends otherwise is complete.
fn framed(id: String, role: String, events: BoxStream<'static, Event>) -> BoxStream<'static, Frame> {
    stream::unfold(Some((events, id, role)), |state| async move {
        let (mut events, id, role) = state?;
        match events.next().await {
            Some(Event::Data(data)) => {
                let next = Frame::Next(id.clone(), format!("{{\"data\":{data}}}"));
                Some((stream::iter(vec![next]), Some((events, id, role))))
            }
            Some(Event::Failed(error)) => Some((stream::iter(Frame::failed(&id, &shown_to(&role, error))), None)),
            None => Some((stream::iter(vec![Frame::Complete(id)]), None)),
        }
    })
    .flatten()
    .boxed()
}
