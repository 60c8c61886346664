import { setTimeout as sleep } from 'node:timers/promises'
import { clockConformance } from '../../../ports/conformance/clock.ts'
import { SystemClock } from './system-clock.ts'

clockConformance('clock/system', () => ({ clock: new SystemClock(), pass: (ms) => sleep(ms) }))
