/** What is still referred to can be seen by what the garbage collector leaves. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Effect from "#effect/Effect"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** How many objects are left that something refers to, once no more than so many are, or some time has passed. */
export const leftOf = (kept: ReadonlyArray<WeakRef<object>>, wanted: number): Effect.Effect<number> =>
  Effect.promise(async () => {
    const left = () => kept.filter((ref) => ref.deref() !== undefined).length
    // A reference lives as long as the turn in which it was looked at.
    for (let turn = 0; turn < 50 && left() > wanted; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      collectGarbage()
    }
    return left()
  })
