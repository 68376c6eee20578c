//! From a resolved selection to SQL. All roots of a query become one statement; each root of a mutation one of its own.
//! Every statement answers one row of text columns. Values are parameters always.

mod filter;
mod mutation;
mod order;
mod select;
mod value;

use crate::Session;
use crate::errors::{GraphqlError, Path};
use crate::introspect;
use crate::model::{Model, Table};
use crate::schema::{RoleSchema, Root};
use crate::sql::quote::quote_ident;
use crate::syntax::OperationKind;
use crate::validate::Selected;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The name of the database it is for.
    pub source: String,
    pub sql: String,
    /// Sent as text; the SQL casts.
    pub params: Vec<Option<String>>,
    /// Where in the request it came from.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    Ready(Value),
    /// Statement and column whose text is the JSON.
    Cell(usize, usize),
    /// A list of the first column of some statements.
    Cells(Vec<usize>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// A mutation's statements run in order, in one transaction per source; their second column is `false` where a check
    /// failed.
    pub kind: OperationKind,
    pub statements: Vec<Statement>,
    /// A streaming subscription: which parameters are its position. The second column of its statement is the next
    /// position, a JSON list of texts, or null where there are no new rows.
    pub stream: Option<Vec<usize>>,
    /// The answer's keys in order.
    pub roots: Vec<(String, Source)>,
}

type Sql = Result<String, GraphqlError>;

pub fn plan(
    model: &Model,
    schema: &RoleSchema,
    session: &Session,
    kind: OperationKind,
    selected: &[Selected],
) -> Result<Plan, GraphqlError> {
    let mutation = kind == OperationKind::Mutation;
    let mut plan = Plan {
        kind,
        stream: None,
        statements: Vec::new(),
        roots: Vec::new(),
    };
    let mut writer = Writer {
        model,
        schema,
        session,
        params: Vec::new(),
        aliases: 0,
    };
    let mut cells = Vec::new();
    for one in selected {
        let root = Path::root();
        let above = root.key("selectionSet");
        let path = above.key(&one.name);
        let source = match one.name.as_str() {
            "__typename" => Source::Ready(Value::from(one.parent.as_str())),
            "__schema" | "__type" if !mutation => Source::Ready(introspect::answer(schema, one)),
            name if mutation => match schema.mutations.get(name) {
                Some(root) => writer.mutation(*root, one, &path, &mut plan.statements)?,
                None => Source::Ready(Value::Null),
            },
            name => match schema.queries.get(name) {
                Some(root) => {
                    cells.push(format!("({})::text", writer.query(*root, one, &path)?));
                    Source::Cell(0, cells.len() - 1)
                }
                None => Source::Ready(Value::Null),
            },
        };
        plan.roots.push((one.key.clone(), source));
    }
    if !cells.is_empty() {
        plan.statements
            .push(writer.statement(format!("select {}", cells.join(", ")), "$"));
    }
    Ok(plan)
}

/// Writes one statement at a time.
pub(crate) struct Writer<'a> {
    pub model: &'a Model,
    pub schema: &'a RoleSchema,
    pub session: &'a Session,
    pub params: Vec<Option<String>>,
    pub aliases: usize,
}

impl<'a> Writer<'a> {
    fn statement(&mut self, sql: String, path: &str) -> Statement {
        self.aliases = 0;
        Statement {
            source: "default".to_owned(),
            sql,
            params: std::mem::take(&mut self.params),
            path: path.to_owned(),
        }
    }

    /// A table alias nobody else has.
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A parameter of some SQL type.
    fn param(&mut self, value: Option<String>, sql_type: &str) -> String {
        self.params.push(value);
        format!("($1::text)::{sql_type}").replace("$1", &format!("${}", self.params.len()))
    }

    fn query(&mut self, root: Root, one: &Selected, path: &Path<'_>) -> Sql {
        use crate::schema::Verb;
        match root.verb {
            Verb::Aggregate => self.aggregate(root.table, None, one, path),
            Verb::ByPrimaryKey => self.by_key(root.table, one, path),
            _ => self.list(root.table, None, &one.args, &one.selection, path),
        }
    }
}

pub fn name_of(table: &Table) -> String {
    format!("{}.{}", quote_ident(&table.schema), quote_ident(&table.name))
}

pub fn column(alias: &str, name: &str) -> String {
    format!("{alias}.{}", quote_ident(name))
}

/// All of them, or `true`.
pub fn all(mut conditions: Vec<String>) -> String {
    conditions.retain(|condition| condition != "true");
    if conditions.is_empty() {
        "true".to_owned()
    } else {
        format!("({})", conditions.join(" and "))
    }
}
