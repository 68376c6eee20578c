//! From a resolved selection to SQL. All roots of a query become one statement per source; each root of a mutation one
//! of its own, or two. Every statement answers one row of text columns. Values are parameters always.

mod action;
mod aggregate;
mod computed;
mod filter;
mod insert;
mod mutation;
mod nested;
mod operator;
mod order;
mod relay;
mod remote;
mod select;
mod stream;
mod validation;
mod value;

pub use action::{Answer, Call, Part, Shape, Way};
pub use remote::Forward;
pub use validation::Validation;

use crate::Session;
use crate::errors::{GraphqlError, Path};
use crate::introspect;
use crate::model::{Model, Table};
use crate::relay_id;
use crate::schema::{RoleSchema, Root, Verb};
use crate::sql::quote::quote_ident;
use crate::syntax::OperationKind;
use crate::validate::Selected;
use select::Rows;
use serde_json::Value;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statement {
    /// The name of the database it is for.
    pub source: String,
    pub sql: String,
    /// Sent as text; the SQL casts.
    pub params: Vec<Option<String>>,
    /// Parameters that come from a cell of an earlier statement.
    pub feeds: Vec<Feed>,
    /// Where in the request it came from.
    pub path: String,
    /// Where a failed check is told to be, if elsewhere.
    pub check_path: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    pub statement: usize,
    pub column: usize,
    pub param: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    Ready(Value),
    /// Statement and column whose text is the JSON.
    Cell(usize, usize),
    /// A list of the first column of some statements.
    Cells(Vec<usize>),
    /// What a webhook answers.
    Call(usize),
    /// What a remote schema answers, under this key.
    Remote(usize, String),
    /// What stands under a source's namespace.
    Object(Vec<(String, Source)>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// A mutation's statements run in order, in one transaction per source; their second column is `true`, or else says
    /// in JSON what is wrong, or is `false` where a permission's check failed.
    pub kind: OperationKind,
    pub statements: Vec<Statement>,
    pub calls: Vec<Call>,
    /// What remote schemas are asked.
    pub forwards: Vec<Forward>,
    /// What webhooks judge before a mutation's statements.
    pub validations: Vec<Validation>,
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
    let mut planner = Planner {
        model,
        schema,
        session,
        kind,
        statements: Vec::new(),
        calls: Vec::new(),
        forwards: Vec::new(),
        validations: Vec::new(),
        stream: None,
        reads: Vec::new(),
    };
    let root = Path::root();
    let roots = planner.roots(selected, &root)?;
    planner.finish_reads();
    planner.forwards.iter_mut().for_each(Forward::finish);
    Ok(Plan {
        kind,
        statements: planner.statements,
        calls: planner.calls,
        forwards: planner.forwards,
        validations: planner.validations,
        stream: planner.stream,
        roots,
    })
}

struct Planner<'a> {
    model: &'a Model,
    schema: &'a RoleSchema,
    session: &'a Session,
    kind: OperationKind,
    statements: Vec<Statement>,
    calls: Vec<Call>,
    forwards: Vec<Forward>,
    validations: Vec<Validation>,
    stream: Option<Vec<usize>>,
    /// A query's statements in the making, one per source.
    reads: Vec<Read<'a>>,
}

struct Read<'a> {
    source: usize,
    writer: Writer<'a>,
    cells: Vec<String>,
    statement: usize,
}

impl<'a> Planner<'a> {
    fn roots(&mut self, selected: &[Selected], above: &Path<'_>) -> Result<Vec<(String, Source)>, GraphqlError> {
        let mut roots = Vec::with_capacity(selected.len());
        let below = above.key("selectionSet");
        for one in selected {
            let source = self.one(one, &below.key(&one.name))?;
            roots.push((one.key.clone(), source));
        }
        Ok(roots)
    }

