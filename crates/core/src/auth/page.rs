//! The one small page behind mailed links: a form that posts its fields and the link's token as JSON to its own address.

use axum::response::{Html, IntoResponse, Response};
use http::header;

pub struct Field {
    name: &'static str,
    label: &'static str,
    autocomplete: &'static str,
}

impl Field {
    pub const fn new(name: &'static str, label: &'static str, autocomplete: &'static str) -> Self {
        Self {
            name,
            label,
            autocomplete,
        }
    }
}

const SCRIPT: &str = "
const form = document.querySelector('form'), told = document.querySelector('output');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const body = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ''));
  body.token = new URLSearchParams(location.search).get('token') ?? '';
  const answer = await fetch(location.pathname, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)});
  if (answer.ok) { told.textContent = form.dataset.done; form.hidden = true; return; }
  const problem = await answer.json().catch(() => ({}));
  told.textContent = problem.detail ?? 'It did not work; try again.';
});
";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:10vh auto;padding:0 1rem}
label{display:block;margin:.8rem 0}input{display:block;width:100%;box-sizing:border-box;padding:.5rem;font:inherit}
button{padding:.5rem 1rem;font:inherit}output{display:block;margin-top:1rem}";

/// All texts are ours; nothing of the request gets into the page.
pub fn form(title: &str, fields: &[Field], button: &str, done: &str) -> Response {
    let inputs: String = fields
        .iter()
        .map(|field| {
            let (name, label, autocomplete) = (field.name, field.label, field.autocomplete);
            let kind = if name == "password" || name == "email" { name } else { "text" };
            let required = if name == "name" { "" } else { " required" };
            format!("<label>{label}<input name=\"{name}\" type=\"{kind}\" autocomplete=\"{autocomplete}\"{required}></label>")
        })
        .collect();
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>\
         <form data-done=\"{done}\">{inputs}<button>{button}</button></form><output role=\"status\"></output>\
         <script>{SCRIPT}</script></html>"
    );
    let policy = format!(
        "default-src 'none'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
         style-src '{}'; script-src '{}'",
        source(STYLE),
        source(SCRIPT)
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Html(page)).into_response()
}

/// CSP level 3: an inline block is allowed by its digest.
fn source(block: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, block.as_bytes());
    format!("sha256-{}", STANDARD.encode(digest))
}
