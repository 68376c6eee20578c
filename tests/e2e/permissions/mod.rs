//! Permissions against an interpreter that looks at every row by itself: random tables' rows, roles, conditions and queries,
//! put to the engine's SQL on a real PostgreSQL and to the plainest reading of what they mean.

mod expression;
mod query;
mod random;
mod world;

use expression::of_caller;
use graphql::{Catalog, INTROSPECTION_SQL, Options, Plan, Request, Schema, Session};
use portico_tests::{Database, Directory};
use query::{Query, declared, sorted, variable};
use random::Random;
use serde_json::{Map, Value, json};
use tokio_postgres::{
    Client,
    types::{ToSql, Type},
};
use world::{DEFINITIONS, HEIR, Rows, TABLES, World};

/// Cases in all; a case is a schema, a role and a query.
const CASES: usize = 100_000;
const WORLDS_OF_THE_SAME_ROWS: usize = 25;
const QUERIES_OF_A_WORLD: usize = 80;

fn session(world: &World, role: &str) -> Session {
    let variables = world
        .session
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Session {
        role: role.to_owned(),
        variables: variables.collect(),
        backend: false,
    }
}

fn typed(params: &[Option<String>]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), Type::TEXT))
        .collect()
}

/// The text of one statement's columns.
async fn run(client: &Client, plan: &Plan) -> Vec<Option<String>> {
    let [statement] = plan.statements.as_slice() else {
        panic!("one statement: {plan:?}");
    };
    let row = client.query_typed_one(&statement.sql, &typed(&statement.params)).await;
    let row = row.unwrap_or_else(|error| panic!("{error:?}: {}", statement.sql));
    (0..row.len()).map(|column| row.get(column)).collect()
}

struct Judge<'a> {
    client: &'a Client,
    world: &'a World,
    schema: &'a Schema,
}

impl Judge<'_> {
    async fn read(&self, random: &mut Random, role: &str) -> bool {
        let table = random.below(3);
        let Some(query) = Query::of(random, self.world, role, table, 2) else {
            return self.forbidden(role, table);
        };
        let mut variables = Map::new();
        let selection = query.text(true, &mut variables);
        let text = format!("query{} {{ {}{selection} }}", declared(&variables), TABLES[table].name);
        let plan = self
            .plan(role, &text, &variables)
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        let cells = run(self.client, &plan).await;
        let answer: Value = serde_json::from_str(cells[0].as_deref().expect("an answer")).expect("JSON");
        let expected = Value::Array(query.rows(self.world, role, &|_| true));
        let (answer, expected) = (sorted(answer), sorted(expected));
        assert!(
            answer == expected,
            "{}",
            self.told(role, &text, &variables, &answer, &expected)
        );
        true
    }

    /// What the role was not given it cannot ask for.
    fn forbidden(&self, role: &str, table: usize) -> bool {
        let text = format!("{{ {} {{ __typename }} }}", TABLES[table].name);
        assert!(
            self.plan(role, &text, &Map::new()).is_err(),
            "{role} may not read {}",
            TABLES[table].name
        );
        true
    }

    fn hidden_columns(&self, role: &str, table: usize) {
        let known = self.world.columns(role, table, false);
        for column in TABLES[table]
            .columns
            .iter()
            .filter(|column| !known.contains(&column.name))
        {
            let text = format!("{{ {} {{ {} }} }}", TABLES[table].name, column.name);
            assert!(self.plan(role, &text, &Map::new()).is_err(), "{role}: {text}");
        }
    }

    async fn write(&self, random: &mut Random, role: &str) -> bool {
        let own = self.world.roles.iter().find(|one| one.name == role);
        let Some(writing) = own.and_then(|one| one.writing.as_ref()) else {
            let text = "mutation { delete_c(where: {}) { affected_rows } }";
            assert!(self.plan(role, text, &Map::new()).is_err(), "{role} may not delete");
            return true;
        };
        // A condition needs a type, which who may read nothing has not.
        if self.world.grants(role, 2).is_empty() {
            return false;
        }
        let filter = of_caller(random, self.world, role, 2, 2);
        let mut variables = Map::new();
        let name = variable(2, &filter, &mut variables);
        let deletes = random.one_in(2);
        let value = random.below(6);
        let field = match deletes {
            true => format!("delete_c(where: ${name})"),
            false => format!("update_c(where: ${name}, _set: {{z: {value}}})"),
        };
        let text = format!("mutation{} {{ {field} {{ affected_rows }} }}", declared(&variables));
        let plan = self
            .plan(role, &text, &variables)
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        self.client.batch_execute("begin").await.expect("a transaction");
        let cells = run(self.client, &plan).await;
        self.client.batch_execute("rollback").await.expect("undone");
        let reading = expression::Reading {
            world: self.world,
            role: Some(role),
        };
        let permitted = if deletes { &writing.delete } else { &writing.update };
        let rows = self.world.rows[2].iter();
        let touched =
            rows.filter(|row| self.world.holds(permitted, 2, row) && reading.truth(&filter, 2, row) == Some(true));
        let touched: Vec<_> = touched.cloned().collect();
        // A check is about the new row; other rows are seen as they were before the statement, as in Hasura.
        let allowed = deletes
            || touched.iter().all(|row| {
                let mut changed = row.clone();
                changed.insert("z".to_owned(), json!(value));
                self.world.holds(&writing.check, 2, &changed)
            });
        let expected = json!({ "affected_rows": touched.len() });
        assert_eq!(
            cells[1].as_deref() == Some("true"),
            allowed,
            "{}",
            self.told(role, &text, &variables, &json!(cells), &json!(allowed))
        );
        if allowed {
            let answer: Value = serde_json::from_str(cells[0].as_deref().expect("an answer")).expect("JSON");
            assert!(
                answer == expected,
                "{}",
                self.told(role, &text, &variables, &answer, &expected)
            );
        }
        true
    }

    fn plan(&self, role: &str, text: &str, variables: &Map<String, Value>) -> Result<Plan, graphql::GraphqlError> {
        let request = Request {
            query: text.to_owned(),
            operation_name: None,
            variables: variables.clone(),
            relay: false,
        };
        self.schema.plan(&request, &session(self.world, role))
    }

    fn told(&self, role: &str, text: &str, variables: &Map<String, Value>, answer: &Value, expected: &Value) -> String {
        let tables = serde_json::to_string(&self.world.metadata().sources[0].tables).unwrap_or_default();
        format!(
            "as {role} {:?}\n{text}\n{}\nanswered {answer}\nexpected {expected}\ntables {tables}\nrows {:?}",
            self.world.session,
            json!(variables),
            self.world.rows
        )
    }
}

