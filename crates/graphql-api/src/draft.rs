//! A change in the making: one request's commands, `bulk` or single, see each other's work, and all of it is kept or
//! none. SQL runs in one transaction per source, metadata is saved last.

use crate::{
    allow_list::AllowList,
    catalog_store::{CatalogStore, detached},
    commands,
    engine::Engine,
    refusal::Refusal,
    sources::{self, Connected},
    state::{self, State},
};
use foundation::Result;
use graphql::{Catalog, EnumRows, Inconsistency, Schema};
use metadata::{Metadata, Source};
use postgres_chassis::translate;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

pub struct Draft<'a> {
    pub engine: &'a Engine,
    base: Arc<State>,
    pub metadata: Metadata,
    pub catalogs: BTreeMap<String, Arc<Catalog>>,
    pub schema: Arc<Schema>,
    pub inconsistent: Vec<Inconsistency>,
    connected: HashMap<String, Connected>,
    /// Transactions by source. Dropped without a commit, the connection closes and the work is undone.
    open: HashMap<String, deadpool_postgres::ClientWrapper>,
    plain: Option<Arc<Schema>>,
    /// Values of enumerations by source that a new reading of the catalogue keeps.
    pub kept_values: HashMap<String, EnumRows>,
    /// Another state than the base's was made.
    changed: bool,
}

impl<'a> Draft<'a> {
    pub fn new(engine: &'a Engine) -> Self {
        let base = engine.state();
        Draft {
            engine,
            metadata: (*base.metadata).clone(),
            catalogs: base.catalogs.clone(),
            schema: base.schema.clone(),
            inconsistent: base.inconsistent.clone(),
            connected: base.sources.clone(),
            base,
            open: HashMap::new(),
            plain: None,
            kept_values: HashMap::new(),
            changed: false,
        }
    }

    /// A source's transaction, begun when first asked for.
    pub async fn transaction(&mut self, source: &str) -> Result<&mut deadpool_postgres::ClientWrapper, Refusal> {
        if !self.open.contains_key(source) {
            let Some(connected) = self.connected.get(source) else {
                let message = format!("source with name \"{source}\" does not exist");
                return Err(Refusal::new("not-exists", "$.args", message));
            };
            let client = detached(connected.pool.client().await?);
            let begun = client.batch_execute("begin").await;
            begun.map_err(|error| translate("beginning a transaction", error))?;
            self.open.insert(source.to_owned(), client);
        }
        match self.open.get_mut(source) {
            Some(client) => Ok(client),
            None => Err(Refusal::new("unexpected", "$.args", "the transaction is gone")),
        }
    }

    /// The engine's view after a change of metadata or catalogues. Sources and enumerations that are new are read.
    pub async fn rebuild(&mut self) -> Result<(), Refusal> {
        self.changed = true;
        self.plain = None;
        let unreachable = self.read_what_is_new().await?;
        let (schema, mut inconsistent) = state::schema(&self.engine.settings, &self.catalogs, &self.metadata);
        inconsistent.splice(0..0, unreachable);
        self.schema = schema;
        self.inconsistent = inconsistent;
        Ok(())
    }

    async fn read_what_is_new(&mut self) -> Result<Vec<Inconsistency>, Refusal> {
        let mut unreachable = Vec::new();
        let sources = self.metadata.sources.clone();
        let is_there = |name: &String| sources.iter().any(|source| source.name == *name);
        self.catalogs.retain(|name, _| is_there(name));
        self.connected.retain(|name, _| is_there(name));
        for source in &sources {
            let same = |connected: &&Connected| connected.configuration == source.configuration;
            if self.connected.get(&source.name).filter(same).is_none() {
                let settings = &self.engine.settings;
                self.catalogs.remove(&source.name);
                match sources::connect(source, settings) {
                    Ok(connected) => drop(self.connected.insert(source.name.clone(), connected)),
                    Err(error) => {
                        self.connected.remove(&source.name);
                        unreachable.push(state::disconnected(&source.name, &error));
                        continue;
                    }
                }
            }
            if let Err(error) = self.read_source(source).await {
                unreachable.push(state::disconnected(&source.name, &error));
            }
        }
        Ok(unreachable)
    }

    async fn read_source(&mut self, source: &Source) -> Result<()> {
        match self.catalogs.get(&source.name) {
            None => {
                let catalog = match (self.open.get(&source.name), self.connected.get(&source.name)) {
                    (Some(client), _) => state::introspect(&**client, source).await?,
                    (None, Some(connected)) => state::read_catalog(connected, source).await?,
                    (None, None) => return Ok(()),
                };
                let catalog = match self.kept_values.remove(&source.name) {
                    Some(kept) => {
                        let mut catalog = (*catalog).clone();
                        catalog.enums.extend(kept);
                        Arc::new(catalog)
                    }
                    None => catalog,
                };
                self.catalogs.insert(source.name.clone(), catalog);
            }
            Some(catalog) if !state::has_enumerations(source, catalog) => {
                let mut catalog = (**catalog).clone();
                match (self.open.get(&source.name), self.connected.get(&source.name)) {
                    (Some(client), _) => state::read_enumerations(&**client, source, &mut catalog).await?,
                    (None, Some(connected)) => {
                        let client = connected.pool.client().await?;
                        state::read_enumerations(&**client, source, &mut catalog).await?;
                    }
                    (None, None) => {}
                }
                self.catalogs.insert(source.name.clone(), Arc::new(catalog));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// A schema in which everything has its name in the database.
    pub fn plain_schema(&mut self) -> Arc<Schema> {
        if let Some(made) = &self.plain {
            return made.clone();
        }
        let plain = commands::plain(&self.metadata);
        let made = match plain == self.metadata {
            true => self.schema.clone(),
            false => state::schema(&self.engine.settings, &self.catalogs, &plain).0,
        };
        self.plain = Some(made.clone());
        made
    }

    /// What was not wrong before.
    pub fn newly_wrong(&self, before: &[Inconsistency]) -> Vec<Inconsistency> {
        let is_new = |one: &&Inconsistency| !before.iter().any(|old| old.kind == one.kind && old.name == one.name);
        self.inconsistent.iter().filter(is_new).cloned().collect()
    }

    /// Metadata was written, the databases' transactions follow, metadata is made visible last.
    pub async fn commit(mut self) -> Result<(), Refusal> {
        let store: &CatalogStore = &self.engine.store;
        let saving = match self.metadata == *self.base.metadata {
            true => None,
            false => Some(store.save(&self.metadata, self.base.resource_version).await?),
        };
        for (source, client) in std::mem::take(&mut self.open) {
            let done = client.batch_execute("commit").await;
            done.map_err(|error| {
                let message = error
                    .as_db_error()
                    .map_or_else(|| error.to_string(), |told| told.message().to_owned());
                Refusal::new(
                    "postgres-error",
                    "$.args",
                    format!("committing in source \"{source}\": {message}"),
                )
            })?;
        }
        let mut version = self.base.resource_version;
        match saving {
            Some(saving) => {
                saving.commit().await?;
                version += 1;
            }
            None if self.changed => store.tell_of_tables(&self.engine.name).await?,
            None => {}
        }
        if self.changed {
            self.engine.set(State {
                limits: Arc::new(crate::state::limits(&self.metadata)),
                allowed: Arc::new(AllowList::of(&self.metadata)),
                metadata: Arc::new(self.metadata),
                resource_version: version,
                sources: self.connected,
                catalogs: self.catalogs,
                schema: self.schema,
                inconsistent: self.inconsistent,
            });
        }
        Ok(())
    }
}
