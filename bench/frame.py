"""The frame of the benchmarks: starting servers, loading them in interleaved rounds, counting their CPU time and memory."""
import os, re, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PORTICO = os.environ.get("PORTICO", f"{ROOT}/target/release/portico")
ROUNDS, SECONDS, CONNECTIONS = int(os.environ.get("ROUNDS", 3)), int(os.environ.get("SECONDS_PER_ROUND", 5)), 32
TICK = os.sysconf("SC_CLK_TCK")
work = tempfile.mkdtemp(prefix="portico-bench-", dir="/tmp")
os.chmod(work, 0o711)
running = []


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(command, environment=None, wait=None, seconds=60):
    log = open(f"{work}/{len(running)}.log", "w")
    full = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(environment or {})}
    process = subprocess.Popen(command, env=full, stdout=log, stderr=log, cwd=work, start_new_session=True)
    running.append(process)
    deadline = time.time() + seconds
    while wait and time.time() < deadline:
        if process.poll() is not None:
            sys.exit(f"{command[0]} ended: {open(log.name).read()[-2000:]}")
        try:
            urllib.request.urlopen(wait, timeout=1).read()
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.01)
    return process


def stop_all():
    for process in reversed(running):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in running:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    shutil.rmtree(work, ignore_errors=True)


def tree(pid):
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            children = open(f"/proc/{parent}/task/{parent}/children").read().split()
        except OSError:
            children = []
        found += map(int, children)
    return found


def cpu(pids):
    total = 0
    for pid in pids:
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICK


def rss(pids):
    total = 0
    for pid in pids:
        try:
            total += int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])
        except (OSError, TypeError):
            pass
    return total / 1024


def load(url, headers=(), script=None):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", url]
    for header in headers:
        command += ["-H", header]
    if script:
        command += ["-s", script]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", out)[1])
    latency = {p: re.search(rf"^\s+{p}%\s+(\S+)", out, re.M)[1] for p in ("50", "99")}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if bad:
        sys.exit(f"{url}: {bad[1]} of {requests} answers were errors")
    return requests, latency


def load_h2(url, *_):
    """The same over HTTP/2: eight connections with eight streams each."""
    need("h2load", "nghttp2-client")
    out = subprocess.run(["h2load", "-t1", "-c8", "-m8", f"-D{SECONDS}", "--warm-up-time=0", url], capture_output=True, text=True, check=True).stdout
    done = re.search(r"requests: .* (\d+) succeeded, (\d+) failed", out)
    if int(done[2]) or not int(done[1]):
        sys.exit(f"{url}: {done[0]}")
    times = re.search(r"time for request:\s+\S+\s+(\S+)\s+(\S+)", out)
    return int(done[1]), {"50": times[2], "99": "max " + times[1]}


def compare(name, sides, load=load):
    """sides: (label, url, headers or a wrk script, processes); the first is ours. Answers CPU microseconds by label."""
    print(f"\n{name}: {ROUNDS} interleaved rounds of {SECONDS} s")
    totals = {label: [0.0, 0, {}, 0.0] for label, *_ in sides}
    for label, url, headers, _ in sides:
        more = ["-s", headers] if isinstance(headers, str) else [x for h in headers for x in ("-H", h)]
        if load.__name__ == "load":
            subprocess.run(["wrk", "-t1", "-c8", "-d1s", url] + more, capture_output=True)
    for _ in range(ROUNDS):
        for label, url, headers, processes in sides:
            pids = [pid for process in processes for pid in tree(process.pid)]
            before = cpu(pids)
            scripted = isinstance(headers, str)
            requests, latency = load(url, () if scripted else headers, headers if scripted else None)
            entry = totals[label]
            entry[0] += cpu(pids) - before
            entry[1] += requests
            entry[2], entry[3] = latency, rss(pids)
    ours, answer = None, {}
    for label, (seconds, requests, latency, memory) in totals.items():
        each = seconds / requests * 1e6
        ours = ours or each
        answer[label] = each
        print(f"  {label:24} {each:8.1f} us CPU/request   p50 {latency['50']:>9}  p99 {latency['99']:>9}  RSS {memory:6.1f} MB"
              f"   {requests / SECONDS / ROUNDS:8.0f}/s" + (f"   ours/peer {ours / each:.2f}" if each != ours else ""))
    return answer


def need(program, package):
    if not shutil.which(program):
        subprocess.run(["apt-get", "install", "-y", "-q", package], check=True)


def nginx(config):
    need("nginx", "nginx-light")
    path = f"{work}/nginx-{port()}.conf"
    open(path, "w").write(
        f"daemon off; worker_processes 1; pid {path}.pid; error_log stderr error;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; keepalive_requests 1000000000;\n"
        f"client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;\n"
        f"{config}\n}}\n")
    return ["nginx", "-c", path]


def wait_for(url, status=200, seconds=30):
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            if urllib.request.urlopen(url, timeout=1).status == status:
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{url} does not answer {status}")


def only(process):
    """Without descendants: the database is a child of ours, and of nobody's else."""
    global tree
    whole = tree
    tree = lambda pid: [pid] if pid == process.pid else whole(pid)
