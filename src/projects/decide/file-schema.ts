import { z } from 'zod'
import type { PythonEnvironment } from '../project-file.ts'
import { dataSource } from './data-schema.ts'
import { deployment } from './deployment-schema.ts'
import { map, named, section, written } from './grammar.ts'
import { model } from './model-schema.ts'
import { filePath, share } from './schema-words.ts'
import { step } from './step-schema.ts'

// The shape of modelwright.yaml. The schemas here and in the files beside (data, step, score, model, deployment) are the only place that
// knows its words: each reads what the file says and gives what the types in project-file.ts say; what needs more than one
// place of the file is in file-semantics.ts.

const python = map(
  {
    version: written('a version in quotes, such as ">= 3.11"', (text) =>
      /^\s*((~=|==|!=|<=|>=|<|>)?\s*\d+(\.(\d+|\*))*\s*)(,\s*(~=|==|!=|<=|>=|<|>)\s*\d+(\.(\d+|\*))*\s*)*$/.test(text)
        ? text.trim()
        : undefined,
    ).optional(),
    requirements: filePath('the path of a requirements.txt or pyproject.toml').optional(),
    conda: filePath('the path of an environment.yml').optional(),
  },
  ['image', 'environment'],
).transform(({ version, requirements, conda }, context): PythonEnvironment => {
  const refuse = (message: string, ...path: string[]) => {
    context.addIssue({ code: 'custom', path, message })
    return z.NEVER
  }
  if (requirements !== undefined && conda !== undefined)
    return refuse('found conda: beside requirements:; an environment is made from one of them', 'conda')
  if (conda !== undefined && version !== undefined)
    return refuse('found version: beside conda:; name python among the dependencies of the conda file', 'version')
  if (conda !== undefined) return { requirements: conda, conda: true }
  if (requirements === undefined) return refuse('found neither requirements: nor conda:; name a requirements.txt')
  if (/\.ya?ml$/.test(requirements))
    return refuse(`found "${requirements}"; write a conda file as conda:`, 'requirements')
  return { requirements, ...(version === undefined ? {} : { version }) }
})

const branch = written('the name of a Git branch', (text) => {
  const wellFormed =
    /^[A-Za-z0-9][A-Za-z0-9_./-]{0,199}$/.test(text) && !/\.\.|\/\/|\/\.|\.$|\/$|\.lock(\/|$)/.test(text)
  return wellFormed && text !== 'HEAD' ? text : undefined
})

/** modelwright.yaml as it is written, read into what project-file.ts says; see parseProjectFile for the rest. */
export const fileSchema = map(
  {
    project: named('the name of the project'),
    branch: branch.default('main'),
    sample: share
      .refine((value) => value > 0 && value <= 1, { error: 'expected a share above 0% and up to 100%' })
      .optional(),
    python: python.optional(),
    data: section(dataSource),
    steps: section(step),
    models: section(model),
    deployments: section(deployment),
  },
  [
    ...['features', 'labels', 'searches', 'environments', 'secrets', 'durability', 'entities', 'alerts', 'notify'],
    ...['access', 'roles', 'forge', 'remote', 'schedules', 'pipelines', 'include', 'engine', 'budget', 'lineage'],
  ],
)

export type FileShape = z.output<typeof fileSchema>
