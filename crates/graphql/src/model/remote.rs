//! A remote schema: the types it says it has, as they are shown here, and what they are called there.

use crate::schema::TypeDefinition;
use std::collections::{BTreeMap, HashMap, HashSet};

#[derive(Debug, Default)]
pub struct Remote {
    pub name: String,
    /// Under which its root fields stand.
    pub namespace: Option<String>,
    pub types: BTreeMap<String, TypeDefinition>,
    /// What objects its interfaces and unions may be.
    pub possible: HashMap<String, Vec<String>>,
    pub foreign: HashSet<String>,
    /// The types of its root fields.
    pub query: Option<String>,
    pub mutation: Option<String>,
    /// Its own names for types that are shown under another.
    types_there: HashMap<String, String>,
    /// Its own names for fields, by the type they are shown in.
    fields_there: HashMap<String, HashMap<String, String>>,
}

impl Remote {
    pub fn new(name: &str, namespace: Option<String>) -> Self {
        Remote {
            name: name.to_owned(),
            namespace,
            ..Remote::default()
        }
    }

    pub fn rename_type(&mut self, shown: &str, there: &str) {
        if shown != there {
            self.types_there.insert(shown.to_owned(), there.to_owned());
        }
    }

    pub fn rename_field(&mut self, ty: &str, shown: &str, there: &str) {
        if shown != there {
            let fields = self.fields_there.entry(ty.to_owned()).or_default();
            fields.insert(shown.to_owned(), there.to_owned());
        }
    }

    /// What it calls a type of its.
    pub fn type_there<'t>(&'t self, shown: &'t str) -> &'t str {
        self.types_there.get(shown).map_or(shown, String::as_str)
    }

    /// What it calls a field of its.
    pub fn field_there<'f>(&'f self, ty: &str, shown: &'f str) -> &'f str {
        let fields = self.fields_there.get(ty);
        fields
            .and_then(|fields| fields.get(shown))
            .map_or(shown, String::as_str)
    }

    /// Whether types have other names here, which its answers do not know.
    pub fn renames_types(&self) -> bool {
        !self.types_there.is_empty()
    }
}
