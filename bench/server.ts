/**
 * The server of the benchmarks, a process of its own on the loopback interface. The path says what it does with a
 * message: `/echo` sends it back, `/reflect` does so without `ws`, which costs less than any client, `/delay/20` after 20 ms. `/push` and `/burst` take it for a number and send so
 * many messages of 64 bytes: one by one, as servers do, or many in one write, which costs the server next to nothing.
 * `/answer` and `/join` answer requests of JSON-RPC: one by one, or all that came together in one write.
 */
import type { AddressInfo, Socket } from "node:net"
import { type RawData, type WebSocket, WebSocketServer } from "ws"
import { answering } from "./answering.js"
import { echoing } from "./echoing.js"

const message = "x".repeat(64)

const push = (client: WebSocket, socket: Socket, count: number): void => {
  for (let left = count; left > 0; left--) {
    if (socket.writableNeedDrain) {
      const rest = left
      socket.once("drain", () => push(client, socket, rest))
      return
    }
    client.send(message)
  }
}

const frame = Buffer.concat([Buffer.from([0x81, message.length]), Buffer.from(message)])
const batch = Buffer.concat(Array.from({ length: 1000 }, () => frame))

const burst = (socket: Socket, count: number): void => {
  for (let left = count; left > 0; ) {
    const some = Math.min(left, 1000)
    left -= some
    if (!socket.write(batch.subarray(0, some * frame.length))) {
      const rest = left
      socket.once("drain", () => burst(socket, rest))
      return
    }
  }
}

const echo = (client: WebSocket, data: RawData, isBinary: boolean): void => client.send(data, { binary: isBinary })

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 4096 })

server.on("connection", (client, { socket, url = "" }) => {
  client.on("error", () => {})
  if (url === "/push") client.on("message", (data) => push(client, socket, Number(data.toString())))
  else if (url === "/burst") client.on("message", (data) => burst(socket, Number(data.toString())))
  else if (url.startsWith("/delay/")) {
    const millis = Number(url.slice("/delay/".length))
    client.on("message", (data, isBinary) => setTimeout(echo, millis, client, data, isBinary))
  } else if (url === "/answer" || url === "/join" || url === "/reflect") {
    // Frames are not the business of `ws` from here on: it costs the server more than all that the clients do.
    socket.removeAllListeners("data")
    if (url === "/reflect") echoing(socket)
    else answering(socket, url === "/join")
  } else client.on("message", (data, isBinary) => echo(client, data, isBinary))
})
server.on("listening", () => process.send?.((server.address() as AddressInfo).port))
process.on("disconnect", () => process.exit())
