import { posix } from 'node:path'
import { AppError } from '../../kernel/errors.ts'
import { pythonFloat, pythonJson, pythonList, pythonText } from '../../kernel/python-text.ts'
import type { DatasetInput, KeyValue, MetricPoint } from '../tracking.ts'

/**
 * What MLflow refuses, in its words, which clients and their tests rely on. Lengths in characters.
 * Source: mlflow 3.17.2, utils/validation.py. All throw BadRequest.
 */
export const limits = {
  metricsPerBatch: 1000,
  paramsPerBatch: 100,
  tagsPerBatch: 100,
  entitiesPerBatch: 1000,
  key: 250,
  paramValue: 6000,
  tagValue: 8000,
  experimentName: 500,
  experimentTagValue: 20_000,
  registryTagValue: 100_000,
  datasetName: 500,
  datasetDigest: 36,
  datasetSource: 65_535,
  datasetSchema: 1_048_575,
  datasetProfile: 16_777_215,
  inputTagKey: 255,
  inputTagValue: 500,
} as const

/** MLflow's INVALID_PARAMETER_VALUE, in its own words. */
export function invalid(message: string): AppError {
  return new AppError('BadRequest', message, 'See the MLflow documentation of this call.')
}

const invalidValue = (path: string, value: unknown, reason?: string): string =>
  `Invalid value ${pythonJson(value)} for parameter '${path}' supplied${reason ? `: ${reason}` : '.'}`

const nameRule =
  'Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).'

/** A key of a metric, param or tag: letters, digits and `_ - . : / space`, and equal to its normalised path. */
function checkKey(path: string, key: string): void {
  if (!/^[/\p{L}\p{N}_.\- :]*$/u.test(key)) throw invalid(invalidValue(path, key, nameRule))
  const resolved = pythonNormpath(key)
  if (resolved !== key || resolved === '.' || resolved.startsWith('..') || resolved.startsWith('/'))
    throw invalid(invalidValue(path, key, resolvesElsewhere(resolved)))
}

function checkLength(what: string, limit: number, value: string): void {
  if (isLonger(value, limit)) throw invalid(`'${what}' exceeds the maximum length of ${limit} characters`)
}

/** `path` (`metrics[3]`) says where in a batch it stands; empty for one alone. */
export function checkMetric(metric: MetricPoint, path = ''): void {
  checkKey(join(path, 'name'), metric.key)
  if (metric.timestamp < 0)
    throw invalid(
      invalidValue(
        join(path, 'timestamp'),
        metric.timestamp,
        `metric '${metric.key}' (value=${pythonFloat(metric.value)}). Timestamp must be a nonnegative long (64-bit integer) `,
      ),
    )
  checkLength('Metric name', limits.key, metric.key)
}

/** As `checkMetric`. Its value is cut, not refused: `cutParam`. */
export function checkParam(param: KeyValue, path = ''): void {
  checkKey(join(path, 'key'), param.key)
  checkLength('Param key', limits.key, param.key)
}

/** A run's tag; of an experiment or in the registry with `valueLimit`, beyond which the value is refused. */
export function checkTag(tag: KeyValue, path = '', valueLimit?: number): void {
  checkKey(join(path, 'key'), tag.key)
  checkLength(join(path, 'key'), limits.key, tag.key)
  if (valueLimit !== undefined) checkLength(join(path, 'value'), valueLimit, tag.value)
}

/** Long values of params and of runs' tags are cut, as MLflow does by default: a training run must not die of a long value. */
export const cutParam = ({ key, value }: KeyValue): KeyValue => ({ key, value: cut(value, limits.paramValue) })
/** As `cutParam`. */
export const cutTag = ({ key, value }: KeyValue): KeyValue => ({ key, value: cut(value, limits.tagValue) })

/** By code points, as Python counts: half a surrogate pair would be no text. */
const cut = (value: string, length: number): string =>
  value.length <= length ? value : [...value.slice(0, 2 * length)].slice(0, length).join('')

/** Of a value of megabytes only what decides is looked at: a code point has at most two units. */
const isLonger = (value: string, limit: number): boolean =>
  value.length > limit && [...value.slice(0, 2 * limit + 1)].length > limit

export type Batch = { metrics?: readonly MetricPoint[]; params?: readonly KeyValue[]; tags?: readonly KeyValue[] }

