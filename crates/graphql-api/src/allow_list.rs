//! Only listed operations, where the server is set so: those of collections allowed for everybody or for the role.

use graphql::Normal;
use metadata::{AllowScope, Metadata};

/// The listed operations, parsed once.
pub struct AllowList(Vec<(AllowScope, Vec<Normal>)>);

impl AllowList {
    pub fn of(metadata: &Metadata) -> Self {
        let entries = metadata.allowlist.iter().map(|entry| {
            let collections = metadata
                .query_collections
                .iter()
                .filter(|one| one.name == entry.collection);
            let queries = collections.flat_map(|one| &one.definition.queries);
            let queries = queries.filter_map(|query| Normal::of(&query.query).ok()).collect();
            (entry.scope.clone(), queries)
        });
        AllowList(entries.collect())
    }

    pub fn allows(&self, query: &str, role: &str) -> bool {
        let Ok(asked) = Normal::of(query) else { return false };
        let is_for = |scope: &AllowScope| {
            scope.global
                || scope
                    .roles
                    .as_ref()
                    .is_some_and(|roles| roles.iter().any(|known| known == role))
        };
        self.0
            .iter()
            .filter(|(scope, _)| is_for(scope))
            .any(|(_, queries)| queries.contains(&asked))
    }
}
