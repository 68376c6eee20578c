"""Clicks and links in bulk: what a click costs the database, how fast dashboards are, how soon many links are known again."""
import json, os, shutil, subprocess, time, urllib.parse, urllib.request
from frame import CONNECTIONS, PORTICO, ROOT, SECONDS, compare, cpu, port, rss, start, work

AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "curl/8.5.0"]
REFERERS = ["", "https://www.google.com/", "https://t.co/x", "https://chatgpt.com/", "https://news.ycombinator.com/item?id=1", "https://mail.google.com/"]
LANGUAGES = ["de-DE,de;q=0.9", "en-US,en;q=0.9", "fr", "es-ES", "ja"]


def make_links(up, count, of=None):
    owner = f"'{of}'" if of else "null"
    up.sql(f"insert into links.links (slug, target_url, user_id) select 's' || n, 'https://example.org/a/path/of/usual/length/' || n, {owner}"
           f" from generate_series(1, {count}) n on conflict do nothing")


def visits(links):
    """A wrk script: links by a long-tailed law, browsers, languages and referrers mixed."""
    path = f"{work}/visits-{port()}.lua"
    table = lambda name, values: f"local {name} = {{{', '.join(json.dumps(value) for value in values)}}}\n"
    open(path, "w").write(
        "math.randomseed(7)\n" + table("agents", AGENTS) + table("referers", REFERERS) + table("languages", LANGUAGES) +
        "request = function()\n"
        f"  local n = math.floor({links} ^ math.random())\n"
        "  local headers = {['User-Agent'] = agents[math.random(#agents)], ['Accept-Language'] = languages[math.random(#languages)]}\n"
        "  local referer = referers[math.random(#referers)]\n"
        "  if referer ~= '' then headers['Referer'] = referer end\n"
        "  return wrk.format('GET', '/l/s' .. n, headers)\nend\n")
    return path


def count(up, what):
    return int(up.sql(f"select {what}"))


def case_ingest(up):
    """What a click costs the database, with every rollup: its processes' CPU over the clicks it has taken."""
    links = 10_000
    make_links(up, links)
    script = visits(links)
    subprocess.run(["wrk", "-t1", "-c8", "-d2s", up.url("/"), "-s", script], capture_output=True)
    drained(up)
    database = [pid for pid in tree_of(up) if pid != up.process.pid]
    before, own, clicks = cpu(database), cpu([up.process.pid]), count(up, "count(*) from links.clicks")
    begun = time.time()
    subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS * 2}s", up.url("/"), "-s", script], capture_output=True, check=True)
    drained(up)
    fresh = count(up, "count(*) from links.clicks") - clicks
    total = count(up, "sum(clicks) from links.links where slug like 's%'")
    rows = count(up, "count(*) from links.clicks c join links.links l on l.id = c.link_id where l.slug like 's%'")
    each = (cpu(database) - before) / fresh * 1e6
    print(f"\ningestion, {links} links in a long tail, all rollups: {each:.1f} us of the database's CPU per click, {fresh} clicks written within"
          f" {time.time() - begun:.1f} s; our process {(cpu([up.process.pid]) - own) / fresh * 1e6:.1f} us per redirect and its click"
          f"\n  counted in links: {total}, rows: {rows}")


def tree_of(up):
    """With the database, which `only` leaves out."""
    found = [up.process.pid]
    for parent in found:
        for task in os.listdir(f"/proc/{parent}/task"):
            found += [int(pid) for pid in open(f"/proc/{parent}/task/{task}/children").read().split() if int(pid) not in found]
    return found


def drained(up):
    """Until no click comes any more."""
    last, same = -1, 0
    while same < 3:
        now = count(up, "count(*) from links.clicks")
        same = same + 1 if now == last else 0
        last = now
        time.sleep(0.7)


