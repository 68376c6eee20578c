//! Schema `links`. Deployments that exist already have `links.links` and `links.clicks`; their rows are kept, which is why
//! the constraints on old tables are NOT VALID: they hold for every row written from now on.

use postgres_chassis::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    schema: "links",
    steps: &[
        Migration {
            name: "0001_links",
            sql: "
                -- 48 random bits in the URL alphabet; the unique constraint catches the rest.
                create or replace function links.random_slug() returns text language sql volatile as $$
                    select translate(substr(encode(uuid_send(gen_random_uuid()), 'base64'), 1, 8), '+/', '-_')
                $$;
                create table if not exists links.links (
                    id uuid primary key default gen_random_uuid(),
                    user_id uuid,
                    slug text not null unique,
                    target_url text not null,
                    title text,
                    description text,
                    clicks int not null default 0,
                    is_active bool not null default true,
                    metadata jsonb not null default '{}',
                    created_at timestamptz not null default now(),
                    updated_at timestamptz not null default now()
                );
                alter table links.links
                    alter column id set default gen_random_uuid(),
                    alter column slug set default links.random_slug(),
                    alter column clicks set default 0,
                    alter column is_active set default true,
                    add constraint links_slug_form check (slug ~ '^[A-Za-z0-9._~-]{1,128}$') not valid,
                    add constraint links_target_url_form
                        check (length(target_url) <= 8192 and target_url ~* '^https?://[^[:space:][:cntrl:]]+$') not valid;
                create index if not exists links_user on links.links (user_id, created_at desc);

                create function links.touch() returns trigger language plpgsql as $$
                begin
                    new.updated_at := now();
                    return new;
                end $$;
                create trigger links_touch before update of slug, target_url, title, description, is_active, metadata
                    on links.links for each row execute function links.touch();
            ",
        },
        Migration {
            name: "0002_clicks",
            sql: "
                create table if not exists links.clicks (
                    id uuid primary key default gen_random_uuid(),
                    link_id uuid not null references links.links (id) on delete cascade,
                    ip_address inet,
                    user_agent text,
                    referer text,
                    country varchar(2),
                    clicked_at timestamptz not null default now()
                );
                create index if not exists clicks_link on links.clicks (link_id, clicked_at desc);
            ",
        },
        Migration {
            name: "0003_redirect_notifications",
            sql: "
                -- Tells every copy which slugs to look up again: comma-separated, or '*' where there are too many to name.
                create function links.notify_slugs(slugs text[]) returns void language plpgsql as $$
                begin
                    perform pg_notify('portico_links',
                        case when cardinality(slugs) > 50 then '*' else array_to_string(slugs, ',') end);
                end $$;
                create function links.notify_inserted() returns trigger language plpgsql as $$
                begin
                    perform links.notify_slugs(array(select slug from fresh limit 51));
                    return null;
                end $$;
                create function links.notify_deleted() returns trigger language plpgsql as $$
                begin
                    perform links.notify_slugs(array(select slug from gone limit 51));
                    return null;
                end $$;
                create function links.notify_updated() returns trigger language plpgsql as $$
                begin
                    perform links.notify_slugs(array[old.slug, new.slug]);
                    return null;
                end $$;
                create trigger links_notify_inserted after insert on links.links
                    referencing new table as fresh for each statement execute function links.notify_inserted();
                create trigger links_notify_deleted after delete on links.links
                    referencing old table as gone for each statement execute function links.notify_deleted();
                -- Counting clicks changes none of these.
                create trigger links_notify_updated after update of slug, target_url, is_active on links.links
                    for each row when (old is distinct from new) execute function links.notify_updated();
            ",
        },
        Migration {
            name: "0004_graphql",
            sql: "
                -- Where the GraphQL engine keeps metadata that was changed, in the tables Hasura v2 keeps it in.
                create table links.hdb_metadata (
                    id integer primary key, metadata json not null,
                    resource_version integer not null default 1 unique);
                create table links.hdb_version (
                    hasura_uuid uuid primary key default gen_random_uuid(), version text not null,
                    upgraded_on timestamptz not null, cli_state jsonb not null default '{}',
                    console_state jsonb not null default '{}');
                create unique index hdb_version_one_row on links.hdb_version ((version is not null));
                insert into links.hdb_version (version, upgraded_on) values ('48', now());

                -- Subscriptions are woken by these; the service's login may not make them itself.
                create function links.portico_changed() returns trigger language plpgsql as $$
                begin
                    perform pg_notify('portico_live', tg_table_schema || '.' || tg_table_name);
                    return null;
                end $$;
                create trigger portico_changed after insert or update or delete or truncate on links.links
                    for each statement execute function links.portico_changed();
                create trigger portico_changed after insert or update or delete or truncate on links.clicks
                    for each statement execute function links.portico_changed();
            ",
        },
        Migration {
            name: "0005_events",
            sql: webhooks::EVENT_TABLES,
        },
        Migration {
            name: "0006_schedule",
            sql: webhooks::SCHEDULE_TABLES,
        },
        Migration {
            name: "0007_actions",
            sql: graphql_api::ACTION_TABLES,
        },
        Migration {
            name: "0008_link_options",
            sql: include_str!("links_8.sql"),
        },
        Migration {
            name: "0009_click_knowledge",
            sql: include_str!("links_9.sql"),
        },
        Migration {
            name: "0010_rollups_by_dimension",
            sql: include_str!("links_10.sql"),
        },
    ],
};
