import { parse } from 'yaml'
import { AppError } from '../../kernel/errors.ts'
import type { JsonScalar, ParamFile } from '../project-file.ts'
import { type DvcValues, interpolated, isMap, isScalar, merged, resolved, scalarsIn, valueAt } from './dvc-values.ts'
import { readYaml, type YamlSource } from './yaml-source.ts'

export const dvcFileName = 'dvc.yaml'
const defaultParams = 'params.yaml'

/** Stages as the steps of a modelwright.yaml, and for each the parts of files of parameters that it names. */
export type DvcSteps = { steps: Record<string, Record<string, unknown>>; paramFiles: Record<string, ParamFile[]> }

/** Words that are carried out, or that say nothing about what is carried out. */
const stageWords =
  'cmd wdir deps params outs metrics plots vars foreach do matrix frozen always_changed desc meta'.split(' ')
const fileWords = 'stages vars params metrics plots artifacts'.split(' ')
const outWords = 'cache desc type labels meta push remote'.split(' ')

/** Files that a dvc.yaml takes values from; what is none of a repository's is left out. */
export function dvcValueFiles(text: string): string[] {
  const found = new Set([defaultParams])
  const { stages, vars } = rootOf(text).value
  const add = (wdir: string, entries: unknown, fileOf: (entry: unknown) => string[]) => {
    for (const entry of Array.isArray(entries) ? entries : [])
      for (const file of fileOf(entry)) found.add(inFolder(wdir, file))
  }
  const varsFile = (entry: unknown) => (typeof entry === 'string' ? [entry.split(':')[0]!] : [])
  const paramsFile = (entry: unknown) => (isMap(entry) ? Object.keys(entry) : [])
  add('', vars, varsFile)
  for (const written of Object.values(isMap(stages) ? stages : {})) {
    const stage = isMap(written) && isMap(written.do) ? written.do : written
    if (!isMap(stage)) continue
    const wdir = typeof stage.wdir === 'string' ? stage.wdir : ''
    found.add(inFolder(wdir, defaultParams))
    add(wdir, stage.vars, varsFile)
    add(wdir, stage.params, paramsFile)
  }
  return [...found]
}

/**
 * The stages of a dvc.yaml with the meaning that DVC gives them. `files`: the texts of those of `dvcValueFiles` that there are.
 * @throws AppError ConfigInvalid where it is no dvc.yaml, NotYetSupported for a word that is not carried out; both with its line.
 */
export function readDvcFile(text: string, files: ReadonlyMap<string, string>): DvcSteps {
  return new Reader(text, files).read()
}

function rootOf(text: string): YamlSource & { value: Record<string, unknown> } {
  const read = readYaml(text)
  if ('problems' in read) {
    const [first] = read.problems
    throw problem('ConfigInvalid', first!.text, first!)
  }
  const value = read.source.value ?? {}
  if (!isMap(value)) throw problem('ConfigInvalid', 'expected a map with stages:', { line: 1, column: 1 })
  return { ...read.source, value }
}

type Place = { line: number; column: number }
type Code = 'ConfigInvalid' | 'NotYetSupported'

const problem = (code: Code, text: string, { line, column }: Place): AppError =>
  new AppError(
    code,
    `${dvcFileName}:${line}:${column} ${text}`,
    code === 'ConfigInvalid'
      ? `Correct ${dvcFileName} there.`
      : `Write the stage as a step of modelwright.yaml, or take the word out of ${dvcFileName}.`,
    { place: { file: dvcFileName, line, column } },
  )

class Reader {
  readonly #source: YamlSource & { value: Record<string, unknown> }
  readonly #files: ReadonlyMap<string, string>
  readonly #steps: DvcSteps = { steps: {}, paramFiles: {} }

  constructor(text: string, files: ReadonlyMap<string, string>) {
    this.#source = rootOf(text)
    this.#files = files
  }

  read(): DvcSteps {
    const { value } = this.#source
    this.#refuseOthers(value, fileWords, [])
    const values = this.#withVars({ ...this.#valuesIn(defaultParams) }, value.vars, '', ['vars'])
    for (const [name, written] of Object.entries(isMap(value.stages) ? value.stages : {})) {
      const path = ['stages', name]
      if (!isMap(written)) throw this.#fail('ConfigInvalid', path, `expected a map for the stage "${name}"`)
      this.#refuseOthers(written, stageWords, path)
      this.#readLoop(name, written, values, path)
    }
    return this.#steps
  }

