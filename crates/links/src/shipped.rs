//! The metadata shipped in `metadata/`, in the layout Hasura's command line writes.

use ::metadata::{Metadata, directory};
use foundation::{Error, Result};

const FILES: [(&str, &str); 16] = [
    ("version.yaml", include_str!("../metadata/version.yaml")),
    (
        "databases/databases.yaml",
        include_str!("../metadata/databases/databases.yaml"),
    ),
    (
        "databases/default/tables/tables.yaml",
        include_str!("../metadata/databases/default/tables/tables.yaml"),
    ),
    (
        "databases/default/tables/links_links.yaml",
        include_str!("../metadata/databases/default/tables/links_links.yaml"),
    ),
    (
        "databases/default/tables/links_clicks.yaml",
        include_str!("../metadata/databases/default/tables/links_clicks.yaml"),
    ),
    (
        "databases/default/tables/links_domains.yaml",
        include_str!("../metadata/databases/default/tables/links_domains.yaml"),
    ),
    (
        "databases/default/tables/links_folders.yaml",
        include_str!("../metadata/databases/default/tables/links_folders.yaml"),
    ),
    (
        "databases/default/tables/links_link_tags.yaml",
        include_str!("../metadata/databases/default/tables/links_link_tags.yaml"),
    ),
    (
        "databases/default/tables/links_members.yaml",
        include_str!("../metadata/databases/default/tables/links_members.yaml"),
    ),
    (
        "databases/default/tables/links_organizations.yaml",
        include_str!("../metadata/databases/default/tables/links_organizations.yaml"),
    ),
    (
        "databases/default/tables/links_rollup_link_days.yaml",
        include_str!("../metadata/databases/default/tables/links_rollup_link_days.yaml"),
    ),
    (
        "databases/default/tables/links_rollup_link_hours.yaml",
        include_str!("../metadata/databases/default/tables/links_rollup_link_hours.yaml"),
    ),
    (
        "databases/default/tables/links_tags.yaml",
        include_str!("../metadata/databases/default/tables/links_tags.yaml"),
    ),
    (
        "databases/default/tables/links_utm_templates.yaml",
        include_str!("../metadata/databases/default/tables/links_utm_templates.yaml"),
    ),
    (
        "databases/default/functions/functions.yaml",
        include_str!("../metadata/databases/default/functions/functions.yaml"),
    ),
    (
        "databases/default/functions/links_link_clicks.yaml",
        include_str!("../metadata/databases/default/functions/links_link_clicks.yaml"),
    ),
];

/// # Errors
/// A shipped file is no metadata; the tests of this crate would have said so.
pub fn metadata() -> Result<Metadata> {
    let embedded = |name: &str| {
        let found = FILES.iter().find(|(known, _)| *known == name);
        Ok(found.map(|(_, text)| (*text).to_owned()))
    };
    directory::read(&embedded).map_err(|mistake| Error::internal("reading the shipped metadata", mistake.to_string()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shipped_metadata_tracks_the_tables() {
        let metadata = super::metadata().expect("metadata");
        let names: Vec<&str> = metadata.sources[0]
            .tables
            .iter()
            .map(|entry| entry.table.name.as_str())
            .collect();
        assert_eq!(names[..2], ["links", "clicks"]);
        assert_eq!(names.len(), 11);
        assert_eq!(metadata.sources[0].tables[0].select_permissions.len(), 2);
    }
}
