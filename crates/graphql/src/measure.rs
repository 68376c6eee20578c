//! How large an operation is, before anything is planned: what API limits are about. Fragments count wherever they are
//! spread and are measured once; introspection is not counted.

use crate::syntax::{Document, Operation, Selection};
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// Levels of selections; root fields are the first.
    pub depth: u64,
    /// Fields with a selection of their own.
    pub nodes: u64,
}

pub fn measure(document: &Document, operation: &Operation) -> Measure {
    let mut measured = HashMap::new();
    of(document, &operation.selection, &mut measured)
}

/// `None` for a fragment that is being measured: one that spreads itself is refused elsewhere.
type Measured<'d> = HashMap<&'d str, Option<Measure>>;

fn of<'d>(document: &'d Document, selection: &'d [Selection], measured: &mut Measured<'d>) -> Measure {
    let mut whole = Measure::default();
    for one in selection {
        let part = match one {
            Selection::Field(field) if field.name.starts_with("__") => continue,
            Selection::Field(field) => {
                let below = of(document, &field.selection, measured);
                Measure {
                    depth: 1 + below.depth,
                    nodes: below.nodes.saturating_add(u64::from(!field.selection.is_empty())),
                }
            }
            Selection::Inline { selection, .. } => of(document, selection, measured),
            Selection::Spread { name, .. } => spread(document, name, measured),
        };
        whole.depth = whole.depth.max(part.depth);
        whole.nodes = whole.nodes.saturating_add(part.nodes);
    }
    whole
}

fn spread<'d>(document: &'d Document, name: &'d str, measured: &mut Measured<'d>) -> Measure {
    if let Some(known) = measured.get(name) {
        return known.unwrap_or_default();
    }
    let Some(fragment) = document.fragment(name) else {
        return Measure::default();
    };
    // Each level of spreading holds one of the fragments, of which a document has so many as its size allows.
    if measured.values().filter(|known| known.is_none()).count() >= crate::syntax::MAX_DEPTH {
        return Measure::default();
    }
    measured.insert(name, None);
    let found = of(document, &fragment.selection, measured);
    measured.insert(name, Some(found));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(query: &str) -> (u64, u64) {
        let document = crate::syntax::parse_document(query).expect(query);
        let made = measure(&document, &document.operations[0]);
        (made.depth, made.nodes)
    }

    #[test]
    fn levels_and_nodes_are_counted_through_fragments() {
        assert_eq!(measured("{ a }"), (1, 0));
        assert_eq!(
            measured("{ a { b { c } } d { e } __schema { types { name } } }"),
            (3, 3)
        );
        assert_eq!(
            measured("{ a { ...f } x { ...f } } fragment f on t { b { ... on t { c } } }"),
            (3, 4)
        );
        assert_eq!(measured("{ a { ...f } } fragment f on t { b { ...f } }"), (2, 2));
    }

    #[test]
    fn fragments_that_double_are_measured_at_once() {
        let mut query = String::from("{ a { ...f0 } }");
        for at in 0..60 {
            query.push_str(&format!(
                " fragment f{at} on t {{ x {{ ...f{} }} y {{ ...f{} }} }}",
                at + 1,
                at + 1
            ));
        }
        query.push_str(" fragment f60 on t { z }");
        assert_eq!(measured(&query).0, 62);
    }
}
