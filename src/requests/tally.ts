/** What has happened since a multiplexer was made. */
export class Tally {
  requests = 0
  answers = 0
  cancelled = 0
  unmatched = 0
  notices = 0
  lagged = 0
  resent = 0
}
