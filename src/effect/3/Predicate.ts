export * from "effect/Predicate"
export { isObject as isObjectKeyword, isRecord as isObject } from "effect/Predicate"
