//! One `portico` process: started, listened to, stopped or killed.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Process {
    name: String,
    child: Child,
    logs: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<String>>,
}

/// The binary the build put beside this test.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let directory = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let binary = directory.join("portico");
    assert!(
        binary.exists(),
        "{} is missing; build it first: cargo build -p portico",
        binary.display()
    );
    binary
}

/// A command with nothing of the surrounding environment but PATH.
pub fn command(environment: &HashMap<String, String>, directory: &Path) -> Command {
    let mut command = Command::new(binary());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(environment)
        .current_dir(directory);
    command
}

/// Runs to the end: exit code, standard output, standard error.
pub fn run(
    arguments: &[&str],
    environment: &HashMap<String, String>,
    directory: &Path,
    input: &str,
) -> (i32, String, String) {
    let mut child = command(environment, directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("portico starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that does not read its input may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("portico ends");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

impl Process {
    pub fn start(name: &str, arguments: &[&str], environment: &HashMap<String, String>, directory: &Path) -> Self {
        let mut child = command(environment, directory)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("portico starts");
        let logs: Arc<Mutex<Vec<String>>> = Arc::default();
        let errors: Arc<Mutex<String>> = Arc::default();
        let (kept, stdout) = (logs.clone(), child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                kept.lock().expect("log").push(line);
            }
        });
        let (kept, stderr) = (errors.clone(), child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().expect("errors").push_str(&(line + "\n"));
            }
        });
        Self {
            name: name.to_owned(),
            child,
            logs,
            errors,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Every line of the log so far, as JSON; a line that is none fails the test.
    pub fn logs(&self) -> Vec<Value> {
        let lines = self.logs.lock().expect("log");
        lines
            .iter()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("a log line is no JSON ({error}): {line}"))
            })
            .collect()
    }

    pub fn errors(&self) -> String {
        self.errors.lock().expect("errors").clone()
    }

    /// The addresses it listens on, by entrypoint, once all of `names` are there.
    pub fn listeners(&mut self, names: &[&str]) -> HashMap<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found: HashMap<String, String> = self
                .logs()
                .iter()
                .filter(|line| line["message"] == "listening")
                .filter_map(|line| {
                    Some((
                        line["entrypoint"].as_str()?.to_owned(),
                        line["address"].as_str()?.to_owned(),
                    ))
                })
                .collect();
            let ready = self.logs().iter().any(|line| line["message"] == "ready");
            if ready && names.iter().all(|name| found.contains_key(*name)) {
                return found;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                std::thread::sleep(Duration::from_millis(100));
                panic!(
                    "{} ended with {status}:\n{}\n{:?}",
                    self.name,
                    self.errors(),
                    self.logs.lock().expect("log")
                );
            }
            assert!(
                Instant::now() < deadline,
                "{} does not listen on {names:?}:\n{}\n{:?}",
                self.name,
                self.errors(),
                self.logs.lock().expect("log")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        // It may be gone already.
        let _ = kill_process(pid, signal);
    }

    /// `kill -9`
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Ctrl-C, and how it ended.
    pub fn interrupt(mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::INT);
            let deadline = Instant::now() + Duration::from_secs(15);
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let logs = self.logs.lock().map(|lines| lines.join("\n")).unwrap_or_default();
            let errors = self.errors.lock().map(|text| text.clone()).unwrap_or_default();
            let tail: String = logs.lines().rev().take(40).map(|line| format!("{line}\n")).collect();
            eprintln!(
                "--- {}: last log lines, newest first ---\n{tail}--- errors ---\n{errors}",
                self.name
            );
        }
    }
}
