//! gRPC through the gateway, with its real implementation on both sides.

use super::{Lone, Origin};
use portico_tests::python;
use std::{path::PathBuf, process::Command};

fn script(arguments: &[&str]) -> Command {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "clients", "grpc_echo.py"].iter().collect();
    let mut command = Command::new(python());
    command.arg(script).args(arguments);
    command
}

#[tokio::test]
async fn every_kind_of_call_goes_through() {
    let origin = Origin::start(script(&["serve"]));
    let gateway = Lone::start(
        &format!(
            "http:
  routers:
    echo: {{rule: 'PathPrefix(`/test.Echo/`)', service: echo}}
  services:
    echo: {{loadBalancer: {{servers: [{{url: 'h2c://127.0.0.1:{}'}}]}}}}
",
            origin.port
        ),
        &[],
    );
    let output = script(&["call", &gateway.web]).output().expect("python starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && said.contains("ok"), "{said}");
}
