//! `serve graphql`: the GraphQL engine alone, on any database, as a Hasura container would run.

use super::{
    cluster_settings,
    services::{admin, bind},
};
use crate::{
    process::Process,
    settings::{Settings, hasura::Hasura},
};
use foundation::Result;
use http_chassis::{
    envelope::{self, Envelope, HttpMetrics},
    server,
};
use metadata::Metadata;
use postgres_chassis::{Pool, PoolSize};
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Instant};

pub async fn serve(settings: &Settings, hasura: Hasura) -> Result<ExitCode> {
    let started = Instant::now();
    let mut process = Process::start(&settings.telemetry)?;
    let outcome = match open(settings, hasura, &mut process).await {
        Ok(banner) => {
            banner.show(started);
            let never = tokio_util::sync::CancellationToken::new();
            let outcome = process.wait(std::future::pending(), &never).await;
            process.stop(settings.shutdown_deadline).await;
            outcome
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        tracing::error!(code = error.code, cause = %error.chain(), "{}", error.message);
    }
    process.last_words();
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn open(settings: &Settings, hasura: Hasura, process: &mut Process) -> Result<super::banner::Banner> {
    let listener = bind("graphql", hasura.address).await?;
    let address = listener.local_addr().unwrap_or(hasura.address);
    let admin = hasura.admin;
    let engine = graphql_api::open(api(settings, hasura)?, process.client.clone(), &process.metrics).await?;
    for (name, task) in graphql_api::tasks(&engine, &process.work) {
        process.at_work((name.to_owned(), task));
    }
    let envelope = Envelope {
        service: "graphql",
        metrics: HttpMetrics::register(&process.metrics),
        tracer: process.tracer.clone(),
        logs: true,
    };
    let router = envelope::wrap(graphql_api::router(engine), envelope);
    let serving = server::serve(listener, router, process.door.clone(), settings.shutdown_deadline);
    process.at_the_door(("listener graphql".to_owned(), Box::pin(serving)));
    let mut banner = super::banner::Banner::default();
    banner.add_all(&[("graphql".to_owned(), address)]);
    if let Some(wanted) = admin {
        banner.add_all(&[("admin".to_owned(), listen_admin(settings, wanted, process).await?)]);
    }
    Ok(banner)
}

fn api(settings: &Settings, hasura: Hasura) -> Result<graphql_api::Settings> {
    let size = PoolSize {
        connections: 4,
        ..PoolSize::default()
    };
    let environment = Arc::new(hasura.environment);
    Ok(graphql_api::Settings {
        metadata_pool: Pool::open(&hasura.metadata_database, "portico graphql metadata", size)?,
        metadata_schema: "hdb_catalog",
        initial: Metadata::default(),
        own_pool: None,
        default_source: hasura.default_source,
        environment: environment.clone(),
        connections: hasura.connections,
        auth: hasura.auth,
        verifier: None,
        options: hasura.options,
        allow_list: hasura.allow_list,
        cors: hasura.cors,
        apis: hasura.apis,
        webhooks: webhooks::Settings {
            environment,
            secrets: settings.webhook_secrets.clone(),
            concurrent: hasura.events.concurrent,
            batch: hasura.events.batch,
            interval: hasura.events.interval,
        },
        programs: cluster_settings(settings),
        actions_interval: hasura.events.actions,
    })
}

async fn listen_admin(settings: &Settings, wanted: SocketAddr, process: &mut Process) -> Result<SocketAddr> {
    let listener = bind("admin", wanted).await?;
    let address = listener.local_addr().unwrap_or(wanted);
    let router = admin(&process.metrics);
    let serving = server::serve(listener, router, process.door.clone(), settings.shutdown_deadline);
    process.at_the_door(("listener admin".to_owned(), Box::pin(serving)));
    Ok(address)
}
