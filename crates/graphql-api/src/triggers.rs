//! Event triggers and cron triggers of the metadata: what is wrong with them, what they put into the databases, and whom
//! the queues call.

use crate::{Settings, engine::Engine, sources::Connected, state::State};
use foundation::Result;
use graphql::{Catalog, CatalogTable, Inconsistency};
use metadata::{Columns, CronTrigger, EventTrigger, Metadata, Source, TableEntry, TableName};
use postgres_chassis::translate;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use tokio_postgres::GenericClient;
use webhooks::{Attended, Hook, Kind, Plan, Queue, Schedule, Shapes};

/// Hasura's schema in every database it looks after.
const EVENTS_SCHEMA: &str = "hdb_catalog";

/// Where a source's events are kept: a service's own database has them beside its tables.
pub fn events_schema(settings: &Settings, source: &str) -> &'static str {
    match settings.own_pool.is_some() && source == "default" {
        true => settings.metadata_schema,
        false => EVENTS_SCHEMA,
    }
}

pub fn has_any(source: &Source) -> bool {
    source.tables.iter().any(|entry| !entry.event_triggers.is_empty())
}

pub fn inconsistencies(
    settings: &Settings,
    catalogs: &BTreeMap<String, Arc<Catalog>>,
    metadata: &Metadata,
) -> Vec<Inconsistency> {
    let mut found = Vec::new();
    for source in &metadata.sources {
        let Some(catalog) = catalogs.get(&source.name) else {
            continue;
        };
        for entry in &source.tables {
            // A table that is not there is told once.
            let Some(table) = catalog_table(catalog, &entry.table) else {
                continue;
            };
            found.extend(validations(settings, source, entry));
            for trigger in &entry.event_triggers {
                if let Err(reason) = check_event(settings, table, trigger) {
                    found.push(wrong_event(source, &entry.table, trigger, &reason));
                }
            }
        }
    }
    for action in &metadata.actions {
        if let Err(reason) = Hook::of_action(&action.definition, &settings.webhooks.environment) {
            found.push(Inconsistency {
                kind: "action",
                name: format!("action {}", action.name),
                reason: format!("Inconsistent object: in action \"{}\"; {reason}", action.name),
                definition: json!(action),
            });
        }
    }
    for trigger in &metadata.cron_triggers {
        if let Err(reason) = check_cron(settings, trigger) {
            found.push(Inconsistency {
                kind: "cron_trigger",
                name: format!("cron trigger {}", trigger.name),
                reason: format!("Inconsistent object: in cron trigger \"{}\": {reason}", trigger.name),
                definition: json!(trigger),
            });
        }
    }
    found
}

/// Permissions whose webhook cannot be called.
fn validations(settings: &Settings, source: &Source, entry: &TableEntry) -> Vec<Inconsistency> {
    let inserts = entry.insert_permissions.iter();
    let inserts = inserts.map(|one| ("insert", &one.role, &one.permission.validate_input));
    let updates = entry.update_permissions.iter();
    let updates = updates.map(|one| ("update", &one.role, &one.permission.validate_input));
    let deletes = entry.delete_permissions.iter();
    let deletes = deletes.map(|one| ("delete", &one.role, &one.permission.validate_input));
    let mut found = Vec::new();
    for (kind, role, validation) in inserts.chain(updates).chain(deletes) {
        let Some(validation) = validation else { continue };
        let hook = match validation.kind.as_str() {
            "http" => Hook::of_validation(&validation.definition, &settings.webhooks.environment).map(drop),
            other => Err(format!("its type is 'http', not '{other}'")),
        };
        let Err(reason) = hook else { continue };
        let table = &entry.table;
        found.push(Inconsistency {
            kind: match kind {
                "insert" => "insert_permission",
                "update" => "update_permission",
                _ => "delete_permission",
            },
            name: format!("{kind} permission of role {role} in table {table} in source {}", source.name),
            reason: format!(
                "Inconsistent object: in table \"{table}\": in permission for role \"{role}\": validate_input: {reason}"
            ),
            definition: json!({"source": source.name, "table": table, "role": role, "permission": {"validate_input": validation}}),
        });
    }
    found
}

fn catalog_table<'c>(catalog: &'c Catalog, name: &TableName) -> Option<&'c CatalogTable> {
    catalog
        .tables
        .iter()
        .find(|table| table.schema == name.schema && table.name == name.name)
}

fn wrong_event(source: &Source, table: &TableName, trigger: &EventTrigger, reason: &str) -> Inconsistency {
    Inconsistency {
        kind: "event_trigger",
        name: format!(
            "event trigger {} in table {table} in source {}",
            trigger.name, source.name
        ),
        reason: format!("Inconsistent object: in event trigger \"{}\": {reason}", trigger.name),
        definition: json!({"source": source.name, "table": table, "name": trigger.name, "configuration": trigger}),
    }
}

