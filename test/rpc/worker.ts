/**
 * A process that serves the group on sockets that it is handed. `Double` gives the id of the process, once as many
 * milliseconds have passed as it is asked for; `Count` never ends.
 */
import { createServer } from "node:http"
import type { Socket } from "node:net"
import * as Effect from "#effect/Effect"
import * as Stream from "#effect/Stream"
import { type Handlers, serializations, serve } from "#support/rpc"

const [[, serialization]] = serializations as readonly [(typeof serializations)[number]]
const server = createServer()
const handlers: Handlers = {
  Double: ({ value }) => Effect.as(Effect.sleep(value), process.pid),
  Count: ({ to }) => Stream.concat(Stream.range(1, to), Stream.never)
}

process.on("disconnect", () => process.exit())
process.on("message", (_, socket) => {
  server.emit("connection", socket)
  ;(socket as Socket).resume()
})

await Effect.runPromise(
  Effect.scoped(
    Effect.andThen(
      serve(serialization, handlers, { server }),
      Effect.suspend(() => {
        process.send?.("ready")
        return Effect.never
      })
    )
  )
)
