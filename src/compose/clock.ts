import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { FileTurnedClock } from '../adapters/clock/turnable/file-turned-clock.ts'
import type { Clock } from '../ports/clock.ts'
import type { Config } from './config.ts'

export const createClock = (config: Pick<Config, 'clockFile'>): Clock =>
  config.clockFile ? new FileTurnedClock(config.clockFile) : new SystemClock()
