//! Actions and their types. A type that names one that is not there makes all custom types inconsistent, as in Hasura; an
//! action that does, itself.

use super::{Inconsistency, Model};
use crate::syntax::{TypeRef, parse_type};
use indexmap::IndexMap;
use metadata::{CustomTypes, Metadata, OutputRelationship};
use serde_json::{Value, json};

#[derive(Debug)]
pub struct Action {
    pub name: String,
    pub comment: Option<String>,
    pub arguments: IndexMap<String, Described>,
    pub output: TypeRef,
    pub query: bool,
    pub asynchronous: bool,
    /// Who may use it, beside the administrator.
    pub roles: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Described {
    pub ty: TypeRef,
    pub description: Option<String>,
}

#[derive(Debug, Default)]
pub struct Custom {
    pub inputs: IndexMap<String, Input>,
    pub objects: IndexMap<String, Output>,
    pub scalars: IndexMap<String, Option<String>>,
    pub enums: IndexMap<String, Enumeration>,
}

#[derive(Debug)]
pub struct Input {
    pub description: Option<String>,
    pub fields: IndexMap<String, Described>,
}

#[derive(Debug)]
pub struct Enumeration {
    pub description: Option<String>,
    /// With their descriptions.
    pub values: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Output {
    pub description: Option<String>,
    pub fields: IndexMap<String, Described>,
    pub joined: IndexMap<String, Joined>,
}

/// To rows of a table.
#[derive(Debug)]
pub struct Joined {
    pub array: bool,
    /// The table's position.
    pub target: usize,
    /// Field of the object and position of the column.
    pub pairs: Vec<(String, usize)>,
}

/// Names that stand for PostgreSQL's types, beside those that tracked tables have.
const SCALARS: [&str; 24] = [
    "Boolean",
    "Float",
    "ID",
    "Int",
    "String",
    "bigint",
    "bpchar",
    "bytea",
    "citext",
    "date",
    "double_precision",
    "float8",
    "inet",
    "interval",
    "json",
    "jsonb",
    "money",
    "numeric",
    "smallint",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
];

impl Model {
    pub(super) fn add_actions(&mut self, metadata: &Metadata, wrong: &mut Vec<Inconsistency>) {
        match self.custom_types(&metadata.custom_types) {
            Ok(custom) => self.custom = custom,
            Err(reason) => wrong.push(Inconsistency {
                kind: "custom_types",
                name: "custom_types".to_owned(),
                reason: format!("Inconsistent object: {reason}"),
                definition: json!(metadata.custom_types),
            }),
        }
        for action in &metadata.actions {
            match self.action(action) {
                Ok(made) => self.actions.push(made),
                Err(reason) => wrong.push(Inconsistency {
                    kind: "action",
                    name: format!("action {}", action.name),
                    reason: format!("Inconsistent object: in action \"{}\"; {reason}", action.name),
                    definition: json!(action),
                }),
            }
        }
    }

    fn action(&self, action: &metadata::Action) -> Result<Action, String> {
        let definition = &action.definition;
        super::is_graphql_name(&action.name)
            .then_some(())
            .ok_or("its name is no GraphQL name")?;
        if self.has_root(definition.is_query(), &action.name) {
            return Err("a root field of a table or function has its name".to_owned());
        }
        let mut arguments = IndexMap::new();
        for argument in &definition.arguments {
            let ty = read(&argument.ty)?;
            if !self.is_input(&self.custom, ty.base()) {
                return Err(format!(
                    "the type: \"{}\" of argument \"{}\" is not an input type that exists",
                    ty.base(),
                    argument.name
                ));
            }
            let described = Described {
                ty,
                description: argument.description.clone(),
            };
            arguments.insert(argument.name.clone(), described);
        }
        let output = read(&definition.output_type)?;
        if !self.custom.objects.contains_key(output.base()) && !self.is_leaf(&self.custom, output.base()) {
            return Err(format!(
                "the type: \"{}\" is not an object type defined in custom types",
                output.base()
            ));
        }
        if definition.is_asynchronous() && output.base() != definition.output_type.trim_end_matches('!') {
            // A list of objects is well formed for synchronous actions only.
            return Err("the output type of an asynchronous action is an object".to_owned());
        }
        Ok(Action {
            name: action.name.clone(),
            comment: action.comment.clone(),
            arguments,
            output,
            query: definition.is_query(),
            asynchronous: definition.is_asynchronous(),
            roles: action
                .permissions
                .iter()
                .map(|permission| permission.role.clone())
                .collect(),
        })
    }

