//! Accepting connections.

use std::any::Any;
use std::io;
use std::net::SocketAddr;

use axum::serve::Listener;
use tokio::net::TcpListener;

use super::socket::{Socket, set_options_of_connections, set_socket_options};

/// Sets the options of the connections of a listener, if it is one for TCP and the system allows.
/// Returns whether its connections from now on have the options.
pub(super) fn prepare<L: Listener>(listener: &L) -> bool {
    let tcp = (listener as &dyn Any).downcast_ref::<TcpListener>();
    tcp.is_some_and(set_options_of_connections)
}

/// Accepts the next connection. Also returns the address of its peer if the address is an IP
/// address. `prepared` is the result of [`prepare`].
///
/// # Errors
/// If a TCP connection cannot be accepted. Other listeners handle their errors themselves.
pub(super) async fn accept<L>(
    listener: &mut L,
    prepared: bool,
) -> io::Result<(Socket, Option<SocketAddr>)>
where
    L: Listener,
    L::Addr: 'static,
{
    // Through axum's trait, a TCP listener would pause for a second after some errors.
    let (socket, peer) = match (&mut *listener as &mut dyn Any).downcast_mut::<TcpListener>() {
        Some(tcp) => {
            let (socket, peer) = TcpListener::accept(tcp).await?;
            (Socket::Tcp(socket), Some(peer))
        }
        None => {
            let (io, peer) = listener.accept().await;
            (Socket::new(io), (&peer as &dyn Any).downcast_ref().copied())
        }
    };
    // A connection may be older than the options of its listener: the system accepts connections
    // before the program does.
    if let Socket::Tcp(socket) = &socket
        && !(prepared && socket.nodelay().unwrap_or(false))
    {
        set_socket_options(socket);
    }
    Ok((socket, peer))
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

    use socket2::SockRef;
    use tokio::net::TcpStream;

    use super::*;

    /// Returns the options that `set_socket_options` sets.
    fn options(socket: &TcpStream) -> io::Result<impl PartialEq + std::fmt::Debug + use<>> {
        let socket = SockRef::from(socket);
        Ok((
            socket.tcp_nodelay()?,
            socket.keepalive()?,
            socket.tcp_keepalive_time()?,
            socket.tcp_keepalive_interval()?,
            socket.tcp_keepalive_retries()?,
            socket.tcp_user_timeout()?,
        ))
    }

    #[tokio::test]
    async fn a_connection_has_the_options_of_its_listener() {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let early = TcpStream::connect(address).await.unwrap();
        let prepared = prepare(&listener);
        let late = TcpStream::connect(address).await.unwrap();
        let mut found = Vec::new();
        for peer in [early, late] {
            let (Socket::Tcp(own), _) = accept(&mut listener, prepared).await.unwrap() else {
                panic!("not TCP");
            };
            assert_ne!(options(&own).unwrap(), options(&peer).unwrap());
            found.push(options(&own).unwrap());
        }
        assert_eq!(found[0], found[1]);
    }

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
