//! How things are called in GraphQL: a source's prefixes and suffixes, and its naming convention.

use crate::Options;
use metadata::Customization;

#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// The field under which this source's roots stand.
    pub namespace: Option<String>,
    root: (String, String),
    ty: (String, String),
    /// `graphql-default`: fieldNames, TypeNames, ENUM_VALUES.
    pub camel: bool,
}

impl Naming {
    pub fn of(given: Option<&Customization>, options: &Options) -> Self {
        let affixes = |given: Option<&metadata::Affixes>| {
            let text = |part: Option<&String>| part.cloned().unwrap_or_default();
            (
                text(given.and_then(|given| given.prefix.as_ref())),
                text(given.and_then(|given| given.suffix.as_ref())),
            )
        };
        let roots = given.and_then(|given| given.root_fields.as_ref());
        let convention = given.and_then(|given| given.naming_convention.as_deref());
        let convention = convention.or(options.naming_convention.as_deref());
        Naming {
            namespace: roots
                .and_then(|roots| roots.namespace.clone())
                .filter(|name| !name.is_empty()),
            root: affixes(roots.map(|roots| &roots.affixes)),
            ty: affixes(given.and_then(|given| given.type_names.as_ref())),
            camel: options.conventions && convention == Some("graphql-default"),
        }
    }

    /// A type's name from its parts: `author`, `bool_exp`.
    pub fn type_name(&self, parts: &[&str]) -> String {
        let mut name = String::new();
        for (place, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            match self.camel {
                // The first part is in its form already.
                true if place > 0 => name.push_str(&pascal(part)),
                true => name.push_str(part),
                false => {
                    if !name.is_empty() {
                        name.push('_');
                    }
                    name.push_str(part);
                }
            }
        }
        format!("{}{name}{}", self.ty.0, self.ty.1)
    }

    /// A root field's name: the operator's own, or one made of parts such as `insert`, `author`, `one`.
    pub fn root_field(&self, custom: Option<&str>, parts: &[&str]) -> String {
        let name = match custom {
            Some(custom) => custom.to_owned(),
            None => self.joined(parts),
        };
        format!("{}{name}{}", self.root.0, self.root.1)
    }

    fn joined(&self, parts: &[&str]) -> String {
        if !self.camel {
            return parts.join("_");
        }
        let mut name = String::new();
        for part in parts {
            match name.is_empty() {
                true => name.push_str(part),
                false => name.push_str(&pascal(part)),
            }
        }
        name
    }

    /// A field, argument or operator of ours, given in snake case.
    pub fn field(&self, name: &str) -> String {
        match self.camel {
            true => camel(name),
            false => name.to_owned(),
        }
    }

    /// The base of a table's types.
    pub fn base_type(&self, name: &str) -> String {
        match self.camel {
            true => pascal(name),
            false => name.to_owned(),
        }
    }

    pub fn enum_value(&self, value: &str) -> String {
        match self.camel {
            true => value.to_uppercase(),
            false => value.to_owned(),
        }
    }
}

/// Leading underscores stay: `_is_null` is `_isNull`.
fn camel(name: &str) -> String {
    let word = name.trim_start_matches('_');
    let lead = &name[..name.len() - word.len()];
    let mut made = lead.to_owned();
    for (place, part) in word.split('_').enumerate() {
        match place {
            0 => made.push_str(part),
            _ => made.push_str(&capital(part)),
        }
    }
    made
}

fn pascal(name: &str) -> String {
    capital(&camel(name))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

pub fn is_graphql_name(name: &str) -> bool {
    !name.starts_with("__")
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_conventions_join_parts_in_their_way() {
        let snake = Naming::default();
        assert_eq!(snake.type_name(&["author", "bool_exp"]), "author_bool_exp");
        assert_eq!(
            snake.root_field(None, &["insert", "author", "one"]),
            "insert_author_one"
        );
        let camel = Naming {
            camel: true,
            ..Naming::default()
        };
        assert_eq!(camel.type_name(&["AuthorLocal", "bool_exp"]), "AuthorLocalBoolExp");
        assert_eq!(
            camel.root_field(None, &["insert", "author_local", "one"]),
            "insertAuthorLocalOne"
        );
        assert_eq!(camel.root_field(None, &["authorLocal", "by_pk"]), "authorLocalByPk");
        assert_eq!(camel.field("_is_null"), "_isNull");
    }
}
