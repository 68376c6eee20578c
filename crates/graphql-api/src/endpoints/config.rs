//! `/v1alpha1/config` and the developer's endpoints: what the server is set to and busy with, for administrators.

use crate::{
    auth::{JwtClaims, Settings as AuthSettings},
    engine::Engine,
    refusal::Refusal,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub async fn admin_only(engine: &Engine, headers: &HeaderMap) -> Result<(), Refusal> {
    let caller = engine.auth.session(headers, None).await?;
    match caller.session.role.as_str() {
        "admin" => Ok(()),
        _ => Err(Refusal::new("access-denied", "$", "restricted access : admin only")),
    }
}

fn told(outcome: Result<Value, Refusal>) -> Response {
    match outcome {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refusal.into_query_response(),
    }
}

pub async fn config(State(engine): State<Arc<Engine>>, headers: HeaderMap) -> Response {
    told(admin_only(&engine, &headers).await.map(|()| {
        let auth = engine.auth.told();
        let options = &engine.settings.options;
        json!({
            "version": super::VERSION,
            "is_function_permissions_inferred": options.infer_function_permissions,
            "is_remote_schema_permissions_enabled": false,
            "is_admin_secret_set": !auth.admin_secrets.is_empty(),
            "is_auth_hook_set": auth.hook.is_some(),
            "is_jwt_set": !auth.jwt_secrets.is_empty(),
            "jwt": jwt(auth),
            "is_allow_list_enabled": engine.settings.allow_list,
            "live_queries": {"batch_size": 100, "refetch_delay": 1},
            "streaming_queries": {"batch_size": 100, "refetch_delay": 1},
            "console_assets_dir": null,
            "experimental_features": experimental(&engine),
            "default_naming_convention": options.naming_convention,
            "is_prometheus_metrics_enabled": true,
        })
    }))
}

fn experimental(engine: &Engine) -> Vec<&'static str> {
    match engine.settings.options.conventions {
        true => vec!["naming_convention"],
        false => Vec::new(),
    }
}

fn jwt(auth: &AuthSettings) -> Vec<Value> {
    let secrets = auth.jwt_secrets.iter().map(|secret| {
        let format = if secret.stringified { "stringified_json" } else { "json" };
        let (namespace, map) = match &secret.claims {
            JwtClaims::Namespace(namespace) => (Value::from(namespace.as_str()), Value::Null),
            JwtClaims::Path(path) => (Value::from(path.to_string()), Value::Null),
            JwtClaims::Map(map) => {
                let names: Map<String, Value> =
                    map.iter().map(|(name, mapped)| (name.clone(), mapped.told())).collect();
                (Value::Null, Value::Object(names))
            }
        };
        json!({"claims_namespace": namespace, "claims_format": format, "claims_map": map})
    });
    secrets.collect()
}

pub async fn connections(State(engine): State<Arc<Engine>>, headers: HeaderMap) -> Response {
    told(admin_only(&engine, &headers).await.map(|()| {
        let state = engine.state();
        let usage = state.sources.iter().map(|(name, source)| {
            let (used, open, most) = source.pool.usage();
            (name.clone(), json!({"used": used, "open": open, "most": most}))
        });
        json!({ "connections": usage.collect::<Map<String, Value>>() })
    }))
}

pub async fn plan_cache(State(engine): State<Arc<Engine>>, headers: HeaderMap) -> Response {
    told(
        admin_only(&engine, &headers)
            .await
            .map(|()| json!({"operations": engine.state().schema.remembered()})),
    )
}

pub async fn subscriptions(State(engine): State<Arc<Engine>>, headers: HeaderMap) -> Response {
    told(admin_only(&engine, &headers).await.map(|()| engine.live.told()))
}
