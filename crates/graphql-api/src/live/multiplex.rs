//! One statement for many subscribers: the parameters become columns of arrays unnested side by side, so that each
//! subscriber is a row and indexes are used as for one.

use std::fmt::Write;

/// Answers `(id, cells…)` for each element of the arrays `$1 … $n`, the ids being `$n+1`.
pub fn multiplexed(sql: &str, parameters: usize) -> String {
    let arrays: Vec<String> = (1..=parameters + 1).map(|place| format!("${place}::text[]")).collect();
    let names: Vec<String> = (1..=parameters).map(|place| format!("p{place}")).collect();
    let columns = names
        .iter()
        .map(String::as_str)
        .chain(["id"])
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "select subscriber.id, answer.* from unnest({}) subscriber ({columns}) cross join lateral ({}) answer",
        arrays.join(", "),
        replaced(sql)
    )
}

/// `$3` outside of quotes becomes `subscriber.p3`.
fn replaced(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some(at) = rest.find(['$', '\'', '"']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let quote = rest.as_bytes()[0];
        let taken = if quote == b'$' {
            let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            match digits {
                0 => text.push('$'),
                // Writing to a string cannot fail.
                _ => drop(write!(text, "subscriber.p{}", &rest[1..=digits])),
            }
            digits + 1
        } else {
            // A doubled quote ends one text and begins the next: nothing stands between them.
            let end = rest[1..].find(quote as char).map_or(rest.len(), |end| end + 2);
            text.push_str(&rest[..end]);
            end
        };
        rest = &rest[taken..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_outside_of_quotes_become_columns() {
        let check = |sql: &str, expected: &str| assert_eq!(replaced(sql), expected);
        check(
            "select ($1::text)::int4 + $12",
            "select (subscriber.p1::text)::int4 + subscriber.p12",
        );
        check(
            "select '$1', \"a$2\", 'it''s $3', $3",
            "select '$1', \"a$2\", 'it''s $3', subscriber.p3",
        );
        check("select $", "select $");
    }

    #[test]
    fn each_parameter_is_an_array_and_the_ids_are_the_last() {
        assert_eq!(
            multiplexed("select $1", 1),
            "select subscriber.id, answer.* from unnest($1::text[], $2::text[]) subscriber (p1, id) \
             cross join lateral (select subscriber.p1) answer"
        );
    }
}
