/** Past so many the oldest are forgotten: a server need not answer what was cancelled. */
const mostKept = 1024

/** Requests that were cancelled, and may yet be answered. */
export class Ghosts {
  private readonly ids = new Map<number, boolean>()
  private hasForgotten = false

  /** Whether an answer may be on its way that the next holder of the connection would get. */
  get isEmpty(): boolean {
    return this.unanswered === 0
  }

  /** How many are not answered yet. Of those forgotten nobody knows. */
  get unanswered(): number {
    return this.hasForgotten ? Number.POSITIVE_INFINITY : this.ids.size
  }

  add(id: number, isStream: boolean): void {
    this.ids.set(id, isStream)
    if (this.ids.size <= mostKept) return
    this.hasForgotten = true
    for (const oldest of this.ids.keys()) {
      this.ids.delete(oldest)
      return
    }
  }

  /** An answer came: the last one, or an item, which is the last of what is no stream. Says whether it was to be expected. */
  answered(id: number, isLast: boolean): boolean {
    return isLast || this.ids.get(id) === false ? this.ids.delete(id) : this.ids.has(id)
  }
}
