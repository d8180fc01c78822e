//! The pretend modality, where there is nobody to talk to.

use crate::program::{run, sender};

#[test]
fn nobody_there_is_told_with_what_to_do() {
    let mut command = sender();
    command.args(["modality", "echo", "--address", "127.0.0.1:1"]);
    run(&mut command).exits(3).says("--address");
}

#[test]
fn a_key_that_dicom_does_not_have_is_wrong_usage() {
    let mut command = sender();
    command.args(["modality", "worklist", "--key", "PatientsNickname=X"]);
    run(&mut command).exits(2).says("PatientsNickname");
}

#[test]
fn what_answers_without_dicom_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 64];
        let _ = stream.read(&mut some);
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let mut command = sender();
    command.args(["modality", "echo", "--address", &address]);
    run(&mut command).exits(6).says("no DICOM");
    peer.join().unwrap();
}
