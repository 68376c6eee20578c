//! `actions.graphql`: the signatures of actions and the fields of their types, in GraphQL's own language, as Hasura's command
//! line keeps them. What else there is to say about them stands in `actions.yaml`.

use serde_json::{Map, Value, json};
use std::fmt::Write;

/// What is wrong, and in which line.
pub type Wrong = (usize, String);

/// Signatures by the action's name, and types by kind.
#[derive(Debug, Default, PartialEq)]
pub struct Signatures {
    pub actions: Map<String, Value>,
    pub types: Types,
}

/// Each a list of custom types as metadata has them.
#[derive(Debug, Default, PartialEq)]
pub struct Types {
    pub input_objects: Vec<Value>,
    pub objects: Vec<Value>,
    pub scalars: Vec<Value>,
    pub enums: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Sign(char),
}

pub fn parse(text: &str) -> Result<Signatures, Wrong> {
    let mut reader = Reader {
        tokens: tokens(text)?,
        at: 0,
    };
    let mut found = Signatures::default();
    while reader.at < reader.tokens.len() {
        reader.definition(&mut found)?;
    }
    Ok(found)
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Wrong> {
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, text);
    while let Some(c) = rest.chars().next() {
        let (token, taken) = match c {
            '\n' => {
                line += 1;
                (None, 1)
            }
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            ',' | '\u{feff}' => (None, c.len_utf8()),
            c if c.is_whitespace() => (None, c.len_utf8()),
            '"' => {
                let (inner, taken) = string(rest).ok_or((line, "a text is not closed".to_owned()))?;
                (Some(Token::Text(inner)), taken)
            }
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '!' | '@' | '=' | '|' | '&' => (Some(Token::Sign(c)), 1),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '.') => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '.');
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (Some(Token::Name(rest[..end].to_owned())), end)
            }
            other => return Err((line, format!("'{other}' has no place here"))),
        };
        tokens.extend(token.map(|token| (line, token)));
        if c != '\n' {
            line += rest[..taken].matches('\n').count();
        }
        rest = &rest[taken..];
    }
    Ok(tokens)
}

