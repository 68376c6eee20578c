//! A change in the making: one request's commands, `bulk` or single, see each other's work, and all of it is kept or
//! none. SQL runs in one transaction per source, metadata is saved last.

use crate::{
    catalog_store::{CatalogStore, detached},
    commands,
    engine::Engine,
    refusal::Refusal,
    state::{self, State},
};
use foundation::Result;
use graphql::{Catalog, Inconsistency, Schema};
use metadata::Metadata;
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
    /// Transactions by source. Dropped without a commit, the connection closes and the work is undone.
    open: HashMap<String, deadpool_postgres::ClientWrapper>,
    plain: Option<Arc<Schema>>,
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
            base,
            open: HashMap::new(),
            plain: None,
            changed: false,
        }
    }

    /// A source's transaction, begun when first asked for.
    pub async fn transaction(&mut self, source: &str) -> Result<&mut deadpool_postgres::ClientWrapper, Refusal> {
        if !self.open.contains_key(source) {
            let Some(connected) = self.base.sources.get(source) else {
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

    /// The engine's view after a change of metadata or catalogues.
    pub fn rebuild(&mut self) {
        self.changed = true;
        self.plain = None;
        let (schema, mut inconsistent) = state::schema(&self.engine.settings, &self.catalogs, &self.metadata);
        let unreachable = self.inconsistent.iter().filter(|one| one.kind == "source").cloned();
        inconsistent.splice(0..0, unreachable.collect::<Vec<_>>());
        self.schema = schema;
        self.inconsistent = inconsistent;
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
        for (source, client) in self.open.drain() {
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
        if let Some(saving) = saving {
            saving.commit().await?;
            version += 1;
        }
        if self.changed {
            self.publish(version).await;
        }
        Ok(())
    }

    /// New sources are connected and read here.
    async fn publish(self, resource_version: i32) {
        let configured = |state: &State| {
            let sources = state.metadata.sources.iter();
            sources
                .map(|source| (source.name.clone(), source.configuration.clone()))
                .collect::<Vec<_>>()
        };
        let mut known = (*self.base).clone();
        known.catalogs = self.catalogs;
        known.metadata = Arc::new(self.metadata);
        known.resource_version = resource_version;
        if configured(&known) == configured(&self.base) {
            known.schema = self.schema;
            known.inconsistent = self.inconsistent;
            self.engine.set(known);
            return;
        }
        let metadata = (*known.metadata).clone();
        let made = State::build(&self.engine.settings, metadata, resource_version, Some(&known), false).await;
        self.engine.set(made);
    }
}
