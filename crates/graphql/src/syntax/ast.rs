//! A GraphQL document as written: names and values untouched, nothing resolved.

use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub operations: Vec<Operation>,
    pub fragments: Vec<Fragment>,
}

impl Document {
    pub fn fragment(&self, name: &str) -> Option<&Fragment> {
        self.fragments.iter().find(|fragment| fragment.name == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    Query,
    Mutation,
    Subscription,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub kind: OperationKind,
    pub name: Option<String>,
    pub variables: Vec<VariableDefinition>,
    pub directives: Vec<Directive>,
    pub selection: Vec<Selection>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VariableDefinition {
    pub name: String,
    pub ty: TypeRef,
    pub default: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    pub name: String,
    pub on: String,
    pub directives: Vec<Directive>,
    pub selection: Vec<Selection>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    Field(Field),
    Spread {
        name: String,
        directives: Vec<Directive>,
    },
    Inline {
        on: Option<String>,
        directives: Vec<Directive>,
        selection: Vec<Selection>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub alias: Option<String>,
    pub name: String,
    pub arguments: Vec<(String, Value)>,
    pub directives: Vec<Directive>,
    pub selection: Vec<Selection>,
}

impl Field {
    /// The key of this field in the answer.
    pub fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Directive {
    pub name: String,
    pub arguments: Vec<(String, Value)>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Variable(String),
    Int(String),
    Float(String),
    String(String),
    Boolean(bool),
    Null,
    Enum(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// A type as used: `[author_bool_exp!]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeRef {
    Named { name: String, non_null: bool },
    List { of: Box<TypeRef>, non_null: bool },
}

impl TypeRef {
    pub fn named(name: impl Into<String>) -> Self {
        TypeRef::Named {
            name: name.into(),
            non_null: false,
        }
    }

    pub fn list(of: TypeRef) -> Self {
        TypeRef::List {
            of: Box::new(of),
            non_null: false,
        }
    }

    pub fn required(self) -> Self {
        self.with_non_null(true)
    }

    pub fn optional(self) -> Self {
        self.with_non_null(false)
    }

    pub fn with_non_null(self, non_null: bool) -> Self {
        match self {
            TypeRef::Named { name, .. } => TypeRef::Named { name, non_null },
            TypeRef::List { of, .. } => TypeRef::List { of, non_null },
        }
    }

    pub fn is_required(&self) -> bool {
        match self {
            TypeRef::Named { non_null, .. } | TypeRef::List { non_null, .. } => *non_null,
        }
    }

    /// The name inside all lists.
    pub fn base(&self) -> &str {
        match self {
            TypeRef::Named { name, .. } => name,
            TypeRef::List { of, .. } => of.base(),
        }
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeRef::Named { name, .. } => f.write_str(name)?,
            TypeRef::List { of, .. } => write!(f, "[{of}]")?,
        }
        if self.is_required() { f.write_str("!") } else { Ok(()) }
    }
}
