import { Effect } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

export const layer = (url: string) =>
  NodeWebSocketPool.layer({ url, maxConnections: 2, maxWaiters: 2, acquireTimeout: "250 millis" })

export const answer = (question: string) =>
  WebSocketPool.use((connection) => Effect.andThen(connection.send(question), connection.receive)).pipe(
    Effect.catchTag("PoolExhaustedError", (error) => Effect.succeed(`busy, try again later (${error.reason})`))
  )