/// A description and how long it was written.
fn string(rest: &str) -> Option<(String, usize)> {
    if let Some(inner) = rest.strip_prefix("\"\"\"") {
        let end = inner.find("\"\"\"")?;
        let lines = inner[..end].lines().map(str::trim);
        let text = lines.collect::<Vec<_>>().join("\n");
        return Some((text.trim().to_owned(), end + 6));
    }
    let mut escaped = false;
    let end = rest[1..].find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let written = &rest[..end + 2];
    Some((serde_json::from_str(written).ok()?, written.len()))
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn wrong(&self, wanted: &str) -> Wrong {
        let last = self.tokens.last().map_or(1, |(line, _)| *line);
        let line = self.tokens.get(self.at).map_or(last, |(line, _)| *line);
        let found = match self.peek() {
            None => "the end of the file".to_owned(),
            Some(Token::Name(name)) => format!("'{name}'"),
            Some(Token::Text(_)) => "a text".to_owned(),
            Some(Token::Sign(sign)) => format!("'{sign}'"),
        };
        (line, format!("{wanted} is expected, not {found}"))
    }

    fn takes(&mut self, sign: char) -> bool {
        let there = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, sign: char) -> Result<(), Wrong> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(self.wrong(&format!("'{sign}'"))),
        }
    }

    fn name(&mut self) -> Result<String, Wrong> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.wrong("a name")),
        }
    }

    fn description(&mut self) -> Option<String> {
        let Some(Token::Text(text)) = self.peek() else {
            return None;
        };
        let text = text.clone();
        self.at += 1;
        Some(text)
    }

    /// Directives say nothing here.
    fn skip_directives(&mut self) -> Result<(), Wrong> {
        while self.takes('@') {
            self.name()?;
            if self.takes('(') {
                while !self.takes(')') {
                    if self.peek().is_none() {
                        return Err(self.wrong("')'"));
                    }
                    self.at += 1;
                }
            }
        }
        Ok(())
    }

    fn definition(&mut self, found: &mut Signatures) -> Result<(), Wrong> {
        let description = self.description();
        let mut keyword = self.name()?;
        if keyword == "extend" {
            keyword = self.name()?;
        }
        let line = self.tokens[self.at - 1].0;
        let name = match keyword.as_str() {
            "type" | "input" | "enum" | "scalar" => self.name()?,
            other => return Err((line, format!("type, input, enum or scalar is expected, not '{other}'"))),
        };
        self.skip_directives()?;
        match (keyword.as_str(), name.as_str()) {
            ("type", "Query" | "Mutation") => return self.signatures(&name, found),
            ("type", _) => {
                let fields = self.fields()?;
                found
                    .types
                    .objects
                    .push(described(json!({"name": name, "fields": fields}), description));
            }
            ("input", _) => {
                let fields = self.fields()?;
                found
                    .types
                    .input_objects
                    .push(described(json!({"name": name, "fields": fields}), description));
            }
            ("scalar", _) => found
                .types
                .scalars
                .push(described(json!({ "name": name }), description)),
            _ => {
                let mut values = Vec::new();
                self.expect('{')?;
                while !self.takes('}') {
                    let description = self.description();
                    values.push(described(json!({"value": self.name()?}), description));
                    self.skip_directives()?;
                }
                found
                    .types
                    .enums
                    .push(described(json!({"name": name, "values": values}), description));
            }
        }
        Ok(())
    }

    fn signatures(&mut self, root: &str, found: &mut Signatures) -> Result<(), Wrong> {
        self.expect('{')?;
        while !self.takes('}') {
            // The action's comment has its place in actions.yaml.
            self.description();
            let name = self.name()?;
            let mut arguments = Vec::new();
            if self.takes('(') {
                while !self.takes(')') {
                    arguments.push(self.field()?);
                }
            }
            self.expect(':')?;
            let output = self.ty()?;
            self.skip_directives()?;
            let signature = json!({"query": root == "Query", "arguments": arguments, "output_type": output});
            found.actions.insert(name, signature);
        }
        Ok(())
    }

    fn fields(&mut self) -> Result<Vec<Value>, Wrong> {
        let mut fields = Vec::new();
        self.expect('{')?;
        while !self.takes('}') {
            fields.push(self.field()?);
        }
        Ok(fields)
    }

    fn field(&mut self) -> Result<Value, Wrong> {
        let description = self.description();
        let name = self.name()?;
        self.expect(':')?;
        let ty = self.ty()?;
        self.skip_directives()?;
        Ok(described(json!({"name": name, "type": ty}), description))
    }

    fn ty(&mut self) -> Result<String, Wrong> {
        let mut ty = match self.takes('[') {
            true => {
                let inner = self.ty()?;
                self.expect(']')?;
                format!("[{inner}]")
            }
            false => self.name()?,
        };
        if self.takes('!') {
            ty.push('!');
        }
        Ok(ty)
    }
}

fn described(mut value: Value, description: Option<String>) -> Value {
    if let Some(description) = description {
        value["description"] = Value::from(description);
    }
    value
}

