//! The way of clicks from a segment into the counts: once each, whatever dies, whenever they come, in whatever zone one looks.

use super::{analytics::await_rollups, await_clicks, clicks, options::FIREFOX, options::make};
use crate::core::token;
use portico_tests::{Directory, Shape, Stack, database::Database, environment, process};
use serde_json::{Value, json};
use std::{fmt::Write, fs, time::Duration};

/// `PORTICO_TEST_KILLS` asks for more.
fn kills() -> usize {
    std::env::var("PORTICO_TEST_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(6)
}

#[tokio::test]
async fn kill_after_kill_nothing_acknowledged_is_lost_and_nothing_doubled() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    {
        let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
        for slug in ["plain", "strict"] {
            make(
                &ada,
                json!({ "slug": slug, "target_url": "https://example.org", "strict": slug == "strict" }),
            )
            .await;
        }
    }
    let mut answered = [0_i64; 2];
    for kill in 0..kills() {
        let clickers: Vec<_> = (0..4)
            .map(|number| {
                let client = stack.client().with("user-agent", FIREFOX);
                let slug = ["/l/plain", "/l/strict"][number % 2];
                tokio::spawn(async move {
                    let mut answered = 0_i64;
                    while let Ok(answer) = client.try_send(http::Method::GET, slug, "", None).await {
                        answered += i64::from(answer.status == 302);
                    }
                    (number % 2, answered)
                })
            })
            .collect();
        // At another moment of the writer's round each time.
        tokio::time::sleep(Duration::from_millis(250 + 37 * (kill as u64 % 11))).await;
        stack.take("up").kill();
        for clicker in clickers {
            let (place, count) = clicker.await.expect("a clicker");
            answered[place] += count;
        }
        stack.up();
    }
    let database = Database::connect(&stack.database_url()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (slug, answered) in ["plain", "strict"].into_iter().zip(answered) {
        // The writer may be far behind after many kills; it is waited for as long as it gets on.
        let (mut seen, mut still) = (0, 0);
        while seen < answered && still < 200 {
            let rows = clicks(&database, slug).await.0;
            still = if rows > seen { 0 } else { still + 1 };
            seen = rows;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (rows, number) = clicks(&database, slug).await;
        // Written down and killed before the answer: at most one a clicker and kill.
        assert!(
            (answered..=answered + 2 * kills() as i64).contains(&rows),
            "{slug}: {answered} answered, {rows} rows"
        );
        assert_eq!(rows, i64::from(number), "{slug}");
    }
    await_rollups(&database).await;
}

/// A generator that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test]
async fn late_and_repeated_clicks_are_counted_once_and_zones_are_kept() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    let ada = token(&stack.client(), "ada@example.org").await;
    let mut links = Vec::new();
    for slug in ["a", "b", "c"] {
        let link = make(
            &stack.client().bearer(&ada),
            json!({ "slug": slug, "target_url": "https://example.org" }),
        )
        .await;
        links.push(link["id"].as_str().expect("an id").to_owned());
    }
    stack.take("up").kill();
    // October and November 2025 and the March after, over both changes of the clock in Vienna.
    let (mut dice, mut lines, mut made) = (Dice(7), String::new(), 0);
    let agents = [
        FIREFOX,
        "curl/8.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    ];
    for number in 0..6_000_u64 {
        let start = [1_761_264_000_u64, 1_774_742_400][dice.roll(2) as usize];
        let at = (start + dice.roll(4 * 86_400)) * 1_000_000 + dice.roll(1_000_000);
        let link = &links[dice.roll(3) as usize];
        let agent = agents[dice.roll(3) as usize];
        let country = ["AT", "DE"][dice.roll(2) as usize];
        let referer = (dice.roll(2) == 0).then_some("https://www.bing.com/");
        // As good as a hash.
        let visitor = (Dice(dice.roll(500) << 20).roll(1 << 31) << 33) as i64;
        let click = json!({
            "id": format!("01900000-0000-7000-8000-{number:012x}"), "link_id": link, "ip": null,
            "user_agent": agent, "referer": referer, "country": country, "at": at, "visitor": visitor,
        });
        made += 1;
        writeln!(lines, "{click}").expect("memory");
        if dice.roll(10) == 0 {
            writeln!(lines, "{click}").expect("memory");
        }
    }
    // A link that is not there, a torn line, and a whole file twice.
    writeln!(
        lines,
        "{}",
        json!({ "id": "01900000-0000-7000-8000-ffffffffffff", "link_id": "01900000-0000-7000-8000-ffffffffffff",
        "ip": null, "user_agent": null, "referer": null, "country": null, "at": 1_761_264_000_000_000_u64 })
    )
    .expect("memory");
    lines.push_str("deadbeef {\"id\":\"torn");
    for number in [900_001, 900_002] {
        fs::write(stack.data_dir().join(format!("clicks/{number:012}.clicks")), &lines).expect("a segment");
    }
    stack.up();
    let database = Database::connect(&stack.database_url()).await;
    let total = async || {
        database
            .query_one("select count(*) from links.clicks", &[])
            .await
            .expect("a count")
            .get::<_, i64>(0)
    };
    for _ in 0..200 {
        if total().await >= made && fs::read_dir(stack.data_dir().join("clicks")).expect("segments").count() <= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(total().await, made);
    await_rollups(&database).await;
    let client = stack.client().bearer(&ada);
    for zone in ["UTC", "Europe/Vienna", "Asia/Kolkata", "Australia/Lord_Howe"] {
        for interval in ["hour", "day", "week", "month"] {
            for link in [None, Some(&links[0])] {
                for group in [None, Some("country")] {
                    let narrowed = link.map(|link| format!("&link_id={link}")).unwrap_or_default();
                    let grouped = group.map(|group| format!("&group_by={group}")).unwrap_or_default();
                    let query = format!(
                        "/v1/links/analytics?timezone={zone}&interval={interval}&from=2025-10-24T00:00:00Z&until=2026-04-10T00:00:00Z&limit=10000{narrowed}{grouped}"
                    );
                    let points = client.get(&query).await.expect(200).json()["points"].clone();
                    let recount = database
                        .query(
                            "select to_char(date_trunc($1, clicked_at, $2) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                                 case when $3 then country end, count(*), count(*) filter (where bot) from links.clicks
                             where $4::text is null or link_id = $4::text::uuid group by 1, 2 order by 1, 3 desc, 2",
                            &[&interval, &zone, &group.is_some(), &link],
                        )
                        .await
                        .expect("a recount");
                    let expected: Vec<Value> = recount
                        .iter()
                        .map(|row| {
                            let mut point = json!({ "at": row.get::<_, &str>(0), "count": row.get::<_, i64>(2), "bots": row.get::<_, i64>(3) });
                            if let Some(value) = row.get::<_, Option<&str>>(1) {
                                point["value"] = json!(value);
                            }
                            point
                        })
                        .collect();
                    assert_eq!(points, Value::Array(expected), "{query}");
                }
            }
        }
    }
    let visitors = client.get(&format!("/v1/links/analytics?metric=visitors&link_id={}&interval=month&from=2025-10-24T00:00:00Z&until=2026-04-10T00:00:00Z", links[0])).await;
    let visitors = visitors.expect(200).json();
    assert_eq!(visitors["source"], "rollup");
    let near = visitors["points"][0]["count"].as_i64().expect("a number");
    let exact = database
        .query_one("select count(distinct visitor) from links.clicks where link_id = $1::text::uuid and not bot and clicked_at < '2025-11-01'", &[&links[0]])
        .await
        .expect("a count")
        .get::<_, i64>(0);
    assert!((near - exact).abs() * 10 < exact, "{near} estimated, {exact} there");
}

#[tokio::test]
async fn redirects_go_on_while_the_database_is_away_and_clicks_wait() {
    let stack = Stack::start(Shape::FourProcesses).await;
    let database = Database::connect(&stack.database_url()).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    make(&ada, json!({ "slug": "steady", "target_url": "https://example.org" })).await;
    // The news of the new link comes first, or it makes what is known of it unknown again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let visitor = stack.client().with("user-agent", FIREFOX);
    visitor.get("/l/steady").await.expect(302);
    await_clicks(&database, "steady", 1).await;
    // Nobody gets a connection any more, and those there are end.
    database
        .batch_execute("alter role portico_links nologin")
        .await
        .expect("a role");
    for _ in 0..5 {
        database
            .batch_execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'portico_links'")
            .await
            .expect("an end");
        tokio::time::sleep(Duration::from_millis(200)).await;
        visitor.get("/l/steady").await.expect(302);
    }
    database
        .batch_execute("alter role portico_links login")
        .await
        .expect("a role");
    await_clicks(&database, "steady", 6).await;
}

#[tokio::test]
async fn tables_of_an_older_deployment_keep_their_rows() {
    let directory = Directory::make();
    let database = Database::start(&directory).await;
    let url = database.url.expose().to_owned();
    let client = Database::connect(&url).await;
    client
        .batch_execute(
            "create schema links;
             create table links.links (id uuid primary key default gen_random_uuid(), user_id uuid, slug text unique, target_url text,
                 title text, description text, clicks int default 0, is_active bool default true, metadata jsonb,
                 created_at timestamptz default now(), updated_at timestamptz default now());
             create table links.clicks (id uuid primary key default gen_random_uuid(), link_id uuid references links.links (id),
                 ip_address inet, user_agent text, referer text, country varchar(2), clicked_at timestamptz default now());
             create index on links.clicks (link_id);
             insert into links.links (slug, target_url, clicks) values ('old', 'https://example.org', 3);
             insert into links.clicks (link_id, clicked_at) select id, at from links.links,
                 unnest(array['2019-01-01', '2024-02-29', now()]::timestamptz[]) at;",
        )
        .await
        .expect("old tables");
    let mut environment = environment();
    environment.insert("DATABASE_URL".into(), url);
    environment.insert(
        "PORTICO_DATA_DIR".into(),
        directory.path().join("data").display().to_string(),
    );
    for _ in 0..2 {
        let (code, _, told) = process::run(&["migrate"], &environment, directory.path(), "");
        assert_eq!(code, 0, "{told}");
    }
    assert_eq!(clicks(&client, "old").await, (3, 3));
    client
        .batch_execute(
            "select links.make_click_partition('2019-05-01'); select links.make_click_partition('2031-05-07');
             insert into links.clicks (link_id, clicked_at) select id, '2031-05-31 23:59:59Z' from links.links;
             select links.drop_clicks_before('2031-05-31');",
        )
        .await
        .expect("months");
    assert_eq!(clicks(&client, "old").await.0, 1);
    client
        .batch_execute("insert into links.links (slug, target_url) values ('old', 'https://b')")
        .await
        .expect_err("a slug twice");
}

/// What every sink must hold to: each click kept once and counted once, however often its segment comes.
async fn conform(settings: &[(&str, &str)], kept: impl AsyncFn(&tokio_postgres::Client) -> Vec<String>) {
    let mut stack = Stack::start_with(Shape::OneProcess, settings).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    make(&ada, json!({ "slug": "sunk", "target_url": "https://example.org" })).await;
    let visitor = stack.client().with("user-agent", FIREFOX);
    for _ in 0..40 {
        visitor.get("/l/sunk").await.expect(302);
    }
    // What the writer has not taken yet is copied aside, to come again after it was counted.
    let directory = stack.data_dir().join("clicks");
    let mut again = Vec::new();
    for entry in fs::read_dir(&directory).expect("segments").flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "clicks") {
            again.extend(fs::read(entry.path()).unwrap_or_default());
        }
    }
    let link = ada.get("/v1/links/links?search=sunk").await.expect(200).json()["links"][0]["id"].clone();
    let old = json!({ "id": "01900000-0000-7000-8000-00000000000a", "link_id": link, "ip": null, "user_agent": FIREFOX,
        "referer": null, "country": "AT", "at": 1_761_264_000_000_000_u64 });
    again.extend(format!("{old}\n{old}\n").into_bytes());
    for number in [900_001, 900_002] {
        stack.take("up").kill();
        fs::write(directory.join(format!("{number:012}.clicks")), &again).expect("a segment");
        stack.up();
        let database = Database::connect(&stack.database_url()).await;
        for _ in 0..100 {
            let row = database
                .query_one("select clicks from links.links where slug = 'sunk'", &[])
                .await
                .expect("a row");
            if row.get::<_, i32>(0) >= 41 && !directory.join(format!("{number:012}.clicks")).exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let database = Database::connect(&stack.database_url()).await;
    let row = database
        .query_one(
            "select clicks, (select sum(clicks) from links.rollup_link_hours)::bigint, (select sum(clicks) from links.rollup_owner_minutes)::bigint,
                 (select sum(clicks) from links.rollup_link_days where dimension = 'os')::bigint from links.links where slug = 'sunk'",
            &[],
        )
        .await
        .expect("a row");
    assert_eq!(
        (
            row.get::<_, i32>(0),
            row.get::<_, i64>(1),
            row.get::<_, i64>(2),
            row.get::<_, i64>(3)
        ),
        (41, 41, 41, 41)
    );
    let mut ids = kept(&database).await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 41);
}

#[tokio::test]
async fn postgresql_as_a_sink_conforms() {
    conform(&[], async |database| {
        let rows = database
            .query("select id::text from links.clicks", &[])
            .await
            .expect("clicks");
        let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(ids.len(), 41, "each is there once");
        ids
    })
    .await;
}

#[tokio::test]
async fn clickhouse_as_a_sink_conforms() {
    let receiver = portico_tests::Receiver::start().await;
    let url = receiver.url.replace("http://", "http://us%40er:pass@") + "/statistics";
    conform(&[("PORTICO_CLICKHOUSE_URL", &url)], async |database| {
        let row = database
            .query_one("select count(*) from links.clicks", &[])
            .await
            .expect("a count");
        assert_eq!(row.get::<_, i64>(0), 0);
        let told = receiver.told();
        assert!(
            told[0].path.starts_with("/?database=statistics&query=create+table"),
            "{}",
            told[0].path
        );
        assert_eq!(
            (
                &*told[0].headers["x-clickhouse-user"],
                &*told[0].headers["x-clickhouse-key"]
            ),
            ("us@er", "pass")
        );
        let inserts = told.iter().filter(|told| told.path.contains("query=INSERT"));
        let rows: Vec<Value> = inserts
            .flat_map(|insert| {
                assert!(insert.path.contains("insert_deduplication_token="), "{}", insert.path);
                insert
                    .text
                    .lines()
                    .map(|line| serde_json::from_str(line).expect("a row"))
                    .collect::<Vec<Value>>()
            })
            .collect();
        assert!(
            rows.iter()
                .any(|row| row["clicked_at"] == "2025-10-24 00:00:00.000000" && row["browser"] == "Firefox"),
            "{rows:?}"
        );
        rows.iter()
            .map(|row| row["id"].as_str().expect("an id").to_owned())
            .collect()
    })
    .await;
}

#[tokio::test]
async fn what_was_known_is_known_again_after_a_start() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    make(&ada, json!({ "slug": "warm", "target_url": "https://example.org/", "rules": [{ "target_url": "https://example.org/x", "query": { "x": "1" } }] })).await;
    // As above.
    tokio::time::sleep(Duration::from_secs(1)).await;
    stack.client().get("/l/warm").await.expect(302);
    let stopped = stack.take("up").interrupt();
    assert!(stopped.success(), "{stopped}");
    let snapshot = stack.data_dir().join("clicks/known-links.snapshot");
    let text = fs::read_to_string(&snapshot).expect("a snapshot");
    assert!(
        text.contains("\"warm\"") && text.contains("https://example.org/x"),
        "{text}"
    );
    // One that is broken is no reason not to start.
    fs::write(&snapshot, format!("{text}broken")).expect("a file");
    stack.up();
    let answer = stack.client().get("/l/warm?x=1").await.expect(302);
    assert_eq!(answer.header("location"), "https://example.org/x");
}
