//! A GraphQL WebSocket client, in the protocol `graphql-transport-ws`.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects to `host:port` and is let in with these headers.
    pub async fn open(address: &str, path: &str, headers: Value) -> Self {
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a URL");
        let protocol = "graphql-transport-ws".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (stream, _) = client_async(request, stream).await.expect("an upgrade");
        let mut socket = Self(stream);
        socket
            .send(json!({"type": "connection_init", "payload": {"headers": headers}}))
            .await;
        assert_eq!(socket.next().await["type"], "connection_ack");
        socket
    }

    pub async fn send(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .expect("it is sent");
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({"type": "subscribe", "id": id, "payload": {"query": query}}))
            .await;
    }

    /// The next message that is no ping.
    pub async fn next(&mut self) -> Value {
        let reading = async {
            loop {
                let message = self.0.next().await.expect("the connection stays").expect("a message");
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message["type"] != "ping" {
                    return message;
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("a message in time")
    }

    /// The data of the next answer.
    pub async fn data(&mut self) -> Value {
        let message = self.next().await;
        assert_eq!(message["type"], "next", "{message}");
        message["payload"]["data"].clone()
    }
}
