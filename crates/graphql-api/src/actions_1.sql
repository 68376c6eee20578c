-- Frozen: this is a migration of links too; a change goes into a next file.
-- The log of asynchronous actions, in the schema that comes first in search_path. Names and columns are Hasura's; it may
-- have made it. leased_until is ours: a copy that died does not keep what it took.
create table if not exists hdb_action_log (
    id uuid primary key default gen_random_uuid(),
    action_name text,
    input_payload jsonb not null,
    request_headers jsonb not null,
    session_variables jsonb not null,
    response_payload jsonb,
    errors jsonb,
    created_at timestamptz not null default now(),
    response_received_at timestamptz,
    status text not null,
    check (status in ('created', 'processing', 'completed', 'error'))
);
alter table hdb_action_log add column if not exists leased_until timestamptz;
create index if not exists hdb_action_log_waiting on hdb_action_log (created_at) where status in ('created', 'processing');
