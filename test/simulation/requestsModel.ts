import type { Setting } from "./requestsProgram.js"
import { Violation, type World } from "./world.js"

/** Sums of durations are no whole numbers. */
const slack = 0.001

/** One request or stream, as the program knows it. */
export class Call {
  /** What was given up, or interrupted, by the program. */
  isInterrupted = false
  hasEnded = false
  /** Where it was written. */
  line: Line | undefined = undefined
  id = 0
  /** Items that the server has sent, and that the reader has taken. */
  sent = 0
  taken = 0
  /** The number of the last one that was taken. */
  last = 0
  hasBeenAnswered = false

  constructor(
    readonly token: number,
    readonly kind: "shared" | "exclusive" | "pinned",
    readonly isStream: boolean,
    readonly since: number,
    /** What had happened before it began. */
    readonly moment: number,
    readonly isBad: boolean
  ) {}
}

/** What the server knows of one connection. */
export class Line {
  /** Those without an answer, by their ids; a call is undefined whose cancellation has come. */
  readonly open = new Map<number, Call>()
  readonly cancelled = new Map<number, Call>()
  private readonly told = new Set<number>()
  lastId = 0
  isOver = false
  isClogged = false
  /** Whether it has asked for anything. */
  isAsked = false
  /** Of the latest request. */
  kind: Call["kind"] | undefined = undefined
  /** Since when, and after what, no new request may go over it. */
  retiredAt: number | undefined = undefined
  retiredAfter = Number.POSITIVE_INFINITY
  /** How many requests the server has refused without saying which, and how many have failed for it. */
  refused = 0
  failed = 0

  constructor(
    readonly number: number,
    private readonly setting: Setting,
    private readonly fail: (message: string) => never
  ) {}

  /** A request has come. */
  writes(id: number, call: Call): void {
    const where = `request ${call.token} on connection ${this.number}`
    if (this.isOver) this.fail(`${where}, which has ended`)
    if (call.line !== undefined) this.fail(`${where} was sent before, on connection ${call.line.number}`)
    if (id <= this.lastId) {
      // The next lease of the connection counts anew.
      const left = this.open.size + this.cancelled.size
      if (left > 0) this.fail(`connection ${this.number} is lent again with ${left} unanswered`)
      // Where it was clogged, it may have been lent before.
      const isLent = this.retiredAt !== undefined && !this.setting.narrow
      if (isLent) this.fail(`connection ${this.number} is lent again though it retires`)
      this.told.clear()
    }
    if (call.moment > this.retiredAfter) this.fail(`${where}, which retires`)
    this.lastId = id
    this.kind = call.kind
    call.line = this
    call.id = id
    this.open.set(id, call)
    if (this.open.size > this.setting.concurrency) {
      this.fail(`${this.open.size} requests without an answer on connection ${this.number}`)
    }
    if (call.kind === "exclusive" && this.open.size > 1) this.fail(`${where}, which is another's`)
  }

  /** A cancellation has come. */
  cancels(id: number): void {
    const where = `request ${id} on connection ${this.number}`
    if (this.told.has(id)) this.fail(`${where} is cancelled twice`)
    if (id > this.lastId || id < 1) this.fail(`${where} is cancelled, and was never sent`)
    this.told.add(id)
    const call = this.open.get(id)
    if (call === undefined) return
    this.open.delete(id)
    this.cancelled.set(id, call)
  }

  get unanswered(): ReadonlyArray<readonly [number, Call]> {
    return [...this.open, ...this.cancelled]
  }

  answers(id: number): void {
    this.open.delete(id)
    this.cancelled.delete(id)
  }

  retires(now: number, moment: number): void {
    this.retiredAt ??= now
    // Where nobody has leased it, the first requests of who does may go out before that is read.
    if (this.setting.yields > 0 && this.unanswered.length === 0) return
    this.retiredAfter = Math.min(this.retiredAfter, moment)
  }
}

/** What must hold of a call that has failed, and of those that are left. */
export class Model {
  readonly calls = new Set<Call>()
  /** All there have been. */
  begun = 0
  moment = 0
  /** When the multiplexer, or its pool, began to close. */
  closedAt: number | undefined = undefined
  /** Whether connections have ended before they were of any use. */
  hasSlammed = false
  /** Whether the limits of the pool were changed: then connections retire that only the pool knows. */
  hasResized = false
  /** Those that the pool has asked back, and since when. */
  readonly retired = new Map<string, number>()
  /** The most that were under way or waiting at once. */
  most = 0
  violation: Violation | undefined

  constructor(
    readonly setting: Setting,
    private readonly world: World
  ) {}

  get now(): number {
    return this.world.now
  }

  readonly fail = (message: string): never => {
    this.violation ??= new Violation(`${message} at ${this.world.now} ms`)
    throw this.violation
  }

  begins(kind: Call["kind"], isStream: boolean, isBad = false): Call {
    this.begun += 1
    this.moment += 1
    const call = new Call(this.begun, kind, isStream, this.world.now, this.moment, isBad)
    this.calls.add(call)
    return call
  }

  /** First come, first served, where nothing hides who is served. */
  served(call: Call): void {
    if (call.kind !== "shared" || this.setting.narrow || this.setting.yields > 0 || this.hasSlammed) return
    for (const other of this.calls) {
      if (other === call) return
      const waits = other.kind === "shared" && other.line === undefined && !other.isBad
      if (waits && !other.hasEnded && !other.isInterrupted) this.fail(`${call.token} has overtaken ${other.token}`)
    }
  }

