//! One question to a name server: the TXT records of a name (RFC 1035). Over TCP, so that long answers come whole.

use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PATIENCE: Duration = Duration::from_secs(5);
const TXT: u16 = 16;

/// The name servers of the machine.
pub fn system() -> Vec<String> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver "));
    servers.map(|server| server.trim().to_owned()).take(1).collect()
}

/// # Errors
/// The server cannot be reached, or answers nonsense.
pub async fn texts(server: &str, name: &str) -> Result<Vec<String>, String> {
    let server = match server.parse::<std::net::IpAddr>() {
        Ok(address) => std::net::SocketAddr::new(address, 53).to_string(),
        Err(_) if !server.contains(':') => format!("{server}:53"),
        Err(_) => server.to_owned(),
    };
    let id: u16 = rand::random();
    let question = question(id, name).ok_or_else(|| format!("'{name}' is no name of a record"))?;
    let asking = async {
        let mut stream = TcpStream::connect(&server).await?;
        let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
        stream
            .write_all(&[&length.to_be_bytes()[..], &question].concat())
            .await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer.map_err(|error| error.to_string())?,
        Err(_) => return Err("it does not answer".into()),
    };
    read(id, &answer).ok_or_else(|| "it answers nonsense".into())
}

fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut out = id.to_be_bytes().to_vec();
    // Recursion desired, one question.
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        out.push(
            u8::try_from(label.len())
                .ok()
                .filter(|length| (1..64).contains(length))?,
        );
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(TXT.to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    Some(out)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Passes over a name: labels, or the pointer that ends it.
    fn name(&mut self) -> Option<()> {
        loop {
            match self.take(1)?[0] {
                0 => return Some(()),
                length if length >= 192 => return self.take(1).map(drop),
                length => drop(self.take(usize::from(length))?),
            }
        }
    }
}

fn read(id: u16, answer: &[u8]) -> Option<Vec<String>> {
    let mut rest = Cursor(answer);
    if rest.number()? != id {
        return None;
    }
    rest.number()?;
    let (questions, answers) = (rest.number()?, rest.number()?);
    rest.take(4)?;
    for _ in 0..questions {
        rest.name()?;
        rest.take(4)?;
    }
    let mut texts = Vec::new();
    for _ in 0..answers {
        rest.name()?;
        let kind = rest.number()?;
        rest.take(6)?;
        let length = rest.number()?;
        let mut data = Cursor(rest.take(usize::from(length))?);
        if kind != TXT {
            continue;
        }
        let mut text = Vec::new();
        while let Some(length) = data.take(1) {
            text.extend(data.take(usize::from(length[0]))?);
        }
        texts.push(String::from_utf8_lossy(&text).into_owned());
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_an_answer_are_read_and_nonsense_is_not() {
        let mut answer = question(7, "_acme-challenge.a.test.").expect("a question");
        answer[7] = 1;
        answer.extend([
            0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 8, 3, b'a', b'b', b'c', 3, b'd', b'e', b'f',
        ]);
        assert_eq!(read(7, &answer), Some(vec!["abcdef".to_owned()]));
        assert_eq!(read(8, &answer), None);
        for cut in 0..answer.len() {
            assert_eq!(read(7, &answer[..cut]), None, "cut at {cut}");
        }
        assert_eq!(question(1, "a..test"), None);
    }
}
