import { dirname, resolve } from 'node:path'
import { readConfig, type SettingName } from '../compose/config.ts'
import { runDemo } from '../demo/run-demo.ts'
import type { CliContext } from './context.ts'

export type DemoFlags = Partial<Record<SettingName, unknown>> & { once?: boolean; data?: string }

/** `modelwright demo`: what `npm start` runs. The first Ctrl-C ends it in order, the second leaves at once. */
export async function demo(context: CliContext, { once = false, data, ...settings }: DemoFlags): Promise<number> {
  // A converter's environment would keep whoever looks for the first time waiting; its story is told by the Python that serves, too.
  const convert = context.env.MODELWRIGHT_CONVERT ?? 'off'
  const flags = { convert, ...settings, dataDir: data ?? (await context.dataDir()) }
  const config = readConfig(flags, context.env)
  const program = process.argv[1]!
  const stopping = new AbortController()
  const stop = () => {
    if (stopping.signal.aborted) process.exit(130)
    context.io.err('\nEnding …\n')
    stopping.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  let finished = false
  const untilTold = () => {
    finished = true
    return new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve(), { once: true }))
  }
  try {
    return await runDemo({
      ...{ config, flags: { ...flags, dataDir: config.dataDir }, program, command: commandOf(program), once },
      ...{ io: context.io, signal: stopping.signal, untilTold },
    })
  } catch (error) {
    if (stopping.signal.aborted) return finished ? 0 : 130
    throw error
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

/** `bin/modelwright.mjs` of this checkout, beside dist/ and src/. */
const commandOf = (program: string): string => resolve(dirname(program), '..', 'bin', 'modelwright.mjs')
