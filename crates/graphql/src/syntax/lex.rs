//! GraphQL text to tokens, in one pass without recursion. Size and token count are bounded here, before anything is built.

/// The largest document accepted, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;
/// The most tokens a document may have.
pub const MAX_TOKENS: usize = 200_000;

#[derive(Debug, Clone, PartialEq)]
pub enum Token<'a> {
    Name(&'a str),
    Int(&'a str),
    Float(&'a str),
    String(String),
    /// One of `! $ ( ) : = @ [ ] { } | &`.
    Punct(u8),
    Spread,
}

/// The document is not GraphQL; the caller sees one fixed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyntaxError;

pub fn lex(text: &str) -> Result<Vec<Token<'_>>, SyntaxError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(SyntaxError);
    }
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut tokens = Vec::with_capacity(text.len() / 6);
    while let Some(token) = lexer.next()? {
        if tokens.len() == MAX_TOKENS {
            return Err(SyntaxError);
        }
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek(0).is_some_and(&keep) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn skip_ignored(&mut self) {
        loop {
            match self.peek(0) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => self.at += 1,
                Some(b'#') => {
                    self.take_while(|b| b != b'\n' && b != b'\r');
                }
                Some(0xEF) if self.bytes[self.at..].starts_with(&[0xEF, 0xBB, 0xBF]) => self.at += 3,
                _ => return,
            }
        }
    }

    fn next(&mut self) -> Result<Option<Token<'a>>, SyntaxError> {
        self.skip_ignored();
        let Some(byte) = self.peek(0) else { return Ok(None) };
        let token = match byte {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                Token::Name(self.take_while(|b| b == b'_' || b.is_ascii_alphanumeric()))
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b'"' if self.bytes[self.at..].starts_with(b"\"\"\"") => Token::String(self.block_string()?),
            b'"' => Token::String(self.string()?),
            b'.' if self.bytes[self.at..].starts_with(b"...") => {
                self.at += 3;
                Token::Spread
            }
            b'!' | b'$' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'}' | b'|' | b'&' => {
                self.at += 1;
                Token::Punct(byte)
            }
            _ => return Err(SyntaxError),
        };
        Ok(Some(token))
    }

    fn number(&mut self) -> Result<Token<'a>, SyntaxError> {
        let start = self.at;
        let mut float = false;
        if self.peek(0) == Some(b'-') {
            self.at += 1;
        }
        let whole = self.take_while(|b| b.is_ascii_digit());
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(SyntaxError);
        }
        if self.peek(0) == Some(b'.') {
            float = true;
            self.at += 1;
            if self.take_while(|b| b.is_ascii_digit()).is_empty() {
                return Err(SyntaxError);
            }
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            float = true;
            self.at += 1;
            if matches!(self.peek(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.take_while(|b| b.is_ascii_digit()).is_empty() {
                return Err(SyntaxError);
            }
        }
        if self
            .peek(0)
            .is_some_and(|b| b == b'_' || b == b'.' || b.is_ascii_alphabetic())
        {
            return Err(SyntaxError);
        }
        let text = &self.text[start..self.at];
        Ok(if float { Token::Float(text) } else { Token::Int(text) })
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.at += 1;
        let mut value = String::new();
        loop {
            value.push_str(self.take_while(|b| !matches!(b, b'"' | b'\\' | b'\n' | b'\r')));
            match self.peek(0) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => {
                    self.at += 1;
                    value.push(self.escape()?);
                }
                _ => return Err(SyntaxError),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let byte = self.peek(0).ok_or(SyntaxError)?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(SyntaxError),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let high = self.hex4()?;
        if !(0xD800..0xDC00).contains(&high) {
            return char::from_u32(high).ok_or(SyntaxError);
        }
        if !self.bytes[self.at..].starts_with(b"\\u") {
            return Err(SyntaxError);
        }
        self.at += 2;
        let low = self.hex4()?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(SyntaxError);
        }
        char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).ok_or(SyntaxError)
    }

    fn hex4(&mut self) -> Result<u32, SyntaxError> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(SyntaxError)?;
        let digits = std::str::from_utf8(digits).map_err(|_| SyntaxError)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(SyntaxError);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| SyntaxError)
    }

    fn block_string(&mut self) -> Result<String, SyntaxError> {
        self.at += 3;
        let mut raw = String::new();
        loop {
            raw.push_str(self.take_while(|b| b != b'"' && b != b'\\'));
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"\"\"\"") {
                self.at += 3;
                return Ok(dedent(&raw));
            } else if rest.starts_with(b"\\\"\"\"") {
                self.at += 4;
                raw.push_str("\"\"\"");
            } else if let Some(byte) = rest.first() {
                raw.push(char::from(*byte));
                self.at += 1;
            } else {
                return Err(SyntaxError);
            }
        }
    }
}

/// The indentation rule of block strings (GraphQL October 2021, 2.9.4).
fn dedent(raw: &str) -> String {
    let lines: Vec<&str> = raw
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .collect();
    let blank = |line: &&str| line.trim_start_matches([' ', '\t']).is_empty();
    let indent = lines
        .iter()
        .skip(1)
        .filter(|line| !blank(line))
        .map(|line| indent_of(line))
        .min()
        .unwrap_or(0);
    let mut kept: Vec<&str> = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        kept.push(if number == 0 {
            line
        } else {
            line.get(indent..).unwrap_or("")
        });
    }
    while kept.first().is_some_and(blank) {
        kept.remove(0);
    }
    while kept.last().is_some_and(blank) {
        kept.pop();
    }
    kept.join("\n")
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}
