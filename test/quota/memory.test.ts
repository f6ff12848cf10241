/** The quota of one process: its limits, its options, and what it tells. */
import { ConnectionQuota, WebSocketPool } from "effect-websocket-pool"
import * as Context from "#effect/Context"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { notYet, now, Server, server, settle } from "../support/memoryPool.js"
import { A, B, fleet, hold, pools, quota, quotaEvents } from "../support/quotaPools.js"

const make = (options: ConnectionQuota.QuotaOptions) =>
  Effect.map(Layer.build(ConnectionQuota.layerMemory(options)), (context) =>
    Context.get(context, ConnectionQuota.ConnectionQuota)
  )

const member = (spare = 0): ConnectionQuota.QuotaMember => ({
  name: "member",
  spare: () => spare,
  yield: () => 0,
  close: () => undefined
})

/** Takes a permit that has to be there at once. */
const taken = (share: ConnectionQuota.QuotaShare): ConnectionQuota.QuotaPermit => {
  let granted: ConnectionQuota.QuotaPermit | undefined
  share.take("waiter", (permit) => {
    granted = permit
  })
  assert.isDefined(granted)
  return granted!
}

describe("promise 4: at most connects.limit attempts in any span of window", () => {
  it.effect("each counted from its grant until window after it has ended", () =>
    Effect.gen(function* () {
      // Both begin now; one takes a second.
      const slow = yield* Effect.forkChild(hold(A.get))
      yield* settle
      const quick = yield* Effect.forkChild(hold(B.get))
      yield* settle
      const third = yield* Effect.forkChild(hold(B.get))
      yield* settle
      assert.deepStrictEqual((yield* fleet).connects, [2])
      yield* TestClock.adjust("1 second")
      yield* now(slow)
      yield* now(quick)
      yield* TestClock.adjust("8999 millis")
      notYet(third)
      const fourth = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("1 millis")
      yield* now(third)
      assert.lengthOf((yield* Server).handshakes, 3)
      notYet(fourth)
      yield* TestClock.adjust("999 millis")
      notYet(fourth)
      yield* TestClock.adjust("1 millis")
      yield* now(fourth)
    }).pipe(
      Effect.provide(
        pools({
          quota: { connects: { limit: 2, window: "10 seconds" } },
          a: { url: "ws://slow.test" },
          accept: ({ url }) => (url.includes("slow") ? Effect.sleep("1 second") : Effect.void)
        })
      )
    )
  )

  it.effect("with several windows the narrowest counts", () =>
    Effect.gen(function* () {
      const { join, stats } = yield* make({
        name: "account",
        connects: [
          { limit: 1, window: "1 second" },
          { limit: 2, window: "1 minute" }
        ]
      })
      const share = yield* join(member())
      taken(share).release()
      yield* TestClock.adjust("1 second")
      taken(share).release()
      assert.deepStrictEqual((yield* stats).connects, [1, 2])
      let isGranted = false
      share.take("waiter", () => {
        isGranted = true
      })
      yield* TestClock.adjust("58999 millis")
      assert.isFalse(isGranted)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isGranted)
    })
  )
})

describe("promise 9: the line", () => {
  it.effect("first is who holds least, among equals who waits longest; background comes after every get", () =>
    Effect.gen(function* () {
      const { join } = yield* make({ name: "account", connections: 3 })
      const rich = yield* join(member())
      const poor = yield* join(member())
      const other = yield* join(member())
      const permits = [taken(rich), taken(rich), taken(rich)]
      const order: Array<string> = []
      const wait = (name: string, share: ConnectionQuota.QuotaShare, urgency: ConnectionQuota.QuotaUrgency) =>
        share.take(urgency, (permit) => {
          order.push(name)
          permits.push(permit)
        })
      wait("background", other, "background")
      wait("rich", rich, "waiter")
      wait("poor", poor, "waiter")
      wait("other", other, "waiter")
      wait("poor again", poor, "waiter")
      for (let index = 0; index < 5; index++) permits[index]!.release()
      assert.deepStrictEqual(order, ["poor", "other", "rich", "poor again", "background"])
    })
  )
})

