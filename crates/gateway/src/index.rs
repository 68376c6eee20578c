//! Finds the router of a request without asking every rule: by host, then by path, then the rest. The answer is always the
//! router that asking all rules in priority order would give; the test below holds it to that.

use crate::rule::{Matcher, Rule, Target};
use std::collections::{BTreeSet, HashMap};

/// A rule and its place in priority order; lower ranks are asked first.
#[derive(Debug, Default)]
pub struct Index {
    rules: Vec<Rule>,
    hosts: HashMap<String, Paths>,
    below: HashMap<String, Paths>,
    any: Paths,
}

/// Candidate ranks, ascending, by what their rule demands of the path.
#[derive(Debug, Default)]
struct Paths {
    exact: HashMap<String, Vec<usize>>,
    prefixes: HashMap<String, Vec<usize>>,
    prefix_lengths: BTreeSet<usize>,
    rest: Vec<usize>,
}

/// What a rule demands before anything else of it needs to be looked at. `None` demands nothing.
type Demand<'a> = Option<Vec<&'a Matcher>>;

impl Index {
    /// `rules` in priority order.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut index = Self::default();
        for (rank, rule) in rules.iter().enumerate() {
            let paths = demand(rule, &|m| matches!(m, Matcher::Path(_) | Matcher::PathPrefix(_)));
            match demand(rule, &|m| matches!(m, Matcher::Host(_) | Matcher::HostBelow(_))) {
                None => index.any.add(rank, &paths),
                Some(hosts) => {
                    for host in hosts {
                        match host {
                            Matcher::Host(name) => index.hosts.entry(name.clone()).or_default().add(rank, &paths),
                            Matcher::HostBelow(suffix) => {
                                index.below.entry(suffix.clone()).or_default().add(rank, &paths)
                            }
                            _ => unreachable!("only host matchers were asked for"),
                        }
                    }
                }
            }
        }
        index.rules = rules;
        index
    }

    /// The rank of the first rule that matches.
    pub fn find(&self, target: &Target<'_>) -> Option<usize> {
        let mut best = None;
        let below = target
            .host
            .find('.')
            .and_then(|dot| self.below.get(&target.host[dot..]));
        for paths in [self.hosts.get(target.host), below, Some(&self.any)]
            .into_iter()
            .flatten()
        {
            paths.search(&self.rules, target, &mut best);
        }
        best
    }
}

impl Paths {
    fn add(&mut self, rank: usize, demand: &Demand<'_>) {
        let push = |ranks: &mut Vec<usize>| {
            if ranks.last() != Some(&rank) {
                ranks.push(rank);
            }
        };
        match demand {
            None => push(&mut self.rest),
            Some(matchers) => {
                for matcher in matchers {
                    match matcher {
                        Matcher::Path(path) => push(self.exact.entry(path.clone()).or_default()),
                        Matcher::PathPrefix(prefix) => {
                            self.prefix_lengths.insert(prefix.len());
                            push(self.prefixes.entry(prefix.clone()).or_default());
                        }
                        _ => unreachable!("only path matchers were asked for"),
                    }
                }
            }
        }
    }

    fn search(&self, rules: &[Rule], target: &Target<'_>, best: &mut Option<usize>) {
        let mut ask = |ranks: &[usize]| {
            for &rank in ranks {
                if best.is_some_and(|best| best <= rank) {
                    break;
                }
                if rules[rank].matches(target) {
                    *best = Some(rank);
                    break;
                }
            }
        };
        if let Some(ranks) = self.exact.get(target.path) {
            ask(ranks);
        }
        for &length in &self.prefix_lengths {
            let Some(prefix) = target.path.get(..length) else {
                if length > target.path.len() {
                    break;
                } else {
                    continue;
                };
            };
            if let Some(ranks) = self.prefixes.get(prefix) {
                ask(ranks);
            }
        }
        ask(&self.rest);
    }
}

/// The smallest set of wanted matchers of which at least one must hold for the rule to hold.
fn demand<'a>(rule: &'a Rule, wanted: &dyn Fn(&Matcher) -> bool) -> Demand<'a> {
    match rule {
        Rule::Match(matcher) => wanted(matcher).then(|| vec![matcher]),
        Rule::Not(_) => None,
        Rule::And(parts) => {
            let demands = parts.iter().filter_map(|part| demand(part, wanted));
            demands.min_by_key(Vec::len)
        }
        Rule::Or(parts) => {
            let demands: Option<Vec<_>> = parts.iter().map(|part| demand(part, wanted)).collect();
            demands.map(|demands| demands.into_iter().flatten().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use proptest::prelude::*;

    fn matcher() -> impl Strategy<Value = Matcher> {
        let host = prop::sample::select(vec!["a", "b", "x.a", "y.a"]);
        let path = prop::sample::select(vec!["/", "/p", "/p/q", "/pq", "/é", "/r"]);
        prop_oneof![
            host.prop_map(|host| Matcher::Host(host.into())),
            Just(Matcher::HostBelow(".a".into())),
            path.clone().prop_map(|path| Matcher::Path(path.into())),
            path.prop_map(|path| Matcher::PathPrefix(path.into())),
            prop::sample::select(vec!["GET", "POST"]).prop_map(|method| Matcher::Method(method.into())),
        ]
    }

    fn rule() -> impl Strategy<Value = Rule> {
        matcher().prop_map(Rule::Match).prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Rule::And),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Rule::Or),
                inner.prop_map(|rule| Rule::Not(Box::new(rule))),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_index_answers_as_priority_order_would(rules in prop::collection::vec(rule(), 0..24)) {
            let headers = HeaderMap::new();
            let index = Index::new(rules.clone());
            for host in ["a", "b", "x.a", "z.a", "c", "", ".a"] {
                for path in ["/", "/p", "/p/q", "/p/q/r", "/pq", "/é", "/è", "/z"] {
                    for method in ["GET", "POST"] {
                        let target = Target { host, path, query: None, method, headers: &headers, peer: [127, 0, 0, 1].into() };
                        let naive = rules.iter().position(|rule| rule.matches(&target));
                        prop_assert_eq!(index.find(&target), naive, "{} {}{}", method, host, path);
                    }
                }
            }
        }
    }
}
