//! From a parsed expression to matchers: names, number and form of arguments; and v2's placeholders.

use super::{
    matcher::{Matcher, Rule},
    parse::{self, Expression},
};
use crate::{address::Net, model::tree::nearest};
use http::HeaderName;
use regex::Regex;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    V2,
    #[default]
    V3,
}

impl Syntax {
    /// # Errors
    /// The name is neither `v2` nor `v3`.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name {
            "" | "v3" => Ok(Self::V3),
            "v2" => Ok(Self::V2),
            other => Err(format!("unknown rule syntax '{other}'; there are v2 and v3")),
        }
    }
}

const V3_NAMES: [&str; 11] = [
    "Host",
    "HostRegexp",
    "Path",
    "PathPrefix",
    "PathRegexp",
    "Method",
    "Header",
    "HeaderRegexp",
    "Query",
    "QueryRegexp",
    "ClientIP",
];
const V2_NAMES: [&str; 10] = [
    "Host",
    "HostHeader",
    "HostRegexp",
    "Path",
    "PathPrefix",
    "Method",
    "Headers",
    "HeadersRegexp",
    "Query",
    "ClientIP",
];

/// # Errors
/// What is wrong with the rule, for whoever wrote it.
pub fn compile(text: &str, syntax: Syntax) -> Result<Rule, String> {
    if text.trim().is_empty() {
        return Err("the rule is empty".into());
    }
    lower(&parse::parse(text)?, syntax)
}

fn lower(expression: &Expression, syntax: Syntax) -> Result<Rule, String> {
    let all = |parts: &[Expression]| {
        parts
            .iter()
            .map(|part| lower(part, syntax))
            .collect::<Result<Vec<_>, _>>()
    };
    match expression {
        Expression::And(parts) => all(parts).map(Rule::And),
        Expression::Or(parts) => all(parts).map(Rule::Or),
        Expression::Not(inner) => Ok(Rule::Not(Box::new(lower(inner, syntax)?))),
        Expression::Call { name, arguments } => match syntax {
            Syntax::V3 => v3(name, arguments),
            Syntax::V2 => v2(name, arguments),
        },
    }
}

fn known<'a>(name: &str, names: &[&'a str]) -> Result<&'a str, String> {
    let found = names.iter().find(|known| known.eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| {
        let hint = nearest(name, names).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        format!("there is no matcher {name}{hint}")
    })
}

fn v3(name: &str, arguments: &[String]) -> Result<Rule, String> {
    let name = known(name, &V3_NAMES)?;
    let one = || match arguments {
        [one] => Ok(one.as_str()),
        _ => Err(format!(
            "{name} takes one argument, not {}; join matchers with ||",
            arguments.len()
        )),
    };
    let two = || match arguments {
        [key, value] => Ok((key.as_str(), value.as_str())),
        _ => Err(format!("{name} takes two arguments, not {}", arguments.len())),
    };
    let key_and_optional = || match arguments {
        [key] => Ok((key.clone(), None)),
        [key, value] => Ok((key.clone(), Some(value.as_str()))),
        _ => Err(format!("{name} takes one or two arguments, not {}", arguments.len())),
    };
    let matcher = match name {
        "Host" => host(one()?)?,
        "HostRegexp" => Matcher::HostRegexp(regex(one()?)?),
        "Path" => Matcher::Path(slash(name, one()?)?),
        "PathPrefix" => Matcher::PathPrefix(slash(name, one()?)?),
        "PathRegexp" => Matcher::PathRegexp(regex(one()?)?),
        "Method" => Matcher::Method(one()?.to_ascii_uppercase()),
        "Header" => two().and_then(|(key, value)| Ok(Matcher::Header(header(key)?, value.to_owned())))?,
        "HeaderRegexp" => two().and_then(|(key, value)| Ok(Matcher::HeaderRegexp(header(key)?, regex(value)?)))?,
        "Query" => key_and_optional().map(|(key, value)| Matcher::Query(key, value.unwrap_or_default().to_owned()))?,
        "QueryRegexp" => match key_and_optional()? {
            (key, Some(value)) => Matcher::QueryRegexp(key, regex(value)?),
            (key, None) => Matcher::Query(key, String::new()),
        },
        _ => Matcher::ClientIp(Net::parse(one()?)?),
    };
    Ok(Rule::Match(matcher))
}

fn v2(name: &str, arguments: &[String]) -> Result<Rule, String> {
    let name = known(name, &V2_NAMES)?;
    if arguments.is_empty() {
        return Err(format!("{name} takes at least one argument"));
    }
    let each = |make: &dyn Fn(&str) -> Result<Matcher, String>| {
        let matchers = arguments.iter().map(|argument| make(argument).map(Rule::Match));
        matchers.collect::<Result<Vec<_>, _>>()
    };
    let pair = || match arguments {
        [key, value] => Ok((header(key)?, value.as_str())),
        _ => Err(format!("{name} takes two arguments, not {}", arguments.len())),
    };
    Ok(match name {
        "Host" | "HostHeader" => Rule::Or(each(&host)?),
        "HostRegexp" => Rule::Or(each(&|text| {
            template(text, "[^.]+", true, true).map(Matcher::HostRegexp)
        })?),
        "Path" => Rule::Or(each(&|text| path_template(name, text, true))?),
        "PathPrefix" => Rule::Or(each(&|text| path_template(name, text, false))?),
        "Method" => Rule::Or(each(&|text| Ok(Matcher::Method(text.to_ascii_uppercase())))?),
        "Headers" => pair().map(|(key, value)| Rule::Match(Matcher::Header(key, value.to_owned())))?,
        "HeadersRegexp" => {
            pair().and_then(|(key, value)| Ok(Rule::Match(Matcher::HeaderRegexp(key, regex(value)?))))?
        }
        "Query" => Rule::And(each(&|text| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            Ok(Matcher::QueryFirst(key.to_owned(), value.to_owned()))
        })?),
        _ => Rule::Or(each(&|text| Net::parse(text).map(Matcher::ClientIp))?),
    })
}

