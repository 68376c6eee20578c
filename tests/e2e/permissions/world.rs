//! Three related tables, their rows in memory, and roles that may read some of them.

use super::{expression::Reading, random::Random};
use metadata::Metadata;
use serde_json::{Map, Value, json};

pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
    Bool,
}

pub struct Relationship {
    pub name: &'static str,
    pub array: bool,
    /// Position of the table it leads to.
    pub target: usize,
    pub ours: &'static str,
    pub theirs: &'static str,
}

pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    pub relationships: &'static [Relationship],
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

const fn to(name: &'static str, array: bool, target: usize, ours: &'static str, theirs: &'static str) -> Relationship {
    Relationship {
        name,
        array,
        target,
        ours,
        theirs,
    }
}

pub const TABLES: [Table; 3] = [
    Table {
        name: "a",
        columns: &[
            column("id", Kind::Int),
            column("x", Kind::Int),
            column("s", Kind::Text),
            column("f", Kind::Bool),
        ],
        relationships: &[to("bs", true, 1, "id", "a_id"), to("cs", true, 2, "id", "a_id")],
    },
    Table {
        name: "b",
        columns: &[
            column("id", Kind::Int),
            column("a_id", Kind::Int),
            column("y", Kind::Int),
            column("s", Kind::Text),
        ],
        relationships: &[to("a", false, 0, "a_id", "id"), to("cs", true, 2, "id", "b_id")],
    },
    Table {
        name: "c",
        columns: &[
            column("id", Kind::Int),
            column("b_id", Kind::Int),
            column("a_id", Kind::Int),
            column("z", Kind::Int),
        ],
        relationships: &[to("b", false, 1, "b_id", "id"), to("a", false, 0, "a_id", "id")],
    },
];

pub const DEFINITIONS: &str = "
    create table a (id int primary key, x int, s text, f bool);
    create table b (id int primary key, a_id int references a, y int, s text);
    create table c (id int primary key, b_id int references b, a_id int references a, z int);";

pub type Row = Map<String, Value>;

/// Rows by table.
pub type Rows = [Vec<Row>; 3];

const WORDS: [&str; 5] = ["ab", "b", "", "a%b", "B_"];

pub fn word(random: &mut Random) -> &'static str {
    WORDS[random.below(WORDS.len())]
}

pub fn rows(random: &mut Random) -> Rows {
    let mut rows: Rows = Default::default();
    for (at, table) in TABLES.iter().enumerate() {
        for id in 0..3 + random.below(4) {
            let row = table.columns.iter().map(|column| {
                let value = match (column.name, column.kind) {
                    ("id", _) => json!(id),
                    _ if random.one_in(5) => Value::Null,
                    ("a_id", _) => json!(random.below(rows[0].len())),
                    ("b_id", _) => json!(random.below(rows[1].len())),
                    (_, Kind::Int) => json!(random.below(5)),
                    (_, Kind::Text) => json!(word(random)),
                    (_, Kind::Bool) => json!(random.one_in(2)),
                };
                (column.name.to_owned(), value)
            });
            let row = row.collect();
            rows[at].push(row);
        }
    }
    rows
}

/// The statements that put the rows into the database.
pub fn inserts(rows: &Rows) -> String {
    let mut sql = String::from("truncate a, b, c;");
    for (table, rows) in TABLES.iter().zip(rows) {
        let text = Value::from(rows.iter().cloned().map(Value::Object).collect::<Vec<_>>()).to_string();
        let text = text.replace('\'', "''");
        sql.push_str(&format!(
            "insert into {0} select * from json_populate_recordset(null::{0}, '{text}');",
            table.name
        ));
    }
    sql
}

/// What a role may do with a table.
#[derive(Clone, Default)]
pub struct Grant {
    pub columns: Vec<&'static str>,
    pub filter: Value,
    pub limit: Option<usize>,
}

/// Of the last table only.
#[derive(Clone, Default)]
pub struct Writing {
    pub update: Value,
    pub check: Value,
    pub delete: Value,
}

pub struct Role {
    pub name: &'static str,
    pub grants: [Option<Grant>; 3],
    pub writing: Option<Writing>,
}

