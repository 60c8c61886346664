import type { Cause, Comparison, RandomSource, StepComparison } from '../reproduction.ts'

/** The verdict in one sentence: what agrees, or what differs first and why. */
export function tellReproduction(name: string, comparison: Comparison): string {
  const { outcome, first } = comparison
  if (outcome === 'identical') return `${name} was made again bit for bit: ${comparedText(comparison)} are the same.`
  const differs = first ? ` ${firstText(comparison, first)}` : ''
  if (outcome === 'equal within tolerance')
    return `${name} was made again with equal metrics and predictions (tolerance ${comparison.compared.tolerance}), though not with the same bytes.${differs}`
  return `${name} could not be made again: the result is different.${differs}`
}

const counted = (n: number, one: string): string => `${n} ${n === 1 ? one : `${one}s`}`

function comparedText({ compared: { steps, files, metrics, models } }: Comparison): string {
  const parts = [counted(files, 'file'), counted(metrics, 'metric'), counted(models, 'model')]
  return `${parts.filter((part) => !part.startsWith('0 ')).join(', ') || 'all results'} of ${counted(steps, 'step')}`
}

function firstText({ steps }: Comparison, { step, causes }: NonNullable<Comparison['first']>): string {
  const own = steps.find((one) => one.step === step)
  const what = own && whatDiffers(own)
  const why = causes.map(causeText).join('; ')
  return `It differs first in ${step}${what ? ` (${what})` : ''}${why ? `: ${why}` : ''}.`
}

const shown = 3

/** The files, metrics and model of a step that are others, a few by name. */
export function whatDiffers({ files, metrics, model }: StepComparison): string {
  const names = [
    ...files.map(({ path }) => path),
    ...metrics.map(({ name }) => `metric ${name}`),
    ...(model && !model.same ? [`model ${model.name}`] : []),
  ]
  return names.length <= shown
    ? names.join(', ')
    : `${names.slice(0, shown).join(', ')} and ${names.length - shown} more`
}

const sourceText: Record<RandomSource, string> = {
  'random numbers': 'it draws random numbers that no seed governs',
  clock: 'its result depends on the clock',
  'hash seed': "its result depends on the order of a set, which follows Python's hash seed",
  other:
    'it gives another result each time, also with clock, hash seed and random numbers held still: threads, the network, or a program that is not Python',
}

/** A cause as the end of a sentence about its step. */
export function causeText(cause: Cause): string {
  switch (cause.kind) {
    case 'input':
      return `its input ${cause.path} ${change(cause, 'is another one')}`
    case 'package':
      return cause.name === 'the environment'
        ? 'its environment is another one'
        : `package ${cause.name} ${cause.was ?? 'absent'} → ${cause.is ?? 'absent'}`
    case 'parameter':
      return `parameter ${cause.name} ${cause.was ?? 'unset'} → ${cause.is ?? 'unset'}`
    case 'variable':
      return `the environment variable ${cause.name} has another value`
    case 'seed':
      return `seed ${cause.was} → ${cause.is}`
    case 'command':
      return 'its command is another one'
    case 'random source':
      return sourceText[cause.source]
    case 'machine':
      return 'with the same inputs it gives the same here each time, but not what was recorded: another machine, or something that it reads undeclared'
    case 'step':
    case 'not found':
      return cause.text
  }
}

const change = ({ was, is }: { was?: string; is?: string }, changed: string): string =>
  was === undefined ? 'was not there' : is === undefined ? 'is gone' : changed
