// The gateway as a process of its own, for tests that kill it: node gateway-process.ts DATA_FOLDER [PORT NUMBER OF]; prints its address.
import { whenToldToEnd } from '../../src/cli/told-to-end.ts'
import { runGateway } from '../../src/serving/gateway/index.ts'
import { realClock, silent } from '../support/gateway-bench.ts'

const [dataDir, port = '0', number = '1', of = '1'] = process.argv.slice(2)
const stop = new AbortController()
whenToldToEnd(() => stop.abort())
const gateway = await runGateway({
  dataDir: dataDir!,
  host: '127.0.0.1',
  port: Number(port),
  process: { number: Number(number), of: Number(of) },
  log: silent,
  clock: realClock,
  signal: stop.signal,
})
console.log(gateway.url)
await gateway.finished
