//! Schema `objects`: what the local store knows of its files.

use postgres_chassis::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    schema: "objects",
    steps: &[Migration {
        name: "0001_objects",
        sql: "
            create table objects.buckets (
                name text primary key,
                created_at timestamptz not null default now()
            );
            -- Keys sort by their bytes, as S3 lists them.
            create table objects.objects (
                bucket text not null references objects.buckets (name),
                key text collate \"C\" not null,
                blake3 bytea not null,
                size bigint not null,
                etag text not null,
                content_type text,
                cache_control text,
                content_disposition text,
                content_encoding text,
                metadata jsonb not null default '{}',
                created_at timestamptz not null default now(),
                primary key (bucket, key)
            );
            create index objects_blake3 on objects.objects (blake3);
            create table objects.uploads (
                id uuid primary key,
                bucket text not null references objects.buckets (name) on delete cascade,
                key text collate \"C\" not null,
                content_type text,
                cache_control text,
                content_disposition text,
                content_encoding text,
                metadata jsonb not null default '{}',
                created_at timestamptz not null default now()
            );
            create table objects.parts (
                upload_id uuid not null references objects.uploads (id) on delete cascade,
                number int not null,
                blake3 bytea not null,
                size bigint not null,
                etag text not null,
                created_at timestamptz not null default now(),
                primary key (upload_id, number)
            );
            create index parts_blake3 on objects.parts (blake3);
        ",
    }],
};
