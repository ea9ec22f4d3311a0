//! Accepting connections.

use std::any::Any;
use std::io;
use std::net::SocketAddr;

use axum::serve::Listener;
use tokio::net::TcpListener;

use super::socket::Socket;

/// Accepts the next connection. Also returns the address of its peer if the address is an IP
/// address.
///
/// # Errors
/// If a TCP connection cannot be accepted. Other listeners handle their errors themselves.
pub(super) async fn accept<L>(listener: &mut L) -> io::Result<(Socket, Option<SocketAddr>)>
where
    L: Listener,
    L::Addr: 'static,
{
    // Through axum's trait, a TCP listener would pause for a second after some errors.
    if let Some(tcp) = (&mut *listener as &mut dyn Any).downcast_mut::<TcpListener>() {
        let (socket, peer) = TcpListener::accept(tcp).await?;
        return Ok((Socket::Tcp(socket), Some(peer)));
    }
    let (io, peer) = listener.accept().await;
    Ok((Socket::new(io), (&peer as &dyn Any).downcast_ref().copied()))
}

/// Checks whether an accept error concerns only the one connection that caused the error. A
/// listener of your own then accepts the next one at once; after other errors, it pauses.
/// `accept(2)` lists these errors.
#[must_use]
pub fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown,
        NetworkUnreachable, PermissionDenied, TimedOut,
    };
    #[cfg(unix)]
    if let Some(error) = rustix::io::Errno::from_io_error(error) {
        use rustix::io::Errno;
        if [
            Errno::PROTO,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::OPNOTSUPP,
        ]
        .contains(&error)
        {
            return true;
        }
    }
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    )
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_of_one_connection_does_not_pause_the_accept_loop() {
        let one = [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::NETDOWN,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
            Errno::PERM,
        ];
        for (errors, expected) in [
            (&one[..], true),
            (
                &[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM],
                false,
            ),
        ] {
            for error in errors {
                assert_eq!(
                    concerns_one_connection(&(*error).into()),
                    expected,
                    "{error:?}"
                );
            }
        }
    }
}
