import { Worker } from 'node:worker_threads'
import { type GraphCore, graphCore } from './graph-core.ts'
import { type OnnxGraph, readOnnx } from './onnx-file.ts'

/** `graph`: without the long lists of its core, which are read into that. */
export type ReadGraph = { graph: OnnxGraph; core: GraphCore | undefined }

export type FromReader = { read: ReadGraph } | { problem: string }

const smallFileBytes = 500_000
const longList = 100

/** @throws Error where the file is not what ONNX writes */
export function readGraph(file: Uint8Array): ReadGraph {
  const graph = readOnnx(file)
  const core = graphCore(graph)
  const nodes = graph.nodes.map((node) => ({
    ...node,
    attributes: new Map(
      [...node.attributes].filter(([, { numbers, texts }]) => numbers.length <= longList && texts.length <= longList),
    ),
  }))
  return { graph: { ...graph, nodes }, core }
}

/** Reading a forest of a hundred thousand nodes takes a second: that is done in a thread, while this one answers. */
export async function readGraphFile(path: string, file: Uint8Array): Promise<ReadGraph> {
  if (file.length < smallFileBytes) return readGraph(file)
  const reader = new Worker(mainModule, { workerData: path })
  try {
    const told = await new Promise<FromReader>((resolve, reject) => {
      reader.once('message', resolve)
      reader.once('error', reject)
      reader.once('exit', () => reject(new Error('the thread that reads the graph ended')))
    })
    if ('problem' in told) throw new Error(told.problem)
    return told.read
  } finally {
    await reader.terminate()
  }
}

/** Beside this file in the sources, beside the bundle in dist (tools/build.mjs names it as an entry). */
const mainModule = new URL(
  import.meta.url.endsWith('.ts') ? './read-graph-main.ts' : './read-graph-main.js',
  import.meta.url,
)
