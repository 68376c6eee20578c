//! Reads our own sources far enough to find the SQL in them: constants, literals, and `format!` over constants.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// A statement as it stands in a source.
#[derive(Debug)]
pub struct Statement {
    pub file: PathBuf,
    /// `Err` names the value that is not a constant.
    pub text: Result<String, String>,
}

/// Every statement of a crate, tests left out.
pub fn statements(crate_name: &str) -> Vec<Statement> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(crate_name);
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        code.parse::<TokenStream>().expect("Rust")
    };
    let mut found = Reader::default();
    // The constants first: a statement may stand before what it names.
    for file in &files {
        found.constants(&read(file));
    }
    for file in &files {
        found.file.clone_from(file);
        found.statements(&read(file));
    }
    found.statements
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[derive(Default)]
struct Reader {
    file: PathBuf,
    constants: HashMap<String, String>,
    statements: Vec<Statement>,
}

impl Reader {
    /// `const NAME: &str = "…"`, at any depth.
    fn constants(&mut self, tokens: &TokenStream) {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        for (at, tree) in trees.iter().enumerate() {
            if let TokenTree::Group(group) = tree {
                self.constants(&group.stream());
            }
            let (true, Some(TokenTree::Ident(name))) = (is_word(tree, "const"), trees.get(at + 1)) else {
                continue;
            };
            let until = |tree: &&TokenTree| !matches!(tree, TokenTree::Punct(sign) if sign.as_char() == ';');
            let value = trees[at..].iter().take_while(until).find_map(literal);
            if let Some(value) = value {
                self.constants.insert(name.to_string(), value);
            }
        }
    }

    fn statements(&mut self, tokens: &TokenStream) {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        for (at, tree) in trees.iter().enumerate() {
            match tree {
                TokenTree::Group(group) if is_format(&trees[..at]) => {
                    if !self.formatted(&group.stream()) {
                        self.statements(&group.stream());
                    }
                }
                TokenTree::Group(group) => self.statements(&group.stream()),
                _ => {
                    if let Some(text) = literal(tree).filter(|text| is_statement(text)) {
                        self.push(Ok(text));
                    }
                }
            }
        }
    }

    /// The arguments of a `format!` whose text is a statement; `false` when it is not one.
    fn formatted(&mut self, arguments: &TokenStream) -> bool {
        let mut parts = vec![Vec::new()];
        for tree in arguments.clone() {
            match tree {
                TokenTree::Punct(sign) if sign.as_char() == ',' => parts.push(Vec::new()),
                tree => parts.last_mut().expect("one part at least").push(tree),
            }
        }
        let Some(template) = parts[0].first().and_then(literal).filter(|text| is_statement(text)) else {
            return false;
        };
        let mut positional = parts[1..].iter().map(|part| {
            let last = part.iter().rev().find_map(|tree| match tree {
                TokenTree::Ident(name) => Some(name.to_string()),
                _ => None,
            });
            last.unwrap_or_default()
        });
        let mut text = String::new();
        let mut rest = template.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').expect("a closed brace");
            let name = match name {
                "" => positional.next().expect("a value for each {}"),
                name => name.to_owned(),
            };
            let Some(value) = self.constants.get(&name) else {
                self.push(Err(name));
                return true;
            };
            text.push_str(before);
            text.push_str(value);
            rest = behind;
        }
        text.push_str(rest);
        self.push(Ok(text));
        true
    }

    fn push(&mut self, text: Result<String, String>) {
        let file = self.file.clone();
        self.statements.push(Statement { file, text });
    }
}

fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(name) if name == word)
}

fn is_format(before: &[TokenTree]) -> bool {
    let [.., name, TokenTree::Punct(sign)] = before else {
        return false;
    };
    sign.as_char() == '!' && is_word(name, "format")
}

fn literal(tree: &TokenTree) -> Option<String> {
    match tree {
        TokenTree::Literal(_) => {
            let text: syn::LitStr = syn::parse2(TokenStream::from(tree.clone())).ok()?;
            Some(text.value())
        }
        // A macro's argument may be wrapped without being seen.
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            group.stream().into_iter().find_map(|tree| literal(&tree))
        }
        _ => None,
    }
}

fn is_statement(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let second = words.next();
    match first {
        "select" | "with" => second.is_some(),
        "insert" => second == Some("into"),
        "delete" => second == Some("from"),
        "update" => text.contains(" set "),
        _ => false,
    }
}

/// The literals of all sources in a directory, with their files.
pub fn literals(directory: &Path) -> Vec<(PathBuf, String)> {
    fn walk(tokens: TokenStream, file: &Path, found: &mut Vec<(PathBuf, String)>) {
        for tree in tokens {
            match &tree {
                TokenTree::Group(group) => walk(group.stream(), file, found),
                tree => found.extend(literal(tree).map(|text| (file.to_owned(), text))),
            }
        }
    }
    let (mut files, mut found) = (Vec::new(), Vec::new());
    rust_files(directory, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        walk(text.parse().expect("Rust"), &file, &mut found);
    }
    found
}
