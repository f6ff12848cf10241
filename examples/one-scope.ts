import { Effect } from "effect"
import { WebSocketPool } from "effect-websocket-pool"

/** Two questions on one connection, so that the server sees them in this order. */
export const program = Effect.gen(function* () {
  const connection = yield* WebSocketPool.get
  yield* connection.send("use catalogue A")
  yield* connection.send("list")
  return [yield* connection.receive, yield* connection.receive]
}).pipe(Effect.scoped) // The lease ends here.
