//! Operators of comparison expressions, by the type they are of.

use super::filter::unexpected;
use super::value::text;
use super::{Sql, Writer};
use crate::errors::{GraphqlError, Path};
use crate::model::Column;
use serde_json::Value;

/// Between two columns, in permissions.
pub fn between_columns(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "ceq" => "=",
        "cne" | "cneq" => "<>",
        "cgt" => ">",
        "clt" => "<",
        "cgte" => ">=",
        "clte" => "<=",
        _ => return None,
    })
}

/// Those whose right side has the column's type.
fn plain(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "eq" => "=",
        "neq" | "ne" => "<>",
        "gt" => ">",
        "lt" => "<",
        "gte" => ">=",
        "lte" => "<=",
        "contains" | "ancestor" => "@>",
        "contained_in" | "descendant" => "<@",
        _ => return None,
    })
}

/// Those whose right side is of another type.
fn typed(operator: &str) -> Option<(&'static str, &'static str)> {
    Some(match operator {
        "like" => ("like", "text"),
        "nlike" => ("not like", "text"),
        "ilike" => ("ilike", "text"),
        "nilike" => ("not ilike", "text"),
        "similar" => ("similar to", "text"),
        "nsimilar" => ("not similar to", "text"),
        "regex" => ("~", "text"),
        "iregex" => ("~*", "text"),
        "nregex" => ("!~", "text"),
        "niregex" => ("!~*", "text"),
        "has_key" => ("?", "text"),
        "has_keys_any" => ("?|", "text[]"),
        "has_keys_all" => ("?&", "text[]"),
        "matches" => ("~", "lquery"),
        "matches_any" => ("?", "lquery[]"),
        "matches_fulltext" => ("@", "ltxtquery"),
        "ancestor_any" => ("@>", "ltree[]"),
        "descendant_any" => ("<@", "ltree[]"),
        _ => return None,
    })
}

impl Writer<'_> {
    pub fn operate(&mut self, left: &str, column: &Column, operator: &str, value: &Value, path: &Path<'_>) -> Sql {
        if let Some(sql) = plain(operator) {
            let right = self.value(value, column);
            return Ok(format!("({left} {sql} {right})"));
        }
        if let Some((sql, ty)) = typed(operator) {
            let right = self.param(text(value), ty);
            return Ok(format!("({left} {sql} {right})"));
        }
        match operator {
            "is_null" if *value == Value::Bool(true) || *value == "true" => Ok(format!("({left} is null)")),
            "is_null" => Ok(format!("({left} is not null)")),
            "in" => Ok(format!("({left} = any({}))", self.values(value, column))),
            "nin" => Ok(format!("({left} <> all({}))", self.values(value, column))),
            spatial => self.spatial(left, column, spatial, value, path),
        }
    }

    fn spatial(&mut self, left: &str, column: &Column, operator: &str, value: &Value, path: &Path<'_>) -> Sql {
        let geometry = Column::plain("geometry");
        let part = |key: &str| value.get(key).filter(|part| !part.is_null());
        let needed = |key: &str| part(key).ok_or_else(|| unexpected(value, "a distance and a place", path));
        match operator {
            "st_contains" | "st_crosses" | "st_equals" | "st_overlaps" | "st_touches" | "st_within"
            | "st_intersects" => Ok(format!("{operator}({left}, {})", self.value(value, column))),
            "st_3d_intersects" => Ok(format!("st_3dintersects({left}, {})", self.value(value, column))),
            "st_d_within" | "st_3d_d_within" => {
                let from = self.value(needed("from")?, column);
                let distance = self.param(text(needed("distance")?), "float8");
                let function = if operator == "st_d_within" {
                    "st_dwithin"
                } else {
                    "st_3ddwithin"
                };
                let spheroid = match part("use_spheroid") {
                    Some(given) if column.is(&["geography"]) => format!(", {}", self.param(text(given), "bool")),
                    _ => String::new(),
                };
                Ok(format!("{function}({left}, {from}, {distance}{spheroid})"))
            }
            "st_intersects_rast" => Ok(format!("st_intersects({left}, {})", self.value(value, column))),
            "st_intersects_nband_geom" => {
                let band = self.param(text(needed("nband")?), "int4");
                let shape = self.value(needed("geommin")?, &geometry);
                Ok(format!("st_intersects({left}, {band}, {shape})"))
            }
            "st_intersects_geom_nband" => {
                let shape = self.value(needed("geommin")?, &geometry);
                let band = match part("nband") {
                    Some(band) => self.param(text(band), "int4"),
                    None => "null::int4".to_owned(),
                };
                Ok(format!("st_intersects({left}, {shape}, {band})"))
            }
            other => Err(GraphqlError::new(
                "unexpected",
                path.render(),
                format!("unknown operator '{other}'"),
            )),
        }
    }
}
