//! Requests that two readers could frame in two ways, put to the gateway in front of an origin that logs what reaches it: never more
//! requests than were framed, never a framing header under another name. Sources of the cases: RFC 9112 section 11.2, the request smuggling
//! papers of 2005 (Linhart) and 2019 (Kettle), and the advisories of proxies since.

mod kit;

use gateway::{At, Builtin};
use kit::{Running, inputs, raw, start, status};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the origin saw of one request: its head, or why it could not be read.
type Seen = Arc<Mutex<Vec<Result<String, String>>>>;

async fn logging_origin() -> (std::net::SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, seen) = (listener.local_addr().expect("an address"), Seen::default());
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, kept.clone()));
        }
    });
    (address, seen)
}

async fn converse(stream: TcpStream, seen: Seen) {
    let mut stream = BufReader::new(stream);
    loop {
        match read_request(&mut stream).await {
            Ok(Some(head)) => seen.lock().expect("seen").push(Ok(head)),
            Ok(None) => return,
            Err(wrong) => return seen.lock().expect("seen").push(Err(wrong)),
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if stream.get_mut().write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Strictly as RFC 9112 says; `None` at the end of the connection.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Result<Option<String>, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream
            .read_until(b'\n', &mut head)
            .await
            .map_err(|error| error.to_string())?;
        if read == 0 {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(format!("a head broke off: {:?}", String::from_utf8_lossy(&head)))
            };
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let value = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let found: Vec<&str> = lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect();
        found
    };
    let (coded, lengths) = (value("transfer-encoding"), value("content-length"));
    match (coded.as_slice(), lengths.as_slice()) {
        ([], []) => {}
        ([], [length]) => {
            let length = length
                .parse::<usize>()
                .map_err(|_| format!("a length that is none: {length}"))?;
            let mut body = vec![0; length];
            stream
                .read_exact(&mut body)
                .await
                .map_err(|error| format!("the body: {error}"))?;
        }
        (["chunked"], []) => chunks(stream).await?,
        _ => return Err(format!("two framings at once: {head:?}")),
    }
    Ok(Some(head))
}

async fn chunks(stream: &mut BufReader<TcpStream>) -> Result<(), String> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.map_err(|error| error.to_string())?;
        if line.is_empty() {
            return Err("the body broke off".into());
        }
        let size = usize::from_str_radix(line.trim_end_matches("\r\n"), 16)
            .map_err(|_| format!("a chunk size that is none: {line:?}"))?;
        let mut data = vec![0; size + 2];
        if size == 0 {
            // Trailers, up to the empty line.
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.map_err(|error| error.to_string())?;
                if line == "\r\n" {
                    return Ok(());
                }
                if line.is_empty() {
                    return Err("the trailers broke off".into());
                }
            }
        }
        stream
            .read_exact(&mut data)
            .await
            .map_err(|error| format!("a chunk: {error}"))?;
        if !data.ends_with(b"\r\n") {
            return Err("a chunk without its end".into());
        }
    }
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a.test\r\nX: ";

/// Ways to write Transfer-Encoding that some reader takes for it and some does not.
fn codings() -> Vec<String> {
    let values = [
        "chunked",
        "Chunked",
        "CHUNKED",
        "xchunked",
        "chunkedx",
        "chunk",
        "chunked, identity",
        "identity, chunked",
        "chunked, chunked",
        "gzip, chunked",
        "identity",
        "\"chunked\"",
        "'chunked'",
        "chunked;a=b",
        "chunked; ",
        "chunked\u{b}",
        "\u{b}chunked",
        "\u{c}chunked",
        "chunked\u{0}",
        "\tchunked",
        "chunked\t",
        "  chunked  ",
        "cow",
        "",
        ",chunked",
        "chunked,",
        "ｃhunked",
    ];
    let names = [
        "Transfer-Encoding",
        "transfer-encoding",
        "Transfer-Encoding ",
        " Transfer-Encoding",
        "Transfer-Encoding\t",
        "Transfer_Encoding",
        "Transfer-Encoding\u{0}",
        "X\rTransfer-Encoding",
        "X: y\nTransfer-Encoding",
        "X: y\r\n\tTransfer-Encoding",
        "TRANSFER-ENCODING",
    ];
    let by_value = values.iter().map(|value| format!("Transfer-Encoding: {value}\r\n"));
    let by_name = names.iter().map(|name| format!("{name}: chunked\r\n"));
    let others = [
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding:\n chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
        "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "Transfer-Encoding: chunked\r",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        "Connection: Content-Length\r\nTransfer-Encoding: chunked\r\n",
    ];
    by_value.chain(by_name).chain(others.map(str::to_owned)).collect()
}

/// The same for Content-Length, with a body of `length` bytes.
fn lengths(length: usize) -> Vec<String> {
    let values = [
        format!("{length}"),
        format!("+{length}"),
        format!("-{length}"),
        format!("0{length}"),
        format!("0x{length:x}"),
        format!("{length}, {length}"),
        format!("{length},0"),
        format!("0,{length}"),
        format!("{length} 0"),
        format!("{length}a"),
        format!("{length}.0"),
        format!("1e{length}"),
        format!("\"{length}\""),
        format!("\u{b}{length}"),
        format!("{length}\u{0}"),
        String::new(),
        "18446744073709551616".into(),
        format!("1844674407370955161{length}"),
        "0".into(),
        "00".into(),
        " ".into(),
        "٣".into(),
    ];
    let names = [
        "Content_Length",
        "Content-Length ",
        " Content-Length",
        "Content-Length\t",
        "Content Length",
        "X: y\nContent-Length",
        "X\rContent-Length",
    ];
    let by_value = values.iter().map(|value| format!("Content-Length: {value}\r\n"));
    let by_name = names.iter().map(|name| format!("{name}: {length}\r\n"));
    let others = [
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("Content-Length:\r\n {length}\r\n"),
        format!("Content-Length: {length}\n"),
    ];
    by_value.chain(by_name).chain(others).collect()
}