  takes(call: Call, value: string): void {
    const [token, number] = value.split("#")
    if (Number(token) !== call.token) this.fail(`${call.token} is given what belongs to ${token}`)
    const expected = call.last + 1
    const isNext = Number(number) === expected
    const mayMiss = call.isStream && call.kind !== "exclusive" && this.setting.overflow === "slide"
    if (!isNext && !(mayMiss && Number(number) > expected)) this.fail(`${call.token} is given item ${number}`)
    call.last = Number(number)
    call.taken += 1
    if (call.hasEnded) this.fail(`${call.token} is given something after its end`)
  }

  ends(call: Call): void {
    if (call.hasEnded) this.fail(`${call.token} has ended twice`)
    call.hasEnded = true
    this.calls.delete(call)
  }

  succeeded(call: Call, isWhole: boolean): void {
    this.ends(call)
    if (!call.hasBeenAnswered && !call.isStream) this.fail(`${call.token} was answered by nobody`)
    if (!call.isStream || !isWhole) return
    if (!call.hasBeenAnswered) this.fail(`${call.token} has ended by itself`)
    const isBounded = call.kind !== "exclusive" && this.setting.overflow === "slide"
    if (!isBounded && call.taken !== call.sent) this.fail(`${call.token} has ${call.taken} of ${call.sent} items`)
  }

  /** With an error of the pool or of the multiplexer, or with what the server has said. */
  failed(call: Call, error: Failure): void {
    const wasSent = call.line !== undefined
    const where = `${call.token} failed with ${error._tag ?? error.text}`
    this.ends(call)
    switch (error._tag) {
      case undefined:
        if (error.text === "refused") {
          this.refused(call, where)
        } else if (error.text !== `${call.token}#failed`) this.fail(where)
        return
      case "ParseError":
        if (!call.isBad) this.fail(where)
        return
      case "LaggedError":
        if (this.setting.overflow !== "fail" || call.kind === "exclusive") this.fail(where)
        if (call.sent <= this.setting.bufferSize) this.fail(`${where}, and had room`)
        return
      case "PoolClosedError":
        if (this.closedAt === undefined && call.kind !== "pinned") this.fail(where)
        if (wasSent) this.fail(`${where}, and was sent`)
        return
      case "PoolExhaustedError":
      case "ConnectionUnavailableError":
        if (wasSent) this.fail(`${where}, and was sent`)
        if (error.reason === "TooManyWaiters") {
          if (this.setting.maxWaiters === undefined) this.fail(where)
        } else if (this.setting.yields === 0 && !this.setting.narrow) {
          // Where connections clog it may have had one that did not take it, until later than that.
          const waited = this.world.now - call.since
          if (waited > this.setting.acquireTimeout + slack) this.fail(`${where} after ${waited} ms`)
          if (error._tag === "PoolExhaustedError" && waited < this.setting.acquireTimeout - slack) {
            this.fail(`${where} after ${waited} ms`)
          }
        }
        return
      case "ConnectionClosedError":
        this.closed(call, error, where)
        return
      default:
        this.fail(where)
    }
  }

  /** No more fail than were refused, while it may still show which. */
  private refused({ kind, line }: Call, where: string): void {
    if (line === undefined || line.refused === 0) throw this.fail(`${where}, and nothing was refused`)
    line.failed += 1
    const isDue = this.world.now >= (line.retiredAt ?? 0) + this.setting.retireTimeout - slack
    if (line.failed <= line.refused || isDue || this.closedAt !== undefined || kind !== "shared") return
    this.fail(`${line.failed} have failed, and ${line.refused} were refused`)
  }

  /** Nothing goes on for longer than `retireTimeout` on a connection that retires. */
  settled(): void {
    if (this.setting.yields > 0) return
    for (const { isInterrupted, line, token } of this.calls) {
      const since = line?.retiredAt
      if (since === undefined || isInterrupted) continue
      if (this.world.now > since + this.setting.retireTimeout + slack) this.fail(`${token} outlasts retireTimeout`)
    }
  }

  /** Nothing but its own connection ends what is under way, and the pool only when it may. */
  private closed(call: Call, { connectionId, initiator }: Failure, where: string): void {
    const { line } = call
    if (line === undefined) {
      if (call.kind !== "pinned" && !this.hasSlammed) this.fail(`${where}, and was not sent`)
      return
    }
    if (!line.isOver) this.fail(`${where}, and its connection lives`)
    if (initiator !== "Pool" || this.closedAt !== undefined || this.setting.yields > 0 || call.kind !== "shared") return
    const since = Math.min(
      this.retired.get(connectionId ?? "") ?? Number.POSITIVE_INFINITY,
      line.retiredAt ?? Number.POSITIVE_INFINITY
    )
    if (this.world.now < since + this.setting.retireTimeout - slack) this.fail(`${where} before retireTimeout`)
  }

  /** How many connections the calls have called for, at the most. */
  get needed(): number {
    const { concurrency, min, targetUtilization } = this.setting
    const capacity = concurrency * targetUtilization
    return Math.max(min, Math.ceil(this.most / capacity))
  }
}

/** What is known of an error. */
export interface Failure {
  readonly _tag?: string | undefined
  readonly text?: string | undefined
  readonly reason?: string | undefined
  readonly initiator?: string | undefined
  readonly connectionId?: string | undefined
}