fn check_event(settings: &Settings, table: &CatalogTable, trigger: &EventTrigger) -> std::result::Result<(), String> {
    if !is_plain(table) {
        let message = format!(
            "\"{}\" is no table; its rows change without anybody being told",
            table.name
        );
        return Err(message);
    }
    for (_, watched) in trigger.definition.each() {
        for columns in [Some(&watched.columns), watched.payload.as_ref()].into_iter().flatten() {
            let Columns::List(names) = columns else {
                continue;
            };
            let missing = |name: &&String| table.columns.iter().all(|column| column.name != **name);
            if let Some(name) = names.iter().find(missing) {
                return Err(format!("column \"{name}\" does not exist in table \"{}\"", table.name));
            }
        }
    }
    Hook::of_event(trigger, &settings.webhooks.environment).map(drop)
}

fn check_cron(settings: &Settings, trigger: &CronTrigger) -> std::result::Result<(), String> {
    Schedule::parse(&trigger.schedule)?;
    Hook::of_cron(trigger, &settings.webhooks.environment).map(drop)
}

/// Rows of views and foreign tables change without a trigger.
fn is_plain(table: &CatalogTable) -> bool {
    matches!(table.kind.as_str(), "r" | "p")
}

/// Brings a source's triggers to what its metadata wants, in the transaction of `client`.
pub async fn install(
    client: &impl GenericClient,
    settings: &Settings,
    catalog: Option<&Catalog>,
    before: Option<&Source>,
    source: &Source,
) -> Result<()> {
    let shapes = |name: &TableName| {
        let table = catalog_table(catalog?, name).filter(|table| is_plain(table))?;
        Some(shapes(table, settings.options.stringify_numerics))
    };
    webhooks::install(client, events_schema(settings, &source.name), before, source, &shapes).await
}

fn shapes(table: &CatalogTable, stringify: bool) -> Shapes {
    let named = |wanted: &dyn Fn(&str) -> bool| {
        let columns = table.columns.iter();
        let found = columns.filter(|column| !column.ty.is_array && wanted(&column.ty.name));
        found.map(|column| column.name.clone()).collect()
    };
    Shapes {
        geojson: named(&|ty| matches!(ty, "geometry" | "geography")),
        text: named(&|ty| stringify && matches!(ty, "int8" | "numeric" | "float8")),
    }
}

/// At the start: what is missing in the databases is put there. Where that fails, events wait and the reason is logged.
pub async fn install_all(settings: &Settings, state: &State) {
    for source in state.metadata.sources.iter().filter(|source| has_any(source)) {
        let Some(connected) = state.sources.get(&source.name) else {
            continue;
        };
        let catalog = state.catalogs.get(&source.name).map(|catalog| &**catalog);
        if let Err(error) = install_one(settings, connected, catalog, source).await {
            tracing::error!(source = source.name, cause = %error.chain(), "event triggers could not be installed");
        }
    }
}

async fn install_one(
    settings: &Settings,
    connected: &Connected,
    catalog: Option<&Catalog>,
    source: &Source,
) -> Result<()> {
    let failed = |error| translate("installing event triggers", error);
    let mut client = connected.pool.client().await?;
    let transaction = client.transaction().await.map_err(failed)?;
    install(&*transaction, settings, catalog, None, source).await?;
    transaction.commit().await.map_err(failed)
}

/// Which queues there are, and who is called.
pub fn plan(settings: &Settings, state: &State) -> Plan {
    let environment = &settings.webhooks.environment;
    let mut queues = Vec::new();
    for source in state.metadata.sources.iter().filter(|source| has_any(source)) {
        let Some(connected) = state.sources.get(&source.name) else {
            continue;
        };
        let triggers = source.tables.iter().flat_map(|entry| &entry.event_triggers);
        let hooks = triggers.filter_map(|one| Some((one.name.clone(), Hook::of_event(one, environment).ok()?)));
        let schema = events_schema(settings, &source.name);
        queues.push(Arc::new(Attended {
            // Another configuration is another pool.
            name: format!("{} {}", source.name, connected.configuration),
            queue: Queue::new(Kind::Table, connected.pool.clone(), schema),
            schema,
            hooks: hooks.collect(),
            crons: Vec::new(),
        }));
    }
    let crons = state.metadata.cron_triggers.clone();
    let hooks = crons
        .iter()
        .filter_map(|one| Some((one.name.clone(), Hook::of_cron(one, environment).ok()?)));
    let hooks: BTreeMap<String, Hook> = hooks.collect();
    let clock = |name: &str, kind: Kind, crons: Vec<CronTrigger>, hooks: BTreeMap<String, Hook>| {
        Arc::new(Attended {
            name: name.to_owned(),
            queue: Queue::new(kind, settings.metadata_pool.clone(), settings.metadata_schema),
            schema: settings.metadata_schema,
            hooks,
            crons,
        })
    };
    if !crons.is_empty() {
        queues.push(clock("cron triggers", Kind::Cron, crons, hooks));
    }
    queues.push(clock("one-off events", Kind::OneOff, Vec::new(), BTreeMap::new()));
    Plan(queues)
}

impl Engine {
    /// Whom the queues call follows the state.
    pub fn replan(&self, state: &State) {
        self.plans.send_replace(Arc::new(plan(&self.settings, state)));
    }
}
