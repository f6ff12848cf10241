/** A process with a pool that is watched in one of several ways. It does so many requests as it is told, and says what they took. */
import { Effect, Layer, Runtime } from "effect"
import { sample, spread } from "./harness.js"
import { exchange, makePool } from "./peers.js"
import { type Watcher, type WatcherName, watchers } from "./watchers.js"

const [name, url, connections, workers, message] = process.argv.slice(2)

const work = Effect.gen(function* () {
  const { options, surroundings = Layer.empty, watch }: Watcher = watchers[name as WatcherName]
  const runtime = yield* Layer.toRuntime(surroundings)
  const limits = { minConnections: Number(connections), maxConnections: Number(connections) }
  const pool = yield* Effect.provide(makePool({ url: url!, ...limits, ...options }), runtime)
  if (watch !== undefined) yield* watch(pool)
  const ask = pool.use(exchange(message!))
  const run = (turns: number) => Runtime.runPromise(runtime)(spread(turns, Number(workers), ask))
  process.on("message", async (turns) => process.send?.(await sample({ run }, Number(turns))))
  process.send?.("ready")
  yield* Effect.async<void>((resume) => {
    process.once("disconnect", () => resume(Effect.void))
  })
})

await Effect.runPromise(Effect.scoped(work))
process.exit()
