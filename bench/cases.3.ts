import { behaviour } from "./cases/behaviour.js"
import { echo, largeMessages, waiters } from "./cases/echo.js"
import { frames } from "./cases/frames.js"
import { heap, idleCpu, opening } from "./cases/idle.js"
import { lease } from "./cases/lease.js"
import { observed, telemetry } from "./cases/observed.js"
import { receiving } from "./cases/receive.js"
import { requests } from "./cases/requests.js"
import { rpc } from "./cases/rpc.js"
import { scaling } from "./cases/scaling.js"
import { size } from "./cases/size.js"
import { sizing } from "./cases/sizing.js"
import { tls } from "./cases/tls.js"
import type { Case } from "./harness.js"

/** What is measured on Effect 3. */
export const cases: ReadonlyArray<Case> = [
  echo,
  waiters,
  lease,
  receiving,
  largeMessages,
  frames,
  requests,
  rpc,
  opening,
  tls,
  heap,
  idleCpu,
  scaling,
  observed,
  telemetry,
  behaviour,
  size,
  sizing
]