/** Every entry, the counts, and that no param comes twice. */
export function checkBatch({ metrics = [], params = [], tags = [] }: Batch): void {
  for (const [index, metric] of metrics.entries()) checkMetric(metric, `metrics[${index}]`)
  for (const [index, param] of params.entries()) checkParam(param, `params[${index}]`)
  for (const [index, tag] of tags.entries()) checkTag(tag, `tags[${index}]`)
  checkCount('metrics', limits.metricsPerBatch, metrics.length)
  checkCount('params', limits.paramsPerBatch, params.length)
  checkCount('tags', limits.tagsPerBatch, tags.length)
  checkCount('metrics, params, and tags', limits.entitiesPerBatch, metrics.length + params.length + tags.length)
  const twice = params.filter((param, index) => params.findIndex((other) => other.key === param.key) < index)
  if (twice.length > 0)
    throw invalid(
      `Duplicate parameter keys have been submitted: ${pythonList(twice.map(({ key }) => key))}. ` +
        'Please ensure the request contains only one param value per param key.',
    )
}

/** The lengths of a dataset's fields and of its tags. */
export function checkDatasetInput({ dataset, tags }: DatasetInput): void {
  checkLength('name', limits.datasetName, dataset.name)
  checkLength('digest', limits.datasetDigest, dataset.digest)
  checkLength('source', limits.datasetSource, dataset.source)
  checkLength('schema', limits.datasetSchema, dataset.schema ?? '')
  checkLength('profile', limits.datasetProfile, dataset.profile ?? '')
  for (const [key, value] of Object.entries(tags)) {
    checkLength('key', limits.inputTagKey, key)
    checkLength('value', limits.inputTagValue, value)
  }
}

/** A letter or digit, then at most 255 letters, digits, `_` and `-`. */
export function checkRunId(runId: string): void {
  if (!/^[a-zA-Z0-9][\w-]{0,255}$/.test(runId)) throw invalid(invalidValue('run_id', runId))
}

/** Anything but nothing, at most 500 characters. */
export function checkExperimentName(name: string): void {
  if (name === '') throw invalid(`Invalid experiment name: '${name}'`)
  checkLength('name', limits.experimentName, name)
}

/** A registered model's name: no `/` or `:`, and equal to its normalised path. */
export function checkModelName(name: string, parameter = 'name'): void {
  if (name.trim() === '') throw invalid(`Missing value for required parameter '${parameter}'.`)
  if (/[/:]/.test(name)) throw invalid(`Invalid model name '${name}'. Names cannot contain '/' or ':'.`)
  const resolved = pythonNormpath(name)
  if (resolved !== name || resolved === '.' || resolved.startsWith('..'))
    throw invalid(invalidValue('name', name, resolvesElsewhere(resolved)))
}

/** Not empty, and none of `/ : . % " '`. */
export function checkLoggedModelName(name: string): void {
  const forbidden = ['/', ':', '.', '%', '"', "'"]
  if (name === '' || forbidden.some((character) => name.includes(character)))
    throw invalid(
      `Invalid model name (${pythonText(name)}) provided. Model name must be a non-empty string and cannot contain the following characters: ` +
        "('/', ':', '.', '%', '\"', \"'\")",
    )
}

/** Letters, digits, `_` and `-`, at most 255. */
export function checkAlias(alias: string): void {
  if (alias === '') throw invalid('Registered model alias name cannot be empty.')
  if (!/^[\p{L}\p{N}_-]*$/u.test(alias))
    throw invalid(
      `Invalid alias name: '${alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).`,
    )
  checkLength('Registered model alias name', 255, alias)
}

/** These would be taken for `models:/name@latest` and `models:/name/3`. */
export function checkAliasIsFree(alias: string): void {
  if (alias.toLowerCase() === 'latest') throw invalid("'latest' alias name (case insensitive) is reserved.")
  if (/^[vV]\d+$/.test(alias)) throw invalid(`Version alias name '${alias}' is reserved.`)
}

function checkCount(what: string, limit: number, count: number): void {
  if (count > limit)
    throw invalid(
      `A batch logging request can contain at most ${limit} ${what}. Got ${count} ${what}. ` +
        `Please split up ${what} across multiple requests and try again.`,
    )
}

const resolvesElsewhere = (resolved: string): string =>
  'Names may be treated as files in certain cases, and must not resolve to other names when treated as such. ' +
  `This name would resolve to ${pythonText(resolved)}`

/** Python keeps no trailing slash, but exactly two leading ones; Node the other way round. */
const pythonNormpath = (path: string): string => {
  const resolved = posix.normalize(path)
  const ended = resolved.length > 1 ? resolved.replace(/\/$/, '') : resolved
  return /^\/\/(?!\/)/.test(path) ? `/${ended}` : ended
}

const join = (path: string, field: string): string => (path === '' ? field : `${path}.${field}`)
