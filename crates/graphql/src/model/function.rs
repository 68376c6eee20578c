//! Tracked functions as root fields.

use super::{Inconsistency, Model, computed::Slot};
use crate::{Options, catalog};
use metadata::{FunctionEntry, TableName};

#[derive(Debug)]
pub struct Function {
    /// Position in the model's sources.
    pub source: usize,
    pub schema: String,
    pub name: String,
    /// The base of root fields and types.
    pub field: String,
    pub custom_field: Option<String>,
    pub custom_aggregate: Option<String>,
    pub arguments: Vec<Slot>,
    /// The table whose rows it returns.
    pub table: usize,
    pub many: bool,
    pub mutation: bool,
    pub comment: Option<String>,
    /// Who may call it, beside the administrator.
    pub roles: Vec<String>,
    /// Who may read the table may call it.
    pub inferred: bool,
}

#[derive(Debug, Clone)]
pub struct Argument {
    /// In the database; `None`: it is given by its place.
    pub name: Option<String>,
    pub field: String,
    pub ty: String,
    pub array: bool,
    pub sql_type: String,
    pub has_default: bool,
}

impl Argument {
    /// What has no name is called by its number.
    pub(super) fn of(argument: &catalog::Argument, unnamed: &mut usize) -> Self {
        let field = argument.name.clone().unwrap_or_else(|| {
            *unnamed += 1;
            format!("arg_{unnamed}")
        });
        Argument {
            name: argument.name.clone(),
            field,
            ty: argument.ty.name.clone(),
            array: argument.ty.is_array,
            sql_type: argument.ty.sql.clone(),
            has_default: argument.has_default,
        }
    }
}

impl Function {
    pub fn given(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter_map(|slot| match slot {
            Slot::Given(argument) => Some(argument),
            _ => None,
        })
    }
}

pub(super) fn resolve(
    context: &super::Context<'_>,
    entry: &FunctionEntry,
    model: &mut Model,
    options: &Options,
    wrong: &mut Vec<Inconsistency>,
) {
    match function(context, entry, model, options) {
        Ok(function) => model.functions.push(function),
        Err(text) => {
            let text = format!("in function \"{}\": {text}", entry.function);
            wrong.push(Inconsistency::function(&entry.function, context.source_name, text));
        }
    }
}

fn function(
    context: &super::Context<'_>,
    entry: &FunctionEntry,
    model: &Model,
    options: &Options,
) -> Result<Function, String> {
    let name = &entry.function;
    let overloads = context.catalog.functions(&name.schema, &name.name);
    let facts = match overloads.as_slice() {
        [] => return Err(format!("no such function exists: \"{name}\"")),
        [one] => *one,
        _ => {
            return Err(format!(
                "function \"{name}\" is overloaded. Overloaded functions are not supported"
            ));
        }
    };
    let configuration = entry.configuration.clone().unwrap_or_default();
    let mut reasons = Vec::new();
    if facts.variadic {
        reasons.push("function with \"VARIADIC\" parameters are not supported".to_owned());
    }
    let returned = facts.returns.table.as_ref().map(|table| TableName {
        schema: table.schema.clone(),
        name: table.name.clone(),
    });
    let table = returned.as_ref().and_then(|table| context.known.get(table)).copied();
    match (&returned, table) {
        (None, _) => reasons.push("the function does not return a \"COMPOSITE\" type".to_owned()),
        (Some(returned), None) => reasons.push(format!("the return type \"{returned}\" is not tracked")),
        _ => {}
    }
    let session = configuration.session_argument.as_ref();
    let is_session = |argument: &catalog::Argument| session.is_some() && argument.name.as_ref() == session;
    if let Some(asked) = session {
        match facts.arguments.iter().find(|argument| is_session(argument)) {
            None => reasons.push(format!(
                "the session argument \"{asked}\" is not an input argument of the function"
            )),
            Some(argument) if argument.ty.name != "json" => {
                reasons.push(format!("given session argument \"{asked}\" is not of type json"));
            }
            Some(_) => {}
        }
    }
    let asked = configuration.exposed_as.as_deref();
    if asked == Some("mutation") && !facts.volatile {
        reasons.push(
            "the function was requested to be exposed as a mutation, but is not marked VOLATILE. Maybe the function was \
             given the wrong volatility when it was defined?"
                .to_owned(),
        );
    }
    let (Some(table), true) = (table, reasons.is_empty()) else {
        let what = format!("the function \"{name}\" cannot be tracked");
        return Err(match reasons.as_slice() {
            [one] => format!("{what} because {one}"),
            many => format!("{what} for the following reasons:\n  • {}\n", many.join("\n  • ")),
        });
    };
    let mut unnamed = 0;
    let slot = |argument: &catalog::Argument| match is_session(argument) {
        true => Slot::Session(argument.name.clone()),
        false => Slot::Given(Argument::of(argument, &mut unnamed)),
    };
    let usual = match name.schema.as_str() {
        "public" => name.name.clone(),
        schema => format!("{schema}_{}", name.name),
    };
    let custom = |key: &str| {
        configuration
            .custom_root_fields
            .get(key)
            .and_then(|name| name.as_str())
            .map(str::to_owned)
    };
    let mutation = match configuration.exposed_as.as_deref() {
        Some("mutation") => true,
        Some(_) => false,
        None => facts.volatile,
    };
    Ok(Function {
        source: context.source,
        schema: name.schema.clone(),
        name: name.name.clone(),
        field: configuration.custom_name.clone().unwrap_or_else(|| {
            let naming = &model.sources[context.source].naming;
            naming.field(&usual)
        }),
        custom_field: custom("function"),
        custom_aggregate: custom("function_aggregate"),
        arguments: facts.arguments.iter().map(slot).collect(),
        table,
        many: facts.returns_set,
        mutation,
        comment: entry.comment.clone().or_else(|| facts.comment.clone()),
        roles: entry
            .permissions
            .iter()
            .map(|permission| permission.role.clone())
            .collect(),
        inferred: options.infer_function_permissions && !mutation && !facts.volatile,
    })
}
