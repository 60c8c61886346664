import { httpUrl } from '../kernel/listening.ts'
import { type RunningGateway, runGateway } from '../serving/gateway/index.ts'
import { createClock } from './clock.ts'
import { type Config, machineEnvironment, servingMemoryBytes } from './config.ts'
import { lockAsMember } from './data-folder.ts'
import { createLog } from './log.ts'
import { gatewayMember, writeFacts } from './members.ts'

/** What a gateway does not need on loopback, it does not load: after a death it is to be back soon. */
async function ownerToken(config: Config): Promise<string> {
  const { ownerTokenAt } = await import('../access/index.ts')
  return ownerTokenAt(config.ownerTokenPath)
}

/**
 * Starts the data plane as this process.
 * @param number which of the `gateways` it is, from 1
 */
export async function startGateway(config: Config, number: number, signal: AbortSignal): Promise<RunningGateway> {
  const name = gatewayMember(number)
  const lock = lockAsMember(config.runDir, name, config.environment)
  const log = createLog('gateway', config)
  const gateway = await runGateway({
    dataDir: config.dataDir,
    host: config.host,
    port: config.gatewayPort,
    log,
    clock: createClock(config),
    signal,
    allowedHosts: config.allowedHost.split(',').filter(Boolean),
    memoryBytes: servingMemoryBytes(config),
    process: { number, of: config.gateways },
    explainRows: config.explainRows,
    workerEnv: machineEnvironment(config.environment),
    // Beyond loopback a prediction needs a token as well.
    ...(config.loopback ? {} : { token: await ownerToken(config) }),
  })
  try {
    const { port, ownUrl } = gateway
    writeFacts(config.runDir, name, {
      pid: process.pid,
      url: httpUrl(config.localHost, port),
      ...(ownUrl && { ownUrl }),
    })
  } catch (error) {
    // Predictions need no writing: a full disk must not keep them from being answered.
    log.error({ err: error }, 'it cannot be written down that the gateway runs')
  }
  return { ...gateway, finished: gateway.finished.finally(() => lock.release()) }
}
