//! What a column may be compared by, operator by operator.

use super::role::Builder;
use super::types::{InputDefinition, list, named, own, required};
use crate::model::{Column, Naming};
use crate::syntax::TypeRef;
use indexmap::IndexMap;

struct Fields<'n> {
    naming: &'n Naming,
    fields: IndexMap<String, InputDefinition>,
}

impl Fields<'_> {
    fn add(&mut self, operator: &str, ty: TypeRef, about: &str) {
        let (shown, definition) = own(self.naming, operator, InputDefinition::new(ty).described(about));
        self.fields.insert(shown, definition);
    }
}

/// Defines the comparison type of a column's type and returns its name.
pub fn comparison(builder: &mut Builder<'_>, naming: &Naming, column: &Column) -> String {
    let scalar = column.scalar();
    builder.column_type(column);
    let kind = if column.array {
        "array_comparison_exp"
    } else {
        "comparison_exp"
    };
    let name = naming.type_name(&[&naming.base_type(&scalar), kind]);
    if builder.has(&name) {
        return name;
    }
    let mut fields = Fields {
        naming,
        fields: IndexMap::new(),
    };
    let value = match column.array {
        true => list(&scalar),
        false => named(&scalar),
    };
    let plain: &[&str] = match column.values {
        Some(_) => &["_eq", "_neq"],
        None => &["_eq", "_gt", "_gte", "_lt", "_lte", "_neq"],
    };
    for operator in plain {
        fields.add(operator, value.clone(), "");
    }
    fields.add("_in", TypeRef::list(value.clone().required()), "");
    fields.add("_nin", TypeRef::list(value.clone().required()), "");
    fields.add("_is_null", named("Boolean"), "");
    if column.array {
        fields.add(
            "_contained_in",
            value.clone(),
            "is the array contained in the given array value",
        );
        fields.add("_contains", value, "does the array contain the given value");
    }
    if column.is_text() {
        for (operator, about) in TEXT_OPERATORS {
            fields.add(operator, named(&scalar), about);
        }
    }
    match column.ty.as_str() {
        _ if column.array || column.values.is_some() => {}
        "jsonb" => json(builder, naming, &mut fields),
        "ltree" => ltree(builder, &mut fields),
        "geometry" => geometry(builder, naming, &mut fields),
        "geography" => geography(builder, naming, &mut fields),
        "raster" => raster(builder, naming, &mut fields),
        _ => {}
    }
    fields.fields.sort_keys();
    let about = format!(
        "Boolean expression to compare columns of type \"{scalar}\". All fields are combined with logical 'AND'."
    );
    builder.input(name.clone(), about, fields.fields);
    name
}

/// A scalar that some operator speaks of, with what it may be compared by.
fn cast_to(builder: &mut Builder<'_>, naming: &Naming, from: &str, to: &str) -> String {
    let name = naming.type_name(&[&naming.base_type(from), "cast_exp"]);
    if !builder.has(&name) {
        // Defined before its target, which casts back.
        let target = naming.type_name(&[&naming.base_type(crate::model::scalar_of(to)), "comparison_exp"]);
        let field = InputDefinition::new(named(target));
        let fields = IndexMap::from([(crate::model::scalar_of(to).to_owned(), field)]);
        builder.input(name.clone(), String::new(), fields);
        comparison(builder, naming, &Column::plain(to));
    }
    name
}

fn json(builder: &mut Builder<'_>, naming: &Naming, fields: &mut Fields<'_>) {
    let cast = cast_to(builder, naming, "jsonb", "text");
    fields.add("_cast", named(cast), "");
    fields.add(
        "_contained_in",
        named("jsonb"),
        "is the column contained in the given json value",
    );
    fields.add(
        "_contains",
        named("jsonb"),
        "does the column contain the given json value at the top level",
    );
    fields.add(
        "_has_key",
        named("String"),
        "does the string exist as a top-level key in the column",
    );
    fields.add(
        "_has_keys_all",
        list("String"),
        "do all of these strings exist as top-level keys in the column",
    );
    fields.add(
        "_has_keys_any",
        list("String"),
        "do any of these strings exist as top-level keys in the column",
    );
}

fn ltree(builder: &mut Builder<'_>, fields: &mut Fields<'_>) {
    for scalar in ["ltree", "lquery", "ltxtquery"] {
        builder.scalar(scalar);
    }
    fields.add(
        "_ancestor",
        named("ltree"),
        "is the left argument an ancestor of right (or equal)?",
    );
    fields.add(
        "_ancestor_any",
        list("ltree"),
        "does array contain an ancestor of `ltree`?",
    );
    fields.add(
        "_descendant",
        named("ltree"),
        "is the left argument a descendant of right (or equal)?",
    );
    fields.add(
        "_descendant_any",
        list("ltree"),
        "does array contain a descendant of `ltree`?",
    );
    fields.add("_matches", named("lquery"), "does `ltree` match `lquery`?");
    fields.add(
        "_matches_any",
        list("lquery"),
        "does `ltree` match any `lquery` in array?",
    );
    fields.add(
        "_matches_fulltext",
        named("ltxtquery"),
        "does `ltree` match `ltxtquery`?",
    );
}

