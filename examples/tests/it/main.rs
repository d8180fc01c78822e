//! Every example, run as a person would run it.
#![cfg(test)]

mod deploy;
mod docs;
mod integrate;
mod links;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hl7_corpus::orm_new;

/// Runs an example with a message on its standard input.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> (bool, String, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn parse_order() {
    let (good, out, _) = run(env!("CARGO_BIN_EXE_parse_order"), &[], orm_new.bytes);
    assert!(good);
    assert_eq!(
        out,
        "Patient ID         PID-3    PAT1001\n\
         Family name        PID-5.1  MOREAU\n\
         Accession Number   OBR-2    ACC20230001\n\
         Procedure          OBR-4.2  CT ABDOMEN WITH CONTRAST\n\
         Modality           OBR-24   CT\n\
         Start              OBR-36   20230614103000\n"
    );
    let (good, _, error) = run(env!("CARGO_BIN_EXE_parse_order"), &[], b"hello");
    assert!(
        !good && error.contains("does not start with MSH"),
        "{error}"
    );
}

#[test]
fn answer_ack() {
    let (good, out, _) = run(env!("CARGO_BIN_EXE_answer_ack"), &[], orm_new.bytes);
    assert!(good);
    assert_eq!(
        out,
        "MSH|^~\\&|MY_APP|MY_FACILITY|RIS|ST_ELSEWHERE|20230614131416||ACK^O01|1|P|2.3\r\
         MSA|AA|CORPUS0001|Thank you.\r"
    );
}

#[test]
fn hl7_to_json() {
    let (good, out, _) = run(env!("CARGO_BIN_EXE_hl7_to_json"), &[], orm_new.bytes);
    assert!(
        good && out.starts_with("{\"format\":\"hl7v2-raw/1\""),
        "{out}"
    );
}

#[test]
fn mllp_client() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let handler = hl7_mllp::handler_fn(|_| async {
        let ack = "MSH|^~\\&|P||R||1||ACK|1|P|2.3\rMSA|AA|CORPUS0001|Order registered.\r";
        hl7_mllp::Answer::Reply(ack.into())
    });
    runtime.spawn(hl7_mllp::serve(
        listener,
        Arc::new(handler),
        hl7_mllp::ServerConfig::default(),
        Arc::new(hl7_mllp::NoObserver),
        tokio_util::sync::CancellationToken::new(),
    ));
    let (good, out, error) = run(
        env!("CARGO_BIN_EXE_mllp_client"),
        &[&address],
        orm_new.bytes,
    );
    assert!(good, "{error}");
    assert!(
        out.ends_with("MSA|AA|CORPUS0001|Order registered.\n"),
        "{out}"
    );
}
