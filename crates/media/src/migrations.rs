//! Schema `media`. Deployments that exist already have `media.assets` with the first ten columns; their rows are kept, and
//! are ready and public, as they were.

use postgres_chassis::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    schema: "media",
    steps: &[Migration {
        name: "0001_assets",
        sql: "
            create table if not exists media.assets (
                id uuid primary key,
                user_id uuid,
                filename text not null,
                mime_type text,
                size_bytes bigint,
                r2_key text not null,
                public_url text,
                metadata jsonb not null default '{}',
                created_at timestamptz not null default now(),
                updated_at timestamptz not null default now()
            );
            alter table media.assets
                alter column mime_type drop not null,
                alter column size_bytes drop not null,
                alter column size_bytes type bigint,
                alter column public_url drop not null,
                add column if not exists state text not null default 'ready'
                    check (state in ('pending', 'presigned', 'ready')),
                add column if not exists visibility text not null default 'public'
                    check (visibility in ('public', 'private')),
                add column if not exists etag text,
                add column if not exists expires_at timestamptz,
                add column if not exists checked_at timestamptz;
            create index if not exists assets_user on media.assets (user_id, id desc) where state = 'ready';
            create index if not exists assets_key on media.assets (r2_key);
            create index if not exists assets_unready on media.assets (state, checked_at) where state <> 'ready';
            -- Objects whose row is gone; they go after it, tried again until they are gone.
            create table media.removals (
                key text primary key,
                not_before timestamptz not null default now()
            );
            create index removals_due on media.removals (not_before);
        ",
    }],
};
