import { describe, expect, it } from 'vitest'
import type { Digest } from '../../kernel/digest.ts'
import { isAppError } from '../../kernel/errors.ts'
import { editDeployment } from './edit-deployment.ts'
import { parseProjectFile } from './parse-project-file.ts'

const oldDigest = `sha256:${'a'.repeat(64)}` as Digest
const newDigest = `sha256:${'b'.repeat(64)}` as Digest
const promoted = { model: 'm', version: 12, digest: newDigest }
const head = 'project: p\nsteps: { train: { run: python t.py, model: m } }\n'

type Layout = { name: string; before: string; after: string; environment?: string }

const layouts: Layout[] = [
  {
    name: 'replaces values in a block map and leaves comments, blank lines and order alone',
    before: `${head}
# desired state
deployments:
  production:   # where users are
    digest:   ${oldDigest}   # what counts
    model: m

    version: 3                         # for people
    retrain: { on: ["every day 02:30"] } # nightly
# the end
`,
    after: `${head}
# desired state
deployments:
  production:   # where users are
    digest:   ${newDigest}   # what counts
    model: m

    version: 12                         # for people
    retrain: { on: ["every day 02:30"] } # nightly
# the end
`,
  },
  {
    name: 'replaces values in a flow map',
    before: `${head}deployments: { production: { model: m, version: 3, digest: ${oldDigest} }, staging: { model: m } }\n`,
    after: `${head}deployments: { production: { model: m, version: 12, digest: ${newDigest} }, staging: { model: m } }\n`,
  },
  {
    name: 'keeps the quotes of a text',
    before: `${head}deployments:\n  production:\n    model: 'm'\n    version: 3\n    digest: "${oldDigest}"\n`,
    after: `${head}deployments:\n  production:\n    model: 'm'\n    version: 12\n    digest: "${newDigest}"\n`,
  },
  {
    name: 'inserts a missing version and digest behind the model in the indentation of the file',
    before: `${head}deployments:\n    production:\n        model: m # the one\n        rollout: { canary: [5%, 100%] }\n`,
    after: `${head}deployments:\n    production:\n        model: m # the one\n        version: 12\n        digest: ${newDigest}\n        rollout: { canary: [5%, 100%] }\n`,
  },
  {
    name: 'inserts what is missing into a flow map',
    before: `${head}deployments:\n  production: { model: m, rollout: { canary: [100%] } } # x\n`,
    after: `${head}deployments:\n  production: { model: m, version: 12, digest: ${newDigest}, rollout: { canary: [100%] } } # x\n`,
  },
  {
    name: 'inserts a missing digest behind the version',
    before: `${head}deployments:\n  production:\n    version: 3\n    model: m\n`,
    after: `${head}deployments:\n  production:\n    version: 12\n    digest: ${newDigest}\n    model: m\n`,
  },
  {
    name: 'adds an environment behind the others and behind their own comments',
    environment: 'staging',
    before: `${head}deployments:\n  production:\n    model: m\n    rollout:\n      canary:\n        - 100%\n      # slowly\n\n# models end here\n`,
    after: `${head}deployments:\n  production:\n    model: m\n    rollout:\n      canary:\n        - 100%\n      # slowly\n  staging:\n    model: m\n    version: 12\n    digest: ${newDigest}\n\n# models end here\n`,
  },
  {
    name: 'adds an environment to a flow map',
    environment: 'staging',
    before: `${head}deployments: { production: { model: m } }\n`,
    after: `${head}deployments: { production: { model: m }, staging: { model: m, version: 12, digest: ${newDigest} } }\n`,
  },
  {
    name: 'adds deployments: at the end of a file that has none',
    before: head,
    after: `${head}\ndeployments:\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}\n`,
  },
  {
    name: 'adds deployments: with the indentation that the file uses',
    before: 'project: p\nsteps:\n    train:\n        run: python t.py\n        model: m\n',
    after: `project: p\nsteps:\n    train:\n        run: python t.py\n        model: m\n\ndeployments:\n    production:\n        model: m\n        version: 12\n        digest: ${newDigest}\n`,
  },
  {
    name: 'adds deployments: before the mark that ends the document',
    before: `---\n${head}...\n`,
    after: `---\n${head}\ndeployments:\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}\n...\n`,
  },
  {
    name: 'fills an empty deployments: and keeps its comment',
    before: `${head}deployments: # nothing yet\n# end\n`,
    after: `${head}deployments: # nothing yet\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}\n# end\n`,
  },
  {
    name: 'replaces {} by a block and keeps its comment',
    before: `${head}deployments: {} # nothing yet\n# end\n`,
    after: `${head}deployments: # nothing yet\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}\n# end\n`,
  },
  {
    name: 'replaces {} at the very end of a file without final line end',
    before: `${head}deployments: {}`,
    after: `${head}deployments:\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}`,
  },
  {
    name: 'fills an empty deployments: that stands before other sections',
    before: `deployments:\n${head}`,
    after: `deployments:\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}\n${head}`,
  },
  {
    name: 'keeps a file without final line end without one',
    before: `${head}deployments:\n  production:\n    model: m`,
    after: `${head}deployments:\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}`,
  },
  {
    name: 'writes JSON into JSON',
    before: '{"project": "p", "steps": {"train": {"run": "t", "model": "m"}}}\n',
    after: `{"project": "p", "steps": {"train": {"run": "t", "model": "m"}}, "deployments": { "production": { "model": "m", "version": 12, "digest": "${newDigest}" } }}\n`,
  },
  {
    name: 'writes into JSON of several lines',
    before:
      '{\n  "project": "p",\n  "steps": {"train": {"run": "t", "model": "m"}},\n  "deployments": {\n    "production": {\n      "model": "m"\n    }\n  }\n}\n',
    after: `{\n  "project": "p",\n  "steps": {"train": {"run": "t", "model": "m"}},\n  "deployments": {\n    "production": {\n      "model": "m", "version": 12, "digest": "${newDigest}"\n    }\n  }\n}\n`,
  },
  {
    name: 'replaces a digest that is written as a folded block',
    before: `${head}deployments:\n  production:\n    model: m\n    version: 3\n    digest: >-\n      ${oldDigest}\n    rollout: { canary: [100%] }\n`,
    after: `${head}deployments:\n  production:\n    model: m\n    version: 12\n    digest: ${newDigest}\n    rollout: { canary: [100%] }\n`,
  },
  {
    name: 'leaves a text with a byte order mark and non-Latin comments as it is around the values',
    before: `\uFEFF${head}# größer 模型 🚀\ndeployments:\n  production: { model: m, version: 3, digest: ${oldDigest} } # ✓\n`,
    after: `\uFEFF${head}# größer 模型 🚀\ndeployments:\n  production: { model: m, version: 12, digest: ${newDigest} } # ✓\n`,
  },
]

