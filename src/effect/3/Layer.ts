export * from "effect/Layer"
export { scoped as effect, scopedDiscard as effectDiscard, unwrapScoped as unwrap } from "effect/Layer"
