import { readFile } from 'node:fs/promises'
import type { InferenceSession, Tensor as OrtTensor, TypedTensor } from 'onnxruntime-node'
import { bytesElements, type Datatype, datatypeOfNumber, joinedElements, numbersOf, type Tensor } from '../tensor.ts'
import type { GraphSession } from './graph-session.ts'
import type { ModelFacts, TensorFacts } from './model-facts.ts'
import { withoutZipMaps } from './onnx-zipmap.ts'

/** The words of ONNX Runtime for what the protocol calls otherwise. */
const datatypeOfOrt: Record<string, Datatype> = { ...datatypeOfNumber, string: 'BYTES' }
const ortOfDatatype = Object.fromEntries(Object.entries(datatypeOfOrt).map(([ort, datatype]) => [datatype, ort]))

type Ort = typeof import('onnxruntime-node')

/** A graph of ONNX in this process. It computes on the calling thread: while it does, nothing else happens. */
export class OnnxSession implements GraphSession {
  readonly facts: Pick<ModelFacts, 'inputs' | 'outputs'>
  readonly #ort: Ort
  readonly #session: InferenceSession

  private constructor(ort: Ort, session: InferenceSession, labels: Map<string, string[]>) {
    this.#ort = ort
    this.#session = session
    this.facts = {
      inputs: session.inputMetadata.map(factsOf).filter((one) => one !== undefined),
      outputs: session.outputMetadata
        .map(factsOf)
        .filter((one) => one !== undefined)
        .map((one) => (labels.has(one.name) ? { ...one, labels: labels.get(one.name)! } : one)),
    }
    if (this.facts.inputs.length < session.inputMetadata.length)
      throw new Error('the graph takes maps or sequences, which no protocol here can carry')
    if (this.facts.outputs.length === 0)
      throw new Error('the graph answers maps or sequences only, which no protocol here can carry')
  }

  /** @param graph the file's path, or the file itself @throws Error as ONNX Runtime words it */
  static async open(graph: string | Uint8Array, threads: number): Promise<OnnxSession> {
    // The library tells its makers of its use unless it is told not to, by its environment alone; it reads that when it is loaded.
    process.env.ORT_DISABLE_TELEMETRY ??= '1'
    // Loaded when the first graph is: the library takes 50 MB, and most processes of ours serve no graph.
    const ort = await import('onnxruntime-node')
    const options: InferenceSession.SessionOptions = {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
      // Warm threads of an idle model would burn a core each.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    }
    const create = (from: string | Uint8Array) => ort.InferenceSession.create(from as string, options)
    const session = await create(graph)
    if (session.outputMetadata.every(({ isTensor }) => isTensor)) return new OnnxSession(ort, session, new Map())
    const plain = withoutZipMaps(typeof graph === 'string' ? await readFile(graph) : graph)
    if (!plain) return new OnnxSession(ort, session, new Map())
    await session.release()
    return new OnnxSession(ort, await create(plain.graph), plain.labels)
  }

  async run(tensors: readonly Tensor[]): Promise<Tensor[]> {
    const feeds = Object.fromEntries(tensors.map((tensor) => [tensor.name, this.#toOrt(tensor)]))
    const answered = await this.#session.run(
      feeds,
      this.facts.outputs.map(({ name }) => name),
    )
    return this.facts.outputs.map(({ name }) => fromOrt(name, answered[name]!))
  }

  close(): Promise<void> {
    return this.#session.release()
  }

  #toOrt(tensor: Tensor): OrtTensor {
    const { datatype, shape, bytes } = tensor
    if (datatype === 'BYTES')
      return new this.#ort.Tensor(
        'string',
        (bytesElements(bytes) ?? []).map((element) => element.toString('utf8')),
        shape,
      )
    const type = ortOfDatatype[datatype] as 'float32'
    const numbers = numbersOf(tensor)
    const made = new this.#ort.Tensor(type, numbers as Float32Array, shape)
    // The library turns half floats into a Float16Array, which its own binding (1.30) takes for an empty one.
    if (datatype === 'FP16') Object.assign(made, { cpuData: numbers })
    return made
  }
}

function fromOrt(name: string, value: OrtTensor): Tensor {
  const datatype = datatypeOfOrt[value.type]
  if (!datatype) throw new Error(`the output "${name}" is of ${value.type}, which no protocol here can carry`)
  const shape = [...value.dims]
  if (datatype === 'BYTES') {
    const texts = (value as TypedTensor<'string'>).data
    return { name, datatype, shape, bytes: joinedElements(texts.map((text) => Buffer.from(text))) }
  }
  const data = value.data as Float32Array
  return { name, datatype, shape, bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength) }
}

function factsOf(metadata: InferenceSession.ValueMetadata): TensorFacts | undefined {
  if (!metadata.isTensor) return undefined
  const datatype = datatypeOfOrt[metadata.type]
  if (!datatype) throw new Error(`"${metadata.name}" is of ${metadata.type}, which no protocol here can carry`)
  return {
    name: metadata.name,
    datatype,
    shape: metadata.shape.map((size) => (typeof size === 'number' ? size : -1)),
    required: true,
  }
}
