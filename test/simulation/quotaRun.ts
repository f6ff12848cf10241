/**
 * A quota under random programs: either the one in memory, or workers on a real engine across a network that loses,
 * doubles, delays and reorders what they report. What a backend would see is checked against what was promised.
 */
import { ConnectionQuota } from "effect-websocket-pool"
import { RedisConnectionQuota } from "effect-websocket-pool/redis"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Scope from "#effect/Scope"
import { aheadOf, quietly, withClock } from "#support/fibers"
import { type Kept, QuotaEngine, Refusal, type Reply, saidIn } from "./quotaEngine.js"
import { Hand, type Held, type Take, type Watcher } from "./quotaHand.js"
import type { Program, Setting, Step } from "./quotaProgram.js"
import { Violation, World } from "./world.js"

export type Tally = {
  readonly grants: number
  readonly reports: number
  readonly losses: number
  readonly seconds: number
}

export const ttl = 900
export const recovery = 1300
const commandTimeout = 100
/** A message that is late comes at most so much later. */
const longestDelay = 300

/** A worker that knows of a pause takes no notice of one that ends so little later. */
const pauseNoise = 100

const prefix = "ewp:{q}:"
const keys = ["w", "e", "a", "l", "r", "o", "c", "s"].map((letter) => prefix + letter)

type Respond = (effect: Effect.Effect<unknown, unknown>) => void

/** It may have been asked for anything by an engine that was another one meanwhile. */
const unknown = { aski: Number.NEGATIVE_INFINITY, askl: Number.NEGATIVE_INFINITY }

const refused = new Refusal("connect ECONNREFUSED 127.0.0.1:6379")

/** The network between a worker and the engine. */
class Wire {
  readonly reports: Array<Pick<Extract<Step, { step: "report" }>, "mood" | "after">> = []
  readonly messages: Array<Pick<Extract<Step, { step: "message" }>, "mood" | "after">> = []
  /** What it has reported that was not heard, or not answered in time; the next one is. */
  private hasFailed = false
  cutUntil = 0
  private heardAt = 0
  sent = 0
  onMessage: (message: string) => void = () => undefined

  constructor(
    readonly hand: Hand,
    private readonly run: Simulation
  ) {}

  get isCut(): boolean {
    return this.run.world.now < this.cutUntil
  }

  private latency(): number {
    return this.run.setting.engine === "redis" ? this.run.world.int(3) : 0
  }

  readonly client: RedisConnectionQuota.Client = {
    command: (args) => Effect.callback<unknown, unknown>((resume) => this.send(args, resume)),
    subscribe: (_, onMessage) =>
      Effect.sync(() => {
        this.onMessage = onMessage
      })
  }

  private send(args: ReadonlyArray<string>, resume: Respond): void {
    const { run } = this
    const sentAt = run.world.now
    // What a killed process has not sent is never sent.
    if (run.killed.has(this.hand)) return
    this.sent += 1
    if (this.isCut || !run.isUp) {
      this.hasFailed = true
      if (run.world.chance(0.5)) run.after(1, () => resume(Effect.fail(refused)))
      return
    }
    const { mood, after } = (this.hasFailed ? undefined : this.reports.shift()) ?? { mood: undefined }
    this.hasFailed = mood !== undefined && mood !== "twice" && mood !== "slow"
    if (mood === "lost") return
    // Never to the very moment in which its worker gives up on it.
    const there = mood === "late" ? (after ?? 30.5 + run.world.int(700)) : mood === "slow" ? 40 : this.latency()
    const back = mood === "lateAnswer" ? (after ?? commandTimeout + 10) : mood === "slow" ? 40 : this.latency()
    const respond = (heard: Heard | undefined, millis: number): void => {
      if (heard === undefined) return
      run.after(millis, () => {
        if (run.world.now - sentAt < run.commandTimeout) heard.learn()
        resume(heard.respond)
      })
    }
    // What is not late comes in its order, by more than times are rounded.
    const usual = Math.max(this.heardAt + 0.001, run.world.now + there)
    if (mood !== "late") this.heardAt = usual
    run.after(mood === "late" ? there : usual - run.world.now, () => {
      if (run.ended.has(this.hand)) return
      const heard = this.hear(args)
      if (mood !== "unheard" && mood !== "again") respond(heard, back)
    })
    if (mood === "twice" || mood === "again") {
      run.after(there + (after ?? (mood === "twice" ? 1 + run.world.int(700) : 60)), () => {
        if (run.ended.has(this.hand)) return
        const heard = this.hear(args)
        if (mood === "again") respond(heard, back)
      })
    }
  }

