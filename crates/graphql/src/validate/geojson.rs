//! The shape of GeoJSON values (RFC 7946), told in Hasura's words before PostGIS judges them in its own.

use serde_json::Value;

/// # Errors
/// What is wrong with it.
pub fn check(value: &Value) -> Result<(), String> {
    let kind = value["type"].as_str().unwrap_or_default();
    let coordinates = &value["coordinates"];
    match kind {
        "Point" => position(coordinates),
        "MultiPoint" => each(coordinates, position),
        "LineString" => line(coordinates),
        "MultiLineString" => each(coordinates, line),
        "Polygon" => each(coordinates, ring),
        "MultiPolygon" => each(coordinates, |polygon| each(polygon, ring)),
        "GeometryCollection" => each(&value["geometries"], check),
        other => Err(format!("unexpected geometry type: {other}")),
    }
}

fn items(value: &Value) -> Result<&Vec<Value>, String> {
    value
        .as_array()
        .ok_or_else(|| "parsing [] failed, expected Array".to_owned())
}

fn each(value: &Value, one: impl Fn(&Value) -> Result<(), String>) -> Result<(), String> {
    items(value)?.iter().try_for_each(one)
}

fn position(value: &Value) -> Result<(), String> {
    match items(value)?.len() {
        0 | 1 => Err("A Position needs at least 2 elements".to_owned()),
        _ => Ok(()),
    }
}

fn line(value: &Value) -> Result<(), String> {
    if items(value)?.len() < 2 {
        return Err("A LineString needs at least 2 Positions".to_owned());
    }
    each(value, position)
}

fn ring(value: &Value) -> Result<(), String> {
    let positions = items(value)?;
    if positions.len() < 4 {
        return Err("A LinearRing needs at least 4 Positions".to_owned());
    }
    if positions.first() != positions.last() {
        return Err("the first and last locations have to be equal for a LinearRing".to_owned());
    }
    each(value, position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shapes_that_are_none_are_told() {
        let told = |kind: &str, coordinates: Value| check(&json!({"type": kind, "coordinates": coordinates}));
        assert_eq!(told("Point", json!([1, 2])), Ok(()));
        assert_eq!(told("Polygon", json!([[[0, 0], [1, 0], [1, 1], [0, 0]]])), Ok(()));
        for (kind, coordinates, part) in [
            ("Point", json!([1]), "2 elements"),
            ("LineString", json!([[1, 2]]), "2 Positions"),
            ("Polygon", json!([[[0, 0], [1, 0], [0, 0]]]), "4 Positions"),
            ("Polygon", json!([[[0, 0], [1, 0], [1, 1], [2, 2]]]), "have to be equal"),
            ("Random", json!([]), "unexpected geometry type"),
        ] {
            let error = told(kind, coordinates).expect_err(kind);
            assert!(error.contains(part), "{error}");
        }
    }
}
