//! The fields one operation selects, against a role's types: fragments spread, directives applied, arguments coerced.

use super::coerce::Coercion;
use super::variables::Variables;
use crate::errors::{GraphqlError, Path};
use crate::relay_id;
use crate::schema::{FieldDefinition, Kind, RoleSchema};
use crate::syntax::{Directive, Document, Field, Operation, OperationKind, Selection, TypeRef};
use serde_json::{Map, Value as Json};
use std::cell::Cell;

/// Fragments multiply; what they may become in all is bounded.
const MAX_FIELDS: usize = 20_000;

/// How many fields one object may have. PostgreSQL answers no more columns than 1,664.
const MAX_FIELDS_OF_ONE: usize = 1_600;

#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// In the answer.
    pub key: String,
    pub name: String,
    /// The type this is a field of.
    pub parent: String,
    pub args: Map<String, Json>,
    pub selection: Vec<Selected>,
}

/// The operation's kind and its fields.
pub fn resolve(
    schema: &RoleSchema,
    document: &Document,
    operation_name: Option<&str>,
    values: &Map<String, Json>,
) -> Result<(OperationKind, Vec<Selected>), GraphqlError> {
    let operation = choose(document, operation_name)?;
    let root = Path::root();
    let ty = match operation.kind {
        OperationKind::Query => "query_root",
        OperationKind::Mutation => "mutation_root",
        OperationKind::Subscription => "subscription_root",
    };
    if schema.object(ty).is_none() {
        let what = if operation.kind == OperationKind::Mutation {
            "mutations"
        } else {
            "subscriptions"
        };
        return Err(GraphqlError::validation(&root, format!("no {what} exist")));
    }
    let variables = Variables::bind(operation, values)?;
    let walk = Walk {
        document,
        coercion: Coercion {
            schema,
            variables: &variables,
        },
        schema,
        variables: &variables,
        fields: Cell::new(0),
        depth: Cell::new(0),
    };
    let mut selected = Vec::new();
    walk.collect(
        &operation.selection,
        Of::object(ty),
        &mut Vec::new(),
        &root.key("selectionSet"),
        &mut selected,
    )?;
    let several = |selection: &Selection| match selection {
        Selection::Field(field) => field
            .directives
            .iter()
            .any(|one| one.name == "_multiple_top_level_fields"),
        _ => false,
    };
    let asked = operation
        .directives
        .iter()
        .any(|one| one.name == "_multiple_top_level_fields")
        || operation.selection.iter().any(several);
    let plain = |one: &Selected| schema.root(&one.parent, &one.name).is_some();
    if operation.kind == OperationKind::Subscription && selected.len() > 1 && !(asked && selected.iter().all(plain)) {
        return Err(GraphqlError::validation(
            &root,
            "subscriptions must select one top level field",
        ));
    }
    Ok((operation.kind, selected))
}

pub fn choose<'a>(document: &'a Document, name: Option<&str>) -> Result<&'a Operation, GraphqlError> {
    let root = Path::root();
    match (name, document.operations.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => {
            let message = "exactly one operation has to be present in the document when operationName is not specified";
            Err(GraphqlError::validation(&root, message))
        }
        (Some(name), operations) => {
            let found = operations
                .iter()
                .find(|operation| operation.name.as_deref() == Some(name));
            let message = format!("no such operation found in the document: \"{name}\"");
            found.ok_or_else(|| GraphqlError::validation(&root, message))
        }
    }
}

/// The type fields are selected of: as the document sees it, and as it will be.
#[derive(Clone, Copy)]
struct Of<'t> {
    name: &'t str,
    concrete: &'t str,
}

impl<'t> Of<'t> {
    fn object(name: &'t str) -> Self {
        Of { name, concrete: name }
    }
}

struct Walk<'a> {
    document: &'a Document,
    schema: &'a RoleSchema,
    coercion: Coercion<'a>,
    variables: &'a Variables<'a>,
    fields: Cell<usize>,
    depth: Cell<usize>,
}