  private hear(args: ReadonlyArray<string>): Heard | undefined {
    if (!this.run.isUp || this.isCut) return undefined
    try {
      return this.run.heard(this.hand, args)
    } catch (error) {
      if (error instanceof Refusal) return { respond: Effect.fail(error), learn: () => undefined }
      this.run.fail(String(error))
      return undefined
    }
  }

  deliver(message: string): void {
    const { run } = this
    const { mood, after } = this.messages.shift() ?? { mood: undefined }
    if (mood === "lost" || this.isCut) return
    const delay = mood === "late" ? (after ?? 20 + run.world.int(longestDelay - 20)) : this.latency()
    run.after(delay, () => {
      if (this.isCut) return
      run.isTold = true
      this.onMessage(message)
      run.isTold = false
    })
  }
}

/** What comes of a report that is heard. */
interface Heard {
  readonly respond: Effect.Effect<unknown, unknown>
  /** The answer reaches its worker. */
  readonly learn: () => void
}

/** A limit, and how many resizes there had been by then. */
interface Limits {
  readonly turn: number
  readonly limit: number
}

/** What the engine has heard of a worker. */
interface Record {
  heardAt: number
  seq: number
  /** The state that it knows: an epoch and a version; and the limits. */
  known: string
  limits: Limits
  pausedUntil: number
  /** How many connections it was asked for, and how many it gave up. */
  asks: number
  given: number
}

/** What a report says that counts, of whom. */
interface Said {
  readonly id: string
  readonly held: number
  readonly back: number
  readonly aski: number
  readonly askl: number
}

class Simulation implements Watcher {
  readonly world: World
  readonly hands: Array<Hand> = []
  readonly wires = new Map<Hand, Wire>()
  readonly killed = new Set<Hand>()
  readonly ended = new Set<Hand>()
  private readonly records = new Map<Hand, Record>()
  private readonly isMemory: boolean
  private readonly engine: QuotaEngine | undefined
  isUp = true
  private kept: Kept | undefined
  /** Who has to be heard first: only it can tell that the engine has fallen back. */
  private gate: Hand | undefined
  private savedAs = ""
  private savedLimits: Limits
  /** Those that an engine has which was told by everybody what they know. */
  private limits: Limits
  private resizes = 0
  private pausedUntil = 0
  /** Grants on their way may have been decided before. */
  private slackUntil = 0
  /** Before it, what was lost may not be known to all. */
  private calmAt = 0
  private cutEnd = Number.NEGATIVE_INFINITY
  private lossAt = Number.NEGATIVE_INFINITY
  private refusedUntil = 0
  private level = 0
  /** Attempts that went well since the latest one that was refused. */
  private readonly well = new Set<Held>()
  private refusals = 0
  private turns = 0
  private entered = 0
  private grants = 0
  private losses = 0
  private events = 0
  private violation: Violation | undefined
  private readonly scope = Effect.runSync(Scope.make())
  private memory: ConnectionQuota.ConnectionQuota | undefined
  /** Whether it is the end, and all is checked that takes a while. */
  private readonly nextTurn = () => ++this.turns

  constructor(readonly setting: Setting) {
    this.world = new World(setting.seed, 0)
    this.isMemory = setting.engine === "memory"
    this.limits = this.savedLimits = { turn: 0, limit: setting.limit }
    this.engine = this.isMemory ? undefined : new QuotaEngine(keys)
  }

  get limit(): number {
    return this.limits.limit
  }

  get commandTimeout(): number {
    return this.setting.commandTimeout ?? commandTimeout
  }

  // What a hand tells

  now(): number {
    return this.world.now
  }

  after(millis: number, f: () => void): void {
    this.world.fork(Effect.andThen(Effect.sleep(millis), Effect.sync(f)))
  }

  closingTakes(): number {
    return this.world.int(20)
  }

  fail(message: string): void {
    this.violation ??= new Violation(`${message}, at ${this.world.now} ms`)
  }

  private get living(): ReadonlyArray<Hand> {
    return this.hands.filter(({ isAlive }) => isAlive)
  }

