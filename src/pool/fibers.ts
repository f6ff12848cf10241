import type { Fork } from "#dialect"
import type * as Fiber from "#effect/Fiber"

/** Every fiber of a pool that has not ended: the end of the pool waits for them. */
export class Fibers {
  private readonly running = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly excused = new WeakSet<Fiber.Fiber<unknown, unknown>>()

  constructor(
    private readonly start: Fork,
    /** One has ended. */
    private readonly onEnd: () => void
  ) {}

  readonly fork: Fork = (effect, options) => {
    const fiber = this.start(effect, options)
    // A hook may have closed the pool before its fiber was handed back.
    if (!this.excused.has(fiber)) this.running.add(fiber)
    fiber.addObserver(() => {
      this.running.delete(fiber)
      this.onEnd()
    })
    return fiber
  }

  get size(): number {
    return this.running.size
  }

  /** One that waits for the end of the pool itself is not waited for. */
  excuse(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.excused.add(fiber)
    this.running.delete(fiber)
  }
}
