import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { type WebSocket, WebSocketServer } from "ws"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"

export interface Listening {
  readonly url: string
  /** Ends all of its connections and stops, as a process does that is restarted. */
  readonly stop: Effect.Effect<void>
  /** Listens again where it did. */
  readonly restart: Effect.Effect<void>
}

/** A server of sockets, until the scope closes. */
export const listening = (serve: (socket: WebSocket) => void): Effect.Effect<Listening, never, Scope.Scope> => {
  const open = (port: number) =>
    Effect.promise(async () => {
      const server = new WebSocketServer({ host: "127.0.0.1", port })
      server.on("connection", serve)
      await once(server, "listening")
      return server
    })
  const close = (server: WebSocketServer) =>
    Effect.promise(async () => {
      for (const socket of server.clients) socket.terminate()
      await new Promise((resolve) => server.close(resolve))
    })
  return Effect.acquireRelease(
    Effect.map(open(0), (server) => {
      const { port } = server.address() as AddressInfo
      let current = server
      return {
        url: `ws://127.0.0.1:${port}`,
        stop: Effect.suspend(() => close(current)),
        restart: Effect.map(open(port), (next) => {
          current = next
        })
      }
    }),
    ({ stop }) => stop
  )
}
