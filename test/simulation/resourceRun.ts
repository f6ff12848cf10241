import { PoolError, ResourcePool } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import { defectsOf, failuresOf, interruptNow, liveFibers, poll, quietly, repeated } from "#support/fibers"
import { type Item, Model, type User } from "./resourceModel.js"
import type { Deed, Finalising, Making, Program, Setting, Step } from "./resourceProgram.js"
import { Violation, World } from "./world.js"

/** What a run has seen. */
export type Tally = {
  readonly leases: number
  readonly items: number
  readonly seconds: number
}

/** Longer than anything takes that does not hang. */
const longest = 20_000

/** What fails with this fails by the program's will. */
const asTold = "as told"

/** What a creation fails with. */
class NotMade {
  constructor(readonly item: Item) {}
}

type Pool = ResourcePool.ResourcePool<Item, NotMade>

/** What is known of a lease from inside. */
interface Lease {
  readonly user: User
  readonly stop: Deferred.Deferred<void>
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

class Simulation {
  readonly world: World
  readonly model: Model
  leases: Array<Lease> = []
  /** How the next items are made and finalised. */
  makings: Array<Making> = []
  finalisings: Array<Finalising> = []
  /** The creations and finalisers that hang. */
  hanging = new Set<() => void>()
  /** What sleeps outside of the pool. */
  asleep = 0
  pool!: Pool
  readonly scope = Effect.runSync(Scope.make())
  closing: Fiber.Fiber<void> | undefined

  constructor(readonly setting: Setting) {
    this.world = new World(setting.seed, setting.yields)
    this.model = new Model(setting, this.world)
    this.makings = Array.from({ length: 3 }, () => setting.making)
  }

  fail(message: string): never {
    return this.model.fail(message)
  }

  // The items