describe("settle", () => {
  it.effect("a permit given back counts for so long still", () =>
    Effect.gen(function* () {
      const { join, stats } = yield* make({ name: "account", connections: 1, settle: "3 seconds" })
      const share = yield* join(member())
      taken(share).release()
      assert.deepInclude(yield* stats, { used: 1, held: 0 })
      let isGranted = false
      share.take("waiter", () => {
        isGranted = true
      })
      yield* TestClock.adjust("2999 millis")
      assert.isFalse(isGranted)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isGranted)
    })
  )
})

describe("resize and pause", () => {
  it.effect("shrinking takes idle ones first, then leased ones when they are given back", () =>
    Effect.gen(function* () {
      const told = yield* quotaEvents
      const leases = yield* Effect.forEach([1, 2, 3], () => hold(A.get))
      yield* leases[0]!.release
      yield* Effect.flatMap(quota, ({ resize }) => resize({ connections: 1 }))
      yield* settle
      assert.deepInclude(yield* A.stats, { idle: 0, busy: 2 })
      yield* leases[1]!.release
      assert.deepInclude(yield* A.stats, { idle: 0, busy: 1, total: 1 })
      yield* leases[2]!.release
      assert.deepInclude(yield* A.stats, { idle: 1 })
      assert.deepInclude(yield* fleet, { limit: 1, used: 1 })
      assert.deepStrictEqual(
        told.map(({ _tag }) => _tag),
        ["Resized", "Reclaimed", "Reclaimed"]
      )
    }).pipe(Effect.provide(pools({ quota: { connections: 3 } })))
  )

  it.effect("growing serves who waits", () =>
    Effect.gen(function* () {
      yield* hold(A.get)
      const get = yield* Effect.forkChild(hold(B.get))
      yield* settle
      notYet(get)
      yield* Effect.flatMap(quota, ({ resize }) => resize({ connections: 2 }))
      yield* settle
      yield* now(get)
    }).pipe(Effect.provide(pools({ quota: { connections: 1 } })))
  )

  it.effect("promise 17: a limit below 1 is a ConfigError, of the layer and of resize", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        make({ name: "account", connections: 0, connects: { limit: 0, window: "1 second" } })
      )
      assert.include(String(error), "account")
      assert.include(String(error), "connections")
      assert.include(String(error), "limit")
      const { resize } = yield* make({ name: "account" })
      const refusal = yield* Effect.flip(resize({ connections: 0 }))
      assert.include(String(refusal), "Quota")
      assert.include(String(refusal), "connections")
    })
  )

  it.effect("while it is paused nothing opens, and a shorter pause does not shorten it", () =>
    Effect.gen(function* () {
      const { pause } = yield* quota
      yield* pause("10 seconds")
      yield* pause("1 second")
      const get = yield* Effect.forkChild(hold(A.get))
      yield* TestClock.adjust("9999 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      yield* now(get)
    }).pipe(Effect.provide(pools()))
  )
})

describe("backoffOn", () => {
  it.effect("a refusal pauses the whole fleet: 1 second, doubling until a success", () => {
    let refusals = 3
    return Effect.gen(function* () {
      const { handshakes } = yield* Server
      const get = yield* Effect.forkChild(hold(A.get))
      yield* settle
      assert.lengthOf(handshakes, 1)
      const other = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("999 millis")
      assert.lengthOf(handshakes, 1)
      notYet(other)
      // The second is refused, too: two seconds.
      yield* TestClock.adjust("1 millis")
      yield* TestClock.adjust("4 seconds")
      yield* TestClock.adjust("10 seconds")
      yield* now(get)
      yield* now(other)

      refusals = 1
      const before = handshakes.length
      const again = yield* Effect.forkChild(hold(B.getNew))
      yield* settle
      assert.lengthOf(handshakes, before + 1)
      yield* TestClock.adjust("999 millis")
      assert.lengthOf(handshakes, before + 1)
      yield* TestClock.adjust("1 millis")
      yield* now(again)
    }).pipe(
      Effect.provide(
        pools({
          a: { retry: Schedule.spaced("10 millis") },
          b: { retry: Schedule.spaced("10 millis") },
          accept: () => Effect.suspend(() => (refusals-- > 0 ? Effect.fail(429) : Effect.void))
        })
      )
    )
  })

  it.effect("or for as long as Retry-After says", () =>
    Effect.gen(function* () {
      const { join } = yield* make({ name: "account" })
      const share = yield* join(member())
      const permit = taken(share)
      permit.refused(Duration.seconds(7))
      permit.opened()
      permit.release()
      let isGranted = false
      share.take("waiter", () => {
        isGranted = true
      })
      yield* TestClock.adjust("6999 millis")
      assert.isFalse(isGranted)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isGranted)
    })
  )

  it.effect("refusals of attempts that were under way together count once", () =>
    Effect.gen(function* () {
      const { join } = yield* make({ name: "account" })
      const share = yield* join(member())
      for (const permit of [taken(share), taken(share), taken(share)]) {
        permit.refused()
        permit.release()
      }
      yield* TestClock.adjust("1 second")
      taken(share).refused()
      yield* TestClock.adjust("1999 millis")
      let isGranted = false
      share.take("waiter", () => {
        isGranted = true
      })
      assert.isFalse(isGranted)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isGranted)
    })
  )
})

