import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

const program = Effect.gen(function* () {
  const connection = yield* WebSocketPool.get
  yield* connection.send("Hello, World!")
  yield* Console.log(yield* connection.receive)
}).pipe(Effect.scoped)

program.pipe(Effect.provide(NodeWebSocketPool.layer({ url: "ws://localhost:8080" })), NodeRuntime.runMain)
