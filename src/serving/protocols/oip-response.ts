import { jsonOf } from '../models/tensor-json.ts'
import { invalidInput } from '../scoring-error.ts'
import type { Tensor } from '../tensor.ts'
import type { RequestedOutput } from './oip-request.ts'

export type OipAnswer = {
  model: string
  version: string
  id: string
  tensors: readonly Tensor[]
  binaryOutput: boolean
  outputs?: readonly RequestedOutput[]
}

/** `jsonLength` is set where binary tensors follow the JSON. */
export function writeOipAnswer(answer: OipAnswer): { body: Buffer; jsonLength?: number } {
  const binary: Buffer[] = []
  const outputs = chosen(answer.tensors, answer.outputs).map(([tensor, asked]) => {
    if (!(asked?.binary ?? answer.binaryOutput)) return inJson(tensor)
    binary.push(tensor.bytes)
    const parameters = { ...tensor.parameters, binary_data_size: tensor.bytes.length }
    return `{${head(tensor)},"parameters":${JSON.stringify(parameters)}}`
  })
  const { model, version, id } = answer
  const facts = `"model_name":${JSON.stringify(model)},"model_version":${JSON.stringify(version)},"id":${JSON.stringify(id)}`
  const json = Buffer.from(`{${facts},"outputs":[${outputs.join(',')}]}`)
  if (binary.length === 0) return { body: json }
  return { body: Buffer.concat([json, ...binary]), jsonLength: json.length }
}

/** The outputs that were asked for, in the order in which they were. @throws ScoringError 400 where there is none of that name */
export function chosen<Asked extends { name: string }>(
  tensors: readonly Tensor[],
  asked: readonly Asked[] | undefined,
): [Tensor, Asked | undefined][] {
  if (!asked) return tensors.map((tensor) => [tensor, undefined])
  return asked.map((one) => {
    const tensor = tensors.find(({ name }) => name === one.name)
    if (!tensor)
      throw invalidInput(
        `The model has no output "${one.name}"; it gives ${tensors.map(({ name }) => `"${name}"`).join(', ')}.`,
      )
    return [tensor, one]
  })
}

function inJson(tensor: Tensor): string {
  const { data, parameters } = jsonOf(tensor)
  const all = { ...tensor.parameters, ...parameters }
  const told = Object.keys(all).length > 0 ? `,"parameters":${JSON.stringify(all)}` : ''
  return `{${head(tensor)}${told},"data":${data}}`
}

const head = ({ name, datatype, shape }: Tensor): string =>
  `"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":${JSON.stringify(shape)}`
