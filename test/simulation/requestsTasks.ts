import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type { Aside } from "../../src/requests/incoming.js"
import type { HandSocket } from "../support/handTransport.js"
import type { Line, Model } from "./requestsModel.js"

/** Sums of durations are no whole numbers. */
const slack = 0.001

/** Something that the server asks for, and how far it has come. */
interface Task {
  readonly number: number
  readonly line: Line
  readonly socket: HandSocket
  /** How long its handler takes. */
  readonly millis: number
  state: "asked" | "heard" | "running" | "done"
  /** What the pool calls the connection. */
  connection: object | undefined
}

const isGone = ({ socket }: Task): boolean => socket.isGone || !socket.isOpen

/** What must hold of what the server asks for: each is answered once, on its connection, unless that ends before. */
export class Tasks {
  /** Those without an answer, in order. */
  private readonly open = new Map<number, Task>()
  private begun = 0
  answered = 0

  constructor(private readonly model: Model) {}

  private get isExact(): boolean {
    return this.model.setting.yields === 0
  }

  /** The server asks for something. Gives what it says. */
  ask(line: Line, socket: HandSocket, millis: number): string {
    this.begun += 1
    this.open.set(this.begun, { number: this.begun, line, socket, millis, state: "asked", connection: undefined })
    return `task ${this.begun}`
  }

  /** It was read. */
  heard(number: number, connection: object): Aside {
    const task = this.open.get(number)
    if (task?.state !== "asked") throw this.model.fail(`task ${number} is read twice`)
    task.state = "heard"
    task.connection = connection
    const refusal = (): string => this.model.fail(`task ${number} is refused`)
    return { _tag: "Task", effect: Effect.suspend(() => this.run(task)), refusal }
  }

  private run(task: Task): Effect.Effect<string> {
    const { millis, number } = task
    const beside = Array.from(this.open.values()).filter(({ line }) => line === task.line)
    const running = beside.filter(({ state }) => state === "running").length + 1
    if (running > this.model.setting.concurrency)
      this.model.fail(`${running} tasks run on connection ${task.line.number}`)
    const waits = beside.find((other) => other.state === "heard" && other.number < number)
    if (waits !== undefined && this.isExact) this.model.fail(`task ${number} has overtaken task ${waits.number}`)
    task.state = "running"
    return Effect.onExit(Effect.as(Effect.sleep(millis), `did ${number}`), (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) task.state = "done"
        else this.interrupted(task)
      })
    )
  }

  /** Nothing but the end of its connection may interrupt it, or that somebody wants that back. */
  private interrupted(task: Task): void {
    this.open.delete(task.number)
    const { closedAt, hasResized, setting } = this.model
    const { kind, retiredAt } = task.line
    if (isGone(task) || closedAt !== undefined || kind !== "shared" || !this.isExact) return
    // The server does not know when these retire.
    if (hasResized || setting.connectionTTL !== undefined || !setting.cancels) return
    const until = (retiredAt ?? Number.POSITIVE_INFINITY) + setting.retireTimeout
    if (this.model.now < until - slack) this.model.fail(`task ${task.number} is interrupted`)
  }

  /** The server has its answer. */
  tells(line: Line, number: number): void {
    const task = this.open.get(number)
    if (task === undefined) throw this.model.fail(`task ${number} is answered, and need not be`)
    if (task.line !== line) this.model.fail(`task ${number} is answered on connection ${line.number}`)
    if (task.state !== "done") this.model.fail(`task ${number} is answered before it is done`)
    this.open.delete(number)
    this.answered += 1
  }

  /** Those that were read on connections that live. */
  get left(): ReadonlyArray<Task> {
    return Array.from(this.open.values()).filter((task) => task.state !== "asked" && !isGone(task))
  }

  /** Another lease of a connection begins. */
  lends(connection: object): void {
    const owed = this.left.find((task) => task.connection === connection)
    if (owed !== undefined)
      this.model.fail(`connection ${owed.line.number} is lent again, and owes task ${owed.number}`)
  }

  check(): void {
    const { setting } = this.model
    for (const task of this.open.values()) {
      const where = `task ${task.number}`
      if (!isGone(task)) {
        // Where connections clog it may wait.
        if (task.state === "done" && this.isExact && !setting.narrow) this.model.fail(`${where} is not answered`)
      } else if (task.state !== "running") this.open.delete(task.number)
      // What an exclusive stream has not read may hide the end.
      else if (this.isExact && task.line.kind !== "exclusive") this.model.fail(`${where} outlives its connection`)
    }
  }
}
