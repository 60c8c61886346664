import { collect, type Declare } from './declare.ts'
import type { DemoFlags } from './demo.ts'
import type { ExplainOptions } from './explain.ts'
import type { RunOptions } from './run.ts'

/** What begins a project and carries pipelines out. */
export function workCommands({ command, act }: Declare): void {
  command('start', 'init', 'write modelwright.yaml for what is here, and connect the repository', [
    'modelwright init',
    'modelwright init --server http://models.example:5000',
  ]).action(act(async (context) => (await import('./init-command.ts')).initCommand(context)))

  command('start', 'demo', 'show the whole loop on real data: what `npm start` runs', [
    'modelwright demo',
    'modelwright demo --once --data /tmp/modelwright-demo',
  ])
    .option('--once', 'end when every stage has happened and was checked, instead of staying up')
    .option('--data <folder>', 'where to keep everything; else .modelwright')
    .option('--port <port>', "the server's port; 5000 where none is named")
    .option('--gateway-port <port>', "the gateway's port; 5001 where none is named")
    .action(act(async (context, flags: DemoFlags) => (await import('./demo.ts')).demo(context, flags)))

  command(
    'work',
    'run [step]',
    'run the pipeline on the working tree as it is, recorded as a snapshot, never deployable',
    [
      'modelwright run',
      'modelwright run train --set depth=5 --set learning_rate=0.05',
      'modelwright run --force train --sample 5%',
      'modelwright run --dry-run',
    ],
  )
    .option('--set <name=value>', 'set a parameter for this execution (may be repeated)', collect)
    .option('--force [steps...]', 'run these steps although nothing changed; every step where none is named')
    .option('--sample <share>', 'look at this share of the data, by a hash of its key (5%)')
    .option('--dry-run', 'only show the plan: what would run, what is reused, and why')
    .option('--detach', 'start it and do not wait')
    .action(
      act(async (context, step: string | undefined, options: Omit<RunOptions, 'step'>) =>
        (await import('./run.ts')).runWorkingTree(context, { step, ...options }),
      ),
    )

  command('work', 'resume [execution]', 'carry out what a failed or cancelled execution left undone', [
    'modelwright resume',
    'modelwright resume 4b1c09de --detach',
  ])
    .option('--detach', 'start it and do not wait')
    .action(
      act(async (context, execution: string | undefined, options: { detach?: boolean }) =>
        (await import('./resume.ts')).resume(context, execution, options),
      ),
    )

  command('work', 'plan [step]', 'show what an execution of a pushed commit would do, and why', [
    'modelwright plan',
    'modelwright plan train --commit 3f2a1b4c5d',
  ])
    .option('--commit <sha>', 'a commit that was pushed; else the head of the authoritative branch')
    .option('--set <name=value>', 'set a parameter (may be repeated)', collect)
    .action(
      act(async (context, step: string | undefined, options: { commit?: string; set?: string[] }) =>
        (await import('./plan.ts')).plan(context, { step, ...options }),
      ),
    )

  command('work', 'explain <step>', 'say which part of a step changed, against which earlier execution', [
    'modelwright explain train',
    'modelwright explain train --at HEAD~1 --against latest~3',
  ])
    .option('--at <commit>', 'a commit that was pushed; else the head of the authoritative branch')
    .option('--against <execution>', "the execution to compare with; else the nearest of the step's newest results")
    .option('--set <name=value>', 'set a parameter (may be repeated)', collect)
    .action(
      act(async (context, step: string, options: ExplainOptions) =>
        (await import('./explain.ts')).explain(context, step, options),
      ),
    )

  command(
    'work',
    'logs [execution] [step]',
    'show what steps wrote; the newest execution, all steps, where none is named',
    ['modelwright logs -f', 'modelwright logs latest train', 'modelwright logs 4b1c09de train --grep "loss ="'],
  )
    .option('-f, --follow', 'go on until the execution is over')
    .option('-n, --tail <lines>', 'only the last lines of each step')
    .option('--grep <text>', 'only the lines that hold this text; 1 where there is none')
    .option('--attempt <n>', 'of this attempt instead of the last one')
    .action(
      act(
        async (
          context,
          execution: string | undefined,
          step: string | undefined,
          options: { follow?: boolean; tail?: string; grep?: string; attempt?: string },
        ) => (await import('./logs.ts')).logs(context, { execution, step, ...options }),
      ),
    )

  command('work', 'cancel [execution]', 'end what runs of an execution; the newest one where none is named', [
    'modelwright cancel',
    'modelwright cancel 4b1c09de',
  ]).action(
    act(async (context, execution: string | undefined) => (await import('./cancel.ts')).cancel(context, execution)),
  )
}
