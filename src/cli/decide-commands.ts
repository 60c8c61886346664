import type { Declare } from './declare.ts'

/** What a person decides, or knows better. */
export function decideCommands({ command, act }: Declare): void {
  command('decide', 'approve [what]', 'say yes to a promotion, a proposed revert, or a rollout that waits', [
    'modelwright approve                   # the only one that waits',
    'modelwright approve 4b1c09de',
    'modelwright approve 4                 # version 4',
  ])
    .option('--environment <name>', 'where a version waits in several')
    .action(
      act(async (context, what: string | undefined, options: { environment?: string }) =>
        (await import('./decide-promotion.ts')).decidePromotion(context, 'approve', what, options),
      ),
    )

  command('decide', 'reject [what]', 'say no to a promotion: its branch goes, and it is not proposed again', [
    'modelwright reject 4b1c09de',
  ])
    .option('--environment <name>', 'where a version waits in several')
    .action(
      act(async (context, what: string | undefined, options: { environment?: string }) =>
        (await import('./decide-promotion.ts')).decidePromotion(context, 'reject', what, options),
      ),
    )

  const rollouts = command('decide', 'rollouts', 'steer the rollouts that are under way', [
    'modelwright rollouts',
    'modelwright rollouts continue production',
    'modelwright rollouts abort',
  ]).action(act(async (context) => (await import('./rollouts.ts')).listRollouts(context)))
  for (const what of ['continue', 'abort'] as const)
    rollouts
      .command(`${what} [rollout]`)
      .description(
        what === 'continue'
          ? 'go on to the next step although there was too little traffic to decide'
          : 'give the old version all traffic, bar the new one, and propose the revert',
      )
      .action(
        act(async (context, which: string | undefined) =>
          (await import('./rollouts.ts')).steerRollout(context, what, which),
        ),
      )

  command('decide', 'labels [file]', 'tell what was true of answered predictions, by prediction id', [
    'modelwright labels truth.csv          # columns: prediction_id,label',
    'modelwright labels --prediction 06f3k9… --value malignant',
  ])
    .option('--prediction <id>', 'one prediction')
    .option('--value <value>', 'its truth; numbers and true/false are read as such, "…" as text')
    .action(
      act(async (context, file: string | undefined, options: { prediction?: string; value?: string }) =>
        (await import('./labels.ts')).labels(context, file, options),
      ),
    )

  command('decide', 'retrain [environment]', 'retrain now, whatever cool-down and budget say', [
    'modelwright retrain production --note "new scanner in ward 3"',
  ])
    .option('--note <text>', 'why; kept with the execution')
    .action(
      act(async (context, environment: string | undefined, options: { note?: string }) =>
        (await import('./retrain.ts')).retrain(context, environment, options),
      ),
    )
}