  /** Whether the engine has to count it: it was heard of within ttl. */
  private counts(hand: Hand): boolean {
    if (this.isMemory) return true
    const { heardAt } = this.records.get(hand) ?? { heardAt: Number.NEGATIVE_INFINITY }
    return this.world.now - heardAt < ttl - 1
  }

  /** Sockets that count, those of a killed worker until it lapses, and those that have gone a moment ago. */
  get used(): number {
    const { settle } = this.setting
    const { now } = this.world
    let used = 0
    for (const hand of this.hands) {
      if (!this.counts(hand)) continue
      for (const { goneAt, isAlone, isLost, state } of hand.all) {
        if (isAlone) continue
        if (state !== "gone") used += 1
        else if (isLost && goneAt > this.lossAt) used += 1
        else if (goneAt + settle > now && goneAt > this.lossAt) used += 1
      }
    }
    return used
  }

  private attempts(window: number): number {
    const { now } = this.world
    let count = 0
    for (const hand of this.hands) {
      for (const { from, isAlone, to } of hand.all) {
        if (isAlone || to + window <= now) continue
        // What a killed worker had begun is known to nobody after a loss; and one that takes so long was cut off.
        if (this.killed.has(hand) && to <= this.lossAt) continue
        if (!this.isMemory && Math.min(to, now) - from > ttl) continue
        count += 1
      }
    }
    return count
  }

  /** Whether a worker is being told of a grant: that is the engine's, even where the latest report was not answered. */
  isTold = false

  granted(hand: Hand, take: Take): void {
    this.grants += 1
    this.events += 1
    if (hand.all.at(-1)!.isAlone) {
      if (hand.held > this.setting.unreachable) this.fail(`${hand.name} opens more than unreachable allows`)
      return
    }
    const { now } = this.world
    if (!this.isMemory && now - this.record(hand).heardAt > ttl) this.fail(`${hand.name} has lapsed, and opens`)
    if (now >= this.slackUntil) {
      if (this.used > this.limit) this.fail(`${this.used} of ${this.limit}: above the limit`)
      if (now < this.pausedUntil) this.fail(`granted ${this.pausedUntil - now} ms before the end of a pause`)
    }
    for (const { limit, window } of this.setting.windows) {
      const attempts = this.attempts(window)
      if (attempts > limit) this.fail(`${attempts} attempts in ${window} ms, and ${limit} are allowed`)
    }
    if (this.isMemory) this.isFirst(hand, take)
  }

  /** Of those who wait nobody comes before who is served. */
  private isFirst(hand: Hand, take: Take): void {
    const place = (its: Take, held: number): ReadonlyArray<number> => [
      its.urgency === "background" ? 1 : 0,
      held,
      its.turn
    ]
    const served = place(take, hand.held - 1)
    for (const other of this.living) {
      const { first } = other
      if (other === hand || first === undefined) continue
      const its = place(first, other.held)
      const differs = its.findIndex((value, index) => value !== served[index])
      if (differs >= 0 && its[differs]! < served[differs]!) this.fail(`${other.name} comes before ${hand.name}`)
    }
  }

  asked(hand: Hand, from: "idle" | "leased"): void {
    this.events += 1
    if (!this.isMemory) {
      const record = this.record(hand)
      record.given += 1
      if (record.given > record.asks) this.fail(`${hand.name} gives up one ${from} that nobody has asked for`)
      return
    }
    const coming = this.sum((one) => one.coming(from))
    const waiters = this.setting.reclaim === "none" ? 0 : this.sum((one) => one.waiters)
    const over = Math.max(this.used - this.limit, 0)
    if (coming + 1 > waiters + over) this.fail(`${hand.name} gives up one ${from} too many`)
  }

  gone(_: Hand, held: Held): void {
    this.events += 1
    // A permit does not say how its attempt went: one that comes back in the moment in which that ended stands for a failure.
    if (held.to === this.world.now) this.well.delete(held)
  }

  // The engine

  private record(hand: Hand): Record {
    const limits = { turn: 0, limit: this.setting.limit }
    const heardAt = Number.NEGATIVE_INFINITY
    const record = this.records.get(hand) ?? { heardAt, seq: 0, known: "", limits, pausedUntil: 0, asks: 0, given: 0 }
    this.records.set(hand, record)
    return record
  }

