import type { RunId } from '../../kernel/ids.ts'
import type { JsonScalar, SharedCache } from '../../projects/index.ts'

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
  /** Folders of the workspace in which editable projects keep their packages. */
  packageFolders?: string[]
  systemPath: string
  /** Of a step of `score:`, which is carried out by Modelwright itself. */
  program?: { node: string; main: string; root: string }
  /** What the bootstrap holds still, as JSON: only while a reproduction looks for a step's source of chance. */
  controls?: string
  /** Declared variables with their values. */
  variables: Record<string, string>
  /** Secrets that the step asks for, by name. */
  secrets?: Record<string, string>
  /** Where shared folders of declared caches lie, by the variable that names them. */
  caches?: Record<string, string>
  /** How many processors its libraries are to use; absent: as many as they like. */
  processors?: number
  /** The GPUs that it was given. */
  gpus?: Record<string, string>
  /** Where the bootstrap notes what was looked for and not there; absent: nobody asks. */
  readsPath?: string
  /** Settings of the machine that reach package registries and certificates, passed as they are. */
  machine: Record<string, string>
}

/** The whole environment of a step: the step contract of docs/step-contract.md; nothing else of the server's is inherited. */
export function stepEnvironment(facts: StepEnvironmentFacts): Record<string, string> {
  return {
    ...facts.machine,
    ...(facts.processors === undefined ? {} : threadVariables(facts.processors)),
    ...facts.variables,
    ...facts.caches,
    ...facts.gpus,
    ...facts.secrets,
    HOME: facts.home,
    TMPDIR: facts.temporary,
    LANG: 'C.UTF-8',
    PATH: facts.python ? `${facts.python.binPath}:${facts.systemPath}` : facts.systemPath,
    PYTHONPATH: [facts.bootstrapPath, ...(facts.packageFolders ?? [])].join(':'),
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
    ...(facts.program ? programVariables(facts.program) : {}),
    ...(facts.readsPath ? { MODELWRIGHT_READS: facts.readsPath } : {}),
    ...(facts.controls ? { MODELWRIGHT_CONTROLS: facts.controls } : {}),
    ...prefixed('MODELWRIGHT_DATA_', facts.data),
    ...prefixed('MODELWRIGHT_MODEL_', facts.models),
  }
}

/** The root is named so that it is seen: `visiblePaths`. */
const programVariables = ({ node, main, root }: { node: string; main: string; root: string }) => ({
  MODELWRIGHT_NODE: node,
  MODELWRIGHT_PROGRAM: main,
  MODELWRIGHT_PROGRAM_ROOT: root,
})

/** What numerical libraries read to decide how many threads they start. */
const threadVariables = (processors: number): Record<string, string> =>
  Object.fromEntries(
    [
      ...['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'NUMEXPR_NUM_THREADS', 'POLARS_MAX_THREADS'],
      ...['RAYON_NUM_THREADS', 'LOKY_MAX_CPU_COUNT', 'VECLIB_MAXIMUM_THREADS'],
    ].map((name) => [name, String(Math.max(1, Math.ceil(processors)))]),
  )

/** Which variable tells a library where its downloads are kept. */
export const cacheVariables: Record<SharedCache, string> = {
  huggingface: 'HF_HOME',
  torch: 'TORCH_HOME',
  nltk: 'NLTK_DATA',
  keras: 'KERAS_HOME',
  pip: 'PIP_CACHE_DIR',
}

const prefixed = (prefix: string, paths: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(paths).map(([name, path]) => [prefix + variableName(name), path]))

/** `tumour-classifier` → `TUMOUR_CLASSIFIER` */
const variableName = (name: string): string => name.toUpperCase().replace(/[^A-Z0-9]/g, '_')
