//! What one role may do with one table, its columns as positions.

use super::{Column, Context, Inconsistency, Model, Returns};
use metadata::{Columns, InputValidation, TableEntry};
use serde_json::{Map, Value, json};

/// What one role may do with one table.
#[derive(Debug, Default, Clone)]
pub struct Permissions {
    pub select: Option<Select>,
    pub insert: Option<Insert>,
    pub update: Option<Update>,
    pub delete: Option<Delete>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Select {
    pub columns: Vec<usize>,
    /// Names of scalar ones; those that return rows follow their table's permission.
    pub computed: Vec<String>,
    pub filter: Value,
    pub limit: Option<u64>,
    pub aggregations: bool,
    /// `None`: all of them.
    pub query_roots: Option<Vec<String>>,
    pub subscription_roots: Option<Vec<String>>,
    /// Fields shown in some of the rows only: under which condition.
    pub cells: Vec<(Cell, Value)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Column(usize),
    Computed(String),
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Insert {
    pub columns: Vec<usize>,
    pub check: Value,
    pub set: Map<String, Value>,
    pub backend_only: bool,
    pub validate: Option<InputValidation>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Update {
    pub columns: Vec<usize>,
    pub filter: Value,
    pub check: Option<Value>,
    pub set: Map<String, Value>,
    pub backend_only: bool,
    pub validate: Option<InputValidation>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Delete {
    pub filter: Value,
    pub backend_only: bool,
    pub validate: Option<InputValidation>,
}

fn everything() -> Value {
    Value::Object(Map::new())
}

impl Permissions {
    /// An administrator's.
    pub fn all(table: &super::Table) -> Self {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let filter = everything();
        Permissions {
            select: Some(Select {
                columns: columns.clone(),
                computed: table.computed.keys().cloned().collect(),
                filter: filter.clone(),
                aggregations: true,
                ..Select::default()
            }),
            insert: Some(Insert {
                columns: columns.clone(),
                check: filter.clone(),
                ..Insert::default()
            }),
            update: Some(Update {
                columns,
                filter: filter.clone(),
                ..Update::default()
            }),
            delete: Some(Delete {
                filter,
                ..Delete::default()
            }),
        }
    }

    /// Kinds of writing in which the roles contradict each other: a role made of them gets none of them.
    pub fn contradictions(all: &[Permissions]) -> Vec<&'static str> {
        let whole = Self::together(all);
        let lost = |kind: &'static str, any: bool, kept: bool| (any && !kept).then_some(kind);
        let kinds = [
            lost(
                "insert",
                all.iter().any(|one| one.insert.is_some()),
                whole.insert.is_some(),
            ),
            lost(
                "update",
                all.iter().any(|one| one.update.is_some()),
                whole.update.is_some(),
            ),
            lost(
                "delete",
                all.iter().any(|one| one.delete.is_some()),
                whole.delete.is_some(),
            ),
        ];
        kinds.into_iter().flatten().collect()
    }

    /// What several roles together may. Reading adds up, row by row and field by field; writing is inherited where they
    /// do not contradict each other.
    pub fn together(all: &[Permissions]) -> Self {
        fn agreed<P: Clone + PartialEq>(all: &[Permissions], of: impl Fn(&Permissions) -> Option<&P>) -> Option<P> {
            let mut given = all.iter().filter_map(of);
            let first = given.next()?.clone();
            given.all(|other| *other == first).then_some(first)
        }
        Permissions {
            select: Select::together(all.iter().filter_map(|one| one.select.as_ref()).collect()),
            insert: agreed(all, |one| one.insert.as_ref()),
            update: agreed(all, |one| one.update.as_ref()),
            delete: agreed(all, |one| one.delete.as_ref()),
        }
    }
}

impl Select {
    fn together(all: Vec<&Select>) -> Option<Self> {
        let (first, rest) = all.split_first()?;
        if rest.is_empty() {
            return Some((*first).clone());
        }
        let any = |filters: Vec<&Value>| match filters.iter().any(|filter| **filter == everything()) {
            true => everything(),
            false => json!({ "_or": filters }),
        };
        let mut columns: Vec<usize> = all.iter().flat_map(|one| one.columns.iter().copied()).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut computed: Vec<String> = all.iter().flat_map(|one| one.computed.iter().cloned()).collect();
        computed.sort();
        computed.dedup();
        let shown = |holds: &dyn Fn(&Select) -> bool| {
            let holders: Vec<&&Select> = all.iter().filter(|one| holds(one)).collect();
            let everywhere = holders.len() == all.len();
            (!everywhere).then(|| any(holders.iter().map(|one| &one.filter).collect()))
        };
        let mut cells = Vec::new();
        for column in &columns {
            if let Some(filter) = shown(&|one| one.columns.contains(column)) {
                cells.push((Cell::Column(*column), filter));
            }
        }
        for name in &computed {
            if let Some(filter) = shown(&|one| one.computed.contains(name)) {
                cells.push((Cell::Computed(name.clone()), filter));
            }
        }
        let limits: Option<Vec<u64>> = all.iter().map(|one| one.limit).collect();
        Some(Select {
            columns,
            computed,
            filter: any(all.iter().map(|one| &one.filter).collect()),
            limit: limits.and_then(|limits| limits.into_iter().max()),
            aggregations: all.iter().any(|one| one.aggregations),
            query_roots: union(all.iter().map(|one| &one.query_roots)),
            subscription_roots: union(all.iter().map(|one| &one.subscription_roots)),
            cells,
        })
    }

    /// In which rows a field is shown; `None`: in all.
    pub fn shown_where(&self, cell: &Cell) -> Option<&Value> {
        self.cells
            .iter()
            .find(|(known, _)| known == cell)
            .map(|(_, filter)| filter)
    }
}

fn union<'a>(all: impl Iterator<Item = &'a Option<Vec<String>>>) -> Option<Vec<String>> {
    let mut together = Vec::new();
    for one in all {
        together.extend(one.as_ref()?.iter().cloned());
    }
    Some(together)
}

pub(super) fn resolve(
    context: &Context<'_>,
    entry: &TableEntry,
    model: &mut Model,
    own: usize,
    wrong: &mut Vec<Inconsistency>,
) {
    let mut refuse = |kind: &'static str, role: &str, permission: Value, text: String| {
        let source = context.source_name;
        wrong.push(Inconsistency::permission(
            kind,
            role,
            &entry.table,
            source,
            permission,
            text,
        ));
    };
    for one in &entry.select_permissions {
        match select(model, own, &one.permission) {
            Ok(made) => held(model, own, &one.role).select = Some(made),
            Err(text) => refuse("select_permission", &one.role, json!(one.permission), text),
        }
    }
    for one in &entry.insert_permissions {
        let given = &one.permission;
        let star = Columns::Star("*".to_owned());
        let columns = given.columns.as_ref().unwrap_or(&star);
        let fits = listed(model, own, columns)
            .and_then(|()| preset(model, own, &given.set))
            .and_then(|()| condition(model, own, &given.check));
        match fits {
            Ok(()) => {
                let made = Insert {
                    columns: holding(&model.tables[own].columns, columns, &given.set),
                    check: given.check.clone(),
                    set: given.set.clone(),
                    backend_only: given.backend_only,
                    validate: given.validate_input.clone(),
                };
                held(model, own, &one.role).insert = Some(made);
            }
            Err(text) => refuse("insert_permission", &one.role, json!(given), text),
        }
    }
    for one in &entry.update_permissions {
        let given = &one.permission;
        let check = given.check.clone().filter(|check| !check.is_null());
        let fits = listed(model, own, &given.columns)
            .and_then(|()| preset(model, own, &given.set))
            .and_then(|()| condition(model, own, &given.filter))
            .and_then(|()| check.as_ref().map_or(Ok(()), |check| condition(model, own, check)));
        match fits {
            Ok(()) => {
                let made = Update {
                    columns: holding(&model.tables[own].columns, &given.columns, &given.set),
                    filter: given.filter.clone(),
                    check,
                    set: given.set.clone(),
                    backend_only: given.backend_only,
                    validate: given.validate_input.clone(),
                };
                held(model, own, &one.role).update = Some(made);
            }
            Err(text) => refuse("update_permission", &one.role, json!(given), text),
        }
    }
    for one in &entry.delete_permissions {
        let given = &one.permission;
        match condition(model, own, &given.filter) {
            Ok(()) => {
                let made = Delete {
                    filter: given.filter.clone(),
                    backend_only: given.backend_only,
                    validate: given.validate_input.clone(),
                };
                held(model, own, &one.role).delete = Some(made);
            }
            Err(text) => refuse("delete_permission", &one.role, json!(given), text),
        }
    }
}

fn held<'m>(model: &'m mut Model, own: usize, role: &str) -> &'m mut Permissions {
    model.tables[own].permissions.entry(role.to_owned()).or_default()
}

