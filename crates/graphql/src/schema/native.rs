//! Root fields of native queries.

use super::inputs::list_arguments;
use super::role::{Builder, Operation, Root, Verb};
use super::types::{FieldDefinition, InputDefinition, list, named, required};
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize) {
    let native = &builder.model.natives[at];
    let table = native.table;
    if !builder.may_select(table) {
        return;
    }
    let naming = builder.naming(table);
    let field = FieldDefinition::new(list(builder.ty(table, "")).required());
    let mut field = list_arguments(builder, field, table, true);
    if !native.arguments.is_empty() {
        let ty = naming.type_name(&[&naming.base_type(&native.name), "arguments"]);
        let mut fields = IndexMap::new();
        for (name, argument) in &native.arguments {
            let value = builder.column_type(argument).with_non_null(!argument.nullable);
            let about = argument.comment.clone().unwrap_or_default();
            fields.insert(name.clone(), InputDefinition::new(value).described(about));
        }
        builder.input(ty.clone(), format!("{} Native Query Arguments", native.name), fields);
        let needed = native.arguments.values().any(|argument| !argument.nullable);
        let about = format!("{} Native Query Arguments", native.name);
        let args = InputDefinition::new(if needed { required(ty) } else { named(ty) }).described(about);
        field.arguments.insert("args".to_owned(), args);
    }
    let about = native.comment.clone().unwrap_or_default();
    let field = field.described(about);
    let name = naming.root_field(None, &[&native.name]);
    let root = Root {
        verb: Verb::Native(at),
        table,
    };
    builder.root(Operation::Query, name.clone(), root, field.clone());
    builder.root(Operation::Subscription, name, root, field);
}
