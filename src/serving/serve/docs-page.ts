import type { TensorFacts } from '../models/model-facts.ts'
import type { ServedName } from '../protocols/model-repository.ts'
import { exampleInference, exampleScoring } from './example-request.ts'

/** A page of the model's signature and of requests to copy; it needs nothing but itself. */
export function docsPage(model: ServedName, inputExample: unknown): string {
  const { name, version, facts } = model
  const path = `/v2/models/${encodeURIComponent(name)}/infer`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${text(name)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}
pre{background:#f3f3f1;color:#1a1a1a;padding:.75rem;overflow-x:auto}table{border-collapse:collapse}
td,th{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ccc}</style></head><body>
<h1>${text(name)}</h1><p>Version ${text(version)}. The same as a file for tools: <a href="openapi.json">openapi.json</a>.</p>
<h2>It takes</h2>${table(facts.inputs, 'No signature says what: the model gets what is sent.')}
<h2>It gives</h2>${table(facts.outputs, 'No signature says what.')}
<h2>MLflow's scoring protocol</h2>${curl('/invocations', inputExample ?? exampleScoring(facts))}
<h2>Open Inference Protocol</h2>${curl(path, exampleInference(facts))}
</body></html>
`
}

function table(tensors: readonly TensorFacts[], none: string): string {
  if (tensors.length === 0) return `<p>${none}</p>`
  const rows = tensors.map(
    ({ name, datatype, shape, columnType }) =>
      `<tr><td>${text(name)}</td><td>${datatype}</td><td>[${shape.join(', ')}]</td><td>${text(columnType ?? '')}</td></tr>`,
  )
  return `<table><tr><th>name</th><th>datatype</th><th>shape</th><th>column</th></tr>${rows.join('')}</table>`
}

const curl = (path: string, body: unknown): string =>
  `<pre>curl http://HOST:PORT${text(path)} -H 'Content-Type: application/json' -d '${text(JSON.stringify(body).replaceAll("'", "'\\''"))}'</pre>`

const text = (raw: string): string =>
  raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
