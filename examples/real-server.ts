import { Console, Effect } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

const program = Effect.gen(function* () {
  const connection = yield* WebSocketPool.get
  yield* connection.send("Hello, World!")
  yield* Console.log(yield* connection.receive)
}).pipe(Effect.scoped)

Effect.runPromise(program.pipe(Effect.provide(NodeWebSocketPool.layer({ url: "ws://localhost:8080" }))))
