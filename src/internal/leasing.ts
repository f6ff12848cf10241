import * as Effect from "effect/Effect"
import type { Slot } from "./slot.js"
import type { SlotPool } from "./slotPool.js"

/**
 * Waits in line for a slot. To be run in an uninterruptible region whose `restore` it is given.
 *
 * The hand-off happens in two steps: the pool grants, and the waiter accepts, here, where no interruption can
 * come between. An interruption that arrives after the grant ends up in `abandon`, which gives the slot on.
 */
export const acquire = <A, E>(
  pool: SlotPool<A, E>,
  restore: <B, F, R>(effect: Effect.Effect<B, F, R>) => Effect.Effect<B, F, R>,
  fresh: boolean,
  since: number,
  deadline: number,
  turn?: number
): Effect.Effect<Slot<A, E>, E> => {
  const waiter = pool.join(fresh, since, deadline, turn)
  return Effect.matchCauseEffect(restore(waiter.wait), {
    onFailure: (cause) => {
      pool.abandon(waiter)
      return Effect.failCause(cause)
    },
    onSuccess: (slot) => {
      // It was lost, or became unfit, between the grant and now. Once is bad luck; twice, or with an item just made,
      // is a server that ends whatever is opened, and the holder has to see that.
      if (slot.doom === undefined || slot.uses === 1 || turn !== undefined) return Effect.succeed(slot)
      const again = acquire(pool, restore, fresh, since, deadline, waiter.turn)
      // Not before it is back in line, or the place would go to somebody who came later.
      pool.release(slot, true)
      return again
    }
  })
}
