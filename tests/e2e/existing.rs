//! A database that served the platform before it was this one: its tables are found, its rows kept.

use crate::core::register;
use portico_tests::{Client, Directory, Process, database::Database, environment, process};
use serde_json::json;
use std::time::Duration;

const BEFORE: &str = "
    create schema core; create schema media; create schema links;
    create table core.users (
        id uuid primary key default gen_random_uuid(), email varchar(255) unique not null, name varchar(255) not null,
        created_at timestamp not null default now(), updated_at timestamp not null default now());
    create table media.assets (
        id uuid primary key default gen_random_uuid(), user_id uuid not null, filename varchar(255) not null,
        mime_type varchar(100) not null, size_bytes integer not null, r2_key varchar(500) not null,
        public_url text not null, metadata jsonb default '{}', created_at timestamp default now(), updated_at timestamp default now());
    create table links.links (
        id uuid primary key default gen_random_uuid(), user_id uuid not null, slug varchar(50) unique not null,
        target_url text not null, title varchar(255), description text, clicks integer default 0,
        is_active boolean default true, metadata jsonb default '{}',
        created_at timestamp default now(), updated_at timestamp default now());
    create table links.clicks (
        id uuid primary key default gen_random_uuid(), link_id uuid not null references links.links (id),
        ip_address inet, user_agent text, referer text, country varchar(2), clicked_at timestamp default now());
    insert into core.users (id, email, name) values ('00000000-0000-4000-8000-000000000001', 'old@example.org', 'Old');
    insert into media.assets (user_id, filename, mime_type, size_bytes, r2_key, public_url)
        values ('00000000-0000-4000-8000-000000000001', 'a.png', 'image/png', 5, 'old/a.png', 'https://cdn.test/old/a.png');
    insert into links.links (id, user_id, slug, target_url, clicks)
        values ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', 'old', 'https://example.org/old', 7),
               ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000001', 'bad one', 'ftp://example.org', 0);
    insert into links.clicks (link_id, ip_address, country)
        select '00000000-0000-4000-8000-000000000002', '203.0.113.1', 'DE' from generate_series(1, 7);";

#[tokio::test]
async fn existing_tables_are_taken_over_with_their_rows() {
    let directory = Directory::make();
    let database = Database::start(&directory).await;
    let owner = Database::connect(database.url.expose()).await;
    owner.batch_execute(BEFORE).await.expect("the old tables");

    let mut environment = environment();
    environment.insert("DATABASE_URL".into(), database.url.expose().to_owned());
    environment.insert(
        "PORTICO_DATA_DIR".into(),
        directory.path().join("data").display().to_string(),
    );
    for name in ["ADMIN", "S3", "CORE", "MEDIA", "LINKS", "HTTP", "HTTPS"] {
        environment.insert(format!("PORTICO_{name}_ADDR"), "127.0.0.1:0".into());
    }
    for _ in 0..2 {
        let (code, _, said) = process::run(&["migrate"], &environment, directory.path(), "");
        assert_eq!(code, 0, "{said}");
    }
    let kept = owner
        .query_one(
            "select (select name from core.users), (select filename from media.assets where state = 'ready'),
                (select clicks from links.links where slug = 'old'), (select count(*) from links.clicks), (select count(*) from links.links)",
            &[],
        )
        .await
        .expect("the old rows");
    let (name, filename): (String, String) = (kept.get(0), kept.get(1));
    let counts: (i32, i64, i64) = (kept.get(2), kept.get(3), kept.get(4));
    assert_eq!((name.as_str(), filename.as_str(), counts), ("Old", "a.png", (7, 7, 2)));

    let arguments = ["serve", "gateway", "core", "media", "links"];
    let mut process = Process::start("serve", &arguments, &environment, directory.path());
    let client = Client::new(&format!("http://{}", process.listeners(&["web"])["web"]));
    client.get("/l/old").await.expect(302);
    for _ in 0..100 {
        let row = owner
            .query_one(
                "select clicks, (select count(*) from links.clicks) from links.links where slug = 'old'",
                &[],
            )
            .await
            .expect("the link");
        if (row.get::<_, i32>(0), row.get::<_, i64>(1)) == (8, 8) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let counted = owner
        .query_one("select clicks from links.links where slug = 'old'", &[])
        .await
        .expect("the link");
    assert_eq!(counted.get::<_, i32>(0), 8);
    // The old account has no password yet: its owner asks for one by mail, and nobody registers over it.
    register(&client, "OLD@example.org").await.problem(409, "EMAIL_TAKEN");
    let asked = json!({ "email": "old@example.org" });
    client.post("/v1/core/auth/forgot-password", &asked).await.expect(202);
}
