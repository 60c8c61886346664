import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { AppError, messageOf } from '../../kernel/errors.ts'
import { type Datatype, datatypeOfNumber } from '../tensor.ts'
import type { ModelFacts, ParamFacts, TensorFacts } from './model-facts.ts'

/** What serving reads of a model folder's `MLmodel`. */
export type MlmodelFile = {
  facts: ModelFacts
  /** MLflow's names of the libraries that can load it, without python_function. */
  flavors: readonly string[]
  /** The file of the ONNX graph inside the folder, where the model has that flavour. */
  onnxFile?: string
  pythonVersion?: string
  /** Of the mlflow that saved it. */
  mlflowVersion?: string
  signature: { inputs: readonly SignatureEntry[]; outputs: readonly SignatureEntry[] }
  /** The input example's file, as MLflow saved it. */
  inputExample?: { file: string; type: string; orient?: string }
}

const signatureEntry = z.object({
  name: z.string().nullish(),
  type: z.unknown(),
  required: z.boolean().nullish(),
  optional: z.boolean().nullish(),
  'tensor-spec': z.object({ dtype: z.string(), shape: z.array(z.number()) }).nullish(),
})
export type SignatureEntry = z.output<typeof signatureEntry>

const paramEntry = z.object({ name: z.string(), type: z.unknown(), default: z.unknown() })

const mlmodel = z.object({
  flavors: z.record(z.string(), z.record(z.string(), z.unknown())),
  signature: z
    .object({ inputs: z.string().nullish(), outputs: z.string().nullish(), params: z.string().nullish() })
    .nullish(),
  mlflow_version: z.string().nullish(),
  saved_input_example_info: z
    .looseObject({ artifact_path: z.string(), type: z.string(), pandas_orient: z.string().nullish() })
    .nullish(),
})

/** @throws AppError NotFound, ModelUnusable */
export function readMlmodel(folder: string): MlmodelFile {
  const path = join(folder, 'MLmodel')
  const text = textOf(path, folder)
  try {
    return factsOf(mlmodel.parse(parse(text)))
  } catch (cause) {
    throw new AppError(
      'ModelUnusable',
      `${path} is not what mlflow writes: ${problemOf(cause)}.`,
      'Save the model again with mlflow.',
      { cause },
    )
  }
}

function textOf(path: string, folder: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AppError(
      'NotFound',
      `There is no MLflow model at ${folder}: ${messageOf(cause)}.`,
      'Name a folder that mlflow saved a model to; it holds a file MLmodel.',
      { cause },
    )
  }
}

const problemOf = (error: unknown): string =>
  error instanceof z.ZodError
    ? error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`).join('; ')
    : messageOf(error)

function factsOf(file: z.output<typeof mlmodel>): MlmodelFile {
  const inputs = entries(file.signature?.inputs)
  const outputs = entries(file.signature?.outputs)
  const onnx = file.flavors.onnx
  const python = file.flavors.python_function
  if (!onnx && !python)
    throw new Error(`it has neither the flavour python_function nor onnx, but ${Object.keys(file.flavors).join(', ')}`)
  const example = file.saved_input_example_info
  return {
    facts: {
      platform: onnx ? 'onnx_onnxv1' : 'mlflow_python_function',
      signature: inputs.length === 0 ? 'none' : inputs.some((one) => one.type === 'tensor') ? 'tensors' : 'columns',
      inputs: inputs.map((entry, index) => tensorFacts(entry, `input-${index}`)),
      outputs: outputs.map((entry, index) => tensorFacts(entry, `output-${index}`)),
      params: params(file.signature?.params),
    },
    flavors: Object.keys(file.flavors).filter((name) => name !== 'python_function'),
    ...(typeof onnx?.data === 'string' ? { onnxFile: onnx.data } : {}),
    ...(typeof python?.python_version === 'string' ? { pythonVersion: python.python_version } : {}),
    ...(file.mlflow_version ? { mlflowVersion: file.mlflow_version } : {}),
    signature: { inputs, outputs },
    ...(example
      ? {
          inputExample: {
            file: example.artifact_path,
            type: example.type,
            ...(example.pandas_orient ? { orient: example.pandas_orient } : {}),
          },
        }
      : {}),
  }
}

const entries = (text: string | null | undefined): SignatureEntry[] =>
  text ? z.array(signatureEntry).parse(JSON.parse(text)) : []

const params = (text: string | null | undefined): ParamFacts[] =>
  text
    ? z
        .array(paramEntry)
        .parse(JSON.parse(text))
        .map((one) => ({ name: one.name, type: String(one.type), default: one.default }))
    : []

function tensorFacts(entry: SignatureEntry, fallbackName: string): TensorFacts {
  const named = { name: entry.name ?? fallbackName, ...(entry.name ? {} : { unnamed: true }) }
  const required = entry.required ?? !(entry.optional ?? false)
  const spec = entry['tensor-spec']
  if (spec) return { ...named, datatype: datatypeOfNumpy(spec.dtype), shape: spec.shape, required }
  const columnType = typeof entry.type === 'string' ? entry.type : 'any'
  return { ...named, datatype: datatypeOfColumn[columnType] ?? 'BYTES', shape: [-1, 1], required, columnType }
}

/** MLflow's column types; what is no plain value (array, object, map, any) travels as JSON texts in BYTES. */
const datatypeOfColumn: Record<string, Datatype> = {
  boolean: 'BOOL',
  integer: 'INT32',
  long: 'INT64',
  float: 'FP32',
  double: 'FP64',
  string: 'BYTES',
  binary: 'BYTES',
  datetime: 'BYTES',
}

/** Strings, objects and dates of NumPy all travel as BYTES. */
const datatypeOfNumpy = (dtype: string): Datatype => datatypeOfNumber[dtype] ?? 'BYTES'
