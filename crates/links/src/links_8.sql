-- People who share links.
create table links.organizations (
    id uuid primary key default gen_random_uuid(),
    name text not null check (length(name) between 1 and 200),
    created_by uuid not null,
    created_at timestamptz not null default now()
);
create table links.members (
    organization_id uuid not null references links.organizations (id) on delete cascade,
    user_id uuid not null,
    role text not null check (role in ('owner', 'editor', 'viewer')),
    created_at timestamptz not null default now(),
    primary key (organization_id, user_id)
);
create index members_user on links.members (user_id);

create table links.domains (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    organization_id uuid references links.organizations (id) on delete cascade,
    host text not null constraint domains_host_key unique
        constraint domains_host_form check (host ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    root_url text, not_found_url text, expired_url text,
    case_sensitive bool not null default true,
    created_at timestamptz not null default now()
);
create table links.folders (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    organization_id uuid references links.organizations (id) on delete cascade,
    name text not null check (length(name) between 1 and 200),
    created_at timestamptz not null default now()
);
create table links.tags (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    organization_id uuid references links.organizations (id) on delete cascade,
    name text not null check (length(name) between 1 and 100),
    color text check (color ~ '^#[0-9a-fA-F]{6}$'),
    created_at timestamptz not null default now(),
    constraint tags_name_key unique nulls not distinct (user_id, organization_id, name)
);
create table links.utm_templates (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    organization_id uuid references links.organizations (id) on delete cascade,
    name text not null check (length(name) between 1 and 200),
    utm jsonb not null default '{}',
    created_at timestamptz not null default now()
);
create table links.blocked_hosts (
    host text primary key check (host ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    reason text,
    created_at timestamptz not null default now()
);

alter table links.links
    add column organization_id uuid references links.organizations (id) on delete set null,
    add column domain_id uuid references links.domains (id) on delete restrict,
    add column folder_id uuid references links.folders (id) on delete set null,
    add column status smallint not null default 302 constraint links_status_known check (status in (301, 302, 307, 308)),
    add column starts_at timestamptz,
    add column expires_at timestamptz,
    add column expired_url text,
    add column click_limit int constraint links_click_limit_positive check (click_limit > 0),
    add column limit_used int not null default 0,
    add column password_hash text,
    add column rules jsonb not null default '[]' constraint links_rules_list check (jsonb_typeof(rules) = 'array'),
    add column variants jsonb not null default '[]' constraint links_variants_list check (jsonb_typeof(variants) = 'array'),
    add column forward_query bool not null default false,
    add column utm jsonb not null default '{}' constraint links_utm_object check (jsonb_typeof(utm) = 'object'),
    add column strict bool not null default false,
    add column cache_seconds int constraint links_cache_seconds_range check (cache_seconds between 1 and 31536000),
    add column bot_clicks int not null default 0,
    add column deleted_at timestamptz,
    add column checked_at timestamptz,
    add column check_status int,
    add column check_error text;

create table links.link_tags (
    link_id uuid not null references links.links (id) on delete cascade,
    tag_id uuid not null references links.tags (id) on delete cascade,
    primary key (link_id, tag_id)
);
create index link_tags_tag on links.link_tags (tag_id);
create index links_organization on links.links (organization_id) where organization_id is not null;
create index links_domain on links.links (domain_id) where domain_id is not null;
create index links_folder on links.links (folder_id) where folder_id is not null;

-- A slug belongs to its domain. Whatever an old deployment called its constraint, the new one has the usual name.
do $$
declare old text;
begin
    for old in select c.conname from pg_constraint c
        where c.conrelid = 'links.links'::regclass and c.contype = 'u'
          and c.conkey = array[(select attnum from pg_attribute where attrelid = c.conrelid and attname = 'slug')]
    loop
        execute format('alter table links.links drop constraint %I', old);
    end loop;
end $$;
alter table links.links add constraint links_slug_key unique nulls not distinct (slug, domain_id);

-- Eight characters of 54 that cannot be taken for each other (no 0 O o 1 l I i L). 46 bits, from a generator that is
-- fit for secrets: bytes above 215 are thrown away, so every character is as likely.
create or replace function links.random_slug() returns text language plpgsql volatile as $$
declare
    alphabet constant text := '23456789abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ';
    bytes bytea;
    slug text := '';
begin
    while length(slug) < 8 loop
        bytes := uuid_send(gen_random_uuid());
        for place in 0..15 loop
            -- Bytes 6 and 8 carry the version and variant of the UUID.
            continue when place in (6, 8) or get_byte(bytes, place) >= 216 or length(slug) = 8;
            slug := slug || substr(alphabet, 1 + get_byte(bytes, place) % 54, 1);
        end loop;
    end loop;
    return slug;
end $$;

create function links.host_of(target text) returns text language sql immutable as $$
    select lower(substring(target from '(?i)^https?://(?:[^/?#@\\]*@)?(\[[^\]]*\]|[^/?#:\\]*)'))
$$;
-- The host or a parent of it.
create function links.is_blocked(target text) returns bool language sql stable as $$
    select exists (select from links.blocked_hosts b
        where links.host_of(target) = b.host or links.host_of(target) like '%.' || b.host)
$$;
create function links.targets(target text, rules jsonb, variants jsonb, expired text) returns setof text language sql immutable as $$
    select target union all select expired where expired is not null
    union all select rule->>'target_url' from jsonb_array_elements(rules) as rule where rule->>'target_url' is not null
    union all select variant->>'target_url' from jsonb_array_elements(variants) as variant where variant->>'target_url' is not null
$$;
-- Who may do what with it: what belongs to an organisation is its members', else the user's.
create function links.check_link() returns trigger language plpgsql as $$
declare
    given text;
    sensitive bool;
begin
    if tg_op = 'INSERT' or new.target_url is distinct from old.target_url or new.rules is distinct from old.rules
        or new.variants is distinct from old.variants or new.expired_url is distinct from old.expired_url then
        for given in select links.targets(new.target_url, new.rules, new.variants, new.expired_url) loop
            if length(given) > 8192 or given !~* '^https?://[^[:space:][:cntrl:]]+$' then
                raise exception 'a target is no http or https address' using errcode = 'check_violation', constraint = 'links_target_url_form';
            end if;
            if links.is_blocked(given) then
                raise exception 'the host of a target is blocked here' using errcode = 'check_violation', constraint = 'links_target_blocked';
            end if;
        end loop;
    end if;
    if new.domain_id is not null then
        select case_sensitive into sensitive from links.domains d where d.id = new.domain_id
            and (d.organization_id is not null and d.organization_id = new.organization_id
                 or d.organization_id is null and d.user_id = new.user_id);
        if not found then
            raise exception 'there is no such domain of the same owner' using errcode = 'check_violation', constraint = 'links_domain_owner';
        end if;
        if not sensitive then
            new.slug := lower(new.slug);
        end if;
    end if;
    if new.folder_id is not null and not exists (select from links.folders f where f.id = new.folder_id
            and (f.organization_id is not null and f.organization_id = new.organization_id
                 or f.organization_id is null and f.user_id = new.user_id)) then
        raise exception 'there is no such folder of the same owner' using errcode = 'check_violation', constraint = 'links_folder_owner';
    end if;
    return new;
end $$;
create trigger links_check before insert or update of slug, target_url, rules, variants, expired_url, domain_id, folder_id, organization_id, user_id
    on links.links for each row execute function links.check_link();

drop trigger links_touch on links.links;
create trigger links_touch before update of slug, target_url, title, description, is_active, metadata, organization_id, domain_id,
    folder_id, status, starts_at, expires_at, expired_url, click_limit, password_hash, rules, variants, forward_query, utm,
    strict, cache_seconds, deleted_at on links.links for each row execute function links.touch();
drop trigger links_notify_updated on links.links;
create trigger links_notify_updated after update of slug, target_url, is_active, organization_id, domain_id, status, starts_at,
    expires_at, expired_url, click_limit, password_hash, rules, variants, forward_query, utm, strict, cache_seconds, deleted_at, title
    on links.links for each row when (old is distinct from new) execute function links.notify_updated();
-- Domains and blocked hosts change what many slugs lead to.
create function links.notify_all() returns trigger language plpgsql as $$
begin
    perform pg_notify('portico_links', '*');
    return null;
end $$;
create trigger domains_notify after insert or update or delete on links.domains
    for each statement execute function links.notify_all();
create trigger blocked_hosts_notify after insert or update or delete on links.blocked_hosts
    for each statement execute function links.notify_all();
-- The salt of a day's visitors, the same for all copies; thrown away after its day.
create table links.visitor_salts (day date primary key, salt bytea not null default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
