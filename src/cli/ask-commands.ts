import type { Declare } from './declare.ts'
import type { LineageOptions } from './lineage.ts'
import type { ProvenanceOptions } from './provenance.ts'
import type { ReproduceOptions } from './reproduce.ts'
import type { SbomOptions } from './sbom.ts'

/** What only asks, and changes nothing that serves. */
export function askCommands({ command, act }: Declare): void {
  command('ask', 'status', 'show what serves, what happens now, and what waits for you', [
    'modelwright status',
    'modelwright status --all --json',
  ])
    .option('--all', 'every project, not only that of the repository here')
    .action(act(async (context, options: { all?: boolean }) => (await import('./status.ts')).status(context, options)))

  command('ask', 'runs', 'list executions with their metrics, or the MLflow runs of an experiment', [
    'modelwright runs --limit 5',
    `modelwright runs --experiment tumour-classifier --filter "metrics.auc > 0.9" --order-by "metrics.auc DESC"`,
  ])
    .option('--limit <n>', 'how many', '20')
    .option('--experiment <name>', 'MLflow runs of this experiment instead of executions')
    .option('--filter <text>', "in MLflow's grammar (with --experiment)")
    .option('--order-by <term>', 'one term as in MLflow: metrics.auc DESC (with --experiment)')
    .action(
      act(async (context, options: { limit: string; experiment?: string; filter?: string; orderBy?: string }) =>
        (await import('./runs.ts')).runs(context, options),
      ),
    )

  command('ask', 'diff [a] [b]', 'show what differs between two runs or executions: parameters, metrics, data, code', [
    'modelwright diff                      # the newest execution and the one before',
    'modelwright diff 4b1c09de latest',
  ]).action(
    act(async (context, a: string | undefined, b: string | undefined) =>
      (await import('./diff.ts')).diff(context, a, b),
    ),
  )

  command('ask', 'versions [model]', 'list model versions with their verdicts and where they serve', [
    'modelwright versions',
    'modelwright versions tumour-classifier --all',
  ])
    .option('--limit <n>', 'how many', '20')
    .option('--all', 'also those that user code registered itself')
    .action(
      act(async (context, model: string | undefined, options: { limit: string; all?: boolean }) =>
        (await import('./versions.ts')).versions(context, model, options),
      ),
    )

  command(
    'ask',
    'webhooks [id]',
    'list webhooks of the model registry; with an id what was sent there, and what failed',
    ['modelwright webhooks', 'modelwright webhooks 0f9c2f0e-4a55-4c0f-9d0e-0b9a8d1f2a33'],
  )
    .option('--limit <n>', 'how many', '20')
    .action(
      act(async (context, id: string | undefined, options: { limit: string }) =>
        (await import('./webhooks.ts')).webhooks(context, id, options),
      ),
    )

  command('ask', 'why <what>', 'tell why something serves: model, run, commit, data, verdict, approval, rollout', [
    'modelwright why production',
    'modelwright why 06f3k9…            # a prediction id, from the header X-Modelwright-Prediction-Id',
    'modelwright why tumour-classifier@3',
  ]).action(act(async (context, what: string) => (await import('./why.ts')).why(context, what)))

  command(
    'ask',
    'reproduce <model>',
    'make a version again from its record alone, and say whether it is the same or what differs first',
    [
      'modelwright reproduce tumour-classifier            # what serves in production',
      'modelwright reproduce tumour-classifier@3 --tolerance 1e-9',
      'modelwright reproduce tumour-classifier/3 --at HEAD  # what would that commit make of it?',
    ],
  )
    .option('--runs <n>', 'make it once or twice', '1')
    .option('--tolerance <number>', 'how far metrics and predictions may lie apart', '0')
    .option('--at <commit>', "another commit than the version's own, with its data, lock and parameters")
    .option('--detach', 'start it and do not wait')
    .option('--follow', 'wait for the verdict, as it does anyway')
    .action(
      act(async (context, model: string, options: ReproduceOptions) =>
        (await import('./reproduce.ts')).reproduce(context, model, options),
      ),
    )

  command('ask', 'lineage <thing...>', 'show what anything came from, and what came of it', [
    'modelwright lineage tumour-classifier@3 --up',
    'modelwright lineage data/biopsies.csv --down      # also a dataset, commit, run, execution, digest',
    'modelwright lineage production --openlineage',
    'modelwright lineage row P-0042 --data biopsies    # which models were trained on this row?',
  ])
    .option('--up', 'only what it came from')
    .option('--down', 'only what came of it')
    .option('--both', 'both, as without either')
    .option('--depth <n>', 'so many steps far', '6')
    .option('--openlineage', 'as OpenLineage run events, one a line')
    .option('--data <name>', 'the dataset of a row')
    .action(
      act(async (context, words: string[], options: LineageOptions) =>
        (await import('./lineage.ts')).lineage(context, words, options),
      ),
    )

  command(
    'ask',
    'sbom <model>',
    "write a version's bill of materials: model, data, commit, and every package of its environment",
    [
      'modelwright sbom tumour-classifier@3 > bom.json',
      'modelwright sbom tumour-classifier --format spdx -o bom.spdx.json',
    ],
  )
    .option('--format <form>', 'cyclonedx (1.6) or spdx (2.3), as JSON', 'cyclonedx')
    .option('-o, --output <file>', 'write it there')
    .action(
      act(async (context, model: string, options: SbomOptions) =>
        (await import('./sbom.ts')).sbom(context, model, options),
      ),
    )

  command('ask', 'provenance [model]', "give the server's signature on a version, or the key that verifies it", [
    'modelwright provenance --public-key -o key.pem',
    'modelwright provenance tumour-classifier@3 -o model.sig',
    'model_signing verify key MODEL_FOLDER --signature model.sig --public_key key.pem',
  ])
    .option('--kind <kind>', 'model: its files (OpenSSF model signing); making: how it came about (SLSA)', 'model')
    .option('--public-key', 'the public key instead')
    .option('-o, --output <file>', 'write it there')
    .action(
      act(async (context, model: string | undefined, options: ProvenanceOptions) =>
        (await import('./provenance.ts')).provenance(context, model, options),
      ),
    )
}