  #readLoop(name: string, written: Record<string, unknown>, values: DvcValues, path: string[]): void {
    const fail = (text: string) => this.#fail('ConfigInvalid', path, text)
    if (written.foreach !== undefined) {
      const over = resolved(written.foreach, values, fail)
      if (!isMap(written.do)) throw fail('expected do: beside foreach:')
      for (const { key, item } of entriesOf(over, fail))
        this.#add(`${name}-${slug(key)}`, written.do, { ...values, item, ...(isMap(over) ? { key } : {}) }, path)
    } else if (written.matrix !== undefined) {
      if (!isMap(written.matrix)) throw fail('expected a map of lists for matrix:')
      for (const { key, item } of combinations(written.matrix, (axis) => entriesOf(resolved(axis, values, fail), fail)))
        this.#add(`${name}-${slug(key)}`, written, { ...values, item, key }, path)
    } else this.#add(name, written, values, path)
  }

  #add(name: string, stage: Record<string, unknown>, outer: DvcValues, path: string[]): void {
    const fail = (text: string) => this.#fail('ConfigInvalid', path, text)
    if (stage.frozen === true) throw this.#fail('NotYetSupported', [...path, 'frozen'], 'asks for a frozen stage')
    const wdir = typeof stage.wdir === 'string' ? interpolated(stage.wdir, outer, fail) : ''
    const local = wdir ? merged({ ...outer }, this.#valuesIn(inFolder(wdir, defaultParams))) : { ...outer }
    const values = this.#withVars(local, stage.vars, wdir, [...path, 'vars'])
    const paths = (word: string) => this.#paths(stage[word], values, wdir, [...path, word])
    const metrics = paths('metrics')
    const [metricsFile] = metrics.filter((file) => file.endsWith('.json'))
    const named = this.#namedParams(stage.params, values, wdir, [...path, 'params'])
    const deps = unique([...paths('deps'), ...named.whole])
    this.#steps.steps[name] = {
      run: this.#command(stage.cmd, values, wdir, path),
      deps,
      outs: unique([...paths('outs'), ...paths('plots'), ...metrics.filter((file) => file !== metricsFile)]),
      ...(Object.keys(named.values).length > 0 ? { params: named.values } : {}),
      ...(metricsFile ? { metrics: metricsFile } : {}),
      ...(stage.always_changed === true ? { always: true } : {}),
    }
    // What the stage takes whole needs no narrowing.
    const narrowed = named.files.filter((file) => !deps.includes(file.path))
    if (narrowed.length > 0) this.#steps.paramFiles[name] = narrowed
  }

  /** DVC's list of commands ends with the first that fails. */
  #command(cmd: unknown, values: DvcValues, wdir: string, path: string[]): string {
    const fail = (text: string) => this.#fail('ConfigInvalid', [...path, 'cmd'], text)
    const lines = typeof cmd === 'string' ? [cmd] : Array.isArray(cmd) ? cmd : []
    if (lines.length === 0 || !lines.every((line) => typeof line === 'string'))
      throw fail('expected cmd: a command, or a list of them')
    const filled = lines.map((line) => interpolated(line, values, fail).trim())
    const all = wdir ? [`cd '${wdir.replaceAll("'", "'\\''")}'`, ...filled] : filled
    return all.length === 1 ? all[0]! : ['set -e', ...all].join('\n')
  }

  #paths(entries: unknown, values: DvcValues, wdir: string, path: string[]): string[] {
    return (Array.isArray(entries) ? entries : []).map((entry, index) => {
      const fail = (text: string) => this.#fail('ConfigInvalid', [...path, String(index)], text)
      const [name, options] =
        typeof entry === 'string' ? [entry, null] : isMap(entry) ? (Object.entries(entry)[0] ?? []) : []
      if (typeof name !== 'string') throw fail('expected a path')
      if (isMap(options))
        this.#refuseOthers(options, path.at(-1) === 'plots' ? Object.keys(options) : outWords, [
          ...path,
          String(index),
          name,
        ])
      const filled = interpolated(name, values, fail)
      if (/^[a-z][a-z0-9+.-]*:\/\//i.test(filled))
        throw this.#fail(
          'NotYetSupported',
          [...path, String(index)],
          `asks for "${filled}", which lies outside of the repository`,
        )
      return inFolder(wdir, filled)
    })
  }

  /** `lr`, `train.lr` of params.yaml; `{other.yaml: [a, b]}` of another file; a file without keys is taken whole. */
  #namedParams(entries: unknown, values: DvcValues, wdir: string, path: string[]) {
    const keys = new Map<string, string[]>()
    for (const [index, entry] of (Array.isArray(entries) ? entries : []).entries()) {
      const fail = (text: string) => this.#fail('ConfigInvalid', [...path, String(index)], text)
      if (typeof entry === 'string') add(keys, inFolder(wdir, defaultParams), [interpolated(entry, values, fail)])
      else if (isMap(entry))
        for (const [file, named] of Object.entries(entry))
          add(keys, inFolder(wdir, interpolated(file, values, fail)), Array.isArray(named) ? named.map(String) : [])
      else throw fail('expected the name of a parameter')
    }
    const whole: string[] = []
    const files: ParamFile[] = []
    const found: Record<string, JsonScalar> = {}
    for (const [file, names] of keys) {
      if (names.length === 0) {
        whole.push(file)
        continue
      }
      if (!/\.(ya?ml|json)$/.test(file))
        throw this.#fail(
          'NotYetSupported',
          path,
          `asks for single parameters of "${file}"; only those of .yaml and .json files are read`,
        )
      const inFile = this.#valuesIn(file)
      for (const name of names) {
        const value = valueAt(inFile, name)
        if (value === undefined)
          throw this.#fail('ConfigInvalid', path, `found the parameter "${name}", which "${file}" does not have`)
        // Of two files the same name may be meant: DVC tells them apart by the file.
        Object.assign(
          found,
          scalarsIn(value, file === inFolder(wdir, defaultParams) ? name : `${paramName(file)}.${name}`),
        )
      }
      files.push({
        path: file,
        keys: names,
        prefix: file === inFolder(wdir, defaultParams) ? '' : `${paramName(file)}.`,
      })
    }
    return { whole, files, values: found }
  }

  #withVars(values: Record<string, unknown>, vars: unknown, wdir: string, path: string[]): Record<string, unknown> {
    let all = values
    for (const [index, entry] of (Array.isArray(vars) ? vars : []).entries()) {
      if (isMap(entry)) all = merged(all, entry)
      else if (typeof entry === 'string') {
        const [file = '', keys] = entry.split(':')
        const inFile = this.#valuesIn(inFolder(wdir, file))
        if (!this.#files.has(inFolder(wdir, file)))
          throw this.#fail(
            'ConfigInvalid',
            [...path, String(index)],
            `found "${file}", but the commit holds no such file`,
          )
        all = merged(all, keys ? Object.fromEntries(keys.split(',').map((key) => [key, valueAt(inFile, key)])) : inFile)
      }
    }
    return all
  }

  #valuesIn(file: string): Record<string, unknown> {
    const text = this.#files.get(file)
    if (text === undefined || !/\.(ya?ml|json)$/.test(file)) return {}
    try {
      const value: unknown = parse(text, { maxAliasCount: 50, logLevel: 'silent' })
      return isMap(value) ? value : {}
    } catch (cause) {
      throw new AppError(
        'ConfigInvalid',
        `${file} is neither YAML nor JSON: ${cause instanceof Error ? cause.message : cause}`,
        `Correct ${file}.`,
        { cause },
      )
    }
  }

  #refuseOthers(map: Record<string, unknown>, known: readonly string[], path: string[]): void {
    const other = Object.keys(map).find((word) => !known.includes(word))
    if (other !== undefined)
      throw this.#fail(
        'NotYetSupported',
        [...path, other],
        `asks for "${other}", which this version does not carry out`,
      )
  }

  #fail(code: Code, path: readonly string[], text: string): AppError {
    const numbers = path.map((part) => (/^\d+$/.test(part) ? Number(part) : part))
    return problem(code, text, this.#source.placeOf(numbers, 'key'))
  }
}

