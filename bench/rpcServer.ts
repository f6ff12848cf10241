/**
 * Servers of Effect RPC behind one address, each a process of its own: `rpcServer.js WORKERS CALLS` starts so many, which
 * get connections in turn, and each does so many calls at once. `Wait` takes as many milliseconds as it is told, and `Count` makes items as fast as
 * they are taken.
 */
import cluster from "node:cluster"
import { createServer } from "node:http"
import { serve } from "#bench/rpc"
import * as Effect from "#effect/Effect"
import * as Stream from "#effect/Stream"

const [workers, calls] = process.argv.slice(2).map(Number)

const start = async (): Promise<void> => {
  let missing = workers!
  for (let left = workers!; left > 0; left--) {
    cluster.fork().on("message", (port) => {
      missing -= 1
      if (missing === 0) process.send?.(port)
    })
  }
  process.on("disconnect", () => process.exit())
}

const work = (): Promise<never> =>
  serve(
    createServer(),
    {
      Wait: ({ millis }) => (millis === 0 ? Effect.void : Effect.sleep(millis)),
      Count: ({ to }) => Stream.rechunk(Stream.range(1, to), 1)
    },
    calls!
  ).pipe(
    Effect.tap((port) => Effect.sync(() => process.send?.(port))),
    Effect.andThen(Effect.never),
    Effect.scoped,
    Effect.runPromise
  )

await (cluster.isPrimary ? start() : work())
