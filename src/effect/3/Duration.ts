export * from "effect/Duration"
export {
  type DurationInput as Input,
  decodeUnknown as fromInput,
  greaterThanOrEqualTo as isGreaterThanOrEqualTo,
  lessThan as isLessThan
} from "effect/Duration"
