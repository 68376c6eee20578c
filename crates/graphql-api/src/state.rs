//! One consistent picture: the metadata, the databases as they were read, and the engine's schema of both.

use crate::{
    Settings,
    actions::{self, Hooks},
    allow_list::AllowList,
    remotes::{self, Remotes},
    sources::{self, Connected},
};
use foundation::{Error, Result};
use graphql::{Catalog, INTROSPECTION_SQL, Inconsistency, Schema};
use metadata::{ApiLimits, Metadata, Source};
use postgres_chassis::translate;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use telemetry::client::Client;
use tokio_postgres::GenericClient;

#[derive(Clone)]
pub struct State {
    pub metadata: Arc<Metadata>,
    pub resource_version: i32,
    pub sources: HashMap<String, Connected>,
    pub catalogs: BTreeMap<String, Arc<Catalog>>,
    pub schema: Arc<Schema>,
    pub inconsistent: Vec<Inconsistency>,
    pub allowed: Arc<AllowList>,
    pub limits: Arc<ApiLimits>,
    pub hooks: Hooks,
    pub remotes: Remotes,
}

impl State {
    /// Whether statements may be kept prepared; a source says so with `use_prepared_statements`.
    pub fn prepares(&self, source: &str) -> bool {
        let configuration = self.sources.get(source).map(|connected| &connected.configuration);
        configuration.is_some_and(|given| given["connection_info"]["use_prepared_statements"] != false)
    }

    /// Connects what is not connected yet, reads what was not read yet (everything with `fresh`), builds the schema.
    /// What cannot be reached is inconsistent, not fatal.
    pub async fn build(
        settings: &Settings,
        client: &Client,
        metadata: Metadata,
        resource_version: i32,
        known: Option<&State>,
        fresh: bool,
    ) -> State {
        let mut sources = HashMap::new();
        let mut catalogs = BTreeMap::new();
        let mut unreachable = Vec::new();
        for source in &metadata.sources {
            let before = known.and_then(|known| known.sources.get(&source.name));
            let same = before.filter(|connected| connected.configuration == source.configuration);
            let connected = match same {
                Some(connected) => Ok(connected.clone()),
                None => sources::connect(source, settings),
            };
            let connected = match connected {
                Ok(connected) => connected,
                Err(error) => {
                    unreachable.push(disconnected(&source.name, &error));
                    continue;
                }
            };
            let read = same.and_then(|_| known?.catalogs.get(&source.name)).filter(|_| !fresh);
            let catalog = match read {
                Some(catalog) => Ok(catalog.clone()),
                None => read_catalog(&connected, source).await,
            };
            sources.insert(source.name.clone(), connected);
            match catalog {
                Ok(catalog) => drop(catalogs.insert(source.name.clone(), catalog)),
                Err(error) => unreachable.push(disconnected(&source.name, &error)),
            }
        }
        let nothing = Remotes::new();
        let read_before = known.map_or(&nothing, |known| &known.remotes);
        let (remotes, unread) = remotes::read(settings, client, &metadata, read_before, |_| fresh).await;
        unreachable.extend(unread);
        let (schema, mut inconsistent) = schema(settings, &catalogs, &remotes, &metadata);
        inconsistent.splice(0..0, unreachable);
        State {
            allowed: Arc::new(AllowList::of(&metadata)),
            limits: Arc::new(limits(&metadata)),
            hooks: actions::hooks(settings, &metadata),
            metadata: Arc::new(metadata),
            resource_version,
            sources,
            catalogs,
            schema,
            inconsistent,
            remotes,
        }
    }
}

/// Metadata another server wrote may hold limits of a shape we do not know.
pub fn limits(metadata: &Metadata) -> ApiLimits {
    ApiLimits::of(metadata).unwrap_or_else(|message| {
        tracing::error!("no API limit is in force: {message}; set them anew with set_api_limits");
        ApiLimits::default()
    })
}

/// Sources that were not read take no part.
pub fn schema(
    settings: &Settings,
    catalogs: &BTreeMap<String, Arc<Catalog>>,
    remotes: &Remotes,
    metadata: &Metadata,
) -> (Arc<Schema>, Vec<Inconsistency>) {
    let read: Vec<(String, &Catalog)> = catalogs
        .iter()
        .map(|(name, catalog)| (name.clone(), &**catalog))
        .collect();
    let others: Vec<graphql::Remote<'_>> = remotes
        .iter()
        .map(|(name, known)| graphql::Remote {
            name,
            introspected: &known.introspected,
        })
        .collect();
    let (schema, mut inconsistent) = Schema::build(&read, &others, metadata, &settings.options);
    inconsistent.extend(crate::listed::inconsistencies(&schema, metadata));
    inconsistent.extend(crate::triggers::inconsistencies(settings, catalogs, metadata));
    (Arc::new(schema), inconsistent)
}

pub async fn read_catalog(connected: &Connected, source: &Source) -> Result<Arc<Catalog>> {
    let client = connected.pool.client().await?;
    introspect(&**client, source).await
}

/// What the database looks like to `client`, inside its transaction.
pub async fn introspect(client: &impl GenericClient, source: &Source) -> Result<Arc<Catalog>> {
    let row = client.query_one(INTROSPECTION_SQL, &[]).await;
    let row = row.map_err(|error| translate("reading the catalogue", error))?;
    let mut catalog = Catalog::from_json(row.get::<_, &str>(0).as_bytes())
        .map_err(|error| Error::internal("reading the catalogue", error))?;
    read_enumerations(client, source, &mut catalog).await?;
    Ok(Arc::new(catalog))
}

/// The rows of tables that the metadata uses as enumerations. One that cannot be read has none, which the engine refuses.
pub async fn read_enumerations(client: &impl GenericClient, source: &Source, catalog: &mut Catalog) -> Result<()> {
    for entry in source.tables.iter().filter(|entry| entry.is_enum) {
        let (schema, name) = (&entry.table.schema, &entry.table.name);
        let Some(sql) = catalog.enum_values_sql(schema, name) else {
            continue;
        };
        let rows = client.query(&sql, &[]).await;
        let rows = rows.map_err(|error| translate("reading an enumeration's values", error))?;
        let values = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        catalog.enums.insert((schema.clone(), name.clone()), values);
    }
    Ok(())
}

/// Whether every enumeration of the metadata was read.
pub fn has_enumerations(source: &Source, catalog: &Catalog) -> bool {
    let mut listed = source.tables.iter().filter(|entry| entry.is_enum);
    listed.all(|entry| {
        catalog
            .enums
            .contains_key(&(entry.table.schema.clone(), entry.table.name.clone()))
    })
}

pub fn disconnected(source: &str, error: &Error) -> Inconsistency {
    tracing::warn!(source, code = error.code, cause = %error.chain(), "a source cannot be used");
    Inconsistency {
        kind: "source",
        name: format!("source {source}"),
        reason: format!("Inconsistent object: {}", error.message),
        definition: Value::from(source),
    }
}

/// As `get_inconsistent_metadata` lists it.
pub fn told(one: &Inconsistency) -> Value {
    if one.is_note() {
        return json!({"entity": one.definition, "reason": one.reason, "name": one.name, "type": one.kind});
    }
    json!({"definition": one.definition, "reason": one.reason, "name": one.name, "type": one.kind})
}
