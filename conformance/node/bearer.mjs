// Loaded into the runner with `node --import`: its requests to the gateway carry the run token, as those of a client do that was configured with one.
// Nothing else of them changes, so that Host, Origin, the order of headers and when a connection closes stay the runner's own.
import { subscribe } from 'node:diagnostics_channel'

const { COUNTERSIGN_GATEWAY: gateway, COUNTERSIGN_RUN_TOKEN: token } = process.env
if (!gateway || !token) throw new Error('COUNTERSIGN_GATEWAY and COUNTERSIGN_RUN_TOKEN must be set')
const bearer = `Bearer ${token}`

// `fetch`, and undici itself
subscribe('undici:request:create', ({ request }) => {
  if (String(request.origin) === gateway) request.addHeader('authorization', bearer)
})
// `http.request`
subscribe('http.client.request.created', ({ request }) => {
  if (`${request.protocol}//${request.getHeader('host')}` === gateway) request.setHeader('authorization', bearer)
})
