import { interrupt } from "#dialect"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import type { Tenancy } from "../connection/tenancy.js"
import { isMessage, type Message } from "../values/message.js"

/** Past so many answers that the socket has not taken, nothing more is read. */
const mostUnsaid = 1024

/** Past so many tasks that wait for others to end, a task is refused. */
const mostWaiting = 1024

/** Something that the server asks for. */
export interface Task {
  /** Works out the answer. It cannot fail. */
  readonly effect: Effect.Effect<Message>
  /** What is answered where too many wait. */
  readonly refusal: () => Message
}

/** What a session needs for its duties. */
export interface DutyHost {
  /** How many tasks run at once. */
  readonly concurrency: number
  /** Starts a task, not inside of the call. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<unknown, unknown>
  /** Calls a function outside of what happens to the connection. */
  readonly later: (f: () => void) => void
}

/**
 * What a session owes its server: tasks, and answers that the socket has not taken yet. Tasks run `concurrency` at once,
 * the others wait in order. They are no calls: they take none of the places, or a call that makes the server ask
 * something could wait for a place that it takes itself.
 */
export class Duties {
  private readonly running = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly waiting: Array<Effect.Effect<Message>> = []
  /** Answers, and credit, that the socket has not taken yet; and how many of them the server waits for. */
  private unsaid = 0
  private owed = 0
  private isOver = false

  constructor(
    private readonly tenancy: Tenancy,
    private readonly host: DutyHost,
    /** More may be read again. */
    private readonly onEased: () => void,
    /** Nothing is owed any more. */
    private readonly onDone: () => void
  ) {}

  get isDone(): boolean {
    return this.running.size === 0 && this.owed === 0
  }

  /** A server that asks and does not read would have its answers kept without end: it is read no further meanwhile. */
  get isStalled(): boolean {
    return this.unsaid >= mostUnsaid
  }

  add(task: Task): void {
    if (this.running.size < this.host.concurrency) this.start(task.effect)
    else if (this.waiting.length < mostWaiting) this.waiting.push(task.effect)
    else this.say(task.refusal())
  }

  private start(effect: Effect.Effect<Message>): void {
    const fiber = this.host.run(Effect.map(effect, (message) => this.say(message)))
    this.running.add(fiber)
    fiber.addObserver(() => {
      this.running.delete(fiber)
      if (this.isOver) return
      const next = this.waiting.shift()
      if (next !== undefined) this.start(next)
      else if (this.isDone) this.onDone()
    })
  }

  /** Credit is worth nothing to a server whose connection is given back: that does not wait for it. */
  say(message: Message, isOwed = true): void {
    if (this.isOver || !this.tenancy.isOpen || !isMessage(message)) return
    const sender = this.tenancy.offer(message, () => {
      this.unsaid -= 1
      if (isOwed) this.owed -= 1
      if (this.unsaid === mostUnsaid - 1) this.host.later(this.onEased)
      if (isOwed && this.isDone) this.host.later(() => this.rest())
    })
    if (sender === undefined) return
    this.unsaid += 1
    if (isOwed) this.owed += 1
  }

  private rest(): void {
    if (this.isDone && !this.isOver && this.tenancy.isOpen) this.onDone()
  }

  /** Nobody waits for the rest, and says whether there was any. */
  end(): boolean {
    const wasDone = this.isDone
    this.isOver = true
    this.unsaid = this.owed = 0
    this.waiting.length = 0
    for (const fiber of this.running) interrupt(fiber)
    this.running.clear()
    return !wasDone
  }
}