    fn one(&mut self, one: &Selected, path: &Path<'_>) -> Result<Source, GraphqlError> {
        match one.name.as_str() {
            "__typename" => return Ok(Source::Ready(Value::from(one.parent.as_str()))),
            "__schema" | "__type" if self.kind == OperationKind::Query && !self.schema.open => {
                let message = "schema introspection is not allowed for this role";
                return Err(GraphqlError::validation(path, message));
            }
            "__schema" | "__type" if self.kind == OperationKind::Query => {
                return Ok(Source::Ready(introspect::answer(self.schema, one)));
            }
            _ => {}
        }
        let Some(root) = self.schema.root(&one.parent, &one.name) else {
            // A source's namespace, or the field that says there is nothing.
            return Ok(match one.selection.is_empty() {
                true => Source::Ready(Value::Null),
                false => Source::Object(self.roots(&one.selection, path)?),
            });
        };
        let table = match root.verb {
            Verb::Action(at) => return self.call(at, one, path),
            Verb::Remote(at) => return Ok(self.forward(at, one)),
            Verb::ActionResult(at) => return self.result(at, one, path),
            Verb::Node => self.node_table(one, path)?,
            _ => root.table,
        };
        let source = self.model.tables[table].source;
        if self.kind == OperationKind::Mutation {
            self.validations(root, one);
            let mut writer = self.writer(source);
            return writer.mutation(root, one, path, &mut self.statements);
        }
        if root.verb == Verb::Stream {
            let (statement, places) = self.writer(source).stream(root.table, one, path)?;
            self.statements.push(statement);
            self.stream = Some(places);
            return Ok(Source::Cell(self.statements.len() - 1, 0));
        }
        self.read(source, root, one, path)
    }

    /// The table a global id names.
    fn node_table(&self, one: &Selected, path: &Path<'_>) -> Result<usize, GraphqlError> {
        let id = one.args.get("id").and_then(Value::as_str).unwrap_or_default();
        match relay_id::parse(self.schema, id) {
            Ok((node, _)) => Ok(node.table),
            Err(message) => Err(GraphqlError::validation(&path.key("args").key("id"), message)),
        }
    }

    fn read(&mut self, source: usize, root: Root, one: &Selected, path: &Path<'_>) -> Result<Source, GraphqlError> {
        let place = match self.reads.iter().position(|read| read.source == source) {
            Some(place) => place,
            None => {
                let read = Read {
                    source,
                    writer: self.writer(source),
                    cells: Vec::new(),
                    statement: self.statements.len(),
                };
                self.statements.push(Statement::default());
                self.reads.push(read);
                self.reads.len() - 1
            }
        };
        let read = &mut self.reads[place];
        let cell = read.writer.query(root, one, path)?;
        read.cells.push(format!("({cell})::text"));
        Ok(Source::Cell(read.statement, read.cells.len() - 1))
    }

    fn finish_reads(&mut self) {
        for mut read in std::mem::take(&mut self.reads) {
            let sql = format!("select {}", read.cells.join(", "));
            self.statements[read.statement] = read.writer.statement(sql, "$");
        }
    }

    fn writer(&self, source: usize) -> Writer<'a> {
        Writer {
            model: self.model,
            schema: self.schema,
            session: self.session,
            source: &self.model.sources[source].name,
            params: Vec::new(),
            aliases: 0,
        }
    }
}

/// Writes one statement at a time.
pub(crate) struct Writer<'a> {
    pub model: &'a Model,
    pub schema: &'a RoleSchema,
    pub session: &'a Session,
    source: &'a str,
    pub params: Vec<Option<String>>,
    pub aliases: usize,
}

impl<'a> Writer<'a> {
    fn statement(&mut self, sql: String, path: &str) -> Statement {
        self.aliases = 0;
        Statement {
            source: self.source.to_owned(),
            sql,
            params: std::mem::take(&mut self.params),
            feeds: Vec::new(),
            path: path.to_owned(),
            check_path: None,
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
        format!("(${}::text)::{sql_type}", self.params.len())
    }

    fn query(&mut self, root: Root, one: &Selected, path: &Path<'_>) -> Sql {
        match root.verb {
            Verb::Aggregate => self.aggregate(&Rows::of(root.table), one, path),
            Verb::ByPrimaryKey => self.by_key(root.table, one, path),
            Verb::Call(at) | Verb::CallAggregate(at) => {
                let function = &self.model.functions[at];
                let call = self.call(function, &one.args)?;
                let rows = Rows::from(root.table, call);
                match (root.verb, function.many) {
                    (Verb::CallAggregate(_), _) => self.aggregate(&rows, one, path),
                    (_, true) => self.list(&rows, &one.args, &one.selection, path),
                    (_, false) => self.single(&rows, one, path),
                }
            }
            Verb::Native(at) => {
                let code = self.native(&self.model.natives[at], &one.args);
                self.list(&Rows::from(root.table, code), &one.args, &one.selection, path)
            }
            Verb::Connection => self.connection(&Rows::of(root.table), one, path),
            Verb::CallConnection(at) => {
                let call = self.call(&self.model.functions[at], &one.args)?;
                self.connection(&Rows::from(root.table, call), one, path)
            }
            Verb::Node => self.node(one, path),
            _ => self.list(&Rows::of(root.table), &one.args, &one.selection, path),
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
