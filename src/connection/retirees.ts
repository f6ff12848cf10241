import type { CloseReason } from "../values/events.js"

/** Those who wait to hear that a connection is wanted back. They are told once. */
export class Retirees {
  private waiting: Array<(reason: CloseReason) => void> = []

  /** Adds one, and gives what takes it out again. */
  add(f: (reason: CloseReason) => void): () => undefined {
    this.waiting.push(f)
    return () => {
      const index = this.waiting.indexOf(f)
      if (index >= 0) this.waiting.splice(index, 1)
      return undefined
    }
  }

  tell(reason: CloseReason): void {
    const { waiting } = this
    this.waiting = []
    for (const f of waiting) f(reason)
  }
}
