//! Root fields of remote schemas as operations: one for each remote schema of a query. Every argument is a variable, so
//! no value is ever written as GraphQL.

use super::{Planner, Source};
use crate::model::Remote;
use crate::schema::{Kind, RoleSchema};
use crate::syntax::{OperationKind, TypeRef};
use crate::validate::Selected;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// One operation for one remote schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// The remote schema's.
    pub name: String,
    pub query: String,
    pub variables: Map<String, Value>,
    /// The keys of its answer.
    pub keys: Vec<String>,
    /// How many of the plan's statements come before it.
    pub after: usize,
    /// Where the answer says names of types, and what they are here.
    pub names: Option<Named>,
    declared: String,
    fields: String,
    kind: OperationKind,
}

/// The names of types in an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Named {
    shown: HashMap<String, String>,
    at: Vec<Place>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Place {
    key: String,
    is_name: bool,
    below: Vec<Place>,
}

/// A selection cannot be empty, even if directives left nothing of it.
const NOTHING: &str = " __typename @skip(if: true)";

impl Place {
    fn of(one: &Selected, key: &str) -> Place {
        Place {
            key: key.to_owned(),
            is_name: one.name == "__typename",
            below: one.selection.iter().map(|one| Place::of(one, &one.key)).collect(),
        }
    }
}

impl Named {
    /// Says the names of types as they are here, in what stands under one key of the answer.
    pub fn rename(&self, key: &str, value: &mut Value) {
        if let Some(place) = self.at.iter().find(|place| place.key == key) {
            self.rename_at(place, value);
        }
    }

    fn rename_at(&self, place: &Place, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename_at(place, item)),
            Value::String(name) if place.is_name => {
                if let Some(shown) = self.shown.get(name) {
                    name.clone_from(shown);
                }
            }
            Value::Object(fields) => {
                for below in &place.below {
                    if let Some(value) = fields.get_mut(&below.key) {
                        self.rename_at(below, value);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Planner<'_> {
    pub(super) fn forward(&mut self, at: usize, one: &Selected) -> Source {
        let remote = &self.model.remotes[at];
        let after = self.statements.len();
        let mutation = self.kind == OperationKind::Mutation;
        // A mutation's fields are in order with all others.
        let open = |known: &Forward| known.name == remote.name && (!mutation || known.after == after);
        let last = self.forwards.len().saturating_sub(1);
        let candidates = if mutation { last } else { 0 };
        let place = self.forwards[candidates..].iter_mut().position(|known| open(known));
        let place = match place {
            Some(place) => candidates + place,
            None => {
                self.forwards.push(Forward::new(remote, self.kind, after));
                self.forwards.len() - 1
            }
        };
        let forward = &mut self.forwards[place];
        let key = forward.free(&one.key);
        forward.field(self.schema, remote, one, &key);
        forward.keys.push(key.clone());
        if let Some(names) = &mut forward.names {
            names.at.push(Place::of(one, &key));
        }
        Source::Remote(place, key)
    }
}

impl Forward {
    fn new(remote: &Remote, kind: OperationKind, after: usize) -> Self {
        let shown = |remote: &Remote| {
            let names = remote.types.keys();
            names
                .map(|name| (remote.type_there(name).to_owned(), name.clone()))
                .collect()
        };
        Forward {
            name: remote.name.clone(),
            query: String::new(),
            variables: Map::new(),
            keys: Vec::new(),
            after,
            names: remote.renames_types().then(|| Named {
                shown: shown(remote),
                at: Vec::new(),
            }),
            declared: String::new(),
            fields: String::new(),
            kind,
        }
    }

    /// Two namespaces may have the same key.
    fn free(&self, key: &str) -> String {
        let mut free = key.to_owned();
        while self.keys.contains(&free) {
            free.push('_');
        }
        free
    }

    /// Writes the operation when all of its fields are known.
    pub(super) fn finish(&mut self) {
        let kind = match self.kind {
            OperationKind::Mutation => "mutation",
            _ => "query",
        };
        let declared = std::mem::take(&mut self.declared);
        let declared = match declared.is_empty() {
            true => declared,
            false => format!("({declared})"),
        };
        self.query = format!("{kind}{declared} {{{}}}", std::mem::take(&mut self.fields));
    }

    fn field(&mut self, schema: &RoleSchema, remote: &Remote, one: &Selected, key: &str) {
        self.fields.push(' ');
        if one.name == "__typename" {
            self.fields.push_str(&format!("{key}: __typename"));
            return;
        }
        // A root field's parent is our root.
        let definition = schema.fields(&one.parent).and_then(|fields| fields.get(&one.name));
        let parent = match (one.parent.as_str(), &remote.query, &remote.mutation) {
            ("query_root", Some(query), _) => query,
            ("mutation_root", _, Some(mutation)) => mutation,
            (other, ..) => other,
        };
        let there = remote.field_there(parent, &one.name);
        match key == there {
            true => self.fields.push_str(key),
            false => self.fields.push_str(&format!("{key}: {there}")),
        }
        let mut arguments = Vec::with_capacity(one.args.len());
        for (name, value) in &one.args {
            let Some(argument) = definition.and_then(|definition| definition.arguments.get(name)) else {
                continue;
            };
            let variable = format!("v{}", self.variables.len());
            if !self.declared.is_empty() {
                self.declared.push_str(", ");
            }
            let ty = type_there(remote, &argument.ty);
            self.declared.push_str(&format!("${variable}: {ty}"));
            arguments.push(format!("{name}: ${variable}"));
            self.variables.insert(variable, value.clone());
        }
        if !arguments.is_empty() {
            self.fields.push_str(&format!("({})", arguments.join(", ")));
        }
        let Some(definition) = definition else { return };
        let base = definition.ty.base();
        match schema.types.get(base).map(|ty| &ty.kind) {
            Some(Kind::Object(_)) => self.selection(schema, remote, one.selection.iter()),
            Some(Kind::Interface(_) | Kind::Union) => {
                self.fields.push_str(" {");
                if one.selection.is_empty() {
                    self.fields.push_str(NOTHING);
                }
                for possible in schema.possible.get(base).into_iter().flatten() {
                    let of_it: Vec<&Selected> = one.selection.iter().filter(|one| one.parent == *possible).collect();
                    if !of_it.is_empty() {
                        self.fields
                            .push_str(&format!(" ... on {}", remote.type_there(possible)));
                        self.selection(schema, remote, of_it.into_iter());
                    }
                }
                self.fields.push_str(" }");
            }
            _ => {}
        }
    }

    fn selection<'s>(&mut self, schema: &RoleSchema, remote: &Remote, fields: impl Iterator<Item = &'s Selected>) {
        self.fields.push_str(" {");
        let before = self.fields.len();
        for one in fields {
            self.field(schema, remote, one, &one.key);
        }
        if self.fields.len() == before {
            self.fields.push_str(NOTHING);
        }
        self.fields.push_str(" }");
    }
}

fn type_there(remote: &Remote, ty: &TypeRef) -> TypeRef {
    let there = match ty {
        TypeRef::Named { name, .. } => TypeRef::named(remote.type_there(name)),
        TypeRef::List { of, .. } => TypeRef::list(type_there(remote, of)),
    };
    there.with_non_null(ty.is_required())
}
