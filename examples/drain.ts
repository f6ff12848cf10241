import { Effect } from "effect"
import { WebSocketPool, type WebSocketTransport } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

const isNotice = (message: WebSocketTransport.Message) => typeof message === "string" && message.startsWith("notice:")

export const layer = (url: string) =>
  NodeWebSocketPool.layer({
    url,
    onConnect: (connection) => connection.receive, // The greeting.
    drain: { quietPeriod: "50 millis", condition: isNotice }
  })

/** A notice may also come while we wait for the answer. */
export const ask = (question: string) =>
  WebSocketPool.use((connection) =>
    Effect.andThen(connection.send(question), Effect.repeat(connection.receive, { while: isNotice }))
  )