fn geometry(builder: &mut Builder<'_>, naming: &Naming, fields: &mut Fields<'_>) {
    let cast = cast_to(builder, naming, "geometry", "geography");
    fields.add("_cast", named(cast), "");
    let operators = [
        ("_st_contains", "does the column contain the given geometry value"),
        ("_st_crosses", "does the column cross the given geometry value"),
        (
            "_st_equals",
            "is the column equal to given geometry value (directionality is ignored)",
        ),
        (
            "_st_overlaps",
            "does the column 'spatially overlap' (intersect but not completely contain) the given geometry value",
        ),
        (
            "_st_touches",
            "does the column have atleast one point in common with the given geometry value",
        ),
        ("_st_within", "is the column contained in the given geometry value"),
        (
            "_st_intersects",
            "does the column spatially intersect the given geometry value",
        ),
        (
            "_st_3d_intersects",
            "does the column spatially intersect the given geometry value in 3D",
        ),
    ];
    for (operator, about) in operators {
        fields.add(operator, named("geometry"), about);
    }
    let within = naming.type_name(&[&naming.base_type("st_d_within"), "input"]);
    let input = IndexMap::from([
        ("distance".to_owned(), InputDefinition::new(required("Float"))),
        ("from".to_owned(), InputDefinition::new(required("geometry"))),
    ]);
    builder.input(within.clone(), String::new(), input);
    fields.add(
        "_st_d_within",
        named(&within),
        "is the column within a given distance from the given geometry value",
    );
    fields.add(
        "_st_3d_d_within",
        named(within),
        "is the column within a given 3D distance from the given geometry value",
    );
}

fn geography(builder: &mut Builder<'_>, naming: &Naming, fields: &mut Fields<'_>) {
    let cast = cast_to(builder, naming, "geography", "geometry");
    fields.add("_cast", named(cast), "");
    fields.add(
        "_st_intersects",
        named("geography"),
        "does the column spatially intersect the given geography value",
    );
    let within = naming.type_name(&[&naming.base_type("st_d_within_geography"), "input"]);
    let mut spheroid = InputDefinition::new(named("Boolean"));
    spheroid.default = Some("true".into());
    let input = IndexMap::from([
        ("distance".to_owned(), InputDefinition::new(required("Float"))),
        ("from".to_owned(), InputDefinition::new(required("geography"))),
        ("use_spheroid".to_owned(), spheroid),
    ]);
    builder.input(within.clone(), String::new(), input);
    fields.add(
        "_st_d_within",
        named(within),
        "is the column within a given distance from the given geography value",
    );
}

fn raster(builder: &mut Builder<'_>, naming: &Naming, fields: &mut Fields<'_>) {
    builder.scalar("geometry");
    fields.add(
        "_st_intersects_rast",
        named("raster"),
        "does the raster intersect the given raster",
    );
    let band = naming.type_name(&[&naming.base_type("st_intersects_nband_geom"), "input"]);
    let shape = naming.type_name(&[&naming.base_type("st_intersects_geom_nband"), "input"]);
    let input = |band: TypeRef| {
        IndexMap::from([
            ("geommin".to_owned(), InputDefinition::new(required("geometry"))),
            ("nband".to_owned(), InputDefinition::new(band)),
        ])
    };
    builder.input(band.clone(), String::new(), input(required("Int")));
    builder.input(shape.clone(), String::new(), input(named("Int")));
    fields.add(
        "_st_intersects_nband_geom",
        named(band),
        "does a band of the raster intersect the given geometry",
    );
    fields.add(
        "_st_intersects_geom_nband",
        named(shape),
        "does the given geometry intersect a band of the raster",
    );
}

const TEXT_OPERATORS: [(&str, &str); 10] = [
    ("_like", "does the column match the given pattern"),
    ("_nlike", "does the column NOT match the given pattern"),
    ("_ilike", "does the column match the given case-insensitive pattern"),
    (
        "_nilike",
        "does the column NOT match the given case-insensitive pattern",
    ),
    ("_similar", "does the column match the given SQL regular expression"),
    (
        "_nsimilar",
        "does the column NOT match the given SQL regular expression",
    ),
    (
        "_regex",
        "does the column match the given POSIX regular expression, case sensitive",
    ),
    (
        "_nregex",
        "does the column NOT match the given POSIX regular expression, case sensitive",
    ),
    (
        "_iregex",
        "does the column match the given POSIX regular expression, case insensitive",
    ),
    (
        "_niregex",
        "does the column NOT match the given POSIX regular expression, case insensitive",
    ),
];
