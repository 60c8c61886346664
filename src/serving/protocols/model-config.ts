import type { TensorFacts } from '../models/model-facts.ts'
import type { ServedName } from './model-repository.ts'

/** Where a datatype stands here is its number in Triton's proto, which calls BYTES strings. */
const typesOfTriton = 'INVALID BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 STRING BF16'.split(
  ' ',
)

/**
 * What Triton's clients ask by `get_model_config`. `max_batch_size` 0: the shapes are whole, with the dimension of the batch, as in the
 * metadata.
 * @param typeOf JSON has a datatype's name, gRPC its number
 */
const configOf = <T>({ name, facts }: ServedName, typeOf: (type: string) => T) => {
  const tensor = (one: TensorFacts) => ({
    name: one.name,
    data_type: typeOf(one.datatype === 'BYTES' ? 'STRING' : one.datatype),
    dims: one.shape,
  })
  return {
    name,
    platform: facts.platform,
    backend: facts.platform.startsWith('onnx') ? 'onnxruntime' : 'python',
    max_batch_size: 0,
    input: facts.inputs.map((one) => ({ ...tensor(one), optional: !one.required })),
    output: facts.outputs.map(tensor),
  }
}

export const modelConfig = (model: ServedName) => configOf(model, (type) => `TYPE_${type}`)

export const modelConfigMessage = (model: ServedName) => ({
  config: configOf(model, (type) => typesOfTriton.indexOf(type)),
})
