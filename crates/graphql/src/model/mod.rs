//! Metadata resolved against the catalogues: tables with their GraphQL names, relationships as column pairs, functions,
//! and permissions per role. What does not resolve is reported and left out.

mod action;
mod computed;
mod conflict;
mod enumeration;
mod function;
mod names;
mod native;
mod permission;
mod relationship;
mod remote;
mod table;
mod wrong;

pub use action::{Action, Custom, Described, Joined, Output, as_number, is_numeric};
pub use computed::{Computed, Returns, Slot};
pub use function::{Argument, Function};
pub use names::{Naming, is_graphql_name};
pub use native::{Native, Piece};
pub use permission::{Cell, Permissions, Select, Update};
pub use relationship::Relationship;
pub use remote::Remote;
pub use table::{Column, Table, scalar_of};
pub use wrong::Inconsistency;

use crate::{Options, catalog::Catalog};
use metadata::{Metadata, TableName};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct Model {
    pub sources: Vec<Source>,
    pub tables: Vec<Table>,
    pub functions: Vec<Function>,
    pub natives: Vec<Native>,
    pub actions: Vec<Action>,
    pub custom: Custom,
    pub remotes: Vec<Remote>,
    /// The roles an inherited role is made of.
    pub inherited: HashMap<String, Vec<String>>,
    /// Roles that may not introspect.
    pub closed: Vec<String>,
    pub options: Options,
}

#[derive(Debug)]
pub struct Source {
    pub name: String,
    pub naming: Naming,
}

/// What one source's parts are resolved against.
pub(crate) struct Context<'c> {
    pub source: usize,
    pub source_name: &'c str,
    pub catalog: &'c Catalog,
    /// Positions in the model.
    pub known: HashMap<TableName, usize>,
}

impl Model {
    pub fn resolve(
        catalogs: &[(String, &Catalog)],
        metadata: &Metadata,
        options: &Options,
    ) -> (Model, Vec<Inconsistency>) {
        let mut wrong = Vec::new();
        let mut model = Model {
            options: options.clone(),
            ..Model::default()
        };
        for source in &metadata.sources {
            let naming = Naming::of(source.customization.as_ref(), options);
            model.sources.push(Source {
                name: source.name.clone(),
                naming,
            });
            let found = catalogs.iter().find(|(name, _)| *name == source.name);
            if let Some((_, catalog)) = found {
                model.add_source(source, catalog, options, &mut wrong);
            }
        }
        model.add_actions(metadata, &mut wrong);
        for role in &metadata.inherited_roles {
            model.inherited.insert(role.role_name.clone(), role.role_set.clone());
        }
        if let Some(introspection) = &metadata.graphql_schema_introspection {
            model.closed.clone_from(&introspection.disabled_for_roles);
        }
        (model, wrong)
    }

    fn add_source(
        &mut self,
        source: &metadata::Source,
        catalog: &Catalog,
        options: &Options,
        wrong: &mut Vec<Inconsistency>,
    ) {
        let at = self.sources.len() - 1;
        let mut context = Context {
            source: at,
            source_name: &source.name,
            catalog,
            known: HashMap::new(),
        };
        let first = self.tables.len();
        let mut entries = Vec::new();
        for entry in &source.tables {
            let Some(facts) = catalog.table(&entry.table.schema, &entry.table.name) else {
                wrong.push(Inconsistency::no_table(&entry.table, &source.name));
                continue;
            };
            let made = table::table(entry, facts, at, &self.sources[at].naming);
            context.known.insert(entry.table.clone(), self.tables.len());
            self.tables.push(made);
            entries.push((entry, facts));
        }
        let naming = self.sources[at].naming.clone();
        enumeration::resolve(&context, &entries, &mut self.tables[first..], &naming, wrong);
        for (place, (entry, facts)) in entries.iter().enumerate() {
            let own = first + place;
            relationship::resolve(&context, entry, facts, &mut self.tables[own], wrong);
            let computed = computed::resolve(&context, entry, &self.tables, own, wrong);
            self.tables[own].computed = computed;
        }
        for (place, (entry, _)) in entries.iter().enumerate() {
            permission::resolve(&context, entry, self, first + place, wrong);
        }
        for entry in &source.functions {
            function::resolve(&context, entry, self, options, wrong);
        }
        native::resolve(&context, source, self, wrong);
    }

    /// All roles that metadata speaks of.
    pub fn knows_role(&self, role: &str) -> bool {
        role == "admin"
            || self.inherited.contains_key(role)
            || self.tables.iter().any(|table| table.permissions.contains_key(role))
            || self
                .actions
                .iter()
                .any(|action| action.roles.iter().any(|known| known == role))
            || self
                .functions
                .iter()
                .any(|function| function.roles.iter().any(|known| known == role))
    }

    /// The name of a type of the table's: `""` is its row.
    pub fn type_name(&self, table: usize, suffix: &str) -> String {
        let known = &self.tables[table];
        self.naming(table).type_name(&[&known.base_type, suffix])
    }

    pub fn naming(&self, table: usize) -> &Naming {
        &self.sources[self.tables[table].source].naming
    }
}