describe('editDeployment', () => {
  for (const { name, before, after, environment = 'production' } of layouts) {
    it(name, () => expect(editDeployment(before, environment, promoted)).toBe(after))
    it(`${name}, with CRLF`, () => {
      const crlf = (text: string) => text.replaceAll('\n', '\r\n')
      expect(editDeployment(crlf(before), environment, promoted)).toBe(crlf(after))
    })
    it(`${name}: a second edit changes only the values of the first`, () => {
      const once = editDeployment(before, environment, promoted)
      const again = editDeployment(once, environment, { ...promoted, version: 13, digest: oldDigest })
      expect(again).toBe(once.replace('12', '13').replace(newDigest, oldDigest))
      expect(parseProjectFile(again).deployments[environment]).toMatchObject({
        model: 'm',
        version: 13,
        digest: oldDigest,
      })
    })
  }

  it('gives the same text back where nothing differs', () => {
    const text = `${head}deployments:\n  production: { model: m, version: 0xC, digest: ${newDigest} }\n`
    expect(editDeployment(text, 'production', promoted)).toBe(text)
  })

  it('refuses an environment that is an alias of another one, and names it', () => {
    const text = `${head}deployments:\n  production: &p { model: m }\n  staging: *p\n`
    expect(problemOf(() => editDeployment(text, 'staging', promoted))).toContain('deployments.staging')
  })

  it('refuses to change an anchor that another environment shares', () => {
    const text = `${head}deployments:\n  production: &p { model: m }\n  staging: *p\n`
    expect(problemOf(() => editDeployment(text, 'production', promoted))).toContain('deployments.production')
  })

  it('refuses a model that the file does not declare', () => {
    const text = `${head}deployments:\n  production: { model: m }\n`
    expect(problemOf(() => editDeployment(text, 'production', { ...promoted, model: 'other' }))).toContain('"other"')
  })

  it('quotes a model name that YAML would read as something else', () => {
    const text = 'project: p\nsteps: { train: { run: t, model: "1e3" } }\n'
    expect(editDeployment(text, 'production', { ...promoted, model: '1e3' })).toContain('model: "1e3"\n')
  })

  it('says line and column of a text that is no YAML', () => {
    expect(problemOf(() => editDeployment('project: [\n', 'production', promoted))).toMatch(
      /^modelwright\.yaml:\d+:\d+ /,
    )
  })
})

function problemOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (isAppError(error, 'ConfigInvalid')) return error.message
    throw error
  }
  throw new Error('Nothing was refused.')
}
