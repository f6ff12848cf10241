/**
 * The light end of a connection: a server that answers the requests of JSON-RPC it is sent, reads frames by itself, and costs less than the
 * clients that are measured. It knows short text messages, pings and closes, which is all that those send.
 */
import type { Socket } from "node:net"

const opcodes = { text: 1, close: 8, ping: 9 } as const

/** A frame with a short text. */
const frame = (text: string): string => `\x81${String.fromCharCode(text.length)}${text}`

const params = '"params":'

/** Its id and params are where `JSON.stringify` has put them. */
const answer = (request: string): string => {
  const start = request.indexOf('"id":') + 5
  const id = request.slice(start, request.indexOf(",", start))
  const result = request.slice(request.indexOf(params) + params.length)
  return `{"jsonrpc":"2.0","id":${id},"result":${result}`
}

/** Answers each request by a write of its own, or all that came together by one. */
export const answering = (socket: Socket, joins: boolean): void => {
  let rest: Buffer = Buffer.alloc(0)
  const write = (text: string): void => void socket.write(text, "latin1")
  const read = (opcode: number, payload: Buffer): string => {
    if (opcode === opcodes.text) return frame(answer(payload.toString("latin1")))
    if (opcode === opcodes.ping) return `\x8a${String.fromCharCode(payload.length)}${payload.toString("latin1")}`
    if (opcode === opcodes.close)
      socket.end(`\x88${String.fromCharCode(payload.length)}${payload.toString("latin1")}`, "latin1")
    return ""
  }
  socket.on("data", (data: Buffer) => {
    const bytes = rest.length === 0 ? data : Buffer.concat([rest, data])
    let joined = ""
    let at = 0
    while (bytes.length >= at + 6) {
      const length = bytes[at + 1]! & 0x7f
      const start = at + 6
      if (length > 125) throw new Error("a message is too long for this server")
      if (bytes.length < start + length) break
      for (let index = 0; index < length; index++) bytes[start + index]! ^= bytes[at + 2 + (index & 3)]!
      const reply = read(bytes[at]! & 0x0f, bytes.subarray(start, start + length))
      if (joins) joined += reply
      else if (reply !== "" && socket.writable) write(reply)
      at = start + length
    }
    rest = bytes.subarray(at)
    if (joined !== "" && socket.writable) write(joined)
  })
}
