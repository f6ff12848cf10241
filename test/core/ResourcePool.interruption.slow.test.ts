import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import type { Steps } from "#support/fibers"
import { forkStepwise, interruptNow, poll, withoutMicrotasks } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { closeable, isDone, items, lease, makePool } from "./support/resourcePool.js"

class Operations {
  private readonly tasks: Array<() => void> = []
  private count = 0
  private action: (() => void) | undefined

  private readonly steps: Steps = {
    // It is asked at every operation.
    mayYield: () => {
      if (this.action !== undefined && this.count++ === this.at) {
        this.action()
        this.action = undefined
      }
      return false
    },
    schedule: (task) => {
      this.tasks.push(task)
    }
  }

  constructor(private readonly at: number) {}

  /** Counts from here on. */
  arm(action: () => void): void {
    this.action = action
  }

  /** Whether there were not as many operations. */
  disarm(): boolean {
    const isArmed = this.action !== undefined
    this.action = undefined
    return isArmed
  }

  /** Calls a function in which everything happens synchronously. */
  during<A>(f: () => A): A {
    return withoutMicrotasks(this.steps.schedule, f)
  }

  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return forkStepwise(effect, this.steps, { immediate: false })
  }

  run<A, E>(effect: Effect.Effect<A, E>): A {
    const fiber = this.fork(effect)
    this.settle()
    const exit = poll(fiber)
    if (exit === undefined) throw new Error("it waits for something that never comes")
    return Effect.runSync(exit)
  }

  settle(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }
}

describe("interruption, at any instant", () => {
  const ways = {
    use: (pool: ResourcePool.ResourcePool<number, string>) => ResourcePool.use(pool, () => Effect.yieldNow),
    get: (pool: ResourcePool.ResourcePool<number, string>) =>
      Effect.scoped(Effect.andThen(ResourcePool.get(pool), Effect.yieldNow))
  }

  interface Situation {
    readonly making?: (n: number) => Effect.Effect<unknown, string>
    readonly isWarm?: boolean
    readonly isHeld?: boolean
  }

  const situations: Record<string, Situation> = {
    "on an item that idles": { isWarm: true },
    "on a creation that is over at once": {},
    "on a creation that takes a while": { making: () => Effect.yieldNow },
    "on a creation that fails": { making: (n) => (n === 1 ? Effect.fail("failure") : Effect.void) },
    "on a creation that fails after a while": {
      making: (n) => Effect.andThen(Effect.yieldNow, n === 1 ? Effect.fail("failure") : Effect.void)
    },
    "on an item that is given back": { isHeld: true }
  }

  for (const [way, lend] of Object.entries(ways)) {
    for (const [situation, { isHeld = false, isWarm = false, making }] of Object.entries(situations)) {
      it(`of ${way}, ${situation}, loses nothing`, () => {
        const ends = new Set<string>()
        let instants = 0
        for (let isOver = false; !isOver; instants++) {
          const operations = new Operations(instants)
          operations.during(() => {
            const all = items(making)
            const { close, pool } = operations.run(closeable(makePool(all, { max: 1 })))
            if (isWarm) operations.run(lend(pool))
            const holder = isHeld ? operations.run(lease(pool)) : undefined

            const victim = operations.fork(lend(pool))
            const next = operations.fork(ResourcePool.use(pool, Effect.succeed))
            operations.arm(() => interruptNow(victim))
            operations.settle()
            if (holder !== undefined) operations.run(holder.release)
            isOver = operations.disarm()

            const message = `interrupted at operation ${instants}`
            const end = poll(victim)
            if (end === undefined) throw new Error(`never over when ${message}`)
            ends.add(Exit.hasInterrupts(end) ? "Interrupted" : end._tag)
            assert.isTrue(isDone(next), `the next in line is never served when ${message}`)
            operations.run(ResourcePool.use(pool, Effect.succeed))
            assert.isAtMost(all.most, 1, message)
            operations.run(close)
            assert.deepStrictEqual(all.existing, [], message)
          })
        }
        assert.isAbove(instants, 20)
        assert.isTrue(ends.has("Interrupted"))
        assert.isTrue(ends.size > 1)
      })
    }
  }
})
