//! Text to expressions, by recursive descent over the characters.

mod block;
mod text;

use crate::{Error, Expression, Operator, Span, Spanned, Step, Target};
use serde_json::Value;

/// Deeper templates would exhaust the stack.
const DEEPEST: usize = 64;

/// By how tightly they bind, loosest first; longer signs before their beginnings.
const OPERATORS: [&[(&str, Operator)]; 4] = [
    &[("??", Operator::Default)],
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("in", Operator::In),
    ],
];

pub fn whole(text: &str) -> Result<Spanned, Error> {
    let mut parser = Parser::new(text);
    let found = parser.expression()?;
    parser.space();
    match parser.peek() {
        None => Ok(found),
        Some(_) => Err(parser.unexpected()),
    }
}

pub fn text(text: &str) -> Result<Spanned, Error> {
    let mut parser = Parser::new(text);
    let begin = parser.place();
    let parts = parser.parts(None)?;
    Ok(parser.spanned(begin, Expression::Text(parts)))
}

struct Parser<'t> {
    rest: &'t str,
    line: usize,
    column: usize,
    depth: usize,
}

type Place = (usize, usize);

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Parser {
            rest: text,
            line: 0,
            column: 1,
            depth: 0,
        }
    }

    fn place(&self) -> Place {
        (self.line, self.column)
    }

    fn spanned(&self, start: Place, expression: Expression) -> Spanned {
        Spanned {
            expression,
            span: Span {
                start,
                end: self.place(),
            },
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        match c {
            '\n' => (self.line, self.column) = (self.line + 1, 1),
            _ => self.column += 1,
        }
        Some(c)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Takes `sign` if it comes next.
    fn take(&mut self, sign: &str) -> bool {
        let there = self.rest.starts_with(sign);
        if there {
            for _ in sign.chars() {
                self.next();
            }
        }
        there
    }

    fn expect(&mut self, sign: &str) -> Result<(), Error> {
        self.space();
        match self.take(sign) {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    /// The place is behind the token, as Hasura tells it.
    fn unexpected(&mut self) -> Error {
        let start = self.place();
        let token: String = match self.peek() {
            None => {
                let span = Span { start, end: start };
                return Error::new("Parse Error", "Unexpected end of input.", span);
            }
            Some(c) if is_name_start(c) => self.rest.chars().take_while(|c| is_name(*c)).collect(),
            Some(c) => c.to_string(),
        };
        let column = start.1 + token.chars().count();
        let span = Span {
            start: (start.0, column),
            end: (start.0, column + 1),
        };
        Error::new("Parse Error", format!("Unexpected token '{token}'."), span)
    }

    fn expression(&mut self) -> Result<Spanned, Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let span = Span {
                start: self.place(),
                end: self.place(),
            };
            return Err(Error::new("Parse Error", "The template is nested too deeply.", span));
        }
        let found = self.operators(0);
        self.depth -= 1;
        found
    }

    fn operators(&mut self, level: usize) -> Result<Spanned, Error> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.term();
        };
        self.space();
        let begin = self.place();
        let mut left = self.operators(level + 1)?;
        loop {
            self.space();
            let found = operators.iter().find(|(sign, _)| self.comes(sign));
            let Some((sign, operator)) = found else {
                return Ok(left);
            };
            self.take(sign);
            let right = self.operators(level + 1)?;
            left = self.spanned(begin, Expression::Operator(*operator, Box::new(left), Box::new(right)));
        }
    }

    /// A word is not the beginning of a longer one.
    fn comes(&self, sign: &str) -> bool {
        let Some(after) = self.rest.strip_prefix(sign) else {
            return false;
        };
        !sign.starts_with(is_name_start) || !after.starts_with(is_name)
    }

    fn term(&mut self) -> Result<Spanned, Error> {
        self.space();
        let begin = self.place();
        let Some(first) = self.peek() else {
            return Err(self.unexpected());
        };
        if self.take("{{") {
            return self.braces(begin);
        }
        match first {
            '"' => {
                self.next();
                let parts = self.parts(Some('"'))?;
                Ok(self.spanned(begin, Expression::Text(parts)))
            }
            '[' => self.array(begin),
            '{' => self.object(begin),
            '(' => {
                self.next();
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            '-' | '0'..='9' => self.number(begin),
            c if is_name_start(c) => self.word(begin),
            _ => Err(self.unexpected()),
        }
    }

    /// What stands between `{{`, which is taken, and `}}`.
    fn braces(&mut self, begin: Place) -> Result<Spanned, Error> {
        self.space();
        if self.comes("if") {
            return self.condition(begin);
        }
        if self.comes("range") {
            return self.range(begin);
        }
        let inner = self.expression()?;
        self.expect("}}")?;
        Ok(inner)
    }

    fn name(&mut self) -> Result<String, Error> {
        self.space();
        if !self.peek().is_some_and(is_name_start) {
            return Err(self.unexpected());
        }
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| is_name(*c)) {
            name.push(c);
            self.next();
        }
        Ok(name)
    }

    fn word(&mut self, begin: Place) -> Result<Spanned, Error> {
        let name = self.name()?;
        let literal = match name.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        };
        if let Some(literal) = literal {
            return Ok(self.spanned(begin, Expression::Literal(literal)));
        }
        // An older form has no parentheses round the argument.
        let bare = matches!(name.as_str(), "not" | "escapeUri") && self.peek().is_some_and(char::is_whitespace);
        if self.rest.starts_with('(') || bare {
            let argument = match bare {
                true => self.term()?,
                false => {
                    self.take("(");
                    let argument = self.expression()?;
                    self.expect(")")?;
                    argument
                }
            };
            return Ok(self.spanned(begin, Expression::Call(name, Box::new(argument))));
        }
        let mut steps = Vec::new();
        while let Some(step) = self.step()? {
            steps.push(step);
        }
        Ok(self.spanned(begin, Expression::Path(name, steps)))
    }

    fn step(&mut self) -> Result<Option<Step>, Error> {
        let start = self.place();
        let optional = self.rest.starts_with("?.") || self.rest.starts_with("?[");
        if optional {
            self.take("?");
        }
        let to = if self.take(".") {
            Target::Key(self.name()?)
        } else if self.take("[") {
            self.space();
            let to = match self.peek() {
                Some('\'') => {
                    self.next();
                    let key = self.until('\'')?;
                    Target::Key(key)
                }
                Some('0'..='9') => self.index()?,
                _ => return Err(self.unexpected()),
            };
            self.expect("]")?;
            to
        } else {
            return Ok(None);
        };
        let end = self.place();
        let span = Span { start, end };
        Ok(Some(Step { to, optional, span }))
    }

    fn until(&mut self, end: char) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.unexpected()),
                Some(c) => {
                    self.next();
                    if c == end {
                        return Ok(text);
                    }
                    text.push(c);
                }
            }
        }
    }

    fn index(&mut self) -> Result<Target, Error> {
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.next();
        }
        digits.parse().map(Target::Index).map_err(|_| self.unexpected())
    }

    fn number(&mut self, begin: Place) -> Result<Spanned, Error> {
        let is_part = |c: &char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E');
        let digits: String = self.rest.chars().take_while(is_part).collect();
        let Ok(number) = serde_json::from_str::<Value>(&digits) else {
            return Err(self.unexpected());
        };
        self.take(&digits);
        Ok(self.spanned(begin, Expression::Literal(number)))
    }

    fn array(&mut self, begin: Place) -> Result<Spanned, Error> {
        self.next();
        let mut items = Vec::new();
        self.space();
        while !self.take("]") {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.expression()?);
            self.space();
        }
        Ok(self.spanned(begin, Expression::Array(items)))
    }

    fn object(&mut self, begin: Place) -> Result<Spanned, Error> {
        self.next();
        let mut fields: Vec<(String, Spanned)> = Vec::new();
        self.space();
        while !self.take("}") {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            self.expect("\"")?;
            let key = self.key()?;
            self.expect(":")?;
            let value = self.expression()?;
            fields.retain(|(known, _)| *known != key);
            fields.push((key, value));
            self.space();
        }
        Ok(self.spanned(begin, Expression::Object(fields)))
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$')
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-')
}