impl<'a> Walk<'a> {
    fn collect(
        &self,
        selection: &'a [Selection],
        ty: Of<'_>,
        inside: &mut Vec<&'a str>,
        path: &Path<'_>,
        out: &mut Vec<Selected>,
    ) -> Result<(), GraphqlError> {
        // Fragments could nest deeper than any one part of the document does.
        if self.depth.get() >= crate::syntax::MAX_DEPTH {
            return Err(GraphqlError::validation(path, "the query nests too deeply"));
        }
        self.depth.set(self.depth.get() + 1);
        let outcome = self.collect_all(selection, ty, inside, path, out);
        self.depth.set(self.depth.get() - 1);
        outcome
    }

    fn collect_all(
        &self,
        selection: &'a [Selection],
        ty: Of<'_>,
        inside: &mut Vec<&'a str>,
        path: &Path<'_>,
        out: &mut Vec<Selected>,
    ) -> Result<(), GraphqlError> {
        for one in selection {
            self.fields.set(self.fields.get() + 1);
            if self.fields.get() > MAX_FIELDS {
                return Err(GraphqlError::validation(path, "the query selects too many fields"));
            }
            match one {
                Selection::Field(field) => {
                    if self.included(&field.directives, path)? {
                        let field = self.field(field, ty, inside, path)?;
                        merge(out, field, path)?;
                    }
                }
                Selection::Inline {
                    on,
                    directives,
                    selection,
                } => {
                    if self.included(directives, path)?
                        && let Some(ty) = self.narrowed(ty, on.as_deref())
                    {
                        self.collect(selection, ty, inside, path, out)?;
                    }
                }
                Selection::Spread { name, directives } => {
                    let Some(fragment) = self.document.fragment(name) else {
                        let message = format!("reference to undefined fragment \"{name}\"");
                        return Err(GraphqlError::validation(&path.key(name), message));
                    };
                    if inside.contains(&name.as_str()) {
                        let message = format!("the fragment definition(s) {name} form a cycle");
                        return Err(GraphqlError::validation(&path.key(name), message));
                    }
                    if self.included(directives, path)?
                        && let Some(ty) = self.narrowed(ty, Some(&fragment.on))
                    {
                        inside.push(name);
                        self.collect(&fragment.selection, ty, inside, path, out)?;
                        inside.pop();
                    }
                }
            }
        }
        Ok(())
    }

    fn field(
        &self,
        field: &'a Field,
        ty: Of<'_>,
        inside: &mut Vec<&'a str>,
        path: &Path<'_>,
    ) -> Result<Selected, GraphqlError> {
        let mut selected = Selected {
            key: field.key().to_owned(),
            name: field.name.clone(),
            parent: ty.concrete.to_owned(),
            args: Map::new(),
            selection: Vec::new(),
        };
        if field.name == "__typename" {
            return Ok(selected);
        }
        let here = path.key(&field.name);
        let fields = self.schema.fields(ty.name);
        let Some(definition) = fields.and_then(|fields| fields.get(&field.name)) else {
            return Err(GraphqlError::validation(
                &here,
                format!("field '{}' not found in type: '{}'", field.name, ty.name),
            ));
        };
        selected.args = self.arguments(field, definition, &here)?;
        let base = definition.ty.base();
        let object = matches!(
            self.schema.types.get(base).map(|ty| &ty.kind),
            Some(Kind::Object(_) | Kind::Interface(_) | Kind::Union)
        );
        match (object, field.selection.is_empty()) {
            (true, true) => {
                return Err(GraphqlError::validation(
                    &here,
                    format!("missing selection set for '{base}'"),
                ));
            }
            (false, false) => {
                return Err(GraphqlError::validation(
                    &here,
                    "unexpected subselection set for non-object field",
                ));
            }
            (false, true) => {}
            (true, false) => {
                let below = here.key("selectionSet");
                if let Some(possible) = self.schema.possible.get(base) {
                    // What it will be is for the other server to know: each object it may be has its own fields.
                    for concrete in possible {
                        let of = Of { name: base, concrete };
                        self.collect(&field.selection, of, inside, &below, &mut selected.selection)?;
                    }
                    return Ok(selected);
                }
                let of = match self.schema.interface(base) {
                    Some(_) => Of {
                        name: base,
                        concrete: self.node_type(&selected.args, &here)?,
                    },
                    None => Of::object(base),
                };
                self.collect(&field.selection, of, inside, &below, &mut selected.selection)?;
            }
        }
        Ok(selected)
    }