/// Chunked bodies that some readers end elsewhere.
fn bodies() -> Vec<String> {
    let size = HIDDEN.len();
    [
        format!("0\r\n\r\n{HIDDEN}"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x};a=b\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x};a=\"\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x};\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\n{HIDDEN}\n0\n\n"),
        format!("0x{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("+{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("-{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!(" {size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x} \r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}0\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}xx0\r\n\r\n"),
        format!("fffffffffffffffff\r\n{HIDDEN}"),
        format!("10000000000000000{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("0\r\nContent-Length: {size}\r\n\r\n{HIDDEN}"),
        format!("0\r\nX: y\n\r\n{HIDDEN}"),
        format!("0\n\r\n{HIDDEN}"),
        format!("0\r\n\n{HIDDEN}"),
        format!("0\r\r\n\r\n{HIDDEN}"),
        format!("0;\r\n\r\n{HIDDEN}"),
        format!("\r\n0\r\n\r\n{HIDDEN}"),
        format!("0_0\r\n\r\n{HIDDEN}"),
        HIDDEN.to_owned(),
    ]
    .to_vec()
}

fn head(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n")
}

/// What is sent, and whether what follows the first message is a request of its own by everybody's reading.
fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    // A length that covers the hidden request, and a coding that some read as its end.
    for coding in codings() {
        let body = format!("0\r\n\r\n{HIDDEN}");
        cases.push(head("POST", "/l/x", &format!("Content-Length: {}\r\n{coding}", body.len())) + &body);
        cases.push(
            head("POST", "/l/x", &format!("{coding}Content-Length: 4\r\n")) + &format!("5c\r\n{HIDDEN}\r\n0\r\n\r\n"),
        );
    }
    for length in lengths(HIDDEN.len()) {
        cases.push(head("POST", "/l/x", &length) + HIDDEN);
        cases.push(head("GET", "/l/x", &length) + HIDDEN);
    }
    for body in bodies() {
        cases.push(head("POST", "/l/x", "Transfer-Encoding: chunked\r\n") + &body);
        let length = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", body.len());
        cases.push(head("POST", "/l/x", &length) + &body);
    }
    // Heads that end, begin or split elsewhere for some readers.
    let heads = [
        "POST /l/x HTTP/1.1\nHost: a.test\nContent-Length: 60\n\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nX: y\n\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nX: y\r\r\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x\r\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\n Host: a.test\r\nHost: b.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1 HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET  /l/x HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x%20HTTP/1.1%0d%0aHost:%20a.test%0d%0a%0d%0aGET%20/hidden HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x?a=\r\nX: HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET http://a.test/l/x HTTP/1.1\r\nHost: b.test\r\n\r\n".to_owned(),
        "GET //a.test/l/x HTTP/1.1\r\nHost: b.test\r\n\r\n".to_owned(),
        "G\tET /l/x HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "get /l/x HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n".to_owned() + HIDDEN,
        "GET /l/x HTTP/2.0\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\n: empty\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nno colon\r\n\r\n".to_owned(),
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nX: a\u{0}b\r\n\r\n".to_owned(),
    ];
    cases.extend(heads);
    cases
}

/// Names a reader behind us may take for a framing header.
fn imitates_framing(head: &str) -> Option<String> {
    let names = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name);
    let plain = |name: &str| -> String {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase()
    };
    let mut odd = names.filter(|name| matches!(plain(name).as_str(), "transferencoding" | "contentlength"));
    odd.find(|name| {
        !matches!(
            name.to_ascii_lowercase().as_str(),
            "transfer-encoding" | "content-length"
        )
    })
    .map(str::to_owned)
}

#[tokio::test]
async fn no_request_reaches_the_origin_that_was_not_framed() {
    let (address, seen) = logging_origin().await;
    let builtin = Builtin {
        links: Some(At::Urls(vec![format!("http://{address}")])),
        links_rate: None,
        links_anonymous: None,
        ..Builtin::default()
    };
    let gateway: Running = start(inputs(Vec::new(), Some(builtin))).await;
    let cases = cases();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for case in &cases {
        seen.lock().expect("seen").clear();
        let answer = raw(gateway.address, case).await;
        refused += usize::from(matches!(
            status(&answer),
            400 | 405 | 411 | 413 | 417 | 431 | 501 | 505 | 0
        ));
        for one in seen.lock().expect("seen").iter() {
            match one {
                Ok(head) if head.contains("/hidden") => wrong.push(format!("a hidden request came through: {case:?}")),
                Ok(head) => wrong
                    .extend(imitates_framing(head).map(|name| format!("the header {name:?} came through: {case:?}"))),
                Err(reason) if reason.contains("broke off") || reason.contains("body") || reason.contains("chunk:") => {
                }
                Err(reason) => wrong.push(format!("{reason}: {case:?}")),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(
        refused > cases.len() / 2,
        "only {refused} of {} were refused",
        cases.len()
    );
    // The gateway is still well, and an honest request goes through.
    let honest = raw(
        gateway.address,
        "GET /l/x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(status(&honest), 200);
}
