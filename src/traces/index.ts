// Traces of what models and agents did, with their spans, what was said of them (assessments), and the search over them.
// It owns its own tables only: experiments and runs are tracking's, and it knows of prompts no more than their names.
// It never holds the files of traces whose spans are kept as artifacts.
export { dumps, loads, NumberText, type PythonValue } from './decide/python-json.ts'
export { spanFromOtel } from './decide/span-from-otel.ts'
export * from './traces.ts'
export { TracesService } from './traces-service.ts'