#[tokio::test]
async fn a_hundred_thousand_random_cases_agree_with_a_row_by_row_reading() {
    let directory = Directory::make();
    let database = Database::start(&directory).await;
    let client = Database::connect(database.url.expose()).await;
    // Plans of a few rows need no compiler, and a runaway is a failure.
    let settings = "set jit = off; set statement_timeout = '30s';";
    client.batch_execute(settings).await.expect("settings");
    client.batch_execute(DEFINITIONS).await.expect("tables");
    let row = client.query_one(INTROSPECTION_SQL, &[]).await.expect("the catalogue");
    let catalog = Catalog::from_json(row.get::<_, &str>(0).as_bytes()).expect("the catalogue");
    let (mut cases, mut seed) = (0, 1_u64);
    while cases < CASES {
        let mut random = Random::new(seed);
        seed += 1;
        let rows: Rows = world::rows(&mut random);
        client.batch_execute(&world::inserts(&rows)).await.expect("rows");
        for _ in 0..WORLDS_OF_THE_SAME_ROWS {
            let world = World::of(&mut random, rows.clone());
            let sources = [("default".to_owned(), &catalog)];
            let (schema, wrong) = Schema::build(&sources, &[], &world.metadata(), &Options::default());
            let wrong: Vec<_> = wrong.iter().filter(|one| !one.is_note()).collect();
            assert!(wrong.is_empty(), "{wrong:?}");
            let judge = Judge {
                client: &client,
                world: &world,
                schema: &schema,
            };
            for role in ["one", "two", HEIR] {
                (0..3).for_each(|table| judge.hidden_columns(role, table));
            }
            for _ in 0..QUERIES_OF_A_WORLD {
                let role = ["one", "two", HEIR][random.below(3)];
                let counts = match role != HEIR && random.one_in(4) {
                    true => judge.write(&mut random, role).await,
                    false => judge.read(&mut random, role).await,
                };
                cases += usize::from(counts);
            }
        }
    }
}
