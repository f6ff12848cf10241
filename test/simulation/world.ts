import type * as Clock from "#effect/Clock"
import type * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import { clockOf, forkStepwise, type Steps, seeded, withClock, withoutMicrotasks } from "#support/fibers"

/** A run that breaks a promise ends with this. */
export class Violation extends Error {
  override readonly name = "Violation"
}

/** Mulberry32: small, fast, and the same everywhere. */
export const generator = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Sleep {
  readonly at: number
  /** Its number: of those that end at once, who began first wakes first. */
  readonly turn: number
  readonly wake: () => void
  isOver: boolean
}

const isBefore = (one: Sleep, other: Sleep): boolean =>
  one.at < other.at || (one.at === other.at && one.turn < other.turn)

/** Who sleeps, as a heap: thousands may. Those that were woken early stay until their turn comes. */
class Sleeps {
  private readonly heap: Array<Sleep> = []
  private turns = 0
  count = 0

  /** Adds one, and gives what takes it out. */
  add(at: number, wake: () => void): () => void {
    const { heap } = this
    const sleep: Sleep = { at, turn: ++this.turns, wake, isOver: false }
    this.count += 1
    let index = heap.length
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(sleep, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = sleep
    return () => this.end(sleep)
  }

  /** Takes the first out, if it ends by then. */
  takeBy(end: number): Sleep | undefined {
    for (;;) {
      const first = this.heap[0]
      if (first === undefined || (!first.isOver && first.at > end)) return undefined
      this.removeFirst()
      if (first.isOver) continue
      this.end(first)
      return first
    }
  }

  private end(sleep: Sleep): void {
    if (sleep.isOver) return
    sleep.isOver = true
    this.count -= 1
  }

  private removeFirst(): void {
    const { heap } = this
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      const child = left + 1 < heap.length && isBefore(heap[left + 1]!, heap[left]!) ? left + 1 : left
      if (child >= heap.length || !isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

/** More steps than this without time passing is a loop. */
const longestSettling = 400_000

/** More than this falls due at once only where something sets itself anew for the same moment. */
const mostWakes = 10_000

/**
 * A world without real time: its scheduler and clock run everything in one synchronous loop, so that a seed and a
 * program decide what happens, down to the last step. Effect's own `TestClock` waits for real timers each time
 * that it is adjusted; this one does millions of steps in that time.
 */
export class World {
  now = 0
  readonly random: () => number
  private tasks: Array<() => void> = []
  private readonly sleeps = new Sleeps()
  /** What happens each time that everybody waits. */
  onSettled: () => void = () => {}

  constructor(
    seed: number,
    /** How often a fiber yields to the others where it need not. */
    private readonly yields: number
  ) {
    this.random = generator(seed)
    this.randomly = seeded(seed)
  }

  private readonly randomly: ReturnType<typeof seeded>

  private readonly steps: Steps = {
    schedule: (task) => {
      this.tasks.push(task)
    },
    mayYield: () => this.yields > 0 && this.random() < this.yields
  }

  readonly clock: Clock.Clock = clockOf(
    () => this.now,
    (millis, wake) => this.sleeps.add(this.now + millis, wake)
  )

  /** Calls a function in which everything of this world happens. */
  run<A>(f: () => A): A {
    return withoutMicrotasks(this.steps.schedule, f)
  }

  /** Who sleeps. */
  get sleeping(): number {
    return this.sleeps.count
  }

  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return forkStepwise(withClock(this.randomly(effect), this.clock), this.steps)
  }

  /** Runs until every fiber waits. */
  settle(): void {
    let steps = 0
    while (this.tasks.length > 0) {
      const tasks = this.tasks
      this.tasks = []
      for (const task of tasks) task()
      steps += tasks.length
      if (steps > longestSettling) throw new Violation("a loop: steps without end while no time passes")
    }
    this.onSettled()
  }

  /** Lets time pass, and everything that is due happen at its time. */
  advance(millis: number): void {
    const end = this.now + millis
    this.settle()
    let wakes = 0
    for (;;) {
      wakes += 1
      if (wakes > mostWakes + millis * 10) throw new Violation("a loop: something is due again and again")
      const next = this.sleeps.takeBy(end)
      if (next === undefined) break
      this.now = Math.max(this.now, next.at)
      next.wake()
      this.settle()
    }
    this.now = end
  }

  int(below: number): number {
    return Math.floor(this.random() * below)
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }
}
