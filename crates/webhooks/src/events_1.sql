-- Frozen: this is a migration of links too; a change goes into a next file.
-- The queues, in the schema that comes first in search_path. Names and columns are Hasura's; it may have made them.
create table if not exists event_log (
    id text primary key default gen_random_uuid(),
    schema_name text not null,
    table_name text not null,
    trigger_name text not null,
    payload jsonb not null,
    delivered boolean not null default false,
    error boolean not null default false,
    tries integer not null default 0,
    created_at timestamp default (now() at time zone 'utc'),
    locked timestamptz,
    next_retry_at timestamp,
    archived boolean not null default false
);
create index if not exists event_log_trigger_name_idx on event_log (trigger_name);
create index if not exists event_log_fetch_events on event_log (locked nulls first, next_retry_at nulls first, created_at)
    where delivered = false and error = false and archived = false;
create table if not exists event_invocation_logs (
    id text primary key default gen_random_uuid(),
    trigger_name text,
    event_id text,
    status integer,
    request json,
    response json,
    created_at timestamp default (now() at time zone 'utc')
);
create index if not exists event_invocation_logs_event_id_idx on event_invocation_logs (event_id);

-- What every event trigger calls; its argument says what is told:
-- {"trigger", "schema", "table", "columns": an update of one of these counts, "payload": these are told,
--  "text": numbers told as text, "geojson": shapes}. Any login may write to the table, so it runs with its owner's rights.
create or replace function portico_event() returns trigger language plpgsql security definer
    set search_path from current as $$
declare
    spec jsonb := tg_argv[0];
    old_row jsonb;
    new_row jsonb;
    told text;
    postgis text;
    shape jsonb;
begin
    if tg_op <> 'INSERT' then
        old_row := to_jsonb(old);
    end if;
    if tg_op <> 'DELETE' then
        new_row := to_jsonb(new);
    end if;
    if tg_op = 'UPDATE' then
        if not spec ? 'columns' then
            if old_row = new_row then
                return null;
            end if;
        elsif not exists (select from jsonb_array_elements_text(spec -> 'columns') listed
                where old_row -> listed is distinct from new_row -> listed) then
            return null;
        end if;
    end if;
    for told in select jsonb_array_elements_text(spec -> 'text') loop
        old_row := old_row || jsonb_build_object(told, old_row ->> told);
        new_row := new_row || jsonb_build_object(told, new_row ->> told);
    end loop;
    if spec ? 'geojson' then
        select n.nspname into postgis from pg_extension e join pg_namespace n on n.oid = e.extnamespace
            where e.extname = 'postgis';
        for told in select jsonb_array_elements_text(spec -> 'geojson') loop
            if old_row is not null then
                execute format('select %I.st_asgeojson(($1).%I, 15, 4)::jsonb', postgis, told) into shape using old;
                old_row := old_row || jsonb_build_object(told, shape);
            end if;
            if new_row is not null then
                execute format('select %I.st_asgeojson(($1).%I, 15, 4)::jsonb', postgis, told) into shape using new;
                new_row := new_row || jsonb_build_object(told, shape);
            end if;
        end loop;
    end if;
    if spec ? 'payload' then
        old_row := (select jsonb_object_agg(key, value) from jsonb_each(old_row) where spec -> 'payload' ? key);
        new_row := (select jsonb_object_agg(key, value) from jsonb_each(new_row) where spec -> 'payload' ? key);
    end if;
    insert into event_log (schema_name, table_name, trigger_name, payload, created_at)
        values (spec ->> 'schema', spec ->> 'table', spec ->> 'trigger', jsonb_build_object('op', tg_op,
            'data', jsonb_build_object('old', old_row, 'new', new_row),
            'session_variables', nullif(current_setting('hasura.user', true), '')::jsonb,
            'trace_context', nullif(current_setting('hasura.tracecontext', true), '')::jsonb), now() at time zone 'utc');
    perform pg_notify('portico_events', '');
    return null;
end $$;

-- Puts an event trigger on a table, or takes it away where the specification is null. Who calls this need not own the
-- table; to read it is enough.
create or replace function portico_set_event_trigger(
    of_schema text, of_table text, called text, operation text, spec jsonb, always boolean)
    returns void language plpgsql security definer set search_path from current as $$
begin
    if called not like 'notify\_hasura\_%' or operation not in ('INSERT', 'UPDATE', 'DELETE') then
        raise exception 'portico_set_event_trigger makes triggers notify_hasura_* on INSERT, UPDATE or DELETE only';
    end if;
    if not has_table_privilege(session_user, format('%I.%I', of_schema, of_table), 'SELECT') then
        raise insufficient_privilege using message = format('%s may not read table %s.%s', session_user, of_schema, of_table);
    end if;
    execute format('drop trigger if exists %I on %I.%I', called, of_schema, of_table);
    if spec is not null then
        execute format('create trigger %I after %s on %I.%I for each row execute function %I.portico_event(%L)',
            called, operation, of_schema, of_table, current_schema, spec);
        if always then
            execute format('alter table %I.%I enable always trigger %I', of_schema, of_table, called);
        end if;
    end if;
end $$;
revoke all on function portico_set_event_trigger(text, text, text, text, jsonb, boolean) from public;
alter table event_invocation_logs add column if not exists trigger_name text;
comment on function portico_event() is '1';