pub struct World {
    /// Two, and a third that is made of them.
    pub roles: [Role; 2],
    pub rows: Rows,
    pub session: Vec<(&'static str, String)>,
}

pub const HEIR: &str = "heir";

impl World {
    pub fn of(random: &mut Random, rows: Rows) -> Self {
        let session = vec![
            ("x-hasura-n", random.below(5).to_string()),
            ("x-hasura-word", word(random).to_owned()),
        ];
        let roles = ["one", "two"].map(|name| {
            let grants = [0, 1, 2].map(|table| (!random.one_in(6)).then(|| grant(random, table, name == "one")));
            let writing = random.one_in(2).then(|| Writing {
                update: super::expression::permission(random, 2, 2),
                check: super::expression::permission(random, 2, 1),
                delete: super::expression::permission(random, 2, 2),
            });
            Role { name, grants, writing }
        });
        World { roles, rows, session }
    }

    pub fn metadata(&self) -> Metadata {
        let tables = TABLES.iter().enumerate().map(|(at, table)| {
            let of = |array: bool| {
                let wanted = table.relationships.iter().filter(move |one| one.array == array);
                let using = |one: &Relationship| match array {
                    true => json!({"table": TABLES[one.target].name, "column": one.theirs}),
                    false => json!(one.ours),
                };
                let made =
                    wanted.map(|one| json!({"name": one.name, "using": {"foreign_key_constraint_on": using(one)}}));
                made.collect::<Vec<_>>()
            };
            let grants = self
                .roles
                .iter()
                .filter_map(|role| Some((role, role.grants[at].as_ref()?)));
            let selects = grants.map(|(role, grant)| {
                json!({"role": role.name, "permission": {"columns": grant.columns, "filter": grant.filter,
                    "limit": grant.limit, "allow_aggregations": grant.limit.is_none()}})
            });
            let writing = self.roles.iter().filter(|_| at == 2);
            let writing: Vec<_> = writing
                .filter_map(|role| Some((role.name, role.writing.as_ref()?)))
                .collect();
            let updates = writing.iter().map(|(role, one)| {
                json!({"role": role, "permission": {"columns": ["z"], "filter": one.update, "check": one.check}})
            });
            let deletes = writing
                .iter()
                .map(|(role, one)| json!({"role": role, "permission": {"filter": one.delete}}));
            json!({"table": {"schema": "public", "name": table.name},
                "object_relationships": of(false), "array_relationships": of(true),
                "select_permissions": selects.collect::<Vec<_>>(), "update_permissions": updates.collect::<Vec<_>>(),
                "delete_permissions": deletes.collect::<Vec<_>>()})
        });
        let document = json!({"version": 3, "sources": [{"name": "default", "kind": "postgres", "configuration": {},
            "tables": tables.collect::<Vec<_>>()}], "inherited_roles": [{"role_name": HEIR, "role_set": ["one", "two"]}]});
        serde_json::from_value(document).expect("metadata")
    }

    /// The permissions a role's reading is made of.
    pub fn grants(&self, role: &str, table: usize) -> Vec<&Grant> {
        let own = self.roles.iter().filter(|one| one.name == role || role == HEIR);
        own.filter_map(|one| one.grants[table].as_ref()).collect()
    }

    pub fn may_read(&self, role: &str, table: usize, row: &Row) -> bool {
        self.grants(role, table)
            .iter()
            .any(|grant| self.holds(&grant.filter, table, row))
    }

    /// A permission's condition, which sees past all permissions.
    pub fn holds(&self, filter: &Value, table: usize, row: &Row) -> bool {
        let reading = Reading {
            world: self,
            role: None,
        };
        reading.truth(filter, table, row) == Some(true)
    }

    /// Columns the role may speak of, in all rows it sees or in some.
    pub fn columns(&self, role: &str, table: usize, everywhere: bool) -> Vec<&'static str> {
        let grants = self.grants(role, table);
        let names = TABLES[table].columns.iter().map(|column| column.name);
        let known = names.filter(|name| {
            let mut holding = grants.iter().map(|grant| grant.columns.contains(name));
            match everywhere {
                true => !grants.is_empty() && holding.all(|holds| holds),
                false => holding.any(|holds| holds),
            }
        });
        known.collect()
    }
}

fn grant(random: &mut Random, table: usize, may_limit: bool) -> Grant {
    let mut columns: Vec<&'static str> = TABLES[table].columns.iter().map(|column| column.name).collect();
    columns.retain(|_| !random.one_in(3));
    if columns.is_empty() {
        columns.push("id");
    }
    // Without an order a limit picks any rows.
    let limited = may_limit && columns.contains(&"id") && random.one_in(4);
    Grant {
        limit: limited.then(|| random.below(4)),
        columns,
        filter: super::expression::permission(random, table, 2),
    }
}