def case_shlink(up):
    """A redirect whose click is inserted before it is answered, as Shlink and many of its kind do without a queue."""
    make_links(up, 1)
    home = f"{ROOT}/target/bench-fastify"
    os.makedirs(home, exist_ok=True)
    for name in ("package.json", "redirect.js"):
        shutil.copy(f"{ROOT}/bench/fastify/{name}", home)
    if not os.path.exists(f"{home}/node_modules/fastify"):
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=home, check=True)
    up.sql("create table if not exists public.visits (id bigint generated always as identity primary key, link_id uuid, at timestamptz default now(),"
           " ip inet, user_agent text, referer text); grant all on public.visits to public")
    at = port()
    peer = start(["node", f"{home}/redirect.js"], {"PORT": str(at), "DATABASE_URL": up.database()}, wait=f"http://127.0.0.1:{at}/l/s1")
    time.sleep(1)
    compare("redirect: ours with its click in a segment, theirs with a row inserted first (their database's CPU is not counted)", [
        ("portico", up.url("/l/s1"), ["User-Agent: bench"], [up.process]), ("fastify + pg", f"http://127.0.0.1:{at}/l/s1", ["User-Agent: bench"], [peer])])


def case_warm(up):
    """A million links known again from the snapshot, before the database is asked."""
    links, directory = 1_000_000, f"{work}/warm/clicks"
    os.makedirs(directory)
    with open(f"{directory}/known-links.snapshot", "w") as out:
        for n in range(links):
            out.write('{"link":["s%d",{"id":"0193a5b2-%04x-7000-8000-%012x","location":"https://example.org/a/path/of/usual/length/%d?utm_source=x"}]}\n'
                      % (n, n & 0xffff, n, n))
    at = port()
    environment = {"PORTICO_DATA_DIR": f"{work}/warm", "DATABASE_URL": up.database(), "PORTICO_LINKS_ADDR": f"127.0.0.1:{at}",
                   "PORTICO_ADMIN_ADDR": f"127.0.0.1:{port()}", "PORTICO_LOG": "info"}
    bare = environment | {"PORTICO_DATA_DIR": f"{work}/bare", "PORTICO_LINKS_ADDR": f"127.0.0.1:{port()}", "PORTICO_ADMIN_ADDR": f"127.0.0.1:{port()}"}

    def seconds(settings):
        begun = time.time()
        process = start([PORTICO, "serve", "links"], settings,
                        wait=f"http://{settings['PORTICO_LINKS_ADDR']}/v1/links/health")
        return time.time() - begun, rss([process.pid])

    (without, small), (with_links, large) = seconds(bare), seconds(environment)
    print(f"\nwarm start: 'serve links' answers after {without * 1000:.0f} ms without links, after {with_links * 1000:.0f} ms with {links} of them:"
          f" {(with_links - without) * 1000:.0f} ms; {(large - small) * 1024 * 1024 / links:.0f} bytes of memory each,"
          f" 16 million: {(large - small) * 16 / 1024:.2f} GB")


