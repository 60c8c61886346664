import type { Datatype } from '../tensor.ts'

/** One tensor that a model takes or gives; −1 in a shape is any size. */
export type TensorFacts = {
  name: string
  datatype: Datatype
  shape: number[]
  required: boolean
  /** The signature gives it no name: whatever the client calls it is meant. */
  unnamed?: boolean
  /** MLflow's type of the column, where the signature is one of columns. */
  columnType?: string
  /** What the second index of class probabilities stands for, where the graph says so. */
  labels?: string[]
}

export type ParamFacts = { name: string; type: string; default: unknown }

/** What is known of a model before it is asked anything. */
export type ModelFacts = {
  /** `onnx_onnxv1` or `mlflow_python_function`: what the protocol calls the framework and backend of a model. */
  platform: string
  /** What the signature of the inputs speaks of; for ONNX the graph itself says tensors. */
  signature: 'columns' | 'tensors' | 'none'
  inputs: TensorFacts[]
  outputs: TensorFacts[]
  params: ParamFacts[]
}
