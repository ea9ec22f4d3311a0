//! The two ways of writing to sockets, and the fallback if the kernel forbids io_uring.

use std::process::Command;

use crate::client::Reader;
use crate::clients::tool;
use crate::server::{TestServer, serving};

/// Checks that every reader receives every tick, in order.
async fn serves_many(server: &TestServer) {
    let mut readers = Vec::new();
    for i in 0..40 {
        readers.push(
            Reader::open(
                server,
                if i % 2 == 0 {
                    "?symbols=A,B"
                } else {
                    "?symbols=B"
                },
            )
            .await,
        );
    }
    server.wait_for_streams(40).await;
    for n in 1..=50 {
        server.publish(&[("A", "1"), ("B", "2")]).await;
        for (i, reader) in readers.iter_mut().enumerate() {
            let expected = [format!("A {n}=1"), format!("B {n}=2")];
            let expected = if i % 2 == 0 {
                &expected[..]
            } else {
                &expected[1..]
            };
            assert_eq!(reader.ticks(expected.len()).await, expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_io_backends_serve_the_same_ticks() {
    for io in ["epoll", "uring", "auto"] {
        serves_many(&TestServer::with(&["--source", "none", "--io-backend", io])).await;
    }
}

/// A system call filter that makes `io_uring_setup` fail with "not permitted", as containers do.
/// Then the script starts the program.
const FORBID_IO_URING: &str = "
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
# Load the number of the call; is it 425? Then error 1, else allow.
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in code))
class Filter(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('program', ctypes.c_void_p)]
given = Filter(len(code), ctypes.addressof(program))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(given), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
";

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_io_uring_falls_back_to_epoll() {
    let Some(python) = tool("XTASK_PYTHON", "a_forbidden_io_uring_falls_back_to_epoll") else {
        return;
    };
    let mut plain = serving("127.0.0.1:0");
    plain.args(["--source", "none", "--io-backend", "uring"]);
    let mut command = Command::new(python);
    command
        .args(["-c", FORBID_IO_URING])
        .arg(plain.get_program())
        .args(plain.get_args());
    command.stderr(std::process::Stdio::piped());
    let server = TestServer::launch(command);
    serves_many(&server).await;
    let lines = server
        .log()
        .lines()
        .filter(|line| line.contains("io_uring is not available"))
        .count();
    assert_eq!(lines, 1, "{}", server.log());
}
