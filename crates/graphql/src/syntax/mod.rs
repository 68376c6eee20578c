//! GraphQL's syntax: text to tokens to a document.

mod ast;
mod lex;
mod parse;

pub use ast::*;
pub use parse::{MAX_DEPTH, parse_document, parse_type};