fn holding(columns: &[Column], held: &Columns, preset: &Map<String, Value>) -> Vec<usize> {
    let mine = columns
        .iter()
        .filter(|column| held.holds(&column.name) && !preset.contains_key(&column.name));
    mine.map(|column| column.at).collect()
}

/// A logical model's.
pub(super) fn reading(
    model: &mut Model,
    own: usize,
    role: &str,
    given: &metadata::SelectPermission,
) -> Result<(), String> {
    let made = select(model, own, given)?;
    held(model, own, role).select = Some(made);
    Ok(())
}

fn select(model: &Model, own: usize, given: &metadata::SelectPermission) -> Result<Select, String> {
    let table = &model.tables[own];
    listed(model, own, &given.columns)?;
    for name in &given.computed_fields {
        match table.computed.get(name).map(|field| &field.returns) {
            None => return Err(format!("computed field \"{name}\" does not exist")),
            Some(Returns::Rows { table: returned, .. }) => {
                return Err(format!(
                    "select permissions on computed field \"{name}\" are auto-derived from the permissions on its \
                     returning table \"{}\" and cannot be specified manually",
                    model.tables[*returned].shown()
                ));
            }
            Some(Returns::Scalar { .. }) => {}
        }
    }
    condition(model, own, &given.filter)?;
    Ok(Select {
        columns: holding(&table.columns, &given.columns, &Map::new()),
        computed: given.computed_fields.clone(),
        filter: given.filter.clone(),
        limit: given.limit,
        aggregations: given.allow_aggregations,
        query_roots: given.query_root_fields.clone(),
        subscription_roots: given.subscription_root_fields.clone(),
        cells: Vec::new(),
    })
}

