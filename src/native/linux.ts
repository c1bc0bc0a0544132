/**
 * Numbers of the Linux kernel interface that the program uses, under the names of the C headers.
 * They are the same on x86-64 and arm64 (asm-generic).
 */

// errno(3)
export const Errno = {
  EPERM: 1,
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EFAULT: 14,
  EINVAL: 22,
  ENOSYS: 38,
  ENOTSOCK: 88,
  ENOBUFS: 105,
} as const

// flock(2)
export const LOCK_EX = 2
export const LOCK_NB = 4

// poll(2): struct pollfd { int fd; short events; short revents; }
export const POLLFD_BYTES = 8
export const POLLFD_REVENTS = 6
export const POLLNVAL = 0x20

// socket(2)
export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

// socket(7)
export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_REUSEPORT = 15
export const SO_RCVTIMEO = 20
export const SO_SNDTIMEO = 21
export const SO_ATTACH_FILTER = 26
export const SO_DETACH_FILTER = 27
export const SO_ACCEPTCONN = 30
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33

// tcp(7), struct tcp_info: for a listening socket, tcpi_unacked is the length of its queue
export const IPPROTO_TCP = 6
export const TCP_INFO = 11
export const TCP_INFO_BYTES = 104
export const TCP_INFO_UNACKED = 24

// ip(7)
export const IPPROTO_IP = 0
export const IP_PKTINFO = 8
export const IP_MTU_DISCOVER = 10
export const IP_PMTUDISC_WANT = 1
export const IP_PMTUDISC_PROBE = 3

// ipv6(7), RFC 3542 §6
export const IPPROTO_IPV6 = 41
export const IPV6_V6ONLY = 26
export const IPV6_RECVPKTINFO = 49
export const IPV6_PKTINFO = 50

// recvmsg(2), sendmsg(2), recvmmsg(2)
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_NOSIGNAL = 0x4000
export const MSG_WAITFORONE = 0x10000

// shutdown(2)
export const SHUT_RDWR = 2

// madvise(2)
export const MADV_HUGEPAGE = 14

// prctl(2)
export const PR_SET_NAME = 15

/**
 * sockaddr_in and sockaddr_in6, offsets in bytes. The family is in the machine's byte order, the
 * rest in network order.
 */
export const SOCKADDR_FAMILY = 0 // u16
export const SOCKADDR_PORT = 2 // u16
export const SOCKADDR_ADDRESS = [4, 8] as const // 4 or 16 bytes, by family
export const SOCKADDR_BYTES = [16, 28] as const

/** sockaddr_un, offsets in bytes. */
export const SOCKADDR_UN_PATH = 2
export const SOCKADDR_UN_PATH_BYTES_MAX = 108

/** struct msghdr on 64-bit machines, offsets in bytes. */
export const MSGHDR_NAME = 0 // pointer to a sockaddr
export const MSGHDR_NAMELEN = 8 // u32
export const MSGHDR_IOV = 16 // pointer to iovecs
export const MSGHDR_IOVLEN = 24 // u64
export const MSGHDR_CONTROL = 32 // pointer to control messages
export const MSGHDR_CONTROLLEN = 40 // u64
export const MSGHDR_FLAGS = 48 // i32
export const MSGHDR_BYTES = 56

/** struct mmsghdr: a msghdr, then the number of bytes received. */
export const MMSGHDR_LEN = 56 // u32
export const MMSGHDR_BYTES = 64

/** struct iovec, offsets in bytes. */
export const IOVEC_BASE = 0 // pointer
export const IOVEC_LEN = 8 // u64
export const IOVEC_BYTES = 16

/** struct cmsghdr, offsets in bytes; the data follow. */
export const CMSGHDR_LEN = 0 // u64
export const CMSGHDR_LEVEL = 8 // i32
export const CMSGHDR_TYPE = 12 // i32
export const CMSGHDR_BYTES = 16

/** struct in_pktinfo, offsets in bytes. */
export const IN_PKTINFO_IFINDEX = 0 // i32
export const IN_PKTINFO_SPEC_DST = 4 // 4 bytes: the local address
export const IN_PKTINFO_BYTES = 12

/** struct in6_pktinfo, offsets in bytes. */
export const IN6_PKTINFO_ADDR = 0 // 16 bytes: the local address
export const IN6_PKTINFO_IFINDEX = 16 // i32
export const IN6_PKTINFO_BYTES = 20