  heard(hand: Hand, args: ReadonlyArray<string>): Heard {
    if (this.gate !== undefined && this.gate !== hand) throw refused
    const { engine, world } = this
    const reply = engine!.call(args, world.now)
    this.gate = undefined
    const said = saidIn(args)
    const record = this.record(hand)
    const isOld = Number(reply.answer[2]) === -1
    if (!isOld) {
      if (world.now - record.heardAt >= ttl - 2 && said.held > 0) this.slackUntil = world.now + longestDelay + 10
      record.heardAt = said.isLast ? Number.NEGATIVE_INFINITY : world.now
      record.seq = said.seq
      const isRecovering = Number(reply.answer[10]) > 0
      if (isRecovering && record.limits.turn > this.limits.turn) this.limits = record.limits
      // Who knows of another epoch tells it of a pause; two that end in nearly the same moment are one.
      if (isRecovering && said.epoch === reply.answer[0])
        this.pausedUntil = Math.max(this.pausedUntil, record.pausedUntil - pauseNoise)
      if (said.limit !== "") {
        this.resizes += 1
        const limit = Number(said.limit) < 0 ? Number.POSITIVE_INFINITY : Number(said.limit)
        this.limits = { turn: this.resizes, limit }
        this.slackUntil = world.now + longestDelay + 10
      }
      if (said.pause > 0) {
        this.slackUntil = world.now + longestDelay + 10
        this.pausedUntil = Math.max(this.pausedUntil, world.now + said.pause)
      }
    }
    this.ids.set(hand, said.id)
    this.audit(isOld ? undefined : said, reply)
    for (const [channel, message] of reply.published) {
      const to = this.hands.find((one) => channel.endsWith(`:${this.ids.get(one)}`))
      if (to !== undefined && !this.killed.has(to)) this.wires.get(to)?.deliver(message)
    }
    const { limits, pausedUntil } = this
    const learn = () => {
      // Whoever ends takes no answer any more.
      if (!hand.isAlive) return
      record.known = stateOf(reply.answer)
      record.limits = limits
      record.pausedUntil = Math.max(record.pausedUntil, pausedUntil)
    }
    return { respond: Effect.succeed(reply.answer), learn }
  }

  private readonly ids = new Map<Hand, string>()

  /** The engine's own books: sums, and that nothing is granted or asked for without need. */
  private audit(said: Said | undefined, { answer, kept }: Reply): void {
    const { meta, settling, workers } = kept
    const sum = (read: (account: { readonly [field: string]: number }) => number): number =>
      Array.from(workers.values()).reduce((total, account) => total + read(account), 0)
    const sums = {
      used: sum(({ allot }) => allot!),
      wants: sum(({ want }) => want!),
      backs: sum(({ back }) => back!),
      pend: sum(({ trying }) => trying!),
      debts: sum(({ out }) => out!),
      soon: sum(({ outi }) => outi!)
    }
    for (const [field, expected] of Object.entries(sums)) {
      if (Number(meta[field]) !== expected) this.fail(`the engine counts ${meta[field]} ${field}, and has ${expected}`)
    }
    if (Number(meta.workers) !== workers.size)
      this.fail(`the engine counts ${meta.workers} workers, and has ${workers.size}`)
    const limit = Number(meta.limit) < 0 ? Number.POSITIVE_INFINITY : Number(meta.limit)
    const before = this.kept?.meta.epoch === meta.epoch ? this.kept : undefined
    const isSilent = Number(answer[10]) > 0 || Number(answer[11]) > 0
    let grants = 0
    const waiting = Array.from(workers.values()).filter(({ want }) => want > 0)
    for (const [worker, { allot, back = 0, held }] of workers) {
      // Whether a state that comes from before was reached by a grant in this moment, only its own report can tell.
      const known = before?.workers.get(worker) ?? { allot: before === undefined ? allot : held, back }
      const had = worker === said?.id ? { allot: said.held, back: said.back } : known
      if (allot <= had.allot) continue
      grants += allot - had.allot
      if (waiting.length > 0 && back < had.back!) this.fail("background opening comes before a get")
      if (waiting.some((other) => other.allot < allot - 1)) this.fail("somebody waits who has less")
    }
    if (grants > 0 && sums.used + settling > limit) this.fail(`grants ${grants} above the limit of ${limit}`)
    if (grants > 0 && isSilent) this.fail(`grants ${grants} while nothing may be granted`)
    let idle = 0
    let leased = 0
    for (const [hand, id] of this.ids) {
      const account = workers.get(id)
      if (account === undefined) continue
      const { aski, askl } = before?.workers.get(id) ?? (id === said?.id ? said : unknown)
      const asks = [Math.max(account.aski! - aski!, 0), Math.max(account.askl! - askl!, 0)] as const
      this.record(hand).asks += asks[0] + asks[1]
      idle += asks[0]
      leased += asks[1]
    }
    // An idle one is asked for though another worker has promised a lease, and not the other way round.
    const short = sums.wants + Math.max(sums.used - limit, 0)
    const isAskedTooOften = (idle > 0 && sums.soon > short) || (leased > 0 && sums.debts > short)
    if (before !== undefined && isAskedTooOften) this.fail(`${sums.debts} are asked for where ${short} are short`)
    this.kept = kept
  }

