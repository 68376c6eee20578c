//! Rates that several gateways count together, in a real Redis.

use super::Lone;
use portico_tests::{Directory, Shape, Stack, stack::free_address};
use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

struct Redis {
    child: Child,
    address: String,
    _directory: Directory,
}

impl Redis {
    fn start(password: &str) -> Self {
        let (directory, address) = (Directory::make(), free_address());
        let port = address.rsplit(':').next().expect("a port");
        let child = Command::new("redis-server")
            .args([
                "--port",
                port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--requirepass",
                password,
                "--dir",
            ])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        for _ in 0..100 {
            if std::net::TcpStream::connect(&address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Self {
            child,
            address,
            _directory: directory,
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn limited(limit: &str, redis: &str) -> String {
    format!(
        "http:
  routers:
    r: {{rule: 'PathPrefix(`/`)', service: ping@internal, middlewares: [l]}}
  middlewares:
    l: {{rateLimit: {{{limit}, redis: {{endpoints: ['{redis}'], password: hunter2}}}}}}
"
    )
}

async fn passed(gateways: [&Lone; 2], asks: usize) -> usize {
    let mut passed = 0;
    for number in 0..asks {
        let answer = gateways[number % 2].client().get("/").await;
        match answer.status.as_u16() {
            200 => passed += 1,
            429 => assert!(answer.header("retry-after").parse::<u32>().is_ok()),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    passed
}

#[tokio::test]
async fn two_gateways_count_together_and_each_alone_without_redis() {
    let mut redis = Redis::start("hunter2");
    // Traefik's form: five at once, and one more in an hour.
    let bucket = limited("average: 1, period: 1h, burst: 5", &redis.address);
    let (one, two) = (Lone::start(&bucket, &[]), Lone::start(&bucket, &[]));
    assert_eq!(passed([&one, &two], 20).await, 5);
    // Ours: told on every answer.
    let window = limited("average: 7, period: 1h, headers: true", &redis.address);
    let (three, four) = (Lone::start(&window, &[]), Lone::start(&window, &[]));
    assert_eq!(
        passed([&three, &four], 20).await,
        7,
        "{:?}",
        three.process.logs().last()
    );
    assert_eq!(three.client().get("/").await.header("x-ratelimit-remaining"), "0");
    // Without Redis a limit is each gateway's own, and nobody is turned away for it.
    redis.child.kill().expect("killed");
    redis.child.wait().expect("ended");
    assert_eq!(passed([&three, &four], 40).await, 14);
}

#[tokio::test]
async fn the_platforms_limits_can_be_shared() {
    let redis = Redis::start("");
    let settings = [
        ("PORTICO_RATE_LIMIT_CORE", "4/1h"),
        ("PORTICO_RATE_LIMIT_REDIS", redis.address.as_str()),
    ];
    let stack = Stack::start_with(Shape::OneProcess, &settings).await;
    for left in (0..4).rev() {
        let answer = stack.client().get("/v1/core/users/me").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-ratelimit-remaining")),
            (401, left.to_string().as_str())
        );
    }
    assert_eq!(stack.client().get("/v1/core/users/me").await.status, 429);
    let port = redis.address.rsplit(':').next().expect("a port");
    let keys = Command::new("redis-cli")
        .args(["-p", port, "keys", "rate:*"])
        .output()
        .expect("redis-cli");
    let keys = String::from_utf8_lossy(&keys.stdout).into_owned();
    assert!(keys.contains("core-limit"), "{keys}");
}
