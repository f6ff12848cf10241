import { afterEach } from "vitest"

const { setImmediate } = globalThis

// Many tests are nothing but microtasks. In a row they would keep this process from hearing the test runner, which gives up
// after a minute.
afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)))
