//! A real Docker engine: our own image from scratch in Traefik's place, containers with labels behind it, scaled up and down, killed and
//! restarted under load.
//!
//! An engine cannot be started everywhere (it needs root, and a kernel that lets it make bridges); where it cannot, this says so in
//! capitals and tests nothing.

use portico_tests::{Directory, process::binary};
use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Engine {
    daemon: Child,
    socket: PathBuf,
    directory: Directory,
}

impl Engine {
    fn start() -> Option<Self> {
        let directory = Directory::make();
        let place = |name: &str| directory.path().join(name);
        let log = fs::File::create(place("log")).expect("a log");
        let socket = place("docker.sock");
        let daemon = Command::new("dockerd")
            .args(["--storage-driver", "vfs", "--bridge", "none", "--host"])
            .arg(format!("unix://{}", socket.display()))
            .args([
                "--data-root".into(),
                place("data"),
                "--exec-root".into(),
                place("exec"),
                "--pidfile".into(),
                place("pid"),
            ])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let Ok(daemon) = daemon else {
            say("NO DOCKER ENGINE: dockerd is not installed; NOTHING WAS TESTED WITH REAL CONTAINERS");
            return None;
        };
        let mut engine = Self {
            daemon,
            socket,
            directory,
        };
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if engine.docker(&["info"]).status.success() {
                // Random, so that two of these can run at once.
                let net = 16 + std::process::id() % 200;
                let subnet = format!("10.{net}.{}.0/24", Instant::now().elapsed().as_nanos() % 200);
                let made = engine.docker(&["network", "create", "--subnet", &subnet, "lan"]);
                if made.status.success() {
                    return Some(engine);
                }
                say(&format!("NO DOCKER NETWORK: {}", String::from_utf8_lossy(&made.stderr)));
                break;
            }
            if engine.daemon.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = fs::read_to_string(engine.directory.path().join("log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(3).collect();
        say(&format!(
            "NO DOCKER ENGINE CAN BE STARTED HERE; NOTHING WAS TESTED WITH REAL CONTAINERS: {last:?}"
        ));
        None
    }

    fn docker(&self, arguments: &[&str]) -> Output {
        let host = format!("unix://{}", self.socket.display());
        let output = Command::new("docker").env("DOCKER_HOST", host).args(arguments).output();
        output.expect("the docker client of the same package")
    }

    fn must(&self, arguments: &[&str]) -> String {
        let output = self.docker(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn address(&self, container: &str) -> String {
        self.must(&[
            "inspect",
            "-f",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            container,
        ])
    }

    /// The image of a web server that says its container's name.
    fn image_of_web_server(&self) {
        let root = self.directory.path().join("web");
        fs::create_dir_all(root.join("bin")).expect("a directory");
        fs::copy("/usr/bin/busybox", root.join("bin/busybox")).expect("busybox-static");
        fs::write(
            root.join("Dockerfile"),
            "FROM scratch\nCOPY bin/ /bin/\nENTRYPOINT [\"/bin/busybox\", \"sh\", \"-c\", \"mkdir -p /www && hostname > /www/index.html && exec /bin/busybox httpd -f -p 80 -h /www\"]\n",
        )
        .expect("a file");
        let host = format!("unix://{}", self.socket.display());
        let built = Command::new("docker")
            .env("DOCKER_HOST", host)
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "-q", "-t", "web"])
            .arg(&root)
            .output()
            .expect("docker");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }

    fn web(&self, name: &str) {
        let labels = [
            "traefik.enable=true",
            "traefik.http.routers.web.rule=PathPrefix(`/`)",
            "traefik.http.services.web.loadbalancer.server.port=80",
        ];
        let mut arguments = vec![
            "run",
            "-d",
            "--init",
            "--name",
            name,
            "--hostname",
            name,
            "--network",
            "lan",
        ];
        for label in &labels {
            arguments.extend(["--label", label]);
        }
        arguments.push("web");
        self.must(&arguments);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let all = self.docker(&["ps", "-aq"]);
        let ids = String::from_utf8_lossy(&all.stdout).into_owned();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            self.docker(&[&["rm", "-f"], ids.as_slice()].concat());
        }
        self.docker(&["network", "rm", "lan"]);
        let pid = rustix::process::Pid::from_child(&self.daemon);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.daemon.wait();
    }
}

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// One request over a new connection: its status and its body.
async fn ask(address: &str) -> Result<(u16, String), String> {
    let asking = async {
        let mut stream = TcpStream::connect((address, 80))
            .await
            .map_err(|error| error.to_string())?;
        let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
        Ok((
            status,
            format!(
                "{}{}",
                body.unwrap_or_default(),
                if answer.contains("retry-after") {
                    " retry-after"
                } else {
                    ""
                }
            ),
        ))
    };
    match tokio::time::timeout(Duration::from_secs(10), asking).await {
        Ok(answer) => answer,
        Err(_) => Err("no answer in ten seconds".into()),
    }
}

async fn until(address: &str, what: &str, holds: impl Fn(u16, &str) -> bool) {
    for _ in 0..150 {
        if let Ok((status, body)) = ask(address).await
            && holds(status, &body)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: {:?}", ask(address).await);
}

async fn who(address: &str, asks: usize) -> HashSet<String> {
    let mut names = HashSet::new();
    for _ in 0..asks {
        names.insert(ask(address).await.expect("an answer").1);
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_come_and_go_under_load_and_no_request_fails() {
    let Some(engine) = Engine::start() else { return };
    engine.image_of_web_server();
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), ".."].iter().collect();
    let built = Command::new(root.join("deploy/image"))
        .arg(binary())
        .env("DOCKER_HOST", format!("unix://{}", engine.socket.display()))
        .output()
        .expect("deploy/image");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let mount = format!("{}:/var/run/docker.sock", engine.socket.display());
    engine.must(&[
        "run",
        "-d",
        "--name",
        "gateway",
        "--network",
        "lan",
        "-v",
        &mount,
        "portico-gateway",
        "--entrypoints.web.address=:80",
        "--providers.docker=true",
        "--providers.docker.exposedbydefault=false",
    ]);
    engine.web("web-1");
    engine.web("web-2");
    let gateway = engine.address("gateway");
    until(&gateway, "the first answer", |status, _| status == 200).await;
    until(&gateway, "both", |status, body| status == 200 && body == "web-2").await;
    assert_eq!(
        who(&gateway, 10).await,
        HashSet::from(["web-1".to_owned(), "web-2".to_owned()])
    );

    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (gateway, done, answered) = (gateway.clone(), done.clone(), answered.clone());
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !done.load(SeqCst) {
                    match ask(&gateway).await {
                        Ok((200, _)) => drop(answered.fetch_add(1, SeqCst)),
                        other => failed.push(format!("{other:?}")),
                    }
                }
                failed
            })
        })
        .collect();
    let step = |arguments: &[&str]| tokio::task::block_in_place(|| engine.must(arguments));
    tokio::task::block_in_place(|| {
        engine.web("web-3");
        engine.web("web-4");
    });
    until(&gateway, "scaled up", |_, body| body == "web-4").await;
    step(&["stop", "-t", "3", "web-1"]);
    step(&["kill", "web-2"]);
    step(&["restart", "-t", "3", "web-3"]);
    step(&["start", "web-1"]);
    until(&gateway, "started again", |_, body| body == "web-1").await;
    step(&["kill", "web-4"]);
    step(&["rm", "-f", "web-2"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    done.store(true, SeqCst);
    for client in load {
        assert_eq!(
            client.await.expect("a client"),
            Vec::<String>::new(),
            "after {} answers",
            answered.load(SeqCst)
        );
    }
    assert!(answered.load(SeqCst) > 200, "{} answers", answered.load(SeqCst));
    assert_eq!(
        who(&gateway, 10).await,
        HashSet::from(["web-1".to_owned(), "web-3".to_owned()])
    );

    // A route whose containers are all gone says when to come back, and comes back.
    step(&["kill", "web-1", "web-3"]);
    until(&gateway, "nobody is left", |status, body| {
        status == 503 && body.contains("retry-after")
    })
    .await;
    step(&["start", "web-3"]);
    until(&gateway, "somebody came back", |status, body| {
        status == 200 && body == "web-3"
    })
    .await;
}
