//! What a token must say: ``Equals(`grp`, `admin`) && !Contains(`areas`, `lab`)``, in the grammar of rules, over claims named by
//! their path (`user.name`; a dot that belongs to the name is written `\.`).

use crate::rule::{Expression, parse};
use serde_json::Value;

#[derive(Debug)]
pub struct Claims(Test);

#[derive(Debug)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Equals(Path, String),
    Prefix(Path, String),
    Contains(Path, String),
    SplitContains(Path, String, String),
    OneOf(Path, Vec<String>),
}

/// Where in the claims a value is.
#[derive(Debug, PartialEq)]
pub struct Path(Vec<String>);

impl Path {
    pub fn parse(text: &str) -> Self {
        let mut names = vec![String::new()];
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => names.last_mut().expect("one name at least").extend(letters.next()),
                '.' => names.push(String::new()),
                letter => names.last_mut().expect("one name at least").push(letter),
            }
        }
        Path(names)
    }

    fn find<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(claims, |inside, name| inside.get(name))
    }

    /// The value as text: a list's values with commas between them, an object as JSON.
    pub fn text(&self, claims: &Value) -> Option<String> {
        match self.find(claims)? {
            Value::Array(values) => Some(values.iter().map(text).collect::<Vec<_>>().join(",")),
            value => Some(text(value)),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

impl Claims {
    /// # Errors
    /// What is wrong with the expression.
    pub fn parse(expression: &str) -> Result<Self, String> {
        test(parse(expression)?).map(Claims)
    }

    pub fn hold(&self, claims: &Value) -> bool {
        self.0.holds(claims)
    }
}

fn test(expression: Expression) -> Result<Test, String> {
    let all = |parts: Vec<Expression>| parts.into_iter().map(test).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        Expression::And(parts) => Test::All(all(parts)?),
        Expression::Or(parts) => Test::Any(all(parts)?),
        Expression::Not(inner) => Test::Not(Box::new(test(*inner)?)),
        Expression::Call { name, arguments } => call(&name, arguments)?,
    })
}

fn call(name: &str, arguments: Vec<String>) -> Result<Test, String> {
    let wrong = |form: &str| Err(format!("{name} has the form {form}"));
    let mut given = arguments.into_iter();
    let (path, rest) = match given.next() {
        Some(path) => (Path::parse(&path), given.collect::<Vec<_>>()),
        None => return wrong("Equals(`claim`, `value`)"),
    };
    let two = || format!("{name}(`claim`, `value`)");
    Ok(match (name, rest.as_slice()) {
        ("Equals", [value]) => Test::Equals(path, value.clone()),
        ("Prefix", [value]) => Test::Prefix(path, value.clone()),
        ("Contains", [value]) => Test::Contains(path, value.clone()),
        ("SplitContains", [separator, value]) => Test::SplitContains(path, separator.clone(), value.clone()),
        ("OneOf", [_, ..]) => Test::OneOf(path, rest),
        ("Equals" | "Prefix" | "Contains", _) => return wrong(&two()),
        ("SplitContains", _) => return wrong("SplitContains(`claim`, `separator`, `value`)"),
        ("OneOf", _) => return wrong("OneOf(`claim`, `value`, …)"),
        _ => {
            let known = ["Equals", "Prefix", "Contains", "SplitContains", "OneOf"];
            return Err(format!("there is no function '{name}'; there are {}", known.join(", ")));
        }
    })
}

impl Test {
    fn holds(&self, claims: &Value) -> bool {
        let found = |path: &Path| path.find(claims).cloned().unwrap_or_default();
        match self {
            Test::All(parts) => parts.iter().all(|part| part.holds(claims)),
            Test::Any(parts) => parts.iter().any(|part| part.holds(claims)),
            Test::Not(inner) => !inner.holds(claims),
            // A claim that is missing equals nothing, not even the empty text.
            Test::Equals(path, value) => path.find(claims).is_some_and(|found| text(found) == *value),
            Test::Prefix(path, value) => path.find(claims).is_some_and(|found| text(found).starts_with(value)),
            Test::Contains(path, value) => match found(path) {
                Value::Array(values) => values.iter().any(|found| text(found) == *value),
                Value::String(text) => text.contains(value.as_str()),
                _ => false,
            },
            Test::SplitContains(path, separator, value) => match found(path) {
                Value::String(text) => text.split(separator.as_str()).any(|part| part == value),
                _ => false,
            },
            Test::OneOf(path, values) => {
                let wanted = |found: &Value| values.contains(&text(found));
                match path.find(claims) {
                    Some(Value::Array(found)) => found.iter().any(wanted),
                    Some(found) => wanted(found),
                    None => false,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(expression: &str, expected: bool) {
        let claims = json!({"active": true, "grp": "admin", "scope": "reader writer deploy", "level": 3,
            "referrer": "http://example.com/foo/bar", "areas": ["office", "home"],
            "user": {"name": "Ada", "a.b": "c"}, "https://x.test/role": "r"});
        let test = Claims::parse(expression).expect("an expression");
        assert_eq!(test.hold(&claims), expected, "{expression}");
    }

    #[test]
    fn every_function_tests_what_its_name_says() {
        check("Equals(`grp`, `admin`)", true);
        check("Equals(`active`, `true`) && Equals(`level`, `3`)", true);
        check("Equals(`nothing`, ``)", false);
        check("Prefix(`referrer`, `http://example.com`)", true);
        check("Contains(`referrer`, `/foo/`)", true);
        check("Contains(`areas`, `home`)", true);
        check("Contains(`areas`, `ho`)", false);
        check("SplitContains(`scope`, ` `, `writer`)", true);
        check("SplitContains(`scope`, ` `, `write`)", false);
        check("OneOf(`areas`, `lab`, `office`)", true);
        check("OneOf(`areas`, `lab`)", false);
        check("!Equals(`grp`, `testers`)", true);
        check("Equals(`grp`, `x`) || Equals(`user.name`, `Ada`)", true);
        check(r"Equals(`user.a\.b`, `c`)", true);
        check(r"Equals(`https://x\.test/role`, `r`)", true);
    }

    #[test]
    fn mistakes_are_told_by_name() {
        for (expression, said) in [
            ("Equal(`a`, `b`)", "no function 'Equal'"),
            ("Equals(`a`)", "Equals(`claim`, `value`)"),
            ("SplitContains(`a`, `b`)", "`separator`"),
            ("Equals(`a`, `b`) &&", "expected"),
        ] {
            let error = Claims::parse(expression).expect_err(expression);
            assert!(error.contains(said), "{expression}: {error}");
        }
    }
}
