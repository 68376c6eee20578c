//! GraphQL types as one role sees them. Validation and introspection both read these and nothing else.

use crate::model::Naming;
use crate::syntax::TypeRef;
use indexmap::IndexMap;
use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq)]
pub struct TypeDefinition {
    pub description: Option<String>,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Scalar,
    /// Name and description of each value.
    Enum(Vec<(String, String)>),
    Input(IndexMap<String, InputDefinition>),
    Object(IndexMap<String, FieldDefinition>),
    /// What several objects have.
    Interface(IndexMap<String, FieldDefinition>),
    /// Some object: a remote schema's.
    Union,
}

#[derive(Debug, Clone, PartialEq)]
pub struct InputDefinition {
    pub ty: TypeRef,
    /// What the planner knows it as, where a naming convention shows it otherwise.
    pub canonical: Option<String>,
    /// Text does not stand for a number.
    pub strict: bool,
    /// As written in GraphQL.
    pub default: Option<Cow<'static, str>>,
    pub description: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FieldDefinition {
    pub ty: TypeRef,
    pub arguments: IndexMap<String, InputDefinition>,
    pub description: Option<String>,
}

impl FieldDefinition {
    pub fn new(ty: TypeRef) -> Self {
        FieldDefinition {
            ty,
            arguments: IndexMap::new(),
            description: None,
        }
    }

    pub fn argument(mut self, name: &str, ty: TypeRef, description: &str) -> Self {
        self.arguments
            .insert(name.to_owned(), InputDefinition::new(ty).described(description));
        self
    }

    /// An argument of ours, in the source's naming convention.
    pub fn own_argument(mut self, naming: &Naming, name: &str, ty: TypeRef, description: &str) -> Self {
        let (shown, definition) = own(naming, name, InputDefinition::new(ty).described(description));
        self.arguments.insert(shown, definition);
        self
    }

    /// Empty text is none.
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into()).filter(|text: &String| !text.is_empty());
        self
    }
}

/// A name of ours as the convention shows it, and the definition that remembers it.
pub fn own(naming: &Naming, name: &str, mut definition: InputDefinition) -> (String, InputDefinition) {
    let shown = naming.field(name);
    definition.canonical = (shown != name).then(|| name.to_owned());
    (shown, definition)
}

impl InputDefinition {
    pub fn new(ty: TypeRef) -> Self {
        InputDefinition {
            ty,
            canonical: None,
            strict: false,
            default: None,
            description: None,
        }
    }

    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into()).filter(|text: &String| !text.is_empty());
        self
    }
}

pub fn named(name: impl Into<String>) -> TypeRef {
    TypeRef::named(name)
}

pub fn required(name: impl Into<String>) -> TypeRef {
    TypeRef::named(name).required()
}

/// `[name!]`
pub fn list(name: impl Into<String>) -> TypeRef {
    TypeRef::list(TypeRef::named(name).required())
}
