import { readFileSync } from 'node:fs'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const script = read('../../support/log_files.py') + read('./log_model.py')

/** A project whose only step logs a model within a fraction of a second; its model has the project's name. `model`: VALUE [ABOVE] of log_model.py. */
export const fastModelFiles = (project: string, model: number | string, { python = '', rollout = '' } = {}) => ({
  'modelwright.yaml': `project: ${project}
${python}
steps:
  train: { run: python3 log_model.py ${model}, deps: [log_model.py], model: ${project}, metrics: true }
models:
  ${project}:
    gate: { objectives: [{ metric: train.score, pass: [">= 0.5"] }] }
    promote: { production: automatic }
deployments:
  production:
    model: ${project} # kept by every promotion
${rollout}
`.replaceAll(/\n\n+/g, '\n'),
  'log_model.py': script,
})