/// The text of the file for a document's actions and types.
pub fn write(actions: &[Value], types: &Value) -> String {
    let mut text = String::new();
    for (root, query) in [("Mutation", false), ("Query", true)] {
        let of_root = |action: &&Value| (action["definition"]["type"] == "query") == query;
        let actions: Vec<&Value> = actions.iter().filter(of_root).collect();
        if actions.is_empty() {
            continue;
        }
        block(&mut text, &format!("type {root}"), |text| {
            for action in actions {
                let definition = &action["definition"];
                let arguments = list(&definition["arguments"]);
                line(text, 2, &name(action, "name"));
                if !arguments.is_empty() {
                    text.push_str("(\n");
                    arguments.iter().for_each(|argument| field(text, 4, argument));
                    text.push_str("  )");
                }
                // Writing to a string cannot fail.
                let _ = writeln!(text, ": {}", name(definition, "output_type"));
            }
        });
    }
    for (kind, word) in [("input_objects", "input"), ("objects", "type")] {
        for one in list(&types[kind]) {
            describe(&mut text, 0, one);
            block(&mut text, &format!("{word} {}", name(one, "name")), |text| {
                list(&one["fields"]).iter().for_each(|one| field(text, 2, one));
            });
        }
    }
    for one in list(&types["enums"]) {
        describe(&mut text, 0, one);
        block(&mut text, &format!("enum {}", name(one, "name")), |text| {
            for value in list(&one["values"]) {
                describe(text, 2, value);
                let _ = writeln!(text, "  {}", name(value, "value"));
            }
        });
    }
    for one in list(&types["scalars"]) {
        describe(&mut text, 0, one);
        let _ = writeln!(text, "scalar {}\n", name(one, "name"));
    }
    text
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn name(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn block(text: &mut String, head: &str, inside: impl FnOnce(&mut String)) {
    text.push_str(head);
    text.push_str(" {\n");
    inside(text);
    text.push_str("}\n\n");
}

fn line(text: &mut String, indent: usize, what: &str) {
    let _ = write!(text, "{:indent$}{what}", "");
}

fn describe(text: &mut String, indent: usize, value: &Value) {
    if let Some(description) = value["description"].as_str() {
        line(text, indent, &Value::from(description).to_string());
        text.push('\n');
    }
}

fn field(text: &mut String, indent: usize, value: &Value) {
    describe(text, indent, value);
    line(
        text,
        indent,
        &format!("{}: {}\n", name(value, "name"), name(value, "type")),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_and_types_are_read_and_written() {
        let actions = [
            json!({"name": "make", "definition": {"output_type": "[Made!]!",
                "arguments": [{"name": "a", "type": "Person!", "description": "who \"it\" is"}, {"name": "b", "type": "[Int]"}]}}),
            json!({"name": "find", "definition": {"type": "query", "output_type": "Made"}}),
        ];
        let types = json!({"input_objects": [{"name": "Person", "fields": [{"name": "name", "type": "String"}]}],
            "objects": [{"name": "Made", "fields": [{"name": "id", "type": "Int!", "description": "its id"}], "description": "made"}],
            "enums": [{"name": "Mood", "values": [{"value": "GLAD"}, {"value": "SAD", "description": "not glad"}]}],
            "scalars": [{"name": "Anything"}]});
        let read = parse(&write(&actions, &types)).expect("read again");
        assert_eq!(read.actions["make"]["output_type"], "[Made!]!");
        assert_eq!(read.actions["make"]["arguments"], actions[0]["definition"]["arguments"]);
        assert_eq!(
            read.actions["find"],
            json!({"query": true, "arguments": [], "output_type": "Made"})
        );
        assert_eq!(json!(read.types.input_objects), types["input_objects"]);
        assert_eq!(json!(read.types.objects), types["objects"]);
        assert_eq!(json!(read.types.enums), types["enums"]);
        assert_eq!(json!(read.types.scalars), types["scalars"]);
    }

    #[test]
    fn mistakes_have_a_line() {
        let told = |text: &str| parse(text).expect_err("a mistake");
        assert_eq!(
            told("type A {\n  x Int\n}"),
            (2, "':' is expected, not 'Int'".to_owned())
        );
        assert_eq!(
            told("# only\nunion A = B"),
            (2, "type, input, enum or scalar is expected, not 'union'".to_owned())
        );
        assert_eq!(
            told("type A {\n  x: [Int\n}"),
            (3, "']' is expected, not '}'".to_owned())
        );
        assert_eq!(told("type A {\n").1, "a name is expected, not the end of the file");
        assert_eq!(told("type A { x: Int % }").1, "'%' has no place here");
    }
}
