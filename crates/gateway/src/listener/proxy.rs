//! The PROXY protocol (haproxy.org, versions 1 and 2): a balancer before us says who the client is. The header is read from
//! whoever sends one, and believed from those the entrypoint trusts.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::TcpStream};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1.
const LONGEST_LINE: usize = 107;
/// Of version 2 we read addresses; what may follow them is passed over, up to this.
const LONGEST: usize = 4096;

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// No header: the bytes are the client's.
    None,
    /// More bytes decide.
    Part,
    /// Its length, and the client it names; a balancer's own check names none.
    Header(usize, Option<SocketAddr>),
}

/// Takes the header off the stream. `None` if there is none, or it names nobody.
///
/// # Errors
/// The header is malformed, or the client went away.
pub async fn client(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut bytes = vec![0; LONGEST];
    loop {
        let count = stream.peek(&mut bytes).await?;
        if count == 0 {
            return Ok(None);
        }
        match look(&bytes[..count])? {
            Seen::None => return Ok(None),
            Seen::Header(length, client) => {
                stream.read_exact(&mut bytes[..length]).await?;
                return Ok(client);
            }
            // Peeking again at once would show the same bytes.
            Seen::Part => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the PROXY header {what}"))
}

fn look(bytes: &[u8]) -> io::Result<Seen> {
    let begins = |mark: &[u8]| mark.starts_with(&bytes[..bytes.len().min(mark.len())]);
    if begins(b"PROXY ") {
        return if bytes.len() < 6 { Ok(Seen::Part) } else { line(bytes) };
    }
    if begins(&SIGNATURE) {
        return if bytes.len() < 16 {
            Ok(Seen::Part)
        } else {
            binary(bytes)
        };
    }
    Ok(Seen::None)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 4711 443`
fn line(bytes: &[u8]) -> io::Result<Seen> {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        return if within.len() < LONGEST_LINE {
            Ok(Seen::Part)
        } else {
            Err(malformed("has no end"))
        };
    };
    let text = std::str::from_utf8(&within[..end]).map_err(|_| malformed("is no text"))?;
    let parts: Vec<&str> = text.split(' ').collect();
    let client = match parts.as_slice() {
        [_, "UNKNOWN", ..] => None,
        [_, "TCP4" | "TCP6", source, _, port, _] => {
            let address = source.parse::<IpAddr>().map_err(|_| malformed("names no address"))?;
            Some(SocketAddr::new(
                address,
                port.parse().map_err(|_| malformed("names no port"))?,
            ))
        }
        _ => return Err(malformed("is of no known form")),
    };
    Ok(Seen::Header(end + 2, client))
}

fn binary(bytes: &[u8]) -> io::Result<Seen> {
    let length = 16 + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if length > LONGEST {
        return Err(malformed("is too long"));
    }
    if bytes.len() < length {
        return Ok(Seen::Part);
    }
    let data = &bytes[16..length];
    let port = |at: usize| data.get(at..at + 2).map(|port| u16::from_be_bytes([port[0], port[1]]));
    let client = match (bytes[12], bytes[13]) {
        // LOCAL: the balancer speaks for itself.
        (0x20, _) => None,
        (0x21, 0x11) => data
            .first_chunk::<4>()
            .zip(port(8))
            .map(|(address, port)| SocketAddr::new(IpAddr::from(*address), port)),
        (0x21, 0x21) => data
            .first_chunk::<16>()
            .zip(port(32))
            .map(|(address, port)| SocketAddr::new(IpAddr::from(*address), port)),
        (0x21, _) => None,
        _ => return Err(malformed("is of no known version")),
    };
    Ok(Seen::Header(length, client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], length: usize, client: Option<&str>) {
        let client = client.map(|client| client.parse().expect("an address"));
        assert_eq!(look(bytes).expect("a header"), Seen::Header(length, client));
        for cut in 1..length {
            assert_eq!(look(&bytes[..cut]).expect("a part"), Seen::Part, "cut at {cut}");
        }
    }

    #[test]
    fn both_versions_name_the_client() {
        check(
            b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nGET /",
            41,
            Some("192.0.2.1:4711"),
        );
        check(
            b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n",
            45,
            Some("[2001:db8::1]:4711"),
        );
        check(b"PROXY UNKNOWN\r\n", 15, None);
        let head = |rest: &[u8]| [&SIGNATURE[..], rest].concat();
        let v4 = head(&[0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x67, 1, 187]);
        check(&v4, 28, Some("192.0.2.1:4711"));
        check(&head(&[0x20, 0, 0, 0]), 16, None);
        check(&head(&[0x21, 0x31, 0, 2, 1, 2]), 18, None);
    }

    #[test]
    fn what_is_no_header_is_the_clients_and_a_broken_one_is_refused() {
        for plain in [&b"GET / HTTP/1.1\r\n"[..], b"POST", b"\x16\x03\x01", b"PRI * HTTP/2.0"] {
            assert_eq!(look(plain).expect("fine"), Seen::None);
        }
        let broken = [
            "PROXY TCP4 nobody x 1 2\r\n",
            "PROXY TCP9 1.1.1.1 1.1.1.1 1 2\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 x 2\r\n",
        ];
        for text in broken {
            assert!(look(text.as_bytes()).is_err(), "{text}");
        }
        assert!(look(&[b"PROXY ".to_vec(), vec![b'x'; 200]].concat()).is_err());
        assert!(look(&[&SIGNATURE[..], &[0x31, 0x11, 0, 0]].concat()).is_err());
    }
}
