//! For which names a router wants a certificate.

use crate::model::Domain;

/// A certificate somebody wants: one order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted {
    pub resolver: String,
    /// In lower case, the first is the main one.
    pub names: Vec<String>,
    /// Named in `domains`, not taken from a rule: ordered even where another certificate covers it.
    pub explicit: bool,
}

/// One certificate for each domain that is named; else one for all hosts of the rule that no other certificate covers.
pub fn wanted(resolver: &str, domains: &[Domain], hosts: &[String], covered: &dyn Fn(&str) -> bool) -> Vec<Wanted> {
    let one = |names: Vec<String>, explicit| {
        let mut clean: Vec<String> = Vec::new();
        for name in names.into_iter().map(|name| name.trim().to_ascii_lowercase()) {
            if !name.is_empty() && !clean.contains(&name) {
                clean.push(name);
            }
        }
        (!clean.is_empty()).then(|| Wanted {
            resolver: resolver.to_owned(),
            names: clean,
            explicit,
        })
    };
    if domains.is_empty() {
        let hosts = hosts
            .iter()
            .filter(|host| is_name(host) && !covered(host))
            .cloned()
            .collect();
        return one(hosts, false).into_iter().collect();
    }
    let whole = |domain: &Domain| {
        let main = domain.main.clone().into_iter();
        main.chain(domain.sans.clone().unwrap_or_default()).collect()
    };
    domains.iter().filter_map(|domain| one(whole(domain), true)).collect()
}

/// Authorities certify names, not addresses, and nobody sees a name without a dot.
fn is_name(host: &str) -> bool {
    host.contains('.') && host.parse::<std::net::IpAddr>().is_err()
}

/// Whether a certificate for `have` is good for `name`.
pub fn covers(have: &[String], name: &str) -> bool {
    have.iter().any(|known| {
        known == name
            || known
                .strip_prefix("*.")
                .is_some_and(|rest| name.split_once('.').is_some_and(|(_, parent)| parent == rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn domains_that_are_named_come_before_hosts_of_the_rule() {
        let none = |_: &str| false;
        let names = |wanted: Vec<Wanted>| wanted.into_iter().map(|one| one.names).collect::<Vec<_>>();
        assert_eq!(
            names(wanted(
                "le",
                &[],
                &texts(&["A.test", "b.test", "10.0.0.1", "localhost"]),
                &none
            )),
            [texts(&["a.test", "b.test"])]
        );
        assert_eq!(
            names(wanted("le", &[], &texts(&["a.test"]), &|_| true)),
            Vec::<Vec<String>>::new()
        );
        let domain = Domain {
            main: Some("c.test".into()),
            sans: Some(texts(&["*.c.test", "c.test"])),
        };
        assert_eq!(
            names(wanted("le", &[domain], &texts(&["a.test"]), &none)),
            [texts(&["c.test", "*.c.test"])]
        );
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let have = texts(&["*.a.test"]);
        assert!(covers(&have, "x.a.test") && !covers(&have, "a.test") && !covers(&have, "x.y.a.test"));
    }
}