  readonly acquire: Effect.Effect<Item, NotMade, Scope.Scope> = Effect.uninterruptibleMask((restore) => {
    const item = this.model.begins(this.makings.shift() ?? "instant")
    const make = item.how === "stubborn" ? this.sleep(this.world.int(3000)) : restore(this.make(item))
    return Effect.addFinalizer(() => this.finalise(item)).pipe(
      Effect.andThen(make),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          const isInterrupted = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
          this.model.ends(item, Exit.isSuccess(exit) ? "made" : isInterrupted ? "interrupted" : "failed")
        })
      ),
      Effect.as(item)
    )
  })

  make(item: Item): Effect.Effect<void, NotMade> {
    const late = Effect.suspend(() => this.sleep(this.world.int(3000)))
    switch (item.how) {
      case "instant":
      case "stubborn":
        return Effect.void
      case "slow":
        return late
      case "hangs":
        return this.hang
      case "fails":
        return Effect.fail(new NotMade(item))
      case "failsLate":
        return Effect.andThen(late, Effect.fail(new NotMade(item)))
      case "dies":
        return Effect.die(new NotMade(item))
      case "diesLate":
        return Effect.andThen(late, Effect.die(new NotMade(item)))
      case "interrupts":
        return Effect.interrupt
    }
  }

  finalise(item: Item): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.model.closes(item)
      return this.end(this.finalisings.shift() ?? "instant")
    }).pipe(Effect.ensuring(Effect.sync(() => this.model.ended(item))))
  }

  end(how: Finalising): Effect.Effect<void> {
    const late = Effect.suspend(() => this.sleep(this.world.int(3000)))
    switch (how) {
      case "instant":
        return Effect.void
      case "slow":
        return late
      case "hangs":
        return this.hang
      case "dies":
        return Effect.die(asTold)
      case "diesLate":
        return Effect.andThen(late, Effect.die(asTold))
    }
  }

  readonly hang = Effect.callback<void>((resume) => {
    const thaw = () => resume(Effect.void)
    this.hanging.add(thaw)
    return Effect.sync(() => this.hanging.delete(thaw))
  })

  thaw(): void {
    const thawed = Array.from(this.hanging)
    this.hanging.clear()
    for (const thaw of thawed) thaw()
  }

  sleep(millis: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.asleep += 1
      return Effect.ensuring(
        Effect.sleep(millis),
        Effect.sync(() => {
          this.asleep -= 1
        })
      )
    })
  }

  // The holders of leases

  hold({ stop, user }: Lease, { end, millis, spoils }: Extract<Deed, { step: "lease" }>) {
    return (item: Item): Effect.Effect<void, unknown> =>
      Effect.uninterruptibleMask((restore) => {
        this.model.holds(user, item)
        const spoil = spoils ? this.invalidate(item) : Effect.void
        const wait = millis === undefined ? Deferred.await(stop) : this.sleep(millis)
        const ends = { succeed: Effect.void, fail: Effect.fail(asTold), die: Effect.die(asTold) }
        return restore(Effect.andThen(Effect.andThen(spoil, wait), ends[end])).pipe(
          Effect.ensuring(Effect.sync(() => this.model.letsGo(user, item)))
        )
      })
  }

  lease(step: Extract<Deed, { step: "lease" }>): void {
    const expected = this.model.next
    const lease: Lease = { user: this.model.asks(), stop: Deferred.makeUnsafe(), fiber: undefined }
    const hold = this.hold(lease, step)
    const leased =
      step.mode === "get"
        ? Effect.scoped(Effect.flatMap(ResourcePool.get(this.pool), hold))
        : ResourcePool.use(this.pool, hold)
    this.leases.push(lease)
    lease.fiber = this.world.fork(step.stubborn ? Effect.uninterruptible(leased) : leased)
    const { item, token } = lease.user
    if (expected !== undefined && expected.length > 0 && (item === undefined || !expected.includes(item))) {
      this.fail(`${token} got item ${item?.id}, and not ${expected.map(({ id }) => id).join(" or ")}`)
    }
    lease.fiber.addObserver((exit) => {
      this.leases = this.leases.filter((one) => one !== lease)
      try {
        this.judge(lease.user, exit)
      } catch (error) {
        // It is kept as the violation.
        if (!(error instanceof Violation)) throw error
      }
    })
  }

  /** A holder may fail, die and be interrupted as told; pools fail with their own errors only. */
  judge(user: User, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) {
      this.model.over(user, "ended")
      return
    }
    const [reason, more] = [...failuresOf(exit.cause), ...defectsOf(exit.cause)]
    if (more !== undefined) this.fail(`${user.token} failed twice: ${Cause.pretty(exit.cause)}`)
    if (reason instanceof NotMade) this.model.over(user, "failed", reason.item)
    else if (reason instanceof PoolError.PoolClosedError) this.model.over(user, "closed")
    else if (reason === asTold) this.model.over(user, "ended")
    else if (reason === undefined) this.model.over(user, "interrupted")
    else this.fail(`${user.token} failed with ${reason}`)
  }

  interrupt(lease: Lease | undefined, turns: number): void {
    const interrupt = Effect.sync(() => {
      if (lease?.fiber === undefined) return
      this.model.interrupts(lease.user)
      interruptNow(lease.fiber)
    })
    this.world.fork(Effect.andThen(repeated(Effect.yieldNow, turns), interrupt))
  }

  invalidate(item: Item): Effect.Effect<void> {
    return Effect.uninterruptible(
      Effect.suspend(() => {
        this.model.spoil(item)
        return ResourcePool.invalidate(this.pool, item)
      })
    )
  }

  // Steps

  those(state: User["state"]): Array<Lease> {
    return this.leases.filter(({ user }) => user.state === state)
  }

  deed(deed: Deed): void {
    switch (deed.step) {
      case "lease":
        this.lease(deed)
        return
      case "release": {
        const lease = pick(this.those("holding"), deed.who)
        if (lease === undefined) return
        if (deed.how === "interrupt") this.interrupt(lease, 0)
        else Deferred.doneUnsafe(lease.stop, Effect.void)
        return
      }
      case "cancel":
        this.interrupt(pick(this.those("waiting"), deed.who), deed.turns)
        return
      case "invalidate": {
        const made = Array.from(this.model.items).filter(({ state }) => state === "made")
        const idle = made.filter(({ holders }) => holders.size === 0)
        const leased = made.filter(({ holders }) => holders.size > 0)
        const strangers = Array.from(this.model.items).filter(({ state }) => state !== "made")
        const item = pick({ idle, leased, strangers }[deed.among], deed.which)
        if (item === undefined) return
        // What the pool does not know, or knows no more, is nothing to it.
        const known = item.state === "made"
        this.world.fork(known ? this.invalidate(item) : ResourcePool.invalidate(this.pool, item))
        return
      }
    }
  }

  step(step: Step): void {
    switch (step.step) {
      case "together":
        for (const deed of step.deeds) this.deed(deed)
        return
      case "rush":
        for (let n = 0; n < step.count; n++) this.lease({ ...plain, millis: undefined })
        return
      case "cross": {
        for (let n = 0; n <= this.model.max * this.model.concurrency; n++) this.lease({ ...plain, millis: 50 })
        this.world.settle()
        const first = pick(this.those("holding"), step.who)
        const second = pick(this.those("waiting").slice(0, 2), step.other)
        this.interrupt(first, 0)
        this.interrupt(second, step.turns)
        return
      }
      case "making":
        this.makings = Array.from({ length: step.after + step.times }, (_, i) =>
          i < step.after ? "instant" : step.how
        )
        return
      case "finalising":
        this.finalisings = Array.from({ length: step.times }, () => step.how)
        return
      case "relief":
        for (const { stop } of this.those("holding")) Deferred.doneUnsafe(stop, Effect.void)
        return
      case "thaw":
        this.thaw()
        return
      case "wait":
        this.world.advance(step.millis)
        return
      case "close":
        this.close()
        return
      default:
        this.deed(step)
    }
  }

  close(): void {
    if (this.closing !== undefined) return
    this.model.state = "closing"
    this.closing = this.world.fork(Scope.close(this.scope, Exit.void))
  }

  // Checks

  get isClosed(): boolean {
    return this.closing !== undefined && poll(this.closing) !== undefined
  }

  check(): void {
    this.model.settled(this.isClosed)
    // A fiber that yields at the start of Effect's own `sleep`, and is interrupted there, leaves a sleeper behind.
    if (this.setting.yields > 0) return
    // The pool itself has one fiber that waits for all its deadlines.
    const sleeping = this.world.sleeping - this.asleep
    if (sleeping > (this.isClosed ? 0 : 1)) this.fail(`the pool sleeps ${sleeping} times`)
  }

  start(): void {
    const { concurrency, constructor, max, min, strategy, targetUtilization, timeToLive } = this.setting
    const common = { acquire: this.acquire, concurrency, targetUtilization }
    const make =
      constructor === "make"
        ? ResourcePool.make({ ...common, size: max })
        : ResourcePool.makeWithTTL({
            ...common,
            min,
            max,
            timeToLive: timeToLive ?? Number.POSITIVE_INFINITY,
            timeToLiveStrategy: strategy
          })
    this.world.fork(
      make.pipe(
        Scope.provide(this.scope),
        quietly,
        Effect.tap((pool) =>
          Effect.sync(() => {
            this.pool = pool
          })
        )
      )
    )
  }

  /** The end: everybody lets go, everything is closed, and nothing is left but finalisers that hang. */
  finish(): void {
    this.close()
    this.world.settle()
    for (const lease of this.leases) {
      Deferred.doneUnsafe(lease.stop, Effect.void)
      this.interrupt(lease, 0)
    }
    this.world.advance(longest)
    if (this.leases.length > 0) this.fail(`${this.leases.length} holders cannot be interrupted`)
    if (this.model.items.size !== this.hanging.size) {
      this.fail(`${this.model.items.size} items are left, and ${this.hanging.size} finalisers hang`)
    }
    this.thaw()
    this.world.settle()
    if (!this.isClosed) this.fail("it is not closed")
    if (this.model.started !== this.model.finalised) {
      this.fail(`${this.model.started} items, ${this.model.finalised} finalised`)
    }
    for (const mode of ["get", "use"] as const) {
      this.lease({ ...plain, mode })
      this.world.settle()
      if (this.leases.length > 0) this.fail(`${mode} waits for a closed pool`)
    }
  }
}

const plain: Extract<Deed, { step: "lease" }> = {
  step: "lease",
  mode: "use",
  millis: 0,
  end: "succeed",
  spoils: false,
  stubborn: false
}

const pick = <A>(from: ReadonlyArray<A>, which: number): A | undefined => from[which % Math.max(from.length, 1)]

/** Runs a program against the real pool. Throws a `Violation` where a promise is broken. */
export const simulate = (program: Program): Tally => {
  const simulation = new Simulation(program.setting)
  return simulation.world.run(() => play(simulation, program))
}

const play = (simulation: Simulation, { steps }: Program): Tally => {
  const before = liveFibers()
  const { model, world } = simulation
  world.onSettled = () => simulation.check()
  simulation.start()
  world.settle()
  for (const step of steps) {
    simulation.step(step)
    world.settle()
  }
  simulation.finish()
  const after = liveFibers()
  if (after > before) simulation.fail(`${after - before} fibers are left`)
  return { leases: model.leases, items: model.started, seconds: world.now / 1000 }
}
