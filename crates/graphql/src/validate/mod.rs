//! A request against a role's types: fields, arguments, fragments, directives, variables. What comes out is resolved: no
//! variable, fragment or directive is left in it.

mod coerce;
mod geojson;
mod given;
mod selection;
mod variables;

pub use selection::{Selected, choose, resolve};
