import { Class as makeClass } from "effect/Pipeable"

export * from "effect/Pipeable"

export const Class = makeClass()