  // Steps

  enter(): void {
    if (this.living.length >= 6) return
    const index = this.entered++
    const hand = new Hand(`w${index}`, this, this.nextTurn)
    hand.scope = Effect.runSync(Scope.make())
    if (this.memory !== undefined) {
      this.world.fork(Scope.provide(hand.join(this.memory), hand.scope))
      this.world.settle()
      this.hands.push(hand)
      return
    }
    const wire = new Wire(hand, this)
    this.wires.set(hand, wire)
    const off = this.setting.clocks[index % this.setting.clocks.length]!
    const clock = aheadOf(
      this.world.clock,
      () => off,
      () => BigInt(off) * 1_000_000n
    )
    const { limit, onLapse, reclaim, settle, turn, unreachable, windows } = this.setting
    const layer = RedisConnectionQuota.layer({
      name: "q",
      connections: limit,
      connects: windows,
      settle,
      reclaim,
      turn,
      ttl,
      recovery,
      unreachable,
      onLapse,
      commandTimeout: this.commandTimeout,
      client: wire.client
    })
    this.world.fork(
      Effect.flatMap(Layer.build(layer), (context) =>
        hand.join(Context.get(context, ConnectionQuota.ConnectionQuota))
      ).pipe(Scope.provide(hand.scope), withClock(clock), quietly)
    )
    this.world.settle()
    this.hands.push(hand)
  }

  private pick(who: number): Hand | undefined {
    const { living } = this
    return living[who % Math.max(living.length, 1)]
  }

  private get mayLose(): boolean {
    return !this.isMemory && this.isUp && this.world.now > this.cutEnd + recovery + ttl && this.gate === undefined
  }

  /** Some of what the engine knew is gone, or all. */
  private lost(keepsAll: boolean, limits: Limits = { turn: 0, limit: this.setting.limit }, pausedUntil = 0): void {
    this.calmAt = this.world.now + 2 * ttl + recovery
    if (keepsAll) return
    this.losses += 1
    this.lossAt = this.world.now
    this.kept = undefined
    for (const hand of this.killed) this.record(hand).heardAt = Number.NEGATIVE_INFINITY
    this.limits = limits
    this.pausedUntil = pausedUntil
  }

  /** Nobody could report for so long, who may report now. */
  private away(millis: number, keepsAll: boolean): void {
    const those = this.living.filter((hand) => this.counts(hand))
    this.isUp = false
    this.lost(keepsAll)
    this.after(millis, () => {
      this.isUp = true
      this.lost(keepsAll)
      if (millis > ttl / 2) for (const hand of those) if (hand.isAlive) this.record(hand).heardAt = this.world.now
    })
  }

  step(step: Step): void {
    switch (step.step) {
      case "enter":
        this.enter()
        return
      case "wait":
        this.world.advance(step.millis)
        return
      case "save":
        if (this.engine !== undefined && this.isUp) {
          this.engine.save()
          this.savedLimits = this.limits
          this.savedAs =
            this.kept === undefined ? "" : `${this.kept.meta.epoch} ${String(this.kept.meta.v).padStart(9)}`
        }
        return
      case "forget":
      case "flush":
        if (!this.mayLose) return
        this.engine!.lose(step.step === "forget" ? [keys[step.key]!] : keys)
        // The limits are in the first, and until when the fleet is paused.
        if (step.step === "forget" && step.key > 0) this.lost(false, this.limits, this.pausedUntil)
        else this.lost(false)
        return
      case "restore": {
        if (!this.mayLose) return
        const knows = (hand: Hand) => this.record(hand).known
        const [latest] = [...this.living].sort((a, b) => (knows(a) < knows(b) ? 1 : -1))
        // Nobody who is left could tell.
        const restarts = step.restarts || latest === undefined || knows(latest) <= this.savedAs
        if (!this.engine!.restore()) return
        if (restarts) this.engine!.restart()
        else this.gate = latest
        this.lost(false, this.savedLimits)
        return
      }
      case "away":
        if (this.mayLose) this.away(step.millis, true)
        return
      case "restart":
        if (!this.mayLose) return
        this.engine!.restart()
        if (!step.keeps) this.engine!.lose()
        this.away(step.millis, step.keeps)
        return
      default: {
        const hand = this.pick(step.who)
        if (hand !== undefined) this.of(hand, step)
      }
    }
  }

