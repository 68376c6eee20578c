//! A change in the making: one request's commands, `bulk` or single, see each other's work, and all of it is kept or
//! none. SQL runs in one transaction per source, metadata is saved last.

use crate::{
    allow_list::AllowList,
    catalog_store::{CatalogStore, Saving, detached},
    commands,
    engine::Engine,
    refusal::Refusal,
    remotes::{self, Remotes},
    session::tell as tell_session,
    sources::{self, Connected},
    state::{self, State},
    triggers,
};
use foundation::{Kind, Result};
use graphql::{Catalog, EnumRows, Inconsistency, Schema, Session};
use metadata::{Metadata, Source};
use postgres_chassis::translate;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

pub struct Draft<'a> {
    pub engine: &'a Engine,
    session: &'a Session,
    base: Arc<State>,
    pub metadata: Metadata,
    pub catalogs: BTreeMap<String, Arc<Catalog>>,
    pub schema: Arc<Schema>,
    pub inconsistent: Vec<Inconsistency>,
    connected: HashMap<String, Connected>,
    /// Those that were read.
    pub remotes: Remotes,
    /// Transactions by source. Dropped without a commit, the connection closes and the work is undone.
    open: HashMap<String, deadpool_postgres::ClientWrapper>,
    clock: Option<deadpool_postgres::ClientWrapper>,
    plain: Option<Arc<Schema>>,
    /// Values of enumerations by source that a new reading of the catalogue keeps.
    pub kept_values: HashMap<String, EnumRows>,
    /// Another state than the base's was made.
    changed: bool,
}

impl<'a> Draft<'a> {
    pub fn new(engine: &'a Engine, session: &'a Session) -> Self {
        let base = engine.state();
        Draft {
            engine,
            session,
            metadata: (*base.metadata).clone(),
            catalogs: base.catalogs.clone(),
            schema: base.schema.clone(),
            inconsistent: base.inconsistent.clone(),
            connected: base.sources.clone(),
            remotes: base.remotes.clone(),
            base,
            open: HashMap::new(),
            clock: None,
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
            tell_session(&*client, self.session).await?;
            self.open.insert(source.to_owned(), client);
        }
        match self.open.get_mut(source) {
            Some(client) => Ok(client),
            None => Err(Refusal::new("unexpected", "$.args", "the transaction is gone")),
        }
    }

    /// A transaction where the metadata is kept, for the queues of the clock.
    pub async fn clock(&mut self) -> Result<&mut deadpool_postgres::ClientWrapper, Refusal> {
        if self.clock.is_none() {
            let client = detached(self.engine.store.pool().client().await?);
            let begun = client.batch_execute("begin").await;
            begun.map_err(|error| translate("beginning a transaction", error))?;
            self.clock = Some(client);
        }
        match &mut self.clock {
            Some(client) => Ok(client),
            None => Err(Refusal::new("unexpected", "$.args", "the transaction is gone")),
        }
    }

    /// The tables of a source's events are there.
    pub async fn prepare_events(&mut self, source: &str) -> Result<(), Refusal> {
        let schema = triggers::events_schema(&self.engine.settings, source);
        let client = self.transaction(source).await?;
        Ok(webhooks::prepare_events(&**client, schema).await?)
    }

    pub fn session(&self) -> &'a Session {
        self.session
    }

    /// The engine's view after a change of metadata or catalogues. Sources and enumerations that are new are read.
    pub async fn rebuild(&mut self) -> Result<(), Refusal> {
        self.changed = true;
        self.plain = None;
        let mut unreachable = self.read_what_is_new().await?;
        let engine = self.engine;
        let (remotes, unread) = remotes::read(&engine.settings, &engine.client, &self.metadata, &self.remotes, |_| {
            false
        })
        .await;
        self.remotes = remotes;
        unreachable.extend(unread);
        let (schema, mut inconsistent) = state::schema(&engine.settings, &self.catalogs, &self.remotes, &self.metadata);
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
            false => state::schema(&self.engine.settings, &self.catalogs, &self.remotes, &plain).0,
        };
        self.plain = Some(made.clone());
        made
    }

    /// What was not wrong before.
    pub fn newly_wrong(&self, before: &[Inconsistency]) -> Vec<Inconsistency> {
        let is_new = |one: &&Inconsistency| {
            !one.is_note() && !before.iter().any(|old| old.kind == one.kind && old.name == one.name)
        };
        self.inconsistent.iter().filter(is_new).cloned().collect()
    }

    async fn save(&self, store: &CatalogStore) -> Result<Saving> {
        let saving = store.save(&self.metadata, self.base.resource_version).await?;
        let (before, after) = (&self.base.metadata.cron_triggers, &self.metadata.cron_triggers);
        if before != after {
            webhooks::replan(&*saving.client, store.schema(), before, after).await?;
        }
        Ok(saving)
    }

    /// In each source's transaction; of sources that are gone too.
    async fn install_triggers(&mut self) -> Result<(), Refusal> {
        let base = self.base.clone();
        let gone = base
            .metadata
            .sources
            .iter()
            .filter(|source| self.metadata.source(&source.name).is_none());
        for source in gone
            .filter(|source| triggers::has_any(source))
            .cloned()
            .collect::<Vec<_>>()
        {
            let Some(connected) = base.sources.get(&source.name) else {
                continue;
            };
            self.connected.insert(source.name.clone(), connected.clone());
            let nothing = Source {
                name: source.name.clone(),
                ..Source::default()
            };
            let taken_away = self.install_of(Some(&source), &nothing).await;
            self.connected.remove(&source.name);
            taken_away?;
        }
        for source in self.metadata.sources.clone() {
            let before = base.metadata.source(&source.name);
            let had_any = before.is_some_and(triggers::has_any);
            if self.connected.contains_key(&source.name) && (had_any || triggers::has_any(&source)) {
                self.install_of(before, &source).await?;
            }
        }
        Ok(())
    }

    async fn install_of(&mut self, before: Option<&Source>, source: &Source) -> Result<(), Refusal> {
        let settings = &self.engine.settings;
        let catalog = self.catalogs.get(&source.name).cloned();
        let client = self.transaction(&source.name).await?;
        let installed = triggers::install(&**client, settings, catalog.as_deref(), before, source).await;
        installed.map_err(|error| match error.kind {
            Kind::Conflict => Refusal::new("postgres-error", "$.args", error.message.to_string()),
            _ => error.into(),
        })
    }

    /// Metadata was written, the databases' transactions follow, metadata is made visible last.
    pub async fn commit(mut self) -> Result<(), Refusal> {
        let store: &CatalogStore = &self.engine.store;
        let saving = match self.metadata == *self.base.metadata {
            true => None,
            false => Some(self.save(store).await?),
        };
        if self.changed {
            self.install_triggers().await?;
        }
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
        if let Some(client) = self.clock.take() {
            let done = client.batch_execute("commit").await;
            done.map_err(|error| translate("keeping scheduled events", error))?;
            self.engine.deliveries.wake();
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
                hooks: crate::actions::hooks(&self.engine.settings, &self.metadata),
                allowed: Arc::new(AllowList::of(&self.metadata)),
                metadata: Arc::new(self.metadata),
                resource_version: version,
                sources: self.connected,
                catalogs: self.catalogs,
                schema: self.schema,
                inconsistent: self.inconsistent,
                remotes: self.remotes,
            });
        }
        Ok(())
    }
}
