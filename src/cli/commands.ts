import type { Command } from 'commander'
import { askCommands } from './ask-commands.ts'
import { decideCommands } from './decide-commands.ts'
import { type CommandParts, type Declare, declareOn } from './declare.ts'
import { serverCommands } from './server-commands.ts'
import { toolCommands } from './tool-commands.ts'
import { workCommands } from './work-commands.ts'

/** All commands, with what each needs loaded only when it is the one. The server never sees a command: only its routes are asked. */
export async function declareCommands(program: Command, parts: CommandParts): Promise<void> {
  const declare = declareOn(program, parts)
  workCommands(declare)
  askCommands(declare)
  decideCommands(declare)
  await serverCommands(declare)
  toolCommands(declare)
  hiddenCommands(declare)
}

/** What other programs call. */
function hiddenCommands({ program, act }: Declare): void {
  program
    .command('git-credential <operation>', { hidden: true })
    .description('Git asks this for the token; `init` sets it up')
    .option('--data <dir>', 'data folder')
    .action(
      act(async (context, operation: string, options: { data?: string }) =>
        (await import('./credential-command.ts')).credentialCommand(context, operation, options),
      ),
    )

  program
    .command('complete-words <kind>', { hidden: true })
    .description('words for completion')
    .action(act(async (context, kind: string) => (await import('./completion.ts')).completeWords(context, kind)))
}
