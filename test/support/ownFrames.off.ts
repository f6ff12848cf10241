import { leaveFramesToWs } from "./ownFrames.js"

leaveFramesToWs()
