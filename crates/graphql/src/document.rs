//! What can be said about a document without a schema: what it asks for, which variables it has, whether two ask the same.

use crate::errors::GraphqlError;
use crate::syntax::{self, Document, OperationKind, Selection, TypeRef};

/// An operation's kind and variables.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationInfo {
    pub kind: OperationKind,
    pub variables: Vec<VariableInfo>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VariableInfo {
    pub name: String,
    /// The innermost type's name.
    pub base: String,
    pub list: bool,
    pub required: bool,
    pub has_default: bool,
    /// As written.
    pub ty: String,
}

/// # Errors
/// The text is no document with exactly one operation.
pub fn operation_info(query: &str) -> Result<OperationInfo, GraphqlError> {
    let document = parsed(query)?;
    let [operation] = document.operations.as_slice() else {
        let message = "exactly one operation is expected";
        return Err(GraphqlError::new("validation-failed", "$.query", message));
    };
    let variables = operation.variables.iter().map(|variable| VariableInfo {
        name: variable.name.clone(),
        base: variable.ty.base().to_owned(),
        list: matches!(variable.ty, TypeRef::List { .. }),
        required: variable.ty.is_required() && variable.default.is_none(),
        has_default: variable.default.is_some(),
        ty: variable.ty.to_string(),
    });
    Ok(OperationInfo {
        kind: operation.kind,
        variables: variables.collect(),
    })
}

/// A document as what it asks for: white space, comments and `__typename` make no difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Normal(Document);

impl Normal {
    /// # Errors
    /// The text is no document.
    pub fn of(query: &str) -> Result<Self, GraphqlError> {
        let mut document = parsed(query)?;
        for operation in &mut document.operations {
            without_typename(&mut operation.selection);
        }
        for fragment in &mut document.fragments {
            without_typename(&mut fragment.selection);
        }
        Ok(Normal(document))
    }
}

fn without_typename(selection: &mut Vec<Selection>) {
    selection.retain(|one| !matches!(one, Selection::Field(field) if field.name == "__typename"));
    for one in selection {
        match one {
            Selection::Field(field) => without_typename(&mut field.selection),
            Selection::Inline { selection, .. } => without_typename(selection),
            Selection::Spread { .. } => {}
        }
    }
}

fn parsed(query: &str) -> Result<Document, GraphqlError> {
    syntax::parse_document(query)
        .map_err(|_| GraphqlError::new("validation-failed", "$.query", "not a valid graphql query"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_and_typename_make_no_difference() {
        let normal = |query: &str| Normal::of(query).expect(query);
        assert_eq!(normal("{ a { b __typename } }"), normal("query {\n  a { b } # c\n}"));
        assert_ne!(normal("{ a { b } }"), normal("{ a { c } }"));
    }

    #[test]
    fn variables_are_told_with_their_types() {
        let info = operation_info("query ($a: Int!, $b: [uuid!] = []) { x }").expect("one operation");
        let told: Vec<_> = info
            .variables
            .iter()
            .map(|one| (one.base.as_str(), one.list, one.required))
            .collect();
        assert_eq!(told, [("Int", false, true), ("uuid", true, false)]);
    }
}