function entriesOf(over: unknown, fail: (text: string) => AppError): { key: string; item: unknown }[] {
  if (isMap(over)) return Object.entries(over).map(([key, item]) => ({ key, item }))
  if (Array.isArray(over))
    return over.map((item, index) => ({ key: isScalar(item) ? String(item) : String(index), item }))
  throw fail('expected a list or a map to go through')
}

function combinations(axes: Record<string, unknown>, entries: (axis: unknown) => { key: string; item: unknown }[]) {
  let all: { key: string; item: Record<string, unknown> }[] = [{ key: '', item: {} }]
  for (const [name, axis] of Object.entries(axes))
    all = all.flatMap((one) =>
      entries(axis).map(({ key, item }) => ({
        key: `${one.key}${one.key ? '-' : ''}${isScalar(item) ? key : `${name}${key}`}`,
        item: { ...one.item, [name]: item },
      })),
    )
  return all
}

/** DVC calls it `train@a`; here `@` is kept for what Modelwright itself adds. */
const slug = (key: string): string => key.replaceAll(/[^A-Za-z0-9_.-]+/g, '_')

const paramName = (file: string): string => file.replace(/\.\w+$/, '').replaceAll(/[^A-Za-z0-9_.-]/g, '_')

function add(into: Map<string, string[]>, file: string, keys: readonly string[]): void {
  into.set(file, [...(into.get(file) ?? []), ...keys])
}

function inFolder(folder: string, path: string): string {
  const parts: string[] = []
  for (const part of `${folder}/${path}`.split('/')) {
    if (part === '..' && parts.length > 0) parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}

const unique = (items: readonly string[]): string[] => [...new Set(items)]