fn listed(model: &Model, own: usize, columns: &Columns) -> Result<(), String> {
    let Columns::List(names) = columns else { return Ok(()) };
    let table = &model.tables[own];
    match names.iter().find(|name| table.column_named(name).is_none()) {
        Some(name) => Err(format!("column \"{name}\" does not exist")),
        None => Ok(()),
    }
}

fn preset(model: &Model, own: usize, set: &Map<String, Value>) -> Result<(), String> {
    let table = &model.tables[own];
    match set.keys().find(|name| table.column_named(name).is_none()) {
        Some(name) => Err(format!("column \"{name}\" does not exist")),
        None => Ok(()),
    }
}

/// Every name in a condition must be there; what the operators mean is the planner's.
fn condition(model: &Model, own: usize, filter: &Value) -> Result<(), String> {
    let table = &model.tables[own];
    let Value::Object(fields) = filter else { return Ok(()) };
    for (key, inner) in fields {
        match key.as_str() {
            "_and" | "$and" | "_or" | "$or" => {
                for one in inner.as_array().into_iter().flatten() {
                    condition(model, own, one)?;
                }
            }
            "_not" | "$not" => condition(model, own, inner)?,
            "_exists" | "$exists" => {
                let name = inner.get("_table").or_else(|| inner.get("$table"));
                let name: Option<metadata::TableName> = name.and_then(|name| serde_json::from_value(name.clone()).ok());
                let found = name.as_ref().and_then(|name| {
                    let same = |one: &super::Table| {
                        one.source == table.source && one.schema == name.schema && one.name == name.name
                    };
                    model.tables.iter().position(same)
                });
                match (found, name) {
                    (Some(at), _) => condition(
                        model,
                        at,
                        inner
                            .get("_where")
                            .or_else(|| inner.get("$where"))
                            .unwrap_or(&Value::Null),
                    )?,
                    (None, Some(name)) => return Err(format!("table \"{name}\" does not exist")),
                    (None, None) => return Err("_exists needs a _table".to_owned()),
                }
            }
            name => {
                if table.column_named(name).is_some() || table.computed.contains_key(name) {
                    continue;
                }
                let related = table.relationships.get(name);
                let aggregated = name
                    .strip_suffix("_aggregate")
                    .and_then(|name| table.relationships.get(name));
                match (related, aggregated) {
                    (Some(relationship), _) => condition(model, relationship.target, inner)?,
                    (None, Some(_)) => {}
                    (None, None) => return Err(format!("\"{name}\" does not exist")),
                }
            }
        }
    }
    Ok(())
}
