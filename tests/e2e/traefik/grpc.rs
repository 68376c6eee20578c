//! gRPC through the gateway, with its real implementation on both sides.

use super::{Lone, Origin};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use portico_tests::python;
use std::{path::PathBuf, process::Command};

fn script(arguments: &[&str]) -> Command {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "clients", "grpc_echo.py"].iter().collect();
    let mut command = Command::new(python());
    command.arg(script).args(arguments);
    command
}

fn routed(port: u16) -> String {
    format!(
        "http:
  routers:
    echo: {{rule: 'PathPrefix(`/test.Echo/`)', service: echo, middlewares: [web]}}
  middlewares:
    web: {{grpcWeb: {{allowOrigins: ['https://app.test']}}}}
  services:
    echo: {{loadBalancer: {{servers: [{{url: 'h2c://127.0.0.1:{port}'}}]}}}}
"
    )
}

#[tokio::test]
async fn every_kind_of_call_goes_through() {
    let origin = Origin::start(script(&["serve"]));
    let gateway = Lone::start(&routed(origin.port), &[]);
    let output = script(&["call", &gateway.web]).output().expect("python starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && said.contains("ok"), "{said}");
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a length").to_be_bytes();
    [&[0][..], &length, message].concat()
}

#[tokio::test]
async fn browsers_speak_it_too() {
    let origin = Origin::start(script(&["serve"]));
    let gateway = Lone::start(&routed(origin.port), &[]);
    let client = gateway
        .client()
        .with("origin", "https://app.test")
        .with("x-grpc-web", "1");
    let call = |method: &str, body: Vec<u8>, kind: &'static str| {
        let (client, path) = (client.clone(), format!("/test.Echo/{method}"));
        async move { client.send(Method::POST, &path, body, Some(kind)).await.expect(200) }
    };

    let binary = call("Unary", frame(b"hello"), "application/grpc-web+proto").await;
    assert_eq!(binary.header("content-type"), "application/grpc-web+proto");
    assert_eq!(binary.header("access-control-allow-origin"), "https://app.test");
    let answer = frame(b"echo hello");
    assert_eq!(binary.body[..answer.len()], answer);
    let (flag, trailers) = (binary.body[answer.len()], &binary.body[answer.len() + 5..]);
    assert_eq!(flag, 0x80);
    let trailers = std::str::from_utf8(trailers).expect("text");
    assert!(trailers.contains("grpc-status: 0\r\n"), "{trailers}");

    let coded = STANDARD.encode(frame(b"hello"));
    let text = call("Unary", coded.into_bytes(), "application/grpc-web-text").await;
    // Each piece is base64 of its own, padded.
    let mut decoded = Vec::new();
    for group in text.body.chunks(4) {
        decoded.extend(STANDARD.decode(group).expect("base64"));
    }
    assert_eq!(decoded[..answer.len()], answer);

    let many = call("Many", frame(b"3"), "application/grpc-web+proto").await;
    let expected = [frame(b"0"), frame(b"1"), frame(b"2")].concat();
    assert_eq!(many.body[..expected.len()], expected);
    let failed = call("Fail", frame(b""), "application/grpc-web+proto").await;
    let said = format!("{:?} {}", failed.headers, String::from_utf8_lossy(&failed.body));
    assert!(
        said.contains("not like this") || said.contains("not%20like%20this"),
        "{said}"
    );

    let preflight = client
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "content-type,x-grpc-web")
        .send(Method::OPTIONS, "/test.Echo/Unary", "", None)
        .await
        .expect(204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.test");
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        "content-type,x-grpc-web"
    );
}
