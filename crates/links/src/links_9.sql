-- The table that was there becomes the first partition, up to the end of the last month it has clicks of.
do $$
declare
    upto date;
    old text;
    named record;
begin
    select (date_trunc('month', greatest(now(), max(clicked_at)) at time zone 'utc') + interval '1 month')::date into upto from links.clicks;
    for named in select conname from pg_constraint where conrelid = 'links.clicks'::regclass and contype in ('p', 'u', 'f') loop
        execute format('alter table links.clicks drop constraint %I', named.conname);
    end loop;
    alter table links.clicks rename to clicks_before;
    for old in select indexrelid::regclass::text from pg_index where indrelid = 'links.clicks_before'::regclass loop
        execute format('drop index %s', old);
    end loop;
    drop trigger if exists portico_changed on links.clicks_before;
    alter table links.clicks_before
        alter column id set default gen_random_uuid(),
        alter column clicked_at set default now(),
        alter column clicked_at set not null,
        add column visitor bigint, add column referrer_host text, add column referrer_class text, add column browser text,
        add column os text, add column device text, add column language text, add column utm_source text,
        add column utm_medium text, add column utm_campaign text, add column bot bool not null default false,
        add column bot_reason text, add column variant smallint;
    create table links.clicks (like links.clicks_before including defaults) partition by range (clicked_at);
    alter table links.clicks add primary key (id, clicked_at);
    alter table links.clicks add foreign key (link_id) references links.links (id) on delete cascade;
    create index clicks_link on links.clicks (link_id, clicked_at desc);
    execute format('alter table links.clicks attach partition links.clicks_before for values from (minvalue) to (%L)', upto::text || ' 00:00:00+00');
end $$;
create trigger portico_changed after insert or update or delete or truncate on links.clicks
    for each statement execute function links.portico_changed();

-- With their owner's rights, as the service's login owns no table. A month that is there already is no mistake.
create function links.make_click_partition(month date) returns void language plpgsql security definer
    set search_path = links, pg_temp as $$
declare
    first date := date_trunc('month', month)::date;
    name text := format('clicks_%s', to_char(first, 'YYYY_MM'));
begin
    perform pg_advisory_xact_lock(hashtext('links.clicks partitions'));
    if to_regclass('links.' || name) is not null
        or first::timestamp at time zone 'utc' < (select links.clicks_before_end()) then
        return;
    end if;
    execute format('create table links.%I partition of links.clicks for values from (%L) to (%L)', name,
        first::text || ' 00:00:00+00', (first + interval '1 month')::date::text || ' 00:00:00+00');
end $$;
create function links.clicks_before_end() returns timestamptz language sql stable as $$
    select coalesce((select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz
        from pg_class c where c.oid = to_regclass('links.clicks_before') and c.relispartition), '-infinity'::timestamptz)
$$;
-- Months that ended before the moment go whole; the part of the first partition row by row.
create function links.drop_clicks_before(moment timestamptz) returns int language plpgsql security definer
    set search_path = links, pg_temp as $$
declare
    part record;
    gone int := 0;
begin
    perform pg_advisory_xact_lock(hashtext('links.clicks partitions'));
    for part in select c.relname as name,
            (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz as ends
        from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'links.clicks'::regclass
    loop
        if part.ends <= moment then
            if part.name = 'clicks_before' then
                delete from links.clicks_before;
            else
                execute format('drop table links.%I', part.name);
            end if;
            gone := gone + 1;
        end if;
    end loop;
    return gone;
end $$;
revoke execute on function links.make_click_partition(date), links.drop_clicks_before(timestamptz) from public;

-- Where another store keeps the clicks: which of them were counted. Kept as long as a segment may be repeated.
create table links.click_ids (id uuid primary key, noted_at timestamptz not null default now());
create index click_ids_noted on links.click_ids using brin (noted_at);

create table links.rollup_owner_minutes (
    owner uuid not null, minute timestamptz not null, clicks int not null, bots int not null,
    primary key (owner, minute));
create table links.rollup_owner_hours (
    owner uuid not null, hour timestamptz not null, dimension text not null, value text not null,
    clicks int not null, bots int not null, primary key (owner, hour, dimension, value));
create table links.rollup_link_hours (
    link_id uuid not null references links.links (id) on delete cascade, hour timestamptz not null,
    clicks int not null, bots int not null, visitors bytea not null, primary key (link_id, hour));
create table links.rollup_link_days (
    link_id uuid not null references links.links (id) on delete cascade, day date not null, dimension text not null,
    value text not null, clicks int not null, bots int not null, primary key (link_id, day, dimension, value));

-- Statistics anybody may see who has the token.
create table links.shares (
    id uuid primary key default gen_random_uuid(),
    link_id uuid not null references links.links (id) on delete cascade,
    token text not null unique,
    created_by uuid not null,
    expires_at timestamptz,
    created_at timestamptz not null default now());
-- Whom to tell of clicks: of each, or when a link reaches a number.
create table links.click_hooks (
    id uuid primary key default gen_random_uuid(),
    link_id uuid not null references links.links (id) on delete cascade,
    url text not null check (url ~* '^https?://' and length(url) <= 2048),
    threshold int check (threshold > 0),
    created_by uuid not null,
    fired_at timestamptz,
    created_at timestamptz not null default now());
create index click_hooks_link on links.click_hooks (link_id);
create table links.hook_calls (
    id uuid primary key,
    hook_id uuid not null references links.click_hooks (id) on delete cascade,
    body jsonb not null,
    attempts int not null default 0,
    due_at timestamptz not null default now());
create index hook_calls_due on links.hook_calls (due_at);

-- A link's clicks in points of time, for GraphQL; out of hours, so exact where the zone is whole hours from UTC.
create function links.link_clicks(of_link uuid, unit text default 'day', time_zone text default 'UTC',
    since timestamptz default now() - interval '30 days', before timestamptz default now())
    returns setof links.rollup_link_hours language sql stable as $$
    select h.link_id, date_trunc(unit, h.hour, time_zone), sum(h.clicks)::int, sum(h.bots)::int, ''::bytea
    from links.rollup_link_hours h where h.link_id = of_link and h.hour >= date_trunc('hour', since) and h.hour < before
    group by 1, 2
$$;
