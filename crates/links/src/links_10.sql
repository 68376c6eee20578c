-- A dashboard asks for one dimension over a long time: its rows lie together.
alter table links.rollup_owner_hours drop constraint rollup_owner_hours_pkey;
alter table links.rollup_owner_hours add primary key (owner, dimension, hour, value);
alter table links.rollup_link_days drop constraint rollup_link_days_pkey;
alter table links.rollup_link_days add primary key (link_id, dimension, day, value);
