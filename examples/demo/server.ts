/** A server with moods: it greets, answers, says things unasked, drops connections, and is away for a while. */
import { createServer } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { Effect, Random, type Scope } from "effect"
import { type RawData, type WebSocket, WebSocketServer } from "ws"

export const greeting = "welcome"
export const isNotice = (message: unknown): boolean => typeof message === "string" && message.startsWith("notice:")
export const rejection = (text: string): string => `rejected: ${text}`

export interface DemoServer {
  readonly url: string
  /** TCP connections that are open now. */
  readonly sockets: () => number
  readonly isAway: () => boolean
  /** Drops every connection and accepts none until the effect ends. */
  readonly away: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const oneIn = (n: number): boolean => Math.random() < 1 / n

/** Answers after 5 to 20 ms: mostly the echo, now and then a refusal, and very seldom not at all. */
const onMessage = (client: WebSocket, data: RawData, isBinary: boolean): void => {
  if (oneIn(500)) return
  const text = data.toString()
  setTimeout(
    () => {
      if (client.readyState !== client.OPEN) return
      if (oneIn(100)) client.send(rejection(text))
      else client.send(data, { binary: isBinary })
    },
    5 + Math.random() * 15
  )
}

interface Listening extends DemoServer {
  readonly clients: ReadonlySet<WebSocket>
  readonly close: Effect.Effect<void>
}

const listen = Effect.async<Listening>((resume) => {
  let isAway = false
  const sockets = new Set<Socket>()
  const http = createServer()
  http.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    if (isAway) socket.resetAndDestroy()
  })
  const server = new WebSocketServer({ server: http })
  server.on("connection", (client) => {
    client.on("error", () => {})
    client.on("message", (data, isBinary) => onMessage(client, data, isBinary))
    client.send(greeting)
  })

  const leave = Effect.sync(() => {
    isAway = true
    for (const socket of sockets) socket.destroy()
  })
  const comeBack = Effect.sync(() => {
    isAway = false
  })
  const close = Effect.async<void>((resume) => {
    for (const socket of sockets) socket.destroy()
    server.close()
    http.close(() => resume(Effect.void))
  })

  http.listen(0, "127.0.0.1", () =>
    resume(
      Effect.succeed({
        url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}`,
        sockets: () => sockets.size,
        isAway: () => isAway,
        away: (effect) =>
          Effect.acquireUseRelease(
            leave,
            () => effect,
            () => comeBack
          ),
        clients: server.clients,
        close
      })
    )
  )
})

/** Does something to one client or another, from time to time. */
const pester = (
  clients: ReadonlySet<WebSocket>,
  millis: readonly [number, number],
  act: (client: WebSocket) => void
): Effect.Effect<never> =>
  Random.nextRange(...millis).pipe(
    Effect.flatMap((pause) => Effect.sleep(pause)),
    Effect.zipRight(Effect.suspend(() => (clients.size === 0 ? Effect.void : Effect.map(Random.choice(clients), act)))),
    Effect.ignore,
    Effect.forever
  )

/** Listens on a free port of the loopback interface. */
export const make: Effect.Effect<DemoServer, never, Scope.Scope> = Effect.gen(function* () {
  const server = yield* Effect.acquireRelease(listen, ({ close }) => close)
  yield* Effect.forkScoped(pester(server.clients, [10, 50], (client) => client.send("notice: the tide is rising")))
  yield* Effect.forkScoped(pester(server.clients, [100, 500], (client) => client.terminate()))
  return server
})
