import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import type { Config } from './config.ts'

const standardOutput = 1

/**
 * A process's log, as lines of JSON to standard output. A line that cannot be written is dropped: on a full disk pino's own
 * destination stops the whole process until there is room (sonic-boom 4.2.1 flushSync sleeps and tries again at any error).
 */
export function createLog(process: 'server' | 'gateway', { logLevel }: Pick<Config, 'logLevel'>): Logger {
  const options = { level: logLevel, base: { process }, redact: ['req.headers.authorization'] }
  return pino(options, { write: writeOrDrop })
}

function writeOrDrop(line: string): void {
  try {
    writeSync(standardOutput, line)
  } catch {
    // Nobody could be told.
  }
}
