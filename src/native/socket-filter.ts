import type { Libc } from './libc.ts'
import { SO_ATTACH_FILTER, SO_DETACH_FILTER, SOL_SOCKET } from './linux.ts'

const TCP_FLAGS = 13 // offset in the TCP header
const SYN = 0x02
const SYN_AND_ACK = 0x12

/** Opcodes of classic BPF (linux/bpf_common.h). */
const LOAD_BYTE = 0x30
const AND = 0x54
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06

const DROP = 0
const KEEP = 0xffff_ffff

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, operand: number]

/**
 * Makes the listening TCP socket `fd` drop every SYN and keep all other packets: handshakes that
 * have begun are completed, no new one begins, and a client that repeats its SYN reaches another
 * socket that listens on the address. Classic BPF over the TCP header, which needs no privilege.
 * Returns false where the kernel refuses the filter.
 */
export function dropHandshakes(libc: Libc, fd: number): boolean {
  const program: readonly Instruction[] = [
    [LOAD_BYTE, 0, 0, TCP_FLAGS],
    [AND, 0, 0, SYN_AND_ACK],
    [JUMP_IF_EQUAL, 0, 1, SYN],
    [RETURN, 0, 0, DROP],
    [RETURN, 0, 0, KEEP],
  ]
  const filter = new Uint8Array(new ArrayBuffer(program.length * 8))
  const view = new DataView(filter.buffer)
  program.forEach(([code, jumpTrue, jumpFalse, operand], n) => {
    view.setUint16(n * 8, code, true)
    view.setUint8(n * 8 + 2, jumpTrue)
    view.setUint8(n * 8 + 3, jumpFalse)
    view.setUint32(n * 8 + 4, operand, true)
  })
  // struct sock_fprog: u16 number of instructions, padding, pointer to them.
  const header = new Uint8Array(new ArrayBuffer(16))
  const headerView = new DataView(header.buffer)
  headerView.setUint16(0, program.length, true)
  headerView.setBigUint64(8, BigInt(libc.address(filter)), true)
  return libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length) === 0
}

/** Removes the filter of `dropHandshakes`. */
export function acceptHandshakes(libc: Libc, fd: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, new Uint8Array(4), 4)
}
