import { echo, largeMessages, waiters } from "./cases/echo.js"
import { lease } from "./cases/lease.js"
import { requests } from "./cases/requests.js"
import { rpc } from "./cases/rpc.js"
import { size } from "./cases/size.js"
import { tls } from "./cases/tls.js"
import type { Case } from "./harness.js"

/** What is measured on Effect 4: where it is another Effect that the time goes to. */
export const cases: ReadonlyArray<Case> = [echo, waiters, lease, largeMessages, requests, rpc, tls, size]