  private of(hand: Hand, step: Extract<Step, { readonly who: number }>): void {
    const wire = this.wires.get(hand)
    const { now } = this.world
    this.events += 1
    switch (step.step) {
      case "want":
        for (let index = 0; index < step.count; index++) hand.want(step.urgency)
        return
      case "cancel":
        hand.cancel(hand.takes[step.which % Math.max(hand.takes.length, 1)])
        return
      case "end":
        this.end(hand, hand.those("trying")[0], step.how)
        return
      case "release":
        hand.release(hand.those("leased")[0], step.how)
        return
      case "idle": {
        const [held] = hand.those("idle")
        if (held === undefined) return
        if (step.how === "close") {
          hand.close(held)
          return
        }
        held.state = "leased"
        return
      }
      case "report":
        wire?.reports.push(step)
        return
      case "message":
        wire?.messages.push(step)
        return
      case "cut":
        if (wire === undefined || now < this.calmAt || !this.isUp) return
        wire.cutUntil = Math.max(wire.cutUntil, now + step.millis)
        this.cutEnd = Math.max(this.cutEnd, wire.cutUntil)
        return
      case "kill":
      case "leave":
        if (this.living.length === 1) return
        if (step.step === "leave") this.leave(hand, step.isCareless)
        else if (this.isMemory) this.leave(hand, false)
        else this.kill(hand)
        return
      case "resize":
        this.resize(hand, step.limit)
        return
      case "pause":
        if (this.isMemory) this.pausedUntil = Math.max(this.pausedUntil, now + step.millis)
        this.world.fork(quietly(Effect.ignore(hand.quota.pause(step.millis))))
        return
    }
  }

  private resize(hand: Hand, connections: number): void {
    if (this.setting.limit === Number.POSITIVE_INFINITY) return
    if (this.isMemory) this.limits = { turn: 0, limit: connections }
    this.world.fork(quietly(Effect.ignore(hand.quota.resize({ connections }))))
  }

  private end(hand: Hand, held: Held | undefined, how: Extract<Step, { step: "end" }>["how"]): void {
    if (held === undefined) return
    const isRefused = how === "refused" || how === "heldOff"
    // Pauses double: after a few, nothing would happen any more.
    if (isRefused && ++this.refusals > 3) {
      hand.end(held, "failed")
      return
    }
    if (isRefused && this.isMemory) this.holdsOff(how)
    if (how === "well") this.well.add(held)
    hand.end(held, how)
  }

  /** What a refusal does to the one in memory, by the page. */
  private holdsOff(how: "refused" | "heldOff"): void {
    const { now } = this.world
    if (this.well.size > 0) this.level = 0
    this.well.clear()
    if (how === "heldOff") this.refusedUntil = Math.max(this.refusedUntil, now + 1500)
    else if (now >= this.refusedUntil) this.refusedUntil = now + 1000 * 2 ** this.level++
    this.pausedUntil = Math.max(this.pausedUntil, this.refusedUntil)
  }

  private kill(hand: Hand): void {
    this.killed.add(hand)
    hand.drop()
    this.world.fork(Scope.close(hand.scope, Exit.void))
    this.tellsNoMore(hand)
  }

  private leave(hand: Hand, isCareless: boolean): void {
    this.wires.get(hand)?.reports.splice(0)
    hand.leave(isCareless)
    this.world.fork(Scope.close(hand.scope, Exit.void)).addObserver(() => {
      this.ended.add(hand)
      this.tellsNoMore(hand)
    })
  }

  /** Where only it could have told that the engine has fallen back, the engine is another process. */
  private tellsNoMore(hand: Hand): void {
    if (this.gate !== hand) return
    this.gate = undefined
    this.engine!.restart()
  }

  // Checks

