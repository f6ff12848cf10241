/** All that is said of the transport, with all frames left to `ws`. */
import "../../support/ownFrames.off.js"
import "./nodeTransport.closing.integration.test.js"
import "./nodeTransport.connecting.integration.test.js"
import "./nodeTransport.interruption.integration.test.js"
import "./nodeTransport.messages.integration.test.js"
import "./nodeTransport.options.integration.test.js"
import "./nodeTransport.secrets.integration.test.js"
