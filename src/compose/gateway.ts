import { type RunningGateway, runGateway } from '../serving/gateway/index.ts'
import { createClock } from './adapters.ts'
import { type Config, machineEnvironment } from './config.ts'
import { lockDataFolder } from './data-folder.ts'
import { createLog } from './log.ts'
import { writeFacts } from './supervisor.ts'

/** Starts the data plane as this process. */
export async function startGateway(config: Config, signal: AbortSignal): Promise<RunningGateway> {
  const lock = lockDataFolder(config.runDir, 'gateway')
  const log = createLog('gateway', config)
  const gateway = await runGateway({
    dataDir: config.dataDir,
    host: config.host,
    port: config.gatewayPort,
    log,
    clock: createClock(config),
    signal,
    allowedHosts: config.allowedHost.split(',').filter(Boolean),
    workerEnv: machineEnvironment(config.environment),
  })
  try {
    writeFacts(config.runDir, 'gateway', { pid: process.pid, url: gateway.url })
  } catch (error) {
    // Predictions need no writing: a full disk must not keep them from being answered.
    log.error({ err: error }, 'it cannot be written down that the gateway runs')
  }
  return { ...gateway, finished: gateway.finished.finally(() => lock.release()) }
}
