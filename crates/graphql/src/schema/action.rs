//! Root fields of actions, and the custom types they reach.

use super::inputs::{aggregated_name, list_arguments, selectable};
use super::role::{Builder, Operation, Root, Verb};
use super::types::{FieldDefinition, InputDefinition, list, named, required};
use crate::model::Described;
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize) {
    let action = &builder.model.actions[at];
    if builder.role != "admin" && !builder.is_one_of(&action.roles) {
        return;
    }
    let about = action.comment.clone().unwrap_or_default();
    let arguments = inputs(builder, &action.arguments);
    output(builder, action.output.base());
    let root = Root {
        verb: Verb::Action(at),
        table: 0,
    };
    if !action.asynchronous {
        let field = FieldDefinition {
            ty: action.output.clone(),
            arguments,
            description: None,
        };
        let operation = if action.query {
            Operation::Query
        } else {
            Operation::Mutation
        };
        builder.plain_root(operation, action.name.clone(), root, field.described(about));
        return;
    }
    builder.scalar("uuid");
    builder.scalar("timestamptz");
    builder.scalar("json");
    let field = FieldDefinition {
        ty: required("uuid"),
        arguments,
        description: None,
    };
    builder.plain_root(
        Operation::Mutation,
        action.name.clone(),
        root,
        field.described(about.clone()),
    );
    let fields = IndexMap::from([
        (
            "created_at".to_owned(),
            FieldDefinition::new(required("timestamptz")).described("the time at which this action was created"),
        ),
        (
            "errors".to_owned(),
            FieldDefinition::new(named("json")).described("errors related to the invocation"),
        ),
        (
            "id".to_owned(),
            FieldDefinition::new(required("uuid")).described("the unique id of an action"),
        ),
        (
            "output".to_owned(),
            FieldDefinition::new(action.output.clone().optional()).described("the output fields of this action"),
        ),
    ]);
    builder.object(
        action.name.clone(),
        format!("fields of action: \"{}\"", action.name),
        fields,
    );
    let result = FieldDefinition::new(named(action.name.clone()))
        .argument("id", required("uuid"), "the unique id of an action")
        .described(about);
    let root = Root {
        verb: Verb::ActionResult(at),
        table: 0,
    };
    builder.plain_root(Operation::Query, action.name.clone(), root, result.clone());
    builder.plain_root(Operation::Subscription, action.name.clone(), root, result);
}

fn inputs(builder: &mut Builder<'_>, fields: &IndexMap<String, Described>) -> IndexMap<String, InputDefinition> {
    let mut made = IndexMap::new();
    for (name, described) in fields {
        input(builder, described.ty.base());
        let about = described.description.clone().unwrap_or_default();
        made.insert(
            name.clone(),
            InputDefinition::new(described.ty.clone()).described(about),
        );
    }
    made
}

fn input(builder: &mut Builder<'_>, name: &str) {
    let Some(known) = builder.model.custom.inputs.get(name) else {
        leaf(builder, name);
        return;
    };
    if builder.has(name) {
        return;
    }
    // Types may speak of themselves: the name is there before the fields are.
    builder.scalar(name);
    let fields = inputs(builder, &known.fields);
    let about = known.description.clone().unwrap_or_default();
    builder.input(name.to_owned(), about, fields);
}

fn leaf(builder: &mut Builder<'_>, name: &str) {
    match builder.model.custom.enums.get(name) {
        Some(known) if !builder.has(name) => {
            builder.enumeration(
                name.to_owned(),
                known.description.clone().unwrap_or_default(),
                known.values.clone(),
            );
        }
        Some(_) => {}
        None => builder.scalar(name),
    }
}

fn output(builder: &mut Builder<'_>, name: &str) {
    let Some(object) = builder.model.custom.objects.get(name) else {
        leaf(builder, name);
        return;
    };
    if builder.has(name) {
        return;
    }
    builder.scalar(name);
    let mut fields = IndexMap::new();
    for (field, described) in &object.fields {
        output(builder, described.ty.base());
        let about = described.description.clone().unwrap_or_default();
        fields.insert(
            field.clone(),
            FieldDefinition::new(described.ty.clone()).described(about),
        );
    }
    for (relationship, joined) in &object.joined {
        let target = joined.target;
        if !builder.may_select(target) {
            continue;
        }
        let has_columns = !selectable(builder, target, &builder.model.tables[target]).is_empty();
        let row = builder.ty(target, "");
        if !joined.array {
            fields.insert(
                relationship.clone(),
                FieldDefinition::new(named(row)).described("An object relationship"),
            );
            continue;
        }
        let many = FieldDefinition::new(list(row)).described("An array relationship");
        fields.insert(relationship.clone(), list_arguments(builder, many, target, has_columns));
        if builder.may_aggregate(target) {
            let aggregate = FieldDefinition::new(required(builder.ty(target, "aggregate")));
            let aggregate =
                list_arguments(builder, aggregate, target, has_columns).described("An aggregate relationship");
            fields.insert(aggregated_name(builder.naming(target), relationship), aggregate);
        }
    }
    builder.object(name.to_owned(), object.description.clone().unwrap_or_default(), fields);
}
