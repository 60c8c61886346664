import type { RunId } from '../../kernel/ids.ts'
import type { JsonScalar } from '../../projects/index.ts'

export type StepEnvironmentFacts = {
  workspace: string
  /** Folders of this attempt alone for `HOME` and `TMPDIR`. */
  home: string
  temporary: string
  trackingUri: string
  runId: RunId
  token: string
  seed: number
  params: Record<string, JsonScalar>
  /** dataset → path, model → path */
  data: Record<string, string>
  models: Record<string, string>
  /** The environment's `bin` folder and its root; none where the project declares no Python. */
  python?: { binPath: string }
  bootstrapPath: string
  systemPath: string
  /** Declared variables with their values. */
  variables: Record<string, string>
  /** Settings of the machine that reach package registries and certificates, passed as they are. */
  machine: Record<string, string>
}

/** The whole environment of a step: the step contract of docs/step-contract.md; nothing else of the server's is inherited. */
export function stepEnvironment(facts: StepEnvironmentFacts): Record<string, string> {
  return {
    ...facts.machine,
    ...facts.variables,
    HOME: facts.home,
    TMPDIR: facts.temporary,
    LANG: 'C.UTF-8',
    PATH: facts.python ? `${facts.python.binPath}:${facts.systemPath}` : facts.systemPath,
    PYTHONPATH: facts.bootstrapPath,
    PYTHONHASHSEED: String(facts.seed),
    PYTHONUNBUFFERED: '1',
    MLFLOW_TRACKING_URI: facts.trackingUri,
    MLFLOW_RUN_ID: facts.runId,
    MLFLOW_TRACKING_TOKEN: facts.token,
    // Offline means offline: neither MLflow's own telemetry nor its look for a Git repository.
    MLFLOW_DISABLE_TELEMETRY: 'true',
    GIT_PYTHON_REFRESH: 'quiet',
    MODELWRIGHT_STEP: '1',
    MODELWRIGHT_SEED: String(facts.seed),
    MODELWRIGHT_PARAMS: JSON.stringify(facts.params),
    ...prefixed('MODELWRIGHT_DATA_', facts.data),
    ...prefixed('MODELWRIGHT_MODEL_', facts.models),
  }
}

const prefixed = (prefix: string, paths: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(paths).map(([name, path]) => [prefix + variableName(name), path]))

/** `tumour-classifier` → `TUMOUR_CLASSIFIER` */
const variableName = (name: string): string => name.toUpperCase().replace(/[^A-Z0-9]/g, '_')
