// node bare-server.mjs GRAPH PORT: the least that can answer: HTTP, JSON, and one call of ONNX Runtime. What a server costs beyond it is its own.
import { createServer } from 'node:http'

process.env.ORT_DISABLE_TELEMETRY = '1'
const { InferenceSession, Tensor } = (await import('onnxruntime-node')).default
const [graph, port] = process.argv.slice(2)
const session = await InferenceSession.create(graph, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
})
const [input] = session.inputNames
const [output] = session.outputNames
createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', async () => {
    if (request.url === '/health') return response.end()
    const { inputs } = JSON.parse(Buffer.concat(chunks).toString())
    const rows = new Tensor('float64', Float64Array.from(inputs.flat()), [inputs.length, inputs[0].length])
    const answered = await session.run({ [input]: rows }, [output])
    const body = JSON.stringify({ predictions: Array.from(answered[output].data, Number) })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
}).listen(Number(port), '127.0.0.1')
