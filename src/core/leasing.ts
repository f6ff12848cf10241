import type { Restore } from "#dialect"
import * as Effect from "#effect/Effect"
import type { Request, Slot, Waiter } from "./slot.js"
import type { SlotPool } from "./slotPool.js"

/**
 * Waits in line for a slot, and lends it. To be run in an uninterruptible region whose `restore` it is given.
 *
 * The hand-off happens in two steps: the pool grants, and the waiter accepts, here, where no interruption can
 * come between. An interruption that arrives after the grant ends up in `abandon`, which gives the slot on.
 */
export const acquire = <A, E, B, F, R>(
  pool: SlotPool<A, E>,
  restore: Restore,
  request: Request,
  lend: (slot: Slot<A, E>) => Effect.Effect<B, F, R>
): Effect.Effect<B, E | F, R> => lendNext(pool, restore, pool.join(request), lend)

const lendNext = <A, E, B, F, R>(
  pool: SlotPool<A, E>,
  restore: Restore,
  waiter: Waiter<A, E>,
  lend: (slot: Slot<A, E>) => Effect.Effect<B, F, R>
): Effect.Effect<B, E | F, R> =>
  Effect.matchCauseEffect(restore(waiter.wait), {
    onFailure: (cause) => {
      pool.abandon(waiter)
      return Effect.failCause(cause)
    },
    onSuccess: (slot) => {
      const again = accept(pool, waiter, slot)
      return again === undefined ? lend(slot) : lendNext(pool, restore, again, lend)
    }
  })

/** Accepts the slot that a waiter was granted, or gives it back: then the waiter goes on as another one. */
export const accept = <A, E>(
  pool: SlotPool<A, E>,
  waiter: Waiter<A, E>,
  slot: Slot<A, E>
): Waiter<A, E> | undefined => {
  const fitness = pool.fitness(slot)
  if (fitness === "Fit") return undefined
  // It has ended between the grant and now. Once is bad luck; twice, or with an item just made, is a server that
  // ends whatever is opened, and the holder has to see that. What the pool itself has given up is nobody's to see.
  const isOver = fitness === "Over"
  if (isOver && (slot.uses === 1 || waiter.wasUnlucky)) return undefined
  waiter.wasUnlucky ||= isOver
  const again = pool.join(waiter.request, waiter)
  // Not before it is back in line, or the place would go to somebody who came later.
  pool.release(slot, true)
  return again
}
