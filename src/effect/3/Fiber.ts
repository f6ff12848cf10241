export type { RuntimeFiber as Fiber } from "effect/Fiber"
export * from "effect/Fiber"
