//! The grammar of rules: calls with quoted arguments, `!`, `&&`, `||`, parentheses. `&&` binds tighter than `||`.

/// A rule as written; names and arguments have not been looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Call { name: String, arguments: Vec<String> },
}

/// Deeper nesting than this is an attack on the stack, not a rule.
const DEEPEST: usize = 64;

/// # Errors
/// What is expected where.
pub fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.or()?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.expected("&& or || or the end"));
    }
    Ok(expression)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        match self.rest().chars().next() {
            Some(found) => format!("expected {what} at column {}, found '{found}'", self.at + 1),
            None => format!("expected {what} at the end of the rule"),
        }
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn or(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.and()?];
        while self.take("||") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.term()?];
        while self.take("&&") {
            parts.push(self.term()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn term(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("the rule nests deeper than {DEEPEST} levels"));
        }
        let term = if self.take("!") {
            Expression::Not(Box::new(self.term()?))
        } else if self.take("(") {
            let inside = self.or()?;
            if !self.take(")") {
                return Err(self.expected("')'"));
            }
            inside
        } else {
            self.call()?
        };
        self.depth -= 1;
        Ok(term)
    }

    fn call(&mut self) -> Result<Expression, String> {
        self.space();
        let end = self
            .rest()
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(self.rest().len());
        let name = self.rest()[..end].to_owned();
        if name.is_empty() {
            return Err(self.expected("a matcher such as Host(`…`)"));
        }
        self.at += end;
        if !self.take("(") {
            return Err(self.expected("'('"));
        }
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(Expression::Call { name, arguments });
        }
        loop {
            arguments.push(self.argument()?);
            if self.take(")") {
                return Ok(Expression::Call { name, arguments });
            }
            if !self.take(",") {
                return Err(self.expected("',' or ')'"));
            }
        }
    }

    fn argument(&mut self) -> Result<String, String> {
        self.space();
        if self.take("`") {
            let Some(end) = self.rest().find('`') else {
                return Err("a '`' is never closed".into());
            };
            let text = self.rest()[..end].to_owned();
            self.at += end + 1;
            return Ok(text);
        }
        if !self.take("\"") {
            return Err(self.expected("a text in backticks"));
        }
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += index + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, c @ ('"' | '\\'))) => out.push(c),
                    _ => return Err("an unknown escape in a text in quotes; use backticks".into()),
                },
                c => out.push(c),
            }
        }
        Err("a '\"' is never closed".into())
    }
}

fn one_or(mut parts: Vec<Expression>, many: impl FnOnce(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        fn show(expression: &Expression) -> String {
            let list = |parts: &[Expression], with: &str| parts.iter().map(show).collect::<Vec<_>>().join(with);
            match expression {
                Expression::And(parts) => format!("({})", list(parts, " && ")),
                Expression::Or(parts) => format!("({})", list(parts, " || ")),
                Expression::Not(inner) => format!("!{}", show(inner)),
                Expression::Call { name, arguments } => format!("{name}({})", arguments.join(",")),
            }
        }
        parse(text).map_or_else(|error| error, |expression| show(&expression))
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert_eq!(shown("A(`1`) || B(`2`) && !C(`3`)"), "(A(1) || (B(2) && !C(3)))");
        assert_eq!(shown("(A(`1`)||B(`2`))&&C(`3`,\"4\")"), "((A(1) || B(2)) && C(3,4))");
        assert_eq!(shown("!(A(`1`) || B(`2`))"), "!(A(1) || B(2))");
    }

    #[test]
    fn what_is_no_rule_says_where() {
        for text in [
            "",
            "Host(`a`) &&",
            "(Host(`a`)",
            "Host('a')",
            "Host(a)",
            "Host(`a`) & Path(`/`)",
            "Host",
            "Host(`a`",
            "&& A(`x`)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"(".repeat(10_000)).is_err());
    }
}