fn host(text: &str) -> Result<Matcher, String> {
    if text.is_empty() {
        return Err("Host needs a name".into());
    }
    if !text.is_ascii() {
        return Err(format!(
            "'{text}' has characters outside ASCII; write the name in punycode (xn--…)"
        ));
    }
    let name = text.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
    Ok(match name.strip_prefix('*') {
        Some(below) if below.starts_with('.') => Matcher::HostBelow(below.to_owned()),
        _ => Matcher::Host(name),
    })
}

fn slash(matcher: &str, text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err(format!("{matcher}(`{text}`): a path begins with '/'"))
    }
}

fn header(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("'{text}' is no header name"))
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("'{text}' is no regular expression: {error}"))
}

fn path_template(matcher: &str, text: &str, whole: bool) -> Result<Matcher, String> {
    let text = slash(matcher, text)?;
    Ok(match (text.contains('{'), whole) {
        (false, true) => Matcher::Path(text),
        (false, false) => Matcher::PathPrefix(text),
        (true, _) => Matcher::PathRegexp(template(&text, "[^/]+", whole, false)?),
    })
}

/// v2's `{name:regexp}` and `{name}` placeholders as one anchored regular expression.
fn template(text: &str, default: &str, whole: bool, any_case: bool) -> Result<Regex, String> {
    let mut out = String::from(if any_case { "(?i)^" } else { "^" });
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&regex::escape(&rest[..open]));
        let inside = &rest[open + 1..];
        let close = matching_brace(inside).ok_or_else(|| format!("'{text}': a '{{' is never closed"))?;
        let pattern = inside[..close].split_once(':').map_or(default, |(_, pattern)| pattern);
        out.push_str(&format!("(?:{pattern})"));
        rest = &inside[close + 1..];
    }
    out.push_str(&regex::escape(rest));
    if whole {
        out.push('$');
    }
    regex(&out)
}

fn matching_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(index),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;
    use http::HeaderMap;

    fn check(rule: &str, syntax: Syntax, url: &str, expected: bool) {
        let (host, rest) = url.split_once('/').expect("host/path");
        let (path, query) = rest
            .split_once('?')
            .map_or((rest, None), |(path, query)| (path, Some(query)));
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-kind"),
            http::HeaderValue::from_static("blue"),
        )]);
        let target = Target {
            host,
            path: &format!("/{path}"),
            query,
            method: "GET",
            headers: &headers,
            peer: [127, 0, 0, 5].into(),
        };
        let compiled = compile(rule, syntax).expect(rule);
        assert_eq!(compiled.matches(&target), expected, "{rule} on {url}");
    }

    #[test]
    fn v3_matchers_match() {
        let check = |rule, url, expected| check(rule, Syntax::V3, url, expected);
        check("Host(`A.test.`)", "a.test/", true);
        check("Host(`*.a.test`)", "x.a.test/", true);
        check("Host(`*.a.test`)", "x.y.a.test/", false);
        check("PathPrefix(`/products`)", "a/products-for-sale", true);
        check("Path(`/p`)", "a/p/", false);
        check("Query(`v`, `2`)", "a/?v=1&v=%32", true);
        check("Query(`debug`)", "a/?debug=1", false);
        check("QueryRegexp(`id`, `^[0-9]+$`)", "a/?id=12a", false);
        check("Header(`X-Kind`, `blue`) && !Method(`POST`)", "a/", true);
        check("ClientIP(`127.0.0.0/24`)", "a/", true);
    }

    #[test]
    fn v2_matchers_match() {
        let check = |rule, url, expected| check(rule, Syntax::V2, url, expected);
        check("Host(`a.test`, `b.test`)", "b.test/", true);
        check("HostRegexp(`{sub:[a-z]+}.re.test`)", "x.abc.re.test/", false);
        check("HostRegexp(`{sub:[a-z]{3}}.re.test`)", "abc.re.test/", true);
        check("Path(`/one`, `/two/{id:[0-9]+}`)", "a/two/5", true);
        check("PathPrefix(`/pre/{name}/x`)", "a/pre/joe/xyz", true);
        check("PathPrefix(`/pre/{name}/x`)", "a/pre/joe", false);
    }

    #[test]
    fn wrong_rules_are_refused() {
        let wrong = [
            "Hots(`a`)",
            "Host(`a`, `b`)",
            "Host(``)",
            "Host()",
            "PathPrefix(`x`)",
            "Path(``)",
            "HostRegexp(`(`)",
            "ClientIP(`300.1.1.1`)",
            "Host(`bücher.test`)",
            "Header(`X-A`)",
            "Headers(`X-A`, `b`)",
            "",
        ];
        for rule in wrong {
            assert!(compile(rule, Syntax::V3).is_err(), "{rule}");
        }
        assert!(
            compile("Hots(`a`)", Syntax::V3)
                .expect_err("unknown")
                .contains("did you mean Host")
        );
    }
}
