import { messageOf } from '../../kernel/errors.ts'
import { readConversion } from '../convert/conversion.ts'
import { ConvertedModel } from '../convert/converted-model.ts'
import type { ServedVersion } from '../gateway-state.ts'
import { type MlmodelFile, readMlmodel } from './mlmodel-file.ts'
import type { ModelBackend, ModelMemory } from './model-backend.ts'
import type { ModelFacts } from './model-facts.ts'
import { type GraphProofs, type OnnxLimits, OnnxModel } from './onnx-model.ts'
import { PythonModel, type WorkerFacts, type WorkerLimits, type WorkerSetting } from './python-model.ts'

export type BackendSetting = Omit<WorkerSetting, 'limits'> & {
  limits: WorkerLimits & Partial<Pick<OnnxLimits, 'batchRows' | 'batchDelayMs'>>
  /** Threads of ONNX Runtime; by the size of the graph where nothing is said. */
  threads?: number
  proofs?: GraphProofs
}

/** A backend and the version that it carries. */
export type VersionBackend = ModelBackend & {
  served: ServedVersion
  readonly pid: number | undefined
  /** Where it is carried by processes of its own. */
  readonly workers?: WorkerFacts[]
  /** What those take now, with all that they began; undefined: none is loaded, or the system does not say. */
  measure?(): Promise<ModelMemory | undefined>
  readonly replacedForMemory?: number
  /** New limits for what runs already. */
  adjust?(limits: WorkerLimits): void
  /** What the graph takes in this process, as the process that tried it measured. */
  readonly graphBytes?: number | undefined
}

/** A model of the ONNX flavour, or one that has an ONNX form, is computed in this process, every other in Python. */
export function openBackend(version: ServedVersion, setting: BackendSetting): VersionBackend {
  const served = { ...version, modelPath: formPath(version) }
  const mlmodel = readable(served.modelPath, setting)
  if (!mlmodel?.onnxFile) return new PythonModel(served, mlmodel?.facts ?? unknownFacts, setting)
  const { queueLength, waitMs, answerMs, totalMs, loadMs, batchRows = 64, batchDelayMs = 0 } = setting.limits
  const graph = new OnnxModel(served, mlmodel, {
    ...setting,
    limits: { queueLength, loadMs, batchRows, batchDelayMs, totalMs: totalMs ?? waitMs + answerMs },
  })
  const conversion = readConversion(served.modelPath)
  return conversion ? new ConvertedModel(graph, mlmodel.facts, conversion) : graph
}

/** The folder that a version is computed from. */
export const formPath = ({ modelPath, graphPath }: Pick<ServedVersion, 'modelPath' | 'graphPath'>): string =>
  graphPath ?? modelPath

/** Why a version's ONNX form cannot even be begun; undefined: it can, or there is none. */
export function graphProblem({ graphPath }: Pick<ServedVersion, 'graphPath'>): string | undefined {
  if (graphPath === undefined) return undefined
  try {
    if (readMlmodel(graphPath).onnxFile && readConversion(graphPath)) return undefined
    return `Its ONNX form in ${graphPath} is not whole.`
  } catch (error) {
    return `Its ONNX form cannot be read: ${messageOf(error)}`
  }
}

/** What a model says of itself before it is loaded; undefined: the folder cannot be read as a model's. */
export function describeModel(folder: string): MlmodelFile | undefined {
  try {
    return readMlmodel(folder)
  } catch {
    return undefined
  }
}

/** What is no model folder is left to Python, which says of it what mlflow says. */
function readable(folder: string, { log }: BackendSetting): MlmodelFile | undefined {
  try {
    return readMlmodel(folder)
  } catch (error) {
    log.warn({ folder, problem: messageOf(error) }, 'MLmodel cannot be read')
    return undefined
  }
}

const unknownFacts: ModelFacts = {
  platform: 'mlflow_python_function',
  signature: 'none',
  inputs: [],
  outputs: [],
  params: [],
}
