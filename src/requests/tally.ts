/** What has happened since a multiplexer was made. */
export class Tally {
  requests = 0
  answers = 0
  cancelled = 0
  unmatched = 0
  notices = 0
  lagged = 0
  resent = 0
  /** Sees those that should be seen. */
  onMissed: ((what: "unmatched" | "lagged") => void) | undefined = undefined

  /** An answer came for nobody, or what came was not read in time. */
  missed(what: "unmatched" | "lagged"): void {
    this[what] += 1
    this.onMissed?.(what)
  }
}
