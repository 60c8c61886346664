import type { ConvertFlags } from './convert.ts'
import type { Declare } from './declare.ts'
import type { ExportOptions } from './export-command.ts'
import type { ExportModelFlags } from './export-model.ts'
import type { ImportOptions } from './import-command.ts'
import type { ScoreFlags } from './score.ts'

/** What works on files and models of one's own, or on other servers. */
export function toolCommands({ program, command, act }: Declare): void {
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
}
