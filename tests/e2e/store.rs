//! The local store's S3 endpoint, driven by a real S3 client.

use portico_tests::{Shape, Stack, python};
use std::{path::PathBuf, process::Command};

#[tokio::test]
async fn boto3_finds_what_it_expects_of_s3() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    let found = stack.processes[0].1.listeners(&["s3"]);
    let secret = std::fs::read_to_string(stack.data_dir().join("s3.secret")).expect("the store's secret");
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "clients", "s3_boto3.py"].iter().collect();
    let output = Command::new(python())
        .arg(script)
        .args([&format!("http://{}", found["s3"]), "portico", secret.trim()])
        .output()
        .expect("python starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
}