describe("turn", () => {
  it.effect("where workers outnumber permits, an old connection is given up at the next release", () =>
    Effect.gen(function* () {
      const lease = yield* hold(A.get)
      const own = yield* Effect.forkChild(hold(A.get))
      const poor = yield* Effect.forkChild(hold(B.get))
      yield* TestClock.adjust("9 seconds")
      yield* lease.release
      // It was too young: its own pool comes first.
      const { release } = yield* now(own)
      const next = yield* Effect.forkChild(hold(A.get))
      yield* TestClock.adjust("1 second")
      notYet(poor)
      yield* release
      yield* now(poor)
      notYet(next)
      yield* Fiber.interrupt(next)
    }).pipe(Effect.provide(pools({ quota: { connections: 1, turn: "10 seconds" } })))
  )
})

describe("the seam", () => {
  it.effect("each function of a permit does something once", () =>
    Effect.gen(function* () {
      const { join, stats } = yield* make({ name: "account", connections: 2 })
      const share = yield* join(member())
      const permit = taken(share)
      taken(share)
      permit.release()
      permit.release()
      permit.opened()
      assert.strictEqual((yield* stats).used, 1)
    })
  )

  it.effect("cancelling after the grant does nothing, before it leaves the line", () =>
    Effect.gen(function* () {
      const { join, local, stats } = yield* make({ name: "account", connections: 1 })
      const share = yield* join(member())
      const cancel = share.take("waiter", () => undefined)
      cancel()
      assert.strictEqual((yield* stats).used, 1)
      const leave = share.take("background", () => undefined)
      assert.deepInclude(yield* local, { held: 1, waiting: 1, granted: 1, state: "connected", lapses: 0 })
      leave()
      leave()
      assert.deepInclude(yield* local, { waiting: 0 })
      assert.isUndefined(share.unavailable())
    })
  )

  it.effect("a quota that nobody has limited grants what is asked for", () =>
    Effect.gen(function* () {
      const { join, stats } = yield* make({ name: "account" })
      const share = yield* join(member())
      for (let i = 0; i < 100; i++) taken(share)
      assert.deepInclude(yield* stats, { limit: Number.POSITIVE_INFINITY, used: 100, connects: [] })
    })
  )
})

describe("the option quota of a pool", () => {
  class Account extends ConnectionQuota.Tag("Account")<Account>() {}

  it("adds what its tag stands for to the requirements, and nothing for a quota as such", () => {
    const url = "ws://server.test"
    type Requires<T> = T extends Layer.Layer<infer _A, infer _E, infer R> ? R : never
    const byTag = WebSocketPool.layer({ url, quota: Account })
    type Transport = Requires<ReturnType<typeof plain>>
    const plain = () => WebSocketPool.layer({ url })
    expectTypeOf<Requires<typeof byTag>>().toEqualTypeOf<Transport | Account>()
    const byValue = (quota: ConnectionQuota.ConnectionQuota) => WebSocketPool.layer({ url, quota })
    expectTypeOf<Requires<ReturnType<typeof byValue>>>().toEqualTypeOf<Transport>()
    expectTypeOf<Requires<ReturnType<typeof Account.layerMemory>>>().toEqualTypeOf<never>()
  })

  it.effect("has to be a quota, or a tag of one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.scoped(WebSocketPool.make({ url: "ws://server.test", quota: "account" as never }))
      )
      assert.include(String(error), "quota")
      assert.include(String(error), "ConnectionQuota")
    }).pipe(Effect.provide(server()))
  )
})
