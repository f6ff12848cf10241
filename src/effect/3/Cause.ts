export * from "effect/Cause"
export {
  failureOption as findErrorOption,
  isDie as hasDies,
  isFailure as hasFails,
  isInterrupted as hasInterrupts,
  isInterruptedOnly as hasInterruptsOnly
} from "effect/Cause"
