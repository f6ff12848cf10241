/**
 * A server of TLS, a process of its own on the loopback interface: it echoes, and answers `count` with how many connections it
 * has accepted since it was asked last, and how many of them resumed a session.
 */
import { readFileSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import { WebSocketServer } from "ws"
import { inRoot } from "./report.js"

const pem = (name: string): Buffer => readFileSync(inRoot(`test/fixtures/tls/${name}.pem`))

const http = createServer({ key: readFileSync(inRoot("test/fixtures/tls/server.key")), cert: pem("server") })
const server = new WebSocketServer({ server: http })
let all = 0
let reused = 0

http.on("secureConnection", (socket: TLSSocket) => {
  all += 1
  if (socket.isSessionReused()) reused += 1
})
server.on("connection", (client) => {
  client.on("error", () => {})
  client.on("message", (data, isBinary) => {
    if (data.toString() !== "count") {
      client.send(data, { binary: isBinary })
      return
    }
    client.send(JSON.stringify({ all, reused }))
    all = reused = 0
  })
})
http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => process.send?.((http.address() as AddressInfo).port))
process.on("disconnect", () => process.exit())
