//! The two pages a visitor may see instead of being sent on: a password's form, and the preview of a link. They work without
//! scripts and load nothing.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

pub fn password(slug: &str, wrong: bool) -> Response {
    let note = if wrong {
        "<p role=\"alert\">That is not the password.</p>"
    } else {
        ""
    };
    let body = format!(
        "<h1>This link has a password</h1>{note}<form method=\"post\" action=\"{}\">\
         <label>Password <input type=\"password\" name=\"password\" required autofocus autocomplete=\"off\"></label> \
         <button>Open</button></form>",
        escape(slug)
    );
    page(
        "Password",
        &body,
        if wrong { StatusCode::FORBIDDEN } else { StatusCode::OK },
    )
}

pub fn preview(title: Option<&str>, target: Option<&str>) -> Response {
    let title = title.unwrap_or("Where this link leads");
    let body = match target {
        Some(target) => format!(
            "<h1>{}</h1><p>This link leads to</p><p><code>{1}</code></p><p><a rel=\"noreferrer\" href=\"{1}\">Go there</a></p>",
            escape(title),
            escape(target)
        ),
        None => format!(
            "<h1>{}</h1><p>This link has a password; where it leads is shown to who knows it.</p>",
            escape(title)
        ),
    };
    page(title, &body, StatusCode::OK)
}

fn page(title: &str, body: &str, status: StatusCode) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{}</title><style>body{{font:1rem/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem;overflow-wrap:anywhere}}</style>{body}</html>",
        escape(title)
    );
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
