import type { Command } from 'commander'
import { readConfig, type SettingName, type Settings, settingDescriptions } from '../compose/config.ts'
import type { CliIo } from './io.ts'

type Parts = { io: CliIo; env: NodeJS.ProcessEnv; end: (code: number) => void }
type Flags = Partial<Record<SettingName, unknown>>

/** `server`, `gateway`, `up`, `down`: the commands that are processes, or start and stop them. */
export function processCommands(program: Command, { io, env, end }: Parts): void {
  withSettings(program.command('server').description('runs the server alone (`up` runs it with the gateway)')).action(
    async (flags: Flags) => {
      const { startServer } = await import('../compose/server.ts')
      const server = await startServer(readConfig(flags, env))
      await untilTold()
      await server.stop()
    },
  )

  withSettings(program.command('gateway').description('runs the gateway alone, from its last desired state')).action(
    async (flags: Flags) => {
      const { startGateway } = await import('../compose/gateway.ts')
      const stopping = new AbortController()
      const gateway = await startGateway(readConfig(flags, env), stopping.signal)
      await untilTold()
      stopping.abort()
      await gateway.finished
    },
  )

  withSettings(program.command('up').description('starts server and gateway and keeps them running'))
    .option('--detach', 'go on in the background')
    .action(async ({ detach, ...flags }: Flags & { detach?: boolean }) => {
      const { upInBackground, upInForeground } = await import('./up.ts')
      const config = readConfig(flags, env)
      end(await (detach ? upInBackground : upInForeground)(config, flags, io, untilTold))
    })

  withSettings(
    program
      .command('down')
      .description('ends server and gateway; running steps go on and are adopted at the next start'),
  ).action(async (flags: Flags) => {
    const { endFamily } = await import('../compose/supervisor.ts')
    const { runDir } = readConfig(flags, env)
    const ran = await endFamily(runDir)
    io.out(
      io.json
        ? `${JSON.stringify({ ended: ran })}\n`
        : ran
          ? 'Server and gateway are down.\n'
          : 'Nothing was running.\n',
    )
  })
}

/** Every setting of the configuration as a flag. */
export function withSettings(command: Command, names?: readonly SettingName[]): Command {
  for (const { name, flag, description } of settingDescriptions)
    if (!names || names.includes(name)) command.option(`${flag} <value>`, description)
  return command
}

export type { Settings }

/** Resolves at Ctrl-C or when the process is told to end. */
function untilTold(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
