import type { Command } from 'commander'
import { readConfig, type SettingName, settingDescriptions } from '../compose/config.ts'
import type { CliContext } from './context.ts'
import { whenToldToEnd } from './told-to-end.ts'
import { wholeNumber } from './whole-number.ts'

type Parts = { context: () => CliContext; end: (code: number) => void }
type Flags = Partial<Record<SettingName, unknown>> & { data?: string }

/** `server`, `gateway`, `up`, `down`: the commands that are processes, or start and stop them. */
export function processCommands(program: Command, { context, end }: Parts): void {
  /** The data folder is an option of every command; here it becomes the setting that it is. */
  const configOf = async ({ data, ...flags }: Flags) => {
    const { ownDataDir, env } = context()
    const all = { ...flags, dataDir: data ?? (await ownDataDir()) }
    return { config: readConfig(all, env), flags: all }
  }

  withSettings(program.command('server').description('run the server alone (`up` runs it with the gateway)')).action(
    async (flags: Flags) => {
      const { startServer } = await import('../compose/server.ts')
      const { config } = await configOf(flags)
      const server = await startServer(config)
      await untilTold()
      await server.stop()
    },
  )

  withSettings(program.command('gateway').description('run the gateway alone, from its last desired state'))
    .option('--number <k>', 'which of several --gateways this one is', '1')
    .action(async ({ number, ...flags }: Flags & { number: string }) => {
      const { startGateway } = await import('../compose/gateway.ts')
      const { config } = await configOf(flags)
      const stopping = new AbortController()
      const gateway = await startGateway(config, wholeNumber('--number', number, 1, config.gateways), stopping.signal)
      await untilTold()
      stopping.abort()
      await gateway.finished
    })

  withSettings(program.command('up').description('start server and gateway and keep them running until Ctrl-C'))
    .option('--detach', 'go on in the background')
    .addHelpText('after', '\nExamples:\n  modelwright up\n  modelwright up --detach --port 5100 --gateway-port 5101\n')
    .action(async ({ detach, ...own }: Flags & { detach?: boolean }) => {
      const { upInBackground, upInForeground } = await import('./up.ts')
      const { config, flags } = await configOf(own)
      const { io } = context()
      end(await (detach ? upInBackground : upInForeground)(config, flags, io, untilTold))
    })

  withSettings(
    program
      .command('down')
      .description('end server and gateway; running steps go on and are adopted at the next start'),
  ).action(async (flags: Flags) => {
    const { endFamily } = await import('../compose/supervisor.ts')
    const { io } = context()
    const { config } = await configOf(flags)
    const ran = await endFamily(config.runDir)
    io.out(
      io.json
        ? `${JSON.stringify({ ended: ran })}\n`
        : ran
          ? 'Server and gateway are down.\n'
          : 'Nothing was running.\n',
    )
  })
}

/** Every setting of the configuration as a flag, but the one that all commands have. */
function withSettings(command: Command): Command {
  for (const { name, flag, description } of settingDescriptions)
    if (name !== 'dataDir')
      command.option(
        `${flag} ${name === 'requireLogin' || name === 'webhookAllowPrivate' ? '[value]' : '<value>'}`,
        description,
      )
  return command.option('--data <folder>', 'the same as --data-dir')
}

/** Resolves at Ctrl-C or when the process is told to end. */
function untilTold(): Promise<void> {
  return new Promise((resolve) => whenToldToEnd(resolve))
}
