//! Root fields of tracked functions.

use super::inputs::{list_arguments, selectable};
use super::relay;
use super::role::{Builder, Operation, Root, Verb};
use super::select::arguments;
use super::types::{FieldDefinition, InputDefinition, list, named, required};
use crate::model::Argument;

pub fn add(builder: &mut Builder<'_>, at: usize) {
    let function = &builder.model.functions[at];
    let table = function.table;
    let may = builder.role == "admin" || function.inferred || builder.is_one_of(&function.roles);
    if !may || !builder.may_select(table) {
        return;
    }
    let naming = &builder.model.sources[function.source].naming;
    let given: Vec<Argument> = function.given().cloned().collect();
    let args = (!given.is_empty()).then(|| {
        let ty = naming.type_name(&[&naming.base_type(&function.field), "args"]);
        arguments(builder, &ty, &given, "");
        let needed = given.iter().any(|argument| !argument.has_default);
        let about = format!("input parameters for function \"{}\"", function.name);
        InputDefinition::new(if needed { required(ty) } else { named(ty) }).described(about)
    });
    let with_args = |mut field: FieldDefinition| {
        if let Some(args) = &args {
            field.arguments.insert("args".to_owned(), args.clone());
        }
        field
    };
    let has_columns = !selectable(builder, table, &builder.model.tables[table]).is_empty();
    let row = builder.ty(table, "");
    let rows = match function.many {
        true => FieldDefinition::new(list(row).required()),
        false => FieldDefinition::new(named(row)),
    };
    let about = function.comment.clone();
    let returned = &builder.model.tables[table].name;
    let about = about.unwrap_or_else(|| format!("execute function \"{}\" which returns \"{returned}\"", function.name));
    let rows = match function.many {
        true => list_arguments(builder, rows, table, has_columns),
        false => rows,
    };
    let rows = with_args(rows).described(about);
    let name = naming.root_field(function.custom_field.as_deref(), &[&function.field]);
    let root = Root {
        verb: Verb::Call(at),
        table,
    };
    if function.mutation {
        builder.root(Operation::Mutation, name, root, rows);
        return;
    }
    if builder.relay {
        if function.many && builder.schema.node_of(table).is_some() {
            let about = rows.description.clone().unwrap_or_default();
            let field = with_args(relay::connection(builder, table)).described(about);
            let name = naming.root_field(None, &[&function.field, "connection"]);
            let root = Root {
                verb: Verb::CallConnection(at),
                table,
            };
            builder.root(Operation::Query, name.clone(), root, field.clone());
            builder.root(Operation::Subscription, name, root, field);
        }
        return;
    }
    builder.root(Operation::Query, name.clone(), root, rows.clone());
    builder.root(Operation::Subscription, name, root, rows);
    if builder.may_aggregate(table) {
        let aggregate = FieldDefinition::new(required(builder.ty(table, "aggregate")));
        let about = format!(
            "execute function \"{}\" and query aggregates on result of table type \"{returned}\"",
            function.name
        );
        let aggregate = match function.many {
            true => list_arguments(builder, aggregate, table, has_columns),
            false => aggregate,
        };
        let aggregate = with_args(aggregate).described(about);
        let name = naming.root_field(function.custom_aggregate.as_deref(), &[&function.field, "aggregate"]);
        let root = Root {
            verb: Verb::CallAggregate(at),
            table,
        };
        builder.root(Operation::Query, name.clone(), root, aggregate.clone());
        builder.root(Operation::Subscription, name, root, aggregate);
    }
}
