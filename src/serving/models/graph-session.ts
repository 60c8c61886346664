import type { Tensor } from '../tensor.ts'
import type { ModelFacts } from './model-facts.ts'

/** An open graph of ONNX, in this thread or another. */
export type GraphSession = {
  readonly facts: Pick<ModelFacts, 'inputs' | 'outputs'>
  /** All outputs that are tensors, in the graph's order. @throws Error as ONNX Runtime words it */
  run(tensors: readonly Tensor[]): Promise<Tensor[]>
  close(): Promise<void>
}
