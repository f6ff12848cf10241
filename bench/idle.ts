/** A process that holds connections, and says how much CPU it takes while it does nothing. */
import { setTimeout } from "node:timers/promises"
import { Effect } from "effect"
import { type HolderName, holders } from "./holders.js"

const [name, url, count] = process.argv.slice(2)

const watch = Effect.gen(function* () {
  yield* holders[name as HolderName].hold(url!, Number(count))
  process.send?.("ready")
  yield* Effect.async<void>((resume) => {
    process.once("message", async (seconds) => {
      const before = process.cpuUsage()
      await setTimeout(Number(seconds) * 1000)
      const { system, user } = process.cpuUsage(before)
      process.send?.(system + user)
      resume(Effect.void)
    })
  })
})

process.once("disconnect", () => process.exit())
await Effect.runPromise(Effect.scoped(watch))
process.disconnect?.()
