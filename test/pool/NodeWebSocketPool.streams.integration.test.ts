/** The same, with all frames left to `ws`. */
import "../support/ownFrames.off.js"
import "./NodeWebSocketPool.integration.test.js"
