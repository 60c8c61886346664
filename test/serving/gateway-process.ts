// The gateway as a process of its own, for tests that kill it: node gateway-process.ts DATA_FOLDER; prints its address.
import { setTimeout as sleep } from 'node:timers/promises'
import { runGateway } from '../../src/serving/gateway/index.ts'

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
const gateway = await runGateway({
  dataDir: process.argv[2]!,
  host: '127.0.0.1',
  port: 0,
  log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  clock: {
    now: () => Date.now(),
    sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
  },
  signal: stop.signal,
})
console.log(gateway.url)
await gateway.finished
