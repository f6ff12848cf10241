import * as ResourcePool from "effect-websocket-pool/ResourcePool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { poll } from "#support/fibers"

// Fixtures

/** Items 1, 2, 3, … and what became of them. */
export class Items<E = never> {
  started = 0
  readonly made: Array<number> = []
  readonly closed: Array<number> = []
  /** How many existed at most, those included that were still being finalised. */
  most = 0
  /** Items whose finaliser has been started. */
  readonly closing: Array<number> = []

  constructor(
    private readonly making: (n: number) => Effect.Effect<unknown, E> = () => Effect.void,
    private readonly finalising: (n: number) => Effect.Effect<unknown> = () => Effect.void
  ) {}

  get existing(): Array<number> {
    return this.made.filter((n) => !this.closed.includes(n))
  }

  readonly acquire: Effect.Effect<number, E, Scope.Scope> = Effect.suspend(() => {
    const n = ++this.started
    return Effect.andThen(
      this.making(n),
      Effect.andThen(
        Effect.addFinalizer(() => this.finalise(n)),
        Effect.sync(() => {
          this.made.push(n)
          this.most = Math.max(this.most, this.existing.length)
          return n
        })
      )
    )
  })

  private finalise(n: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closing.push(n)
      return this.finalising(n)
    }).pipe(Effect.ensuring(Effect.sync(() => this.closed.push(n))), Effect.asVoid)
  }
}

export const items = <E = never>(
  making?: (n: number) => Effect.Effect<unknown, E>,
  finalising?: (n: number) => Effect.Effect<unknown>
): Items<E> => new Items(making, finalising)

export const slow = (n: number, duration: Duration.Input) => (i: number) =>
  i === n ? Effect.sleep(duration) : Effect.void

/** A lease that ends when the test says so. */
export interface Lease<A> {
  readonly item: A
  readonly release: Effect.Effect<void>
}

export const leaseOf = <A, E>(get: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<Lease<A>, E> =>
  Effect.flatMap(Scope.make(), (scope) =>
    Effect.map(Scope.provide(get, scope), (item) => ({ item, release: Scope.close(scope, Exit.void) }))
  )

export const lease = <A, E>(pool: ResourcePool.ResourcePool<A, E>) => leaseOf(ResourcePool.get(pool))

/** Lets everything happen that does not need time. */
export const settle = TestClock.adjust(0)

/** Starts something that will have to wait. */
export const forkWaiting = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tap(Effect.forkChild(effect), () => settle)

export const isDone = (fiber: Fiber.Fiber<unknown, unknown>): boolean => poll(fiber) !== undefined

/** A pool that is closed within a test. */
export const closeable = <A, E, R>(make: Effect.Effect<A, E, R | Scope.Scope>) =>
  Effect.flatMap(Scope.make(), (scope) =>
    Effect.map(Scope.provide(make, scope), (pool) => ({ pool, close: Scope.close(scope, Exit.void) }))
  )

export const makePool = <E>(
  from: { readonly acquire: Effect.Effect<number, E, Scope.Scope> },
  options: {
    readonly min?: number
    readonly max: number
    readonly concurrency?: number
    readonly targetUtilization?: number
    readonly timeToLive?: Duration.Input
    readonly timeToLiveStrategy?: "creation" | "usage"
  }
) => ResourcePool.makeWithTTL({ min: 0, timeToLive: Duration.infinity, ...options, acquire: from.acquire })

// The same for this pool and for Effect's
