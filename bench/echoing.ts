/**
 * A server that sends back what comes, frame by frame as it comes, and costs less than the clients that are measured: it
 * reads frames by itself, and holds no message. It knows whole data frames, pings and closes, which is all that those send.
 */
import type { Socket } from "node:net"

const close = 8
const ping = 9
const pong = 10

/** Takes a mask off in place. `at`: of the mask, where the first byte is. */
const unmask = (bytes: Buffer, mask: Buffer, at: number): void => {
  const end = bytes.length
  const aligned = Math.min(-bytes.byteOffset & 3, end)
  const words = new Int32Array(bytes.buffer, aligned === end ? 0 : bytes.byteOffset + aligned, (end - aligned) >> 2)
  const word = Buffer.from([0, 1, 2, 3].map((index) => mask[(at + aligned + index) & 3]!)).readInt32LE(0)
  for (let index = 0; index < words.length; index++) words[index]! ^= word
  const single = (index: number): void => {
    bytes[index]! ^= mask[(at + index) & 3]!
  }
  for (let index = 0; index < aligned; index++) single(index)
  for (let index = aligned + words.length * 4; index < end; index++) single(index)
}

export const echoing = (socket: Socket): void => {
  /** A header that has not come whole. */
  let rest: Buffer = Buffer.alloc(0)
  let mask: Buffer = Buffer.alloc(4)
  /** Of the payload: how much has come, and how much is missing. */
  let come = 0
  let left = 0
  let isLast = false
  socket.on("data", (data: Buffer) => {
    let bytes = rest.length === 0 ? data : Buffer.concat([rest, data])
    rest = Buffer.alloc(0)
    while (bytes.length > 0) {
      let from = 0
      if (left === 0) {
        const short = bytes.length < 2 ? 0 : bytes[1]! & 0x7f
        const extended = short === 127 ? 8 : short === 126 ? 2 : 0
        from = 6 + extended
        if (bytes.length < from) {
          rest = bytes
          return
        }
        const opcode = bytes[0]! & 0x0f
        mask = Buffer.from(bytes.subarray(from - 4, from))
        come = 0
        left = extended === 8 ? Number(bytes.readBigUInt64BE(2)) : extended === 2 ? bytes.readUInt16BE(2) : short
        // The same header without its mask, right before the payload.
        bytes.copyWithin(4, 0, 2 + extended)
        if (opcode === ping) bytes[4] = 0x80 | pong
        bytes[5] = short
        isLast = opcode === close
      }
      const end = Math.min(from + left, bytes.length)
      unmask(bytes.subarray(from, end), mask, come)
      come += end - from
      left -= end - from
      if (socket.writable) socket.write(bytes.subarray(from === 0 ? 0 : 4, end))
      if (isLast && left === 0) socket.end()
      bytes = bytes.subarray(end)
    }
  })
}
