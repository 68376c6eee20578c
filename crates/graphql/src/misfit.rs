//! Whether a listed operation still fits the schema, judged by its fields alone: no variables are needed.

use crate::schema::{Kind, RoleSchema};
use crate::syntax::{Document, OperationKind, Selection};

/// The fields that are not there, as `$.a.b: field 'b' not found in object 'a_type'`.
pub fn misfits(schema: &RoleSchema, document: &Document) -> Vec<String> {
    let mut walk = Walk {
        schema,
        document,
        found: Vec::new(),
    };
    for operation in &document.operations {
        let root = match operation.kind {
            OperationKind::Query => "query_root",
            OperationKind::Mutation => "mutation_root",
            OperationKind::Subscription => "subscription_root",
        };
        walk.walk(&operation.selection, root, "$", 0);
    }
    walk.found
}

struct Walk<'a> {
    schema: &'a RoleSchema,
    document: &'a Document,
    found: Vec<String>,
}

impl Walk<'_> {
    fn walk(&mut self, selection: &[Selection], ty: &str, path: &str, depth: usize) {
        // One bad operation is told with some of its faults, not with all.
        if depth > crate::syntax::MAX_DEPTH || self.found.len() > 20 {
            return;
        }
        for one in selection {
            match one {
                Selection::Field(field) if field.name.starts_with("__") => {}
                Selection::Field(field) => self.field(field, ty, path, depth),
                Selection::Inline { on, selection, .. } => {
                    self.walk(selection, on.as_deref().unwrap_or(ty), path, depth + 1);
                }
                Selection::Spread { name, .. } => {
                    if let Some(fragment) = self.document.fragment(name) {
                        self.walk(&fragment.selection, &fragment.on, path, depth + 1);
                    }
                }
            }
        }
    }

    fn field(&mut self, field: &crate::syntax::Field, ty: &str, path: &str, depth: usize) {
        let here = format!("{path}.{}", field.name);
        let Some(definition) = self.schema.fields(ty).and_then(|fields| fields.get(&field.name)) else {
            self.found
                .push(format!("{here}: field '{}' not found in object '{ty}'", field.name));
            return;
        };
        let base = definition.ty.base();
        if matches!(
            self.schema.types.get(base).map(|ty| &ty.kind),
            Some(Kind::Object(_) | Kind::Interface(_) | Kind::Union)
        ) {
            self.walk(&field.selection, base, &here, depth + 1);
        }
    }
}
