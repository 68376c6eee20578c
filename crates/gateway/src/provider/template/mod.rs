//! Go templates, in which Traefik's dynamic files and the default rule of its Docker provider are written.

mod functions;

use super::labels::{Container, normalize};
use gtmpl_ng::{Context, FuncError, Limits, Template, Value};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

pub type Environment = Arc<BTreeMap<String, String>>;

/// A template that takes longer is an attack or a mistake.
const LONGEST: Duration = Duration::from_secs(2);

thread_local! {
    /// What `env` reads while this thread renders: the library's functions are plain ones and can hold nothing.
    static ENVIRONMENT: RefCell<Environment> = RefCell::default();
}

/// The text with its actions carried out.
///
/// # Errors
/// What is wrong, with the line.
pub fn render(text: &str, value: Value, environment: &Environment) -> Result<String, String> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let mut template = Template::with_limits(Limits::default().with_deadline(LONGEST));
    template.add_funcs(functions::ALL);
    template.add_func("env", env);
    template.add_func("expandenv", expandenv);
    template.add_func("normalize", |arguments| match arguments {
        [name] => Ok(Value::from(normalize(&name.to_string()))),
        _ => Err(FuncError::ExactlyXArgs("normalize".into(), 1)),
    });
    template.parse(text).map_err(|error| error.to_string())?;
    ENVIRONMENT.with(|held| held.replace(environment.clone()));
    let rendered = template
        .render(&Context::from(value))
        .map_err(|error| error.to_string());
    ENVIRONMENT.with(RefCell::take);
    rendered
}

/// The rule of a container that names none; `name` is what its service is called.
pub fn default_rule(
    template: &str,
    container: &Container,
    name: &str,
    environment: &Environment,
) -> Result<String, String> {
    let labels = container
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    let value = HashMap::from([
        ("Name".to_owned(), Value::from(name)),
        ("ContainerName".to_owned(), Value::from(container.name.as_str())),
        ("Labels".to_owned(), Value::Map(labels.collect())),
    ]);
    render(template, Value::Object(value), environment)
}

fn env(arguments: &[Value]) -> Result<Value, FuncError> {
    let [name] = arguments else {
        return Err(FuncError::ExactlyXArgs("env".into(), 1));
    };
    // As in Go, a variable that is not there is empty.
    let value = ENVIRONMENT.with_borrow(|all| all.get(&name.to_string()).cloned());
    Ok(Value::from(value.unwrap_or_default()))
}

/// `$NAME` and `${NAME}` within a text.
fn expandenv(arguments: &[Value]) -> Result<Value, FuncError> {
    let [text] = arguments else {
        return Err(FuncError::ExactlyXArgs("expandenv".into(), 1));
    };
    let text = text.to_string();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, behind) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(found) => found,
            None => {
                let end = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        out.push_str(&env(&[Value::from(name)])?.to_string());
        rest = behind;
    }
    out.push_str(rest);
    Ok(Value::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: &str) {
        let environment: Environment = Arc::new(BTreeMap::from([
            ("DOMAIN".to_owned(), "example.org".to_owned()),
            ("HOSTS".to_owned(), "a,b".to_owned()),
        ]));
        let rendered = render(template, Value::Nil, &environment);
        assert_eq!(rendered.as_deref(), Ok(expected), "{template}");
    }

    #[test]
    fn what_people_write_in_dynamic_files_is_carried_out() {
        check("Host(`api.{{ env \"DOMAIN\" }}`)", "Host(`api.example.org`)");
        check("{{ env \"NOTHING\" | default \"x\" }}", "x");
        check("{{ expandenv \"${DOMAIN}:$NOTHING!\" }}", "example.org:!");
        check(
            "{{ range $i, $host := splitList \",\" (env \"HOSTS\") }}{{ $i }}={{ $host | upper }};{{ end }}",
            "0=A;1=B;",
        );
        check("{{ range $i := until 3 }}s{{ $i }} {{ end }}", "s0 s1 s2 ");
        check(
            "{{ if eq (env \"DOMAIN\") \"example.org\" }}yes{{ else }}no{{ end }}",
            "yes",
        );
        check("{{- $name := \"x\" -}} {{ $name | quote }}", "\"x\"");
        check("{{ printf \"%s-%d\" \"a\" 3 }}", "a-3");
        check("{{ replace \".\" \"-\" \"a.b.c\" }}", "a-b-c");
        check("{{ trimSuffix \".org\" (env \"DOMAIN\") }}", "example");
        check("{{ add 1 2 3 }} {{ mul 2 3 }} {{ sub 5 2 }}", "6 6 3");
        check("{{ join \"|\" (list \"a\" \"b\") }}", "a|b");
        check(
            "{{ ternary \"a\" \"b\" true }}{{ hasPrefix \"ex\" \"example\" }}",
            "atrue",
        );
        check("{{ \"aGk=\" | b64dec }}{{ b64enc \"hi\" }}", "hiaGk=");
        check("{{ coalesce \"\" \"b\" }}{{ empty \"\" }}", "btrue");
        check("no actions", "no actions");
    }

    #[test]
    fn mistakes_name_what_is_wrong() {
        let environment = Environment::default();
        for (template, said) in [
            ("{{ nonsense 1 }}", "nonsense"),
            ("{{ if }}", ""),
            ("a\n{{ env }}", "env"),
            ("{{ range $i := until 1000000000 }}x{{ end }}", ""),
        ] {
            let error = render(template, Value::Nil, &environment).expect_err(template);
            assert!(error.contains(said), "{template}: {error}");
        }
    }
}