    fn custom_types(&self, given: &CustomTypes) -> Result<Custom, String> {
        let mut custom = Custom::default();
        let mut names: Vec<&str> = Vec::new();
        let all = given.input_objects.iter().map(|one| &one.name);
        let all = all.chain(given.objects.iter().map(|one| &one.name));
        let all = all.chain(given.scalars.iter().map(|one| &one.name));
        for name in all.chain(given.enums.iter().map(|one| &one.name)) {
            if !super::is_graphql_name(name) {
                return Err(format!("\"{name}\" is no name of a GraphQL type"));
            }
            let of_table = (0..self.tables.len()).any(|table| self.type_name(table, "") == *name);
            if of_table {
                return Err(format!("the type \"{name}\" has the name of a table's type"));
            }
            if names.contains(&name.as_str()) {
                return Err(format!("the type \"{name}\" is defined more than once"));
            }
            names.push(name);
        }
        for scalar in &given.scalars {
            custom.scalars.insert(scalar.name.clone(), scalar.description.clone());
        }
        for one in &given.enums {
            let values = one.values.iter();
            let values = values.map(|value| (value.value.clone(), value.description.clone().unwrap_or_default()));
            let enumeration = Enumeration {
                description: one.description.clone(),
                values: values.collect(),
            };
            custom.enums.insert(one.name.clone(), enumeration);
        }
        for one in &given.input_objects {
            let input = Input {
                description: one.description.clone(),
                fields: fields(&one.fields)?,
            };
            custom.inputs.insert(one.name.clone(), input);
        }
        for one in &given.objects {
            let output = Output {
                description: one.description.clone(),
                fields: fields(&one.fields)?,
                joined: IndexMap::new(),
            };
            custom.objects.insert(one.name.clone(), output);
        }
        for (name, input) in &custom.inputs {
            self.check(name, &input.fields, |ty| self.is_input(&custom, ty))?;
        }
        for (name, object) in &custom.objects {
            self.check(name, &object.fields, |ty| {
                custom.objects.contains_key(ty) || self.is_leaf(&custom, ty)
            })?;
        }
        for one in &given.objects {
            for relationship in &one.relationships {
                let joined = self.joined(&custom.objects[&one.name], relationship);
                let joined = joined.map_err(|reason| format!("in object type \"{}\": {reason}", one.name))?;
                if let Some(object) = custom.objects.get_mut(&one.name) {
                    object.joined.insert(relationship.name.clone(), joined);
                }
            }
        }
        Ok(custom)
    }

    fn check(
        &self,
        name: &str,
        fields: &IndexMap<String, Described>,
        known: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let missing = fields.iter().find(|(_, described)| !known(described.ty.base()));
        match missing {
            Some((field, described)) => Err(format!(
                "the type \"{}\" for field \"{field}\" in type \"{name}\" is not defined in custom types",
                described.ty.base()
            )),
            None => Ok(()),
        }
    }

    fn joined(&self, object: &Output, given: &OutputRelationship) -> Result<Joined, String> {
        let name = &given.name;
        if object.fields.contains_key(name) {
            return Err(format!("the relationship \"{name}\" has the name of a field"));
        }
        let array = match given.kind.as_str() {
            "array" => true,
            "object" => false,
            other => {
                return Err(format!(
                    "the relationship \"{name}\" is of type 'object' or 'array', not '{other}'"
                ));
            }
        };
        let source = self.sources.iter().position(|source| source.name == given.source);
        let is_it = |table: &&super::Table| {
            Some(table.source) == source
                && table.schema == given.remote_table.schema
                && table.name == given.remote_table.name
        };
        let target = self
            .tables
            .iter()
            .find(is_it)
            .and_then(|found| self.tables.iter().position(|table| std::ptr::eq(table, found)));
        let Some(target) = target else {
            let table = &given.remote_table;
            return Err(format!(
                "the relationship \"{name}\" leads to table \"{table}\", which is not tracked in source \"{}\"",
                given.source
            ));
        };
        let mut pairs = Vec::new();
        for (field, column) in &given.field_mapping {
            let column = column.as_str().unwrap_or_default();
            let Some(described) = object.fields.get(field) else {
                return Err(format!(
                    "the relationship \"{name}\" names the field \"{field}\", which is not there"
                ));
            };
            if matches!(described.ty, TypeRef::List { .. }) || self.custom.objects.contains_key(described.ty.base()) {
                return Err(format!(
                    "the relationship \"{name}\" needs a scalar in field \"{field}\""
                ));
            }
            let at = self.tables[target]
                .columns
                .iter()
                .position(|known| known.name == column);
            let at =
                at.ok_or_else(|| format!("the relationship \"{name}\" names column \"{column}\", which is not there"))?;
            pairs.push((field.clone(), at));
        }
        Ok(Joined { array, target, pairs })
    }

    fn is_leaf(&self, custom: &Custom, ty: &str) -> bool {
        let ours = || {
            let mut columns = self.tables.iter().flat_map(|table| &table.columns);
            columns.any(|column| super::scalar_of(&column.ty) == ty)
        };
        custom.scalars.contains_key(ty) || custom.enums.contains_key(ty) || SCALARS.contains(&ty) || ours()
    }

    fn is_input(&self, custom: &Custom, ty: &str) -> bool {
        custom.inputs.contains_key(ty) || self.is_leaf(custom, ty)
    }
}

fn read(text: &str) -> Result<TypeRef, String> {
    parse_type(text).map_err(|_| format!("\"{text}\" is no GraphQL type"))
}

fn fields(given: &[metadata::CustomField]) -> Result<IndexMap<String, Described>, String> {
    let mut fields = IndexMap::new();
    for field in given {
        let described = Described {
            ty: read(&field.ty)?,
            description: field.description.clone(),
        };
        fields.insert(field.name.clone(), described);
    }
    Ok(fields)
}

/// What a field of an output object is by itself.
pub fn is_numeric(ty: &str) -> bool {
    matches!(ty, "smallint" | "bigint" | "numeric" | "float8" | "double_precision")
}

/// Numbers that were written as numbers are numbers for a webhook too.
pub fn as_number(value: Value) -> Value {
    let number = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match number.filter(Value::is_number) {
        Some(number) => number,
        None => value,
    }
}
