//! Tokens to a document. Recursion is bounded by [`MAX_DEPTH`], so no document can exhaust the stack.

use super::ast::*;
use super::lex::{SyntaxError, Token, lex};

/// How deep selection sets, lists, objects and types may nest.
pub const MAX_DEPTH: usize = 100;

type Parsed<T> = Result<T, SyntaxError>;

pub fn parse_document(text: &str) -> Parsed<Document> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        depth: 0,
    };
    let mut document = Document {
        operations: Vec::new(),
        fragments: Vec::new(),
    };
    while parser.at < parser.tokens.len() {
        parser.definition(&mut document)?;
    }
    if document.operations.is_empty() {
        Err(SyntaxError)
    } else {
        Ok(document)
    }
}

/// Reads a type such as `[Int!]!`.
pub fn parse_type(text: &str) -> Parsed<TypeRef> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        depth: 0,
    };
    let ty = parser.type_ref()?;
    if parser.at == parser.tokens.len() {
        Ok(ty)
    } else {
        Err(SyntaxError)
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at)
    }

    fn peek_punct(&self, punct: u8) -> bool {
        self.peek() == Some(&Token::Punct(punct))
    }

    fn eat(&mut self, punct: u8) -> bool {
        let found = self.peek_punct(punct);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, punct: u8) -> Parsed<()> {
        if self.eat(punct) { Ok(()) } else { Err(SyntaxError) }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = (*name).to_owned();
                self.at += 1;
                Ok(name)
            }
            _ => Err(SyntaxError),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            return Err(SyntaxError);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn definition(&mut self, document: &mut Document) -> Parsed<()> {
        let kind = match self.peek() {
            Some(Token::Punct(b'{')) => {
                let selection = self.selection_set()?;
                document.operations.push(Operation {
                    kind: OperationKind::Query,
                    name: None,
                    variables: Vec::new(),
                    directives: Vec::new(),
                    selection,
                });
                return Ok(());
            }
            Some(Token::Name("query")) => OperationKind::Query,
            Some(Token::Name("mutation")) => OperationKind::Mutation,
            Some(Token::Name("subscription")) => OperationKind::Subscription,
            Some(Token::Name("fragment")) => {
                self.at += 1;
                let fragment = self.fragment()?;
                document.fragments.push(fragment);
                return Ok(());
            }
            _ => return Err(SyntaxError),
        };
        self.at += 1;
        let operation = self.operation(kind)?;
        document.operations.push(operation);
        Ok(())
    }

    fn operation(&mut self, kind: OperationKind) -> Parsed<Operation> {
        let name = if matches!(self.peek(), Some(Token::Name(_))) {
            Some(self.name()?)
        } else {
            None
        };
        let mut variables = Vec::new();
        if self.eat(b'(') {
            while !self.eat(b')') {
                variables.push(self.variable_definition()?);
            }
        }
        let directives = self.directives()?;
        Ok(Operation {
            kind,
            name,
            variables,
            directives,
            selection: self.selection_set()?,
        })
    }

    fn variable_definition(&mut self) -> Parsed<VariableDefinition> {
        self.expect(b'$')?;
        let name = self.name()?;
        self.expect(b':')?;
        let ty = self.type_ref()?;
        let default = if self.eat(b'=') { Some(self.value()?) } else { None };
        self.directives()?;
        Ok(VariableDefinition { name, ty, default })
    }

    fn type_ref(&mut self) -> Parsed<TypeRef> {
        let ty = if self.eat(b'[') {
            let of = self.deeper(Self::type_ref)?;
            self.expect(b']')?;
            TypeRef::list(of)
        } else {
            TypeRef::named(self.name()?)
        };
        Ok(if self.eat(b'!') { ty.required() } else { ty })
    }

    fn fragment(&mut self) -> Parsed<Fragment> {
        let name = self.name()?;
        if name == "on" || self.name()? != "on" {
            return Err(SyntaxError);
        }
        let on = self.name()?;
        let directives = self.directives()?;
        Ok(Fragment {
            name,
            on,
            directives,
            selection: self.selection_set()?,
        })
    }

    fn selection_set(&mut self) -> Parsed<Vec<Selection>> {
        self.expect(b'{')?;
        let mut selection = Vec::new();
        while !self.eat(b'}') {
            let one = self.deeper(Self::selection)?;
            selection.push(one);
        }
        if selection.is_empty() {
            Err(SyntaxError)
        } else {
            Ok(selection)
        }
    }

    fn selection(&mut self) -> Parsed<Selection> {
        if self.peek() != Some(&Token::Spread) {
            return Ok(Selection::Field(self.field()?));
        }
        self.at += 1;
        match self.peek() {
            Some(Token::Name(name)) if *name != "on" => {
                let name = self.name()?;
                Ok(Selection::Spread {
                    name,
                    directives: self.directives()?,
                })
            }
            Some(Token::Name(_)) => {
                self.at += 1;
                let on = Some(self.name()?);
                let directives = self.directives()?;
                Ok(Selection::Inline {
                    on,
                    directives,
                    selection: self.selection_set()?,
                })
            }
            _ => {
                let directives = self.directives()?;
                Ok(Selection::Inline {
                    on: None,
                    directives,
                    selection: self.selection_set()?,
                })
            }
        }
    }

    fn field(&mut self) -> Parsed<Field> {
        let first = self.name()?;
        let (alias, name) = if self.eat(b':') {
            (Some(first), self.name()?)
        } else {
            (None, first)
        };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let selection = if self.peek_punct(b'{') {
            self.selection_set()?
        } else {
            Vec::new()
        };
        Ok(Field {
            alias,
            name,
            arguments,
            directives,
            selection,
        })
    }

    fn arguments(&mut self) -> Parsed<Vec<(String, Value)>> {
        let mut arguments = Vec::new();
        if self.eat(b'(') {
            while !self.eat(b')') {
                arguments.push(self.pair()?);
            }
            if arguments.is_empty() {
                return Err(SyntaxError);
            }
        }
        Ok(arguments)
    }

    fn pair(&mut self) -> Parsed<(String, Value)> {
        let name = self.name()?;
        self.expect(b':')?;
        Ok((name, self.value()?))
    }

    fn directives(&mut self) -> Parsed<Vec<Directive>> {
        let mut directives = Vec::new();
        while self.eat(b'@') {
            let name = self.name()?;
            directives.push(Directive {
                name,
                arguments: self.arguments()?,
            });
        }
        Ok(directives)
    }

    fn value(&mut self) -> Parsed<Value> {
        self.deeper(Self::value_here)
    }

    fn value_here(&mut self) -> Parsed<Value> {
        let token = self.tokens.get_mut(self.at).ok_or(SyntaxError)?;
        self.at += 1;
        Ok(match token {
            Token::Punct(b'$') => Value::Variable(self.name()?),
            Token::Punct(b'[') => {
                let mut items = Vec::new();
                while !self.eat(b']') {
                    items.push(self.value()?);
                }
                Value::List(items)
            }
            Token::Punct(b'{') => {
                let mut fields = Vec::new();
                while !self.eat(b'}') {
                    fields.push(self.pair()?);
                }
                Value::Object(fields)
            }
            Token::Int(text) => Value::Int((*text).to_owned()),
            Token::Float(text) => Value::Float((*text).to_owned()),
            Token::String(text) => Value::String(std::mem::take(text)),
            Token::Name("true") => Value::Boolean(true),
            Token::Name("false") => Value::Boolean(false),
            Token::Name("null") => Value::Null,
            Token::Name(name) => Value::Enum((*name).to_owned()),
            _ => return Err(SyntaxError),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_every_construct_parses() {
        let text = r#"
            query q($a: [Int!]! = [1, 2], $b: String) @cached(ttl: 5) {
              x: author(where: {id: {_in: $a}, name: {_like: "\u0041%"}}) @include(if: true) { id ...f ... on author { name } }
            }
            fragment f on author { id @skip(if: false) }
        "#;
        let document = parse_document(text).expect("valid");
        assert_eq!(document.operations[0].variables[0].ty.to_string(), "[Int!]!");
        assert_eq!(document.fragments.len(), 1);
    }

    #[test]
    fn broken_documents_are_refused() {
        for text in [
            "",
            "{",
            "{}",
            "{ a( }",
            "{ a: }",
            "query { a } }",
            "{ a(x: 01) }",
            "{ a(x: \"\n\") }",
            "fragment on on a { b }",
        ] {
            assert!(parse_document(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endless_nesting_is_refused_without_overflowing() {
        assert!(parse_document(&"{a".repeat(100_000)).is_err());
        assert!(parse_document(&format!("{{a(x: {})}}", "[".repeat(100_000))).is_err());
    }
}