  check(): void {
    if (this.violation !== undefined) throw this.violation
    if (!this.isMemory || this.living.every(({ takes }) => takes.length === 0)) return
    const { now } = this.world
    const isFull = this.used >= this.limit || now < this.pausedUntil
    const isHeldUp = this.setting.windows.some(({ limit, window }) => this.attempts(window) >= limit)
    if (!isFull && !isHeldUp && !this.settlesNow(now))
      throw new Violation(`somebody waits at ${now} ms, and nothing is in the way`)
  }

  /** Timers are due in this very moment, and have not been looked at. */
  private settlesNow(now: number): boolean {
    return (
      now === this.pausedUntil ||
      this.hands.some(({ all }) =>
        all.some(
          ({ goneAt, to }) =>
            goneAt + this.setting.settle === now || this.setting.windows.some(({ window }) => to + window === now)
        )
      )
    )
  }

  /** Lets time pass in which every attempt goes well. */
  private pass(millis: number, step: number): void {
    for (let left = millis; left > 0; left -= step) {
      this.world.advance(step)
      for (const hand of this.living) for (const held of hand.those("trying")) this.end(hand, held, "well")
    }
    this.world.settle()
  }

  private get total(): number {
    return this.living.reduce((sum, { held }) => sum + held, 0)
  }

  private sum(read: (hand: Hand) => number): number {
    return this.living.reduce((total, hand) => total + read(hand), 0)
  }

  /** The end: nothing more goes wrong, and in the end everybody is served who can be. */
  finish(): void {
    const { settle, windows } = this.setting
    for (const { messages, reports } of this.wires.values()) reports.length = messages.length = 0
    const longest = Math.max(0, ...windows.map(({ window }) => window))
    this.pass(Math.max(this.cutEnd - this.world.now, 0) + 1600, 100)
    const paused = Number(this.kept?.meta.pause ?? 0) - this.world.now - 1_700_000_000_000
    this.pass(Math.max(paused, this.pausedUntil - this.world.now, 0) + 2 * ttl + recovery + settle, 100)
    for (let rounds = 2 + this.sum(({ takes }) => takes.length); rounds > 0 && longest > 0; rounds--)
      this.pass(longest, 100)
    this.rests("at the end")
    if (this.setting.reclaim === "fair" && windows.length === 0 && this.limit !== Number.POSITIVE_INFINITY)
      this.shares()
    if (windows.length === 0 && this.limit !== Number.POSITIVE_INFINITY) this.rotates()
    this.budget()
    for (const hand of this.living) this.leave(hand, false)
    this.world.advance(2 * commandTimeout + settle + (this.killed.size > 0 ? 2 * ttl : 0))
    if (this.memory !== undefined) {
      const { used, waiting, workers } = Effect.runSync(Effect.orDie(this.memory.stats))
      if (used + waiting + workers > 0)
        throw new Violation(`${used} used, ${waiting} wait and ${workers} are left after the end`)
    } else if (this.kept !== undefined) {
      const { meta, workers } = this.kept
      const left = Array.from(workers.keys()).filter(
        (id) => !Array.from(this.killed).some((one) => this.ids.get(one) === id)
      )
      if (left.length > 0) throw new Violation(`the engine knows ${left.length} workers after their end`)
      if (workers.size === 0 && Number(meta.used) + Number(meta.wants) + Number(meta.debts) + Number(meta.pend) > 0) {
        throw new Violation(`the engine's sums are not 0 after the end: ${JSON.stringify(meta)}`)
      }
    }
    this.world.run(() => this.world.fork(Scope.close(this.scope, Exit.void)))
    this.world.settle()
  }

  private rests(when: string): void {
    const waiting = this.sum(({ takes }) => takes.length)
    const total = this.total
    const say = `${waiting} wait, and ${total} of ${this.limit} are held`
    if (waiting > 0 && total < this.limit) throw new Violation(`${when} ${say}`)
    if (total > this.limit && this.sum((hand) => hand.those("idle").length) > 0)
      throw new Violation(`${when} ${say}, some idle`)
    const urgent = this.sum(({ waiters }) => waiters)
    const isReclaimed = this.setting.reclaim !== "none" && this.sum((hand) => hand.those("idle").length) > 0
    if (urgent > 0 && isReclaimed) throw new Violation(`${when} ${urgent} wait while others idle`)
    const [one] = this.living
    if (one === undefined) return
    const asked = this.world.fork(one.quota.stats)
    this.pass(20, 10)
    asked.addObserver((exit) => {
      if (Exit.isFailure(exit)) return this.fail(`${when} the engine cannot be asked`)
      const { held, used, waiting: known, workers } = exit.value
      if (this.isMemory ? held !== total : held !== one.held)
        this.fail(`${when} it holds ${one.held}, and says ${held}`)
      if (used !== this.total) this.fail(`${when} ${used} are used, and ${this.total} held`)
      if (known !== waiting) this.fail(`${when} ${waiting} wait, and the engine knows of ${known}`)
      if (workers !== this.living.length)
        this.fail(`${when} there are ${this.living.length} workers, and not ${workers}`)
    })
    this.check()
  }