    /// The type a condition leaves, if it can hold.
    fn narrowed<'t>(&self, ty: Of<'t>, on: Option<&'t str>) -> Option<Of<'t>> {
        match on {
            None => Some(ty),
            Some(on) if on == ty.concrete => Some(Of::object(ty.concrete)),
            Some(on) if self.schema.interface(on).is_some() && self.schema.is_node(ty.concrete) => Some(Of {
                name: on,
                concrete: ty.concrete,
            }),
            Some(on) if self.schema.may_be(on, ty.concrete) => Some(Of {
                name: on,
                concrete: ty.concrete,
            }),
            Some(_) => None,
        }
    }

    /// The row type a global id names.
    fn node_type(&self, args: &Map<String, Json>, here: &Path<'_>) -> Result<&'a str, GraphqlError> {
        let id = args.get("id").and_then(Json::as_str).unwrap_or_default();
        match relay_id::parse(self.schema, id) {
            Ok((node, _)) => Ok(&node.ty),
            Err(message) => Err(GraphqlError::validation(&here.key("args").key("id"), message)),
        }
    }

    fn arguments(
        &self,
        field: &'a Field,
        definition: &FieldDefinition,
        here: &Path<'_>,
    ) -> Result<Map<String, Json>, GraphqlError> {
        let path = here.key("args");
        let mut given = Vec::with_capacity(field.arguments.len());
        for (name, value) in &field.arguments {
            if !definition.arguments.contains_key(name) {
                let message = format!("'{}' has no argument named '{name}'", field.name);
                return Err(GraphqlError::validation(here, message));
            }
            if given.iter().any(|(known, _)| *known == name.as_str()) {
                let message = format!("multiple definitions for argument \"{name}\"");
                return Err(GraphqlError::validation(here, message));
            }
            given.push((name.as_str(), self.variables.resolve(value, &path.key(name))?));
        }
        match self
            .coercion
            .fields(&given, &field.name, &definition.arguments, &path)?
        {
            Json::Object(args) => Ok(args),
            _ => Ok(Map::new()),
        }
    }

    fn included(&self, directives: &'a [Directive], path: &Path<'_>) -> Result<bool, GraphqlError> {
        let mut included = true;
        for directive in directives {
            let wanted = match directive.name.as_str() {
                "include" => true,
                "skip" => false,
                "cached" | "_multiple_top_level_fields" => continue,
                name => {
                    let message = format!("directive '{name}' is not defined in the schema");
                    return Err(GraphqlError::validation(path, message));
                }
            };
            let here = path.key(&directive.name);
            let Some((_, value)) = directive.arguments.iter().find(|(name, _)| name == "if") else {
                return Err(GraphqlError::validation(&here.key("if"), "missing required field 'if'"));
            };
            let value = self.variables.resolve(value, &here)?;
            let ty = TypeRef::named("Boolean").required();
            if value.is_text() {
                return Err(self.coercion.found(&value, &ty, &here.key("if")));
            }
            let condition = self.coercion.value(&value, &ty, &here.key("if"))?;
            included &= (condition == Json::Bool(true)) == wanted;
        }
        Ok(included)
    }
}

/// The same key twice is one field, if it is the same field.
fn merge(out: &mut Vec<Selected>, field: Selected, path: &Path<'_>) -> Result<(), GraphqlError> {
    let Some(known) = out
        .iter_mut()
        .find(|known| known.key == field.key && known.parent == field.parent)
    else {
        if out.len() == MAX_FIELDS_OF_ONE {
            let message = format!("the query selects more than {MAX_FIELDS_OF_ONE} fields of one object");
            return Err(GraphqlError::validation(path, message));
        }
        out.push(field);
        return Ok(());
    };
    if known.name != field.name {
        let message = format!(
            "selection of both '{}' and '{}' specify the same response name, '{}'",
            known.name, field.name, field.key
        );
        return Err(GraphqlError::validation(path, message));
    }
    if known.args != field.args {
        let message = format!(
            "inconsistent arguments between multiple selections of field '{}'",
            field.name
        );
        return Err(GraphqlError::validation(path, message));
    }
    for below in field.selection {
        merge(&mut known.selection, below, path)?;
    }
    Ok(())
}