def case_dashboards(up):
    """The standard questions over ten million clicks of one owner, a year of them."""
    clicks, links = int(os.environ.get("CLICKS", 10_000_000)), 10_000
    tokens = up.token()
    owner, token = tokens["user"]["id"], tokens["access_token"]
    make_links(up, links, owner)
    begun = time.time()
    for month in range(13):
        up.sql(f"select links.make_click_partition((now() - interval '{month} months')::date)")
    up.sql(f"""set session_replication_role = replica; set synchronous_commit = off; set work_mem = '512MB';
        create temp table l as select id, row_number() over () as n from links.links where user_id = '{owner}';
        create unique index on l (n);
        insert into links.clicks (id, link_id, clicked_at, visitor, country, referrer_host, referrer_class, browser, os, device, language, bot)
        select lpad(to_hex(g), 32, '0')::uuid, l.id, date_trunc('second', now()) - interval '1 hour' - g * (interval '364 days' / {clicks}), (random() * 1e6)::bigint,
            (array['DE','US','FR','GB','JP','BR'])[1 + floor(6 * random() ^ 2)::int], (array['','google.com','t.co','chatgpt.com'])[1 + floor(4 * random())::int],
            (array['direct','search','social','ai'])[1 + floor(4 * random())::int], (array['Chrome','Safari','Firefox','Edge'])[1 + floor(4 * random() ^ 2)::int],
            (array['Windows','iOS','Android','macOS'])[1 + floor(4 * random())::int], (array['desktop','mobile','tablet'])[1 + floor(3 * random() ^ 2)::int],
            (array['de','en','fr'])[1 + floor(3 * random())::int], random() < 0.1
        from generate_series(1, {clicks}) g join l on l.n = floor({links} ^ ((g::bigint * 7919 % 100003) / 100003.0))::bigint;
        insert into links.rollup_owner_minutes select '{owner}', date_trunc('minute', clicked_at), count(*), count(*) filter (where bot) from links.clicks group by 2;
        insert into links.rollup_link_hours select link_id, date_trunc('hour', clicked_at), count(*), count(*) filter (where bot), '' from links.clicks group by 1, 2;
        {"".join(f'''insert into links.rollup_owner_hours select '{owner}', date_trunc('hour', clicked_at), '{by}', coalesce({by}::text, ''), count(*), count(*) filter (where bot)
            from links.clicks group by 2, 4;
        insert into links.rollup_link_days select link_id, (clicked_at at time zone 'utc')::date, '{by}', coalesce({by}::text, ''), count(*), count(*) filter (where bot)
            from links.clicks group by 1, 2, 4;''' for by in ("country", "referrer_host", "referrer_class", "browser", "os", "device", "language"))}
        update links.links l set clicks = c.n from (select link_id, count(*) n from links.clicks group by 1) c where c.link_id = l.id;""")
    up.sql("vacuum analyze")
    print(f"\ndashboards: {clicks} clicks on {links} links made within {time.time() - begun:.0f} s")
    link = up.sql(f"select id from links.links where user_id = '{owner}' order by clicks desc limit 1").strip()
    now = int(time.time()) // 86400 * 86400
    moment = lambda days: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - days * 86400))
    for name, days, more in [
            ("total, 24 hours", 1, {}), ("total, 30 days", 30, {}), ("total, a year", 360, {}),
            ("by the hour, 24 hours, Berlin", 1, {"interval": "hour", "timezone": "Europe/Berlin"}), ("by the day, 30 days, Berlin", 30, {"interval": "day", "timezone": "Europe/Berlin"}),
            ("by the month, a year", 360, {"interval": "month"}), ("countries, 30 days", 30, {"group_by": "country"}), ("referrers, 30 days", 30, {"group_by": "referrer_host"}),
            ("browsers, a year", 360, {"group_by": "browser"}), ("devices, a year", 360, {"group_by": "device"}), ("best links, 7 days", 7, {"group_by": "link", "limit": 10}),
            ("best links, 30 days", 30, {"group_by": "link", "limit": 10}), ("a link, 30 days by the day", 30, {"link_id": link, "interval": "day"}),
            ("a link's countries, 30 days", 30, {"link_id": link, "group_by": "country"}), ("a link's total, a year", 360, {"link_id": link})]:
        query = urllib.parse.urlencode({"from": moment(days), "until": moment(0), **more})
        request = urllib.request.Request(up.url(f"/v1/links/analytics?{query}"), headers={"Authorization": f"Bearer {token}"})
        times = []
        for _ in range(7):
            begun = time.perf_counter()
            answer = json.load(urllib.request.urlopen(request))
            times.append((time.perf_counter() - begun) * 1000)
        total = sum(point["count"] for point in answer["points"])
        print(f"  {name:34} {sorted(times)[3]:7.1f} ms, first {times[0]:7.1f} ms   {len(answer['points']):5} points, {total} clicks")


CASES = {"ingest": case_ingest, "shlink": case_shlink, "warm": case_warm, "dashboards": case_dashboards}
