import * as Exit from "effect/Exit"
import { none } from "effect/FiberId"

export * from "effect/Exit"
export { isInterrupted as hasInterrupts } from "effect/Exit"

export const interrupt = (): Exit.Exit<never> => Exit.interrupt(none)
