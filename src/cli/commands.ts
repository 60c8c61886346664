import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import type { ConvertFlags } from './convert.ts'
import type { DemoFlags } from './demo.ts'
import type { ExplainOptions } from './explain.ts'
import type { ExportOptions } from './export-command.ts'
import type { ExportModelFlags } from './export-model.ts'
import type { GcOptions } from './gc.ts'
import type { ImportOptions } from './import-command.ts'
import type { LineageOptions } from './lineage.ts'
import type { EraseOptions } from './predictions.ts'
import type { ProvenanceOptions } from './provenance.ts'
import type { ReproduceOptions } from './reproduce.ts'
import type { RunOptions } from './run.ts'
import type { SbomOptions } from './sbom.ts'
import type { ScoreFlags } from './score.ts'
import type { ServeFlags } from './serve.ts'

export type CommandParts = {
  /** The words of the command line that are no options. */
  words: readonly string[]
  /** Once the command line is read. */
  context: () => CliContext
  end: (code: number) => void
}

const groups = {
  start: 'Begin:',
  work: 'Work:',
  ask: 'Ask:',
  decide: 'Decide:',
  run: 'Server:',
  tools: 'Tools:',
} as const

/** All commands, with what each needs loaded only when it is the one. The server never sees a command: only its routes are asked. */
export async function declareCommands(program: Command, parts: CommandParts): Promise<void> {
  const command = (group: keyof typeof groups, usage: string, description: string, examples: readonly string[]) => {
    program.commandsGroup(groups[group])
    const declared = program.command(usage).description(description)
    if (examples.length > 0)
      declared.addHelpText('after', `\nExamples:\n${examples.map((one) => `  ${one}\n`).join('')}`)
    return declared
  }
  /** An action whose number is the exit code. */
  const act =
    <Args extends unknown[]>(work: (context: CliContext, ...args: Args) => Promise<number>) =>
    async (...args: unknown[]) =>
      parts.end(await work(parts.context(), ...(args.slice(0, -1) as Args)))

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

  const logged = command('run', 'predictions', 'what the log of predictions keeps of people', [
    'modelwright predictions erase --subject patient-4711',
    'modelwright predictions erase --subject 4711 --column patient_id --environment production',
    'modelwright predictions erasures',
  ])
  logged
    .command('erase')
    .description("remove a person's rows from the log: those whose key, declared subject or named column is the value")
    .requiredOption('--subject <key>', 'the value that names the person; it is written down nowhere, only its hash')
    .option('--environment <name>', 'only of this one; else of all of the project')
    .option('--column <name>', 'a column of the inputs that may name the person too')
    .action(act(async (context, options: EraseOptions) => (await import('./predictions.ts')).erase(context, options)))
  logged
    .command('erasures')
    .description('list what was removed, and whether all of it is gone')
    .action(act(async (context) => (await import('./predictions.ts')).erasures(context)))

  command('decide', 'retrain [environment]', 'retrain now, whatever cool-down and budget say', [
    'modelwright retrain production --note "new scanner in ward 3"',
  ])
    .option('--note <text>', 'why; kept with the execution')
    .action(
      act(async (context, environment: string | undefined, options: { note?: string }) =>
        (await import('./retrain.ts')).retrain(context, environment, options),
      ),
    )

  const processes = ['up', 'down', 'server', 'gateway']
  // A word may be an option's value as well: then they are declared for nothing, which only takes a moment.
  if (parts.words.length === 0 || parts.words.some((word) => word === 'help' || processes.includes(word))) {
    program.commandsGroup(groups.run)
    const { processCommands } = await import('./processes.ts')
    processCommands(program, parts)
  } else {
    // Named for suggestions and completion; their settings take time to load.
    program.commandsGroup(groups.run)
    for (const name of processes) program.command(name)
  }

  command('run', 'serve [model]', 'serve one MLflow model by every protocol, without a server or a project', [
    'modelwright serve ./model --port 8080',
    'modelwright serve models:/tumour-classifier@champion',
    'modelwright serve runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/model --workers 2',
  ])
    .helpOption('--help', 'display help for command')
    .option('-m, --model-uri <uri>', 'the model, as mlflow models serve names it')
    .option('-p, --port <port>', '5000 where none is named; HTTP and gRPC share it')
    .option('-h, --host <host>', 'address to listen on; beyond loopback a token is needed')
    .option('-w, --workers <count>', 'Python processes for a model that is not ONNX', '1')
    .option('--spare', 'one more, loaded and warmed: it goes on at once when another dies')
    .option('-t, --timeout <seconds>', 'how long a request may take', '60')
    .option('--name <name>', 'the name of the model in /v2/models/NAME; else its own')
    .option('--grpc-port <port>', 'a port for gRPC alone, as well')
    .option('--python <path>', 'Python that has what the model needs; else MODELWRIGHT_PYTHON, or python3')
    .option(
      '--env-manager <how>',
      'local: that Python; uv, virtualenv: one made from the requirements of the model',
      'local',
    )
    .option('--no-conda', 'the same as --env-manager local')
    .option('--pass-env <names>', "variables that the model's code may see, separated by commas")
    .option('--network', "lets the model's code use the network (a model of ONNX has none)")
    .option(
      '--convert <when>',
      'to ONNX: auto (once both are proved to answer alike), on (ready only then), off',
      'auto',
    )
    .option('--allowed-host <names>', 'names under which it may be called on loopback, separated by commas; * is any')
    .option('--no-auth', 'needs no token beyond loopback: for containers')
    .option('--max-body-mb <size>', 'largest request', '128')
    .option('--max-batch <rows>', 'rows of several requests that an ONNX model computes at once', '64')
    .option('--batch-delay <ms>', 'how long a batch is waited for while requests come fast', '0')
    .option('--threads <count>', 'of ONNX Runtime; else by the size of the graph')
    .option('--concurrency <count>', 'requests that are computed at once; else what the model takes')
    .option('--queue <count>', 'requests that may wait besides (256); more are answered 429')
    .option('--explain-rows <count>', 'most rows that one request may ask to explain (1000)')
    .action(
      act(async (context, model: string | undefined, flags: ServeFlags) =>
        (await import('./serve.ts')).serve(context, model, flags),
      ),
    )

  command('tools', 'score <model> <input> <output>', 'answer a whole table: Parquet or CSV of any size', [
    'modelwright score tumour-classifier@champion biopsies.parquet answers.parquet --keep sample_id',
    "modelwright score ./model 'days/*.csv' answers.csv --on-bad fail",
  ])
    .option('--keep <columns>', 'columns written beside the answers, or all; else those that the model does not take')
    .option('--checks <file>', 'a modelwright.yaml whose checks of data the rows must hold')
    .option('--on-bad <how>', 'rows that cannot be scored: reject (into OUTPUT.rejects) or fail', 'reject')
    .option('--restart', 'begin anew where an interrupted scoring left its parts')
    .option('--threads <count>', 'of ONNX Runtime; else the cores of this machine')
    .option('--python <path>', 'Python that has what the model needs; else MODELWRIGHT_PYTHON, or python3')
    .option(
      '--env-manager <how>',
      'local: that Python; uv, virtualenv: one made from the requirements of the model',
      'local',
    )
    .option('--pass-env <names>', "variables that the model's code may see, separated by commas")
    .option('--no-record', "writes nothing down on a registered model's server")
    .action(
      act(async (context, model: string, input: string, output: string, flags: ScoreFlags) =>
        (await import('./score.ts')).score(context, model, input, output, flags),
      ),
    )

  command('tools', 'convert <model>', 'convert a model of scikit-learn, XGBoost or LightGBM to ONNX, with proof', [
    'modelwright convert ./model -o ./model-onnx --rows held-out.parquet',
    'modelwright convert models:/tumour-classifier@champion',
  ])
    .option('-o, --output <folder>', 'where it shall lie; not there yet. Else NAME-onnx')
    .option('--rows <file>', 'real rows (.csv, .tsv, .parquet) on which both must answer alike; else its input example')
    .option('--tolerance <share>', 'how much values may differ: absolute below 1, relative above', '1e-5')
    .option('--python <path>', 'Python that has what the model needs, and the converters')
    .option('--env-manager <how>', 'uv, virtualenv: one made of its packages and the converters; local: python3', 'uv')
    .action(
      act(async (context, model: string, flags: ConvertFlags) =>
        (await import('./convert.ts')).convert(context, model, flags),
      ),
    )

  command('run', 'doctor', 'look for what is wrong on this machine and with the server', ['modelwright doctor']).action(
    act(async (context) => (await import('./doctor.ts')).doctor(context)),
  )

  command('run', 'token', "say where the owner's token lies", ['modelwright token', 'modelwright token --show'])
    .option('--show', 'print the secret itself')
    .action(act(async (context, options: { show?: boolean }) => (await import('./token.ts')).token(context, options)))

  command('run', 'gc', 'purge what was deleted long enough ago, and free what nothing needs any more', [
    'modelwright gc --dry-run',
    'modelwright gc --older-than 0s --experiments 7,9',
  ])
    .option('--older-than <time>', 'deleted for at least so long; else what the server was told with --retention (30d)')
    .option('--experiments <ids>', 'only these, separated by commas; they must be deleted')
    .option('--runs <ids>', 'only these, separated by commas; they must be deleted')
    .option('--grace <time>', 'how long nothing may have referred to a file; 24h where nothing is said')
    .option('--dry-run', 'only tell what would go')
    .action(act(async (context, options: GcOptions) => (await import('./gc.ts')).gc(context, options)))

  const brings = command('tools', 'import', 'bring in what another tracking server holds', [
    'modelwright import mlflow http://mlflow.example:5000',
    'modelwright import mlflow mlruns --experiments churn,fraud',
    'modelwright import mlflow sqlite:///mlflow.db --artifacts reference',
  ])
  brings
    .command('mlflow <uri>')
    .description(
      "from an MLflow server's address, an mlruns/ folder, or its database (sqlite:///…, postgresql://…); goes on where it was",
    )
    .option('--artifacts <how>', 'copy: their bytes too; reference: they stay where they are', 'copy')
    .option(
      '--artifacts-root <folder>',
      "where `mlflow-artifacts:` of a database's server lies; else mlartifacts beside it",
    )
    .option('--experiments <names>', 'only these, by name or id, separated by commas; the registry is left out then')
    .option('--restart', 'look at everything anew; what is here stays')
    .option('--dry-run', 'only count what is there')
    .action(
      act(async (context, uri: string, options: ImportOptions) =>
        (await import('./import-command.ts')).importMlflow(context, uri, options),
      ),
    )

  const takes = command('tools', 'export', 'write what the server tracks in a form of others', [
    'modelwright export mlflow backup/mlruns',
  ])
  takes
    .command('mlflow <folder>')
    .description("as an mlruns/ folder that MLflow's own client reads; goes on where it was")
    .option('--experiments <names>', 'only these, by name or id, separated by commas; the registry is left out then')
    .action(
      act(async (context, folder: string, options: ExportOptions) =>
        (await import('./export-command.ts')).exportMlflow(context, folder, options),
      ),
    )

  takes
    .command('model <model> [folder]')
    .description('one model for other software: ONNX, signature and examples, or an image that serves it')
    .option('--oci <path>', 'an OCI image layout as well: a folder, or a file.tar')
    .option(
      '--base <layout>',
      "an OCI image layout to build upon; else it holds this machine's libraries that Node needs",
    )
    .option('--rows <file>', 'real rows for the conversion, where the model is not ONNX yet')
    .option('--tolerance <share>', 'how much values may differ in the conversion', '1e-5')
    .option('--python <path>', 'Python that has what the model needs, and the converters')
    .option('--env-manager <how>', 'uv, virtualenv: one made for the conversion; local: python3', 'uv')
    .action(
      act(async (context, model: string, folder: string | undefined, flags: ExportModelFlags) =>
        (await import('./export-model.ts')).exportModelCommand(context, model, folder, flags),
      ),
    )

  const secrets = command('run', 'secrets', 'list the secrets that steps may ask for, set and remove them', [
    'modelwright secrets',
    'printf %s "$HF_TOKEN" | modelwright secrets set HF_TOKEN --project tumour-classifier',
  ]).action(act(async (context) => (await import('./secrets.ts')).secrets(context)))
  secrets
    .command('list')
    .description('list the names that are set; values are never shown')
    .action(act(async (context) => (await import('./secrets.ts')).secrets(context)))
  secrets
    .command('set <name>')
    .description('set a secret; its value comes from standard input, or is asked for')
    .option('--everywhere', 'for every project of the server, not only one')
    .action(
      act(async (context, name: string, options: { everywhere?: boolean }) =>
        (await import('./secrets.ts')).setOne(context, name, options),
      ),
    )
  secrets
    .command('remove <name>')
    .description('forget a secret')
    .option('--everywhere', 'that of every project')
    .action(
      act(async (context, name: string, options: { everywhere?: boolean }) =>
        (await import('./secrets.ts')).removeOne(context, name, options),
      ),
    )

  const users = command('run', 'users', 'list the users of the server, add and remove them, and make their tokens', [
    'modelwright users',
    'modelwright users add ben --password-stdin < password.txt',
    'modelwright users token ci --as nightly --expires 30d',
  ]).action(act(async (context) => (await import('./users.ts')).users(context)))
  users
    .command('list')
    .description('list the users')
    .action(act(async (context) => (await import('./users.ts')).users(context)))
  users
    .command('add <name>')
    .description('add a user')
    .option('--admin', 'may do everything that the owner may')
    .option('--password-stdin', 'read a password from standard input; without one the user has tokens only')
    .action(
      act(async (context, name: string, options: { admin?: boolean; passwordStdin?: boolean }) =>
        (await import('./users.ts')).addOne(context, name, options),
      ),
    )
  users
    .command('password <name>')
    .description('set another password, read from standard input')
    .action(act(async (context, name: string) => (await import('./users.ts')).setPassword(context, name)))
  users
    .command('admin <name>')
    .description('make a user an admin')
    .option('--off', 'an admin no longer')
    .action(
      act(async (context, name: string, options: { off?: boolean }) =>
        (await import('./users.ts')).setAdmin(context, name, options),
      ),
    )
  users
    .command('remove <name>')
    .description('remove a user with all tokens and permissions')
    .action(act(async (context, name: string) => (await import('./users.ts')).removeOne(context, name)))
  users
    .command('token <name>')
    .description('make a token for a user, and print it this once')
    .option('--as <token>', 'what it is for, once per user', 'default')
    .option('--expires <duration>', 'how long it counts: 30d, 12h; for ever where it is left out')
    .action(
      act(async (context, name: string, options: { expires?: string; as?: string }) =>
        (await import('./users.ts')).issueToken(context, name, options),
      ),
    )
  users
    .command('tokens <name>')
    .description("list a user's tokens")
    .action(act(async (context, name: string) => (await import('./users.ts')).userTokens(context, name)))
  users
    .command('revoke <name> <token>')
    .description('end a token of a user')
    .action(
      act(async (context, name: string, token: string) => (await import('./users.ts')).revokeOne(context, name, token)),
    )

  const gate = command('tools', 'gate', "judge values by a file in the form of Keptn's slo.yaml", [])
  gate
    .command('eval')
    .description('judge values on this machine, without a server')
    .requiredOption('--slo <file>', "a file in the form of Keptn's slo.yaml")
    .requiredOption('--values <file>', 'JSON: metric → number, or null')
    .option('--previous <file>', 'JSON: earlier results, newest first')
    .option('--keptn', "Keptn's own behaviour in the deliberate differences")
    .action(
      act(async (context, options: { slo: string; values: string; previous?: string; keptn?: boolean }) =>
        (await import('./gate-eval.ts')).gateEval(
          { ...options, keptn: options.keptn ?? false, json: context.io.json },
          context.io,
        ),
      ),
    )

  command('tools', 'completion <shell>', 'print a completion script for bash or zsh', [
    'source <(modelwright completion bash)',
    'modelwright completion zsh > "${fpath[1]}/_modelwright"',
  ]).action(
    act(async (context, shell: string) => (await import('./completion.ts')).completion(program, shell, context)),
  )

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

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]
