//! Schema `core`. Deployments that exist already have `core.users` with the first five columns; their rows are kept.

use postgres_chassis::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    schema: "core",
    steps: &[
        Migration {
            name: "0001_users",
            sql: "
                create table if not exists core.users (
                    id uuid primary key,
                    email text not null,
                    name text,
                    created_at timestamptz not null default now(),
                    updated_at timestamptz not null default now()
                );
                alter table core.users
                    add column if not exists password_hash text,
                    add column if not exists role text not null default 'user' check (role in ('user', 'admin')),
                    add column if not exists email_verified_at timestamptz,
                    add column if not exists disabled_at timestamptz;
                alter table core.users alter column name drop not null;
                create unique index if not exists users_email_lower on core.users (lower(email));
            ",
        },
        Migration {
            name: "0002_sessions",
            sql: "
                create table core.sessions (
                    id uuid primary key,
                    user_id uuid not null references core.users (id) on delete cascade,
                    created_at timestamptz not null default now(),
                    expires_at timestamptz not null,
                    ended_at timestamptz
                );
                create index sessions_user on core.sessions (user_id) where ended_at is null;
                -- One row per refresh token ever given out in a living session: a used one that comes back betrays a theft.
                create table core.refresh_tokens (
                    hash bytea primary key,
                    session_id uuid not null references core.sessions (id) on delete cascade,
                    created_at timestamptz not null default now(),
                    used_at timestamptz
                );
                create index refresh_tokens_session on core.refresh_tokens (session_id);
                create table core.one_time_tokens (
                    hash bytea primary key,
                    -- Null for the set-up link, which makes its user.
                    user_id uuid references core.users (id) on delete cascade,
                    purpose text not null check (purpose in ('verify_email', 'reset_password', 'setup')),
                    expires_at timestamptz not null
                );
            ",
        },
        Migration {
            name: "0003_signing_keys",
            sql: "
                -- Private halves, PKCS#8. Only core's login reads them; the public halves are in portico.verification_keys.
                create table core.signing_keys (
                    kid text primary key,
                    pkcs8 bytea not null,
                    created_at timestamptz not null default now()
                );
            ",
        },
        Migration {
            name: "0004_mails",
            sql: "
                -- A mail is acknowledged when its row is committed, and sent from here, so that no crash loses one.
                create table core.mails (
                    id uuid primary key,
                    recipient text not null,
                    subject text not null,
                    body text not null,
                    attempts int not null default 0,
                    next_attempt_at timestamptz not null default now()
                );
                create index mails_due on core.mails (next_attempt_at);
            ",
        },
    ],
};
