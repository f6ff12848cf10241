import { Effect } from "effect"
import { WebSocketPool } from "effect-websocket-pool"

export const ask = (question: string) =>
  WebSocketPool.use((connection) => Effect.andThen(connection.send(question), connection.receive)).pipe(
    Effect.timeout("5 seconds")
  )

/** All at once; the pool spreads them over at most `maxConnections` sockets. */
export const askAll = (questions: ReadonlyArray<string>) => Effect.forEach(questions, ask, { concurrency: "unbounded" })
