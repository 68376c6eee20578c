//! `openapi.json` and a docs page that works offline (Swagger UI, embedded in the binary).

use axum::{Router, routing::get};
use http::header;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Serves `{prefix}/openapi.json` and `{prefix}/docs`.
///
/// # Errors
/// The document cannot be written as JSON.
pub fn router(prefix: &str, document: &OpenApi) -> Result<Router, serde_json::Error> {
    let text = document.to_json()?;
    let url = format!("{prefix}/openapi.json");
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    let page = SwaggerUi::new(format!("{prefix}/docs")).config(Config::new([url.clone()]).validator_url("none"));
    Ok(Router::new().route(&url, get(answer)).merge(page))
}
