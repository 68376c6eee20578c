//! Texts, and what stands in braces inside them.

use super::Parser;
use crate::{Error, Expression, Span, Spanned};
use serde_json::Value;

impl Parser<'_> {
    /// Names of fields are plain text.
    pub fn key(&mut self) -> Result<String, Error> {
        let begin = self.place();
        match self.parts(Some('"'))?.as_slice() {
            [] => Ok(String::new()),
            [
                Spanned {
                    expression: Expression::Literal(Value::String(key)),
                    ..
                },
            ] => Ok(key.clone()),
            _ => {
                let span = Span {
                    start: begin,
                    end: self.place(),
                };
                Err(Error::new(
                    "Parse Error",
                    "The name of a field cannot be worked out.",
                    span,
                ))
            }
        }
    }

    /// A text's parts, up to `end`; without one up to the end of the template, where a backslash is a backslash.
    pub fn parts(&mut self, end: Option<char>) -> Result<Vec<Spanned>, Error> {
        let mut parts = Vec::new();
        let (mut begin, mut text) = (self.place(), String::new());
        loop {
            let here = self.place();
            let stop = match self.peek() {
                None if end.is_none() => true,
                None => return Err(self.unexpected()),
                Some(c) => Some(c) == end,
            };
            let braces = !stop && self.take("{{");
            if (stop || braces) && !text.is_empty() {
                let span = Span {
                    start: begin,
                    end: here,
                };
                let expression = Expression::Literal(Value::String(std::mem::take(&mut text)));
                parts.push(Spanned { expression, span });
            }
            if stop {
                self.next();
                return Ok(parts);
            }
            if braces {
                parts.push(self.braces(here)?);
                begin = self.place();
                continue;
            }
            match self.next() {
                Some('\\') if end.is_some() => text.push(self.escape()?),
                Some(c) => text.push(c),
                None => {}
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let plain = match self.peek() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => return self.code_point(),
            Some(c @ ('"' | '\\' | '/' | '{')) => c,
            _ => return Err(self.unexpected()),
        };
        self.next();
        Ok(plain)
    }

    /// `uXXXX`, or two of them for what is beyond.
    fn code_point(&mut self) -> Result<char, Error> {
        let unit = |parser: &mut Self| {
            let digits = parser
                .rest
                .get(1..5)
                .and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let digits = digits.ok_or_else(|| parser.unexpected());
            for _ in 0..5 {
                parser.next();
            }
            digits
        };
        let mut code = unit(self)?;
        if (0xd800..0xdc00).contains(&code) && self.rest.starts_with("\\u") {
            self.next();
            let low = unit(self)?;
            code = 0x10000 + ((code - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
        }
        char::from_u32(code).ok_or_else(|| self.unexpected())
    }
}