  private wantMore(): void {
    for (const hand of this.living) while (hand.waiters <= this.limit) hand.want("waiter")
  }

  /** Whoever has more gives back what is asked for: at last they differ by one. */
  private shares(): void {
    this.wantMore()
    for (let round = 0; round < 40; round++) {
      this.pass(60 + this.setting.settle, 30)
      for (const hand of this.living) {
        while (hand.promised > 0) {
          const [held] = hand.those("leased")
          if (held === undefined) break
          hand.close(held)
        }
      }
      this.wantMore()
    }
    const shares = this.living.map(({ held }) => held)
    if (Math.max(...shares) - Math.min(...shares) > 1) this.fail(`unfair: ${shares.join(", ")}`)
    if (this.total !== this.limit) this.fail(`${this.total} of ${this.limit} are held while many wait`)
    this.check()
  }

  /** Among those who hold as much, who waits longest is first: each has its turn. */
  private rotates(): void {
    const { settle } = this.setting
    const before = new Map(this.living.map((hand) => [hand, hand.served]))
    const turns = 4 * this.living.length + this.sum(({ takes }) => takes.length)
    for (let turn = 0; turn < turns; turn++) {
      const open = (hand: Hand) => [...hand.those("leased"), ...hand.those("idle")]
      const [rich] = [...this.living].sort((a, b) => open(b).length - open(a).length)
      for (const hand of this.living) if (hand.waiters === 0) hand.want("waiter")
      if (rich !== undefined) for (const held of open(rich).slice(0, 1)) rich.close(held)
      this.pass(60 + settle, 30)
    }
    const isForgotten = this.total < this.limit && this.sum(({ takes }) => takes.length) > 0
    if (isForgotten) {
      this.fail(`${this.total} of ${this.limit} are held while somebody waits`)
      return
    }
    for (const [one, served] of before) {
      if (one.served === served && one.held === 0) this.fail(`${one.name} never had its turn`)
    }
    this.check()
  }

  /** No worker reports without end. */
  private budget(): void {
    for (const { sent } of this.wires.values()) {
      const most = 100 + 8 * this.events + this.world.now / 40
      if (sent > most) this.fail(`${sent} reports, where ${Math.round(most)} are plenty`)
    }
    this.check()
  }

  start(): void {
    if (this.isMemory) {
      const { limit, reclaim, settle, turn, windows } = this.setting
      const layer = ConnectionQuota.layerMemory({
        name: "q",
        connections: limit,
        connects: windows,
        settle,
        reclaim,
        turn
      })
      this.world.fork(
        Effect.map(Layer.build(layer), (context) => {
          this.memory = Context.get(context, ConnectionQuota.ConnectionQuota)
        }).pipe(Scope.provide(this.scope))
      )
      this.world.settle()
    }
    for (let index = 0; index < this.setting.workers; index++) this.enter()
  }

  get tally(): Tally {
    const reports = Array.from(this.wires.values()).reduce((sum, { sent }) => sum + sent, 0)
    return { grants: this.grants, reports, losses: this.losses, seconds: this.world.now / 1000 }
  }
}

const stateOf = (answer: ReadonlyArray<unknown>): string => `${answer[0]} ${String(answer[1]).padStart(9)}`

/** Runs a program against the real quota. Throws a `Violation` where a promise is broken. */
export const simulate = ({ setting, steps }: Program): Tally => {
  const simulation = new Simulation(setting)
  const { world } = simulation
  return world.run(() => {
    world.onSettled = () => simulation.check()
    simulation.start()
    world.settle()
    for (const step of steps) {
      simulation.step(step)
      world.settle()
    }
    simulation.finish()
    return simulation.tally
  })
}
