//! The metadata shipped in `metadata/`, in the layout Hasura's command line writes.

use ::metadata::{Metadata, directory};
use foundation::{Error, Result};

const FILES: [(&str, &str); 5] = [
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
    fn the_shipped_metadata_tracks_both_tables() {
        let metadata = super::metadata().expect("metadata");
        let names: Vec<&str> = metadata.sources[0]
            .tables
            .iter()
            .map(|entry| entry.table.name.as_str())
            .collect();
        assert_eq!(names, ["links", "clicks"]);
        assert_eq!(metadata.sources[0].tables[0].select_permissions.len(), 2);
    }
}
